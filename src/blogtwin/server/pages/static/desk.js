// The piece that is being written, as this browser keeps it: through reloads, crashes and evenings.
//
// piece = {id, twin, turns, begun}; turn = {id, ask, tries, at}; ask = what was wanted, see compose.js;
// try = {request, version, state, drafts: [{text, by}], chosen, edited, editing, rating, comment, approved, fault}
// state: writing, done, stopped, cut (the page was left meanwhile), failed

import { newId, recall, remember } from "./kept.js";
import { toast } from "./shell.js";

const SHELF = 20; // earlier pieces that are kept
const PAUSE = 250; // milliseconds between two writings

export class Desk {
  constructor(twin) {
    this.name = `desk.${twin ?? ""}`;
    this.shelfName = `shelf.${twin ?? ""}`;
    this.piece = recall(this.name) ?? this.#fresh();
    for (const turn of this.piece.turns) for (const one of turn.tries) if (one.state === "writing") one.state = "cut";
    for (const name of ["pagehide", "visibilitychange"]) addEventListener(name, () => this.timer && this.saveNow());
  }

  // followed(): called when another tab has gone on with this piece; until then, what this tab holds is the latest.
  follow(followed) {
    addEventListener("storage", ({ key, newValue }) => {
      if (!key?.endsWith(this.name) || !newValue || this.timer) return;
      const before = this.piece;
      this.piece = JSON.parse(newValue);
      if (!followed()) this.piece = before;
    });
  }

  #fresh() {
    return { id: newId(), turns: [], begun: Date.now() };
  }

  save() {
    this.timer ??= setTimeout(() => this.saveNow(), PAUSE);
  }

  saveNow() {
    clearTimeout(this.timer);
    this.timer = null;
    if (remember(this.name, this.piece)) return;
    remember(this.shelfName, this.shelf().slice(0, 3)); // room: what is being written comes before what lies on the shelf
    if (!remember(this.name, this.piece) && !this.warned) {
      this.warned = true;
      toast("This browser keeps nothing more: save your text as a file before you leave.", true);
    }
  }

  shelf() {
    return recall(this.shelfName, []);
  }

  // Put the piece aside and begin another, or go on with one from the shelf.
  turnTo(piece = null) {
    const aside = this.piece.turns.length ? [this.piece] : [];
    const rest = this.shelf().filter((one) => one.id !== piece?.id && one.id !== this.piece.id);
    this.piece = piece ?? this.#fresh();
    remember(this.shelfName, [...aside, ...rest].slice(0, SHELF));
    this.saveNow();
  }

  throwAway(id) {
    remember(
      this.shelfName,
      this.shelf().filter((one) => one.id !== id),
    );
  }
}

export function current(turn) {
  return turn.tries[turn.at];
}

// The text that a try stands for: as edited, else the chosen draft, else the only one.
export function textOf(one) {
  if (one.edited !== null && one.edited !== undefined) return one.edited;
  return draftOf(one)?.text ?? "";
}

export function draftOf(one) {
  if (one.drafts.length === 1) return one.drafts[0];
  return one.chosen === null ? null : one.drafts[one.chosen];
}

// The conversation above, as the API takes it: what was asked, and the text that it became.
export function conversation(turns) {
  return turns.flatMap((turn) => {
    const text = textOf(current(turn));
    return text ? [
      { role: "user", content: turn.ask.prompt },
      { role: "assistant", content: text },
    ] : [];
  });
}
