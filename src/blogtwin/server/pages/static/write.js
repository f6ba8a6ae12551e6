// The page on which one writes: what is asked goes to the API, what comes is shown and kept, what is said of it is posted.

import { events, file, get, Refusal } from "./api.js";
import { Compose, countWords, request } from "./compose.js";
import { judge } from "./consent.js";
import { conversation, current, Desk, draftOf, textOf } from "./desk.js";
import { newId } from "./kept.js";
import { element } from "./markdown.js";
import { $, chosenTwin, keys, showFault, start, toast } from "./shell.js";
import { TurnView } from "./turn.js";

const SLOW = 4000; // milliseconds without a word before the page says why
const EDIT_PAUSE = 2500; // milliseconds without a key before an edit is posted

let [twin, desk, compose, running] = [null, null, null, null];
const views = new Map(); // turn id → TurnView

function say(text) {
  $("#status").textContent = text;
}

function greeting() {
  const hour = new Date().getHours();
  const part = hour < 5 ? "Still up?" : hour < 12 ? "Good morning." : hour < 18 ? "Good afternoon." : "Good evening.";
  $("#greeting").textContent = `${part} What shall we write?`;
}

// Writing

async function go(ask) {
  const turn = { id: newId(), ask, tries: [], at: 0 };
  const replaced = compose.replaces;
  compose.replaces = null;
  if (replaced) dropFrom(replaced);
  desk.piece.turns.push(turn);
  compose.sent();
  await attempt(turn);
}

function dropFrom(turn) {
  const gone = desk.piece.turns.splice(desk.piece.turns.indexOf(turn));
  for (const one of gone) {
    views.get(one.id)?.element.remove();
    views.delete(one.id);
  }
}

async function attempt(turn) {
  if (running) return;
  const { ask } = turn;
  const many = { one: 1, three: 3, compare: 2 }[ask.mode];
  const names = ask.mode === "compare" ? ["The twin", "The base model"] : [];
  const one = {
    request: null, version: null, state: "writing", chosen: null, edited: null, editing: false, rating: null, comment: "",
    approved: false, fault: null, told: "", drafts: Array.from({ length: many }, (_, at) => ({ text: "", by: names[at] ?? null })),
  };
  turn.tries.push(one);
  turn.at = turn.tries.length - 1;
  const above = desk.piece.turns.slice(0, desk.piece.turns.indexOf(turn));
  const [path, body] = request(ask, conversation(above), twin, desk.piece.id);
  const view = shown(turn);
  running = { turn, stop: new AbortController() };
  page();
  say("Writing.");
  const slow = setTimeout(() => {
    one.slow = one.drafts.every((draft) => !draft.text);
    view.update();
  }, SLOW);
  view.element.focus({ preventScroll: true }); // from here on single keys stop, choose and judge; / leads back to the prompt
  view.element.scrollIntoView({ block: "start", behavior: smooth() });
  try {
    for await (const event of events("POST", path, body, running.stop.signal)) take(one, event, view);
    if (one.state === "writing") throw new Refusal("The text broke off.", "Ask once more; the server's log may say why.");
    say(`Done: ${one.drafts.map((draft) => `${countWords(draft.text)} words`).join(", ")}.`);
  } catch (fault) {
    const stopped = running.stop.signal.aborted;
    one.state = leaving ? "cut" : stopped ? "stopped" : "failed";
    if (one.state === "failed") one.fault = { message: fault.message, hint: fault.hint ?? "" };
    say(stopped ? "Stopped." : fault.message);
  }
  clearTimeout(slow);
  running = null;
  desk.saveNow();
  view.update();
  page();
}

function take(one, { name, value }, view) {
  if (name === "start") Object.assign(one, { request: value.request_id, version: value.version });
  else if (name === "piece") {
    one.now = value.option ?? 0;
    one.drafts[one.now].text += value.text;
    desk.save();
    if (one.slow) {
      one.slow = false;
      view.update();
    } else view.flow();
  } else if (name === "end") {
    Object.assign(one, { state: "done", request: value.request_id ?? one.request });
    if (value.remark) one.fault = { message: value.remark, hint: "" };
  } else if (name === "error") throw new Refusal(value.error, value.hint);
}

function smooth() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}

// Judging

async function post(turn, judgement, quietly = false) {
  const one = current(turn);
  desk.saveNow();
  shown(turn).update();
  try {
    const kept = await judge(one.request, judgement, quietly);
    one.told = kept ? "Kept." : quietly ? one.told : "Not kept.";
  } catch (fault) {
    const late = fault.status === 404;
    one.told = late ? "Not kept: this draft was forgotten before it was judged. Ask for it again." : `Not kept: ${fault.message}`;
    if (!quietly) toast(one.told, true);
  }
  desk.save();
  shown(turn).update();
}

let editTimer = 0;
let leaving = false; // a browser that leaves the page breaks off what is being written, which is nobody's fault
for (const name of ["beforeunload", "pagehide"])
  addEventListener(name, () => {
    leaving = true;
    setTimeout(() => (leaving = false), 3000); // it stayed after all
  });

const actions = {
  good: (turn) => rate(turn, 1),
  bad: (turn) => rate(turn, -1),
  choose(turn, place) {
    const one = current(turn);
    Object.assign(one, { chosen: place, edited: null, editing: false });
    post(turn, { chosen: place });
    shown(turn).element.scrollIntoView({ block: "start", behavior: smooth() });
    say(`Draft ${place + 1} is chosen.`);
  },
  edit(turn) {
    current(turn).editing = true;
    desk.save();
    shown(turn).update();
  },
  typed(turn, text) {
    const one = current(turn);
    one.edited = text === draftOf(one).text ? null : text;
    one.approved = false;
    desk.save();
    clearTimeout(editTimer);
    editTimer = setTimeout(() => post(turn, { edited_text: text }, true), EDIT_PAUSE);
  },
  done(turn) {
    const one = current(turn);
    one.editing = false;
    clearTimeout(editTimer);
    if (one.edited !== null) post(turn, { edited_text: one.edited });
    shown(turn).update();
    $("[data-do=edit]", shown(turn).element).focus({ preventScroll: true });
  },
  approve(turn) {
    const one = current(turn);
    one.approved = one.editing || !one.approved;
    one.editing = false;
    clearTimeout(editTimer);
    post(turn, one.edited === null ? { approved: one.approved } : { approved: one.approved, edited_text: one.edited });
  },
  comment(turn, text) {
    const one = current(turn);
    if (text === one.comment) return;
    one.comment = text;
    post(turn, { comment: text });
  },
  retry: (turn) => attempt(turn),
  reask(turn) {
    compose.replaces = turn;
    compose.fill(turn.ask);
    toast("What you send now takes the place of this, and of what follows it.");
  },
  async copy(turn) {
    const text = textOf(current(turn));
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied.");
    } catch {
      toast("This browser does not let the page copy: select the text and copy it.", true);
    }
  },
  async save(turn, format) {
    const text = textOf(current(turn));
    const title = turn.ask.kind === "write" ? turn.ask.prompt.slice(0, 200) : "";
    try {
      download(await file("/api/export", { text, format, title }), `${fileName(text, title)}.${format}`);
    } catch (fault) {
      toast(`${fault.message} ${fault.hint ?? ""}`, true);
    }
  },
};

function rate(turn, rating) {
  const one = current(turn);
  one.rating = one.rating === rating ? 0 : rating;
  post(turn, { rating: one.rating });
}

function fileName(text, title) {
  const heading = text.match(/^#{1,6}\s+(.+)$/m)?.[1] ?? (title || "post");
  return heading.toLowerCase().normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "post";
}

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// The page

function shown(turn) {
  let view = views.get(turn.id);
  if (!view) {
    view = new TurnView(turn, actions);
    views.set(turn.id, view);
    $("#thread").append(view.element);
  }
  view.update();
  return view;
}

function page() {
  const begun = desk.piece.turns.length > 0;
  document.body.classList.toggle("begun", begun);
  compose.setBusy(Boolean(running));
  $("#afresh").hidden = !begun || Boolean(running);
  $("#ideas").hidden = begun || !$("#ideas li");
  const shelf = desk.shelf();
  $("#shelf").hidden = begun || !shelf.length;
  $("#shelf ul").replaceChildren(...shelf.map(earlier));
}

function earlier(piece) {
  const { ask } = piece.turns[0];
  const open = element("button", { type: "button", class: "idea" }, ask.prompt.slice(0, 120) || "From notes");
  const when = new Date(piece.begun).toLocaleDateString(undefined, { day: "numeric", month: "long" });
  const away = element("button", { type: "button", class: "quietly", "aria-label": "Throw this piece away" }, "×");
  open.addEventListener("click", () => turnTo(piece));
  away.addEventListener("click", () => {
    desk.throwAway(piece.id);
    page();
  });
  return element("li", {}, open, element("span", { class: "quiet" }, when), away);
}

function laidOut() {
  views.clear();
  $("#thread").replaceChildren();
  for (const turn of desk.piece.turns) shown(turn);
}

function turnTo(piece = null) {
  desk.turnTo(piece);
  laidOut();
  compose.replaces = null;
  compose.setKind(piece ? "chat" : "write");
  compose.changed();
  page();
  scrollTo({ top: 0 });
  $("#prompt").focus({ preventScroll: true });
}

async function ideas() {
  const { prompts } = await get(`/api/suggestions${twin ? `?twin=${encodeURIComponent(twin)}` : ""}`);
  $("#ideas ul").replaceChildren(
    ...prompts.slice(0, 5).map((prompt) => {
      const button = element("button", { type: "button", class: "idea" }, prompt);
      button.addEventListener("click", () => compose.fill({ ...compose.state, prompt, kind: "write" }));
      return element("li", {}, button);
    }),
  );
}

function latest(does, needs = () => true) {
  return () => {
    const turn = desk.piece.turns.at(-1);
    if (!turn || running || !needs(current(turn))) return false;
    does(turn);
  };
}

function choosing(place) {
  return latest(
    (turn) => actions.choose(turn, place),
    (one) => one.drafts.length > 1 && one.drafts[place]?.text && one.chosen === null,
  );
}

function listen() {
  const drafted = (one) => draftOf(one) !== null && textOf(one) !== "";
  keys({
    1: choosing(0), 2: choosing(1), 3: choosing(2),
    "+": latest(actions.good, drafted), "-": latest(actions.bad, drafted),
    e: latest(actions.edit, drafted), r: latest(actions.retry), a: latest(actions.approve, drafted),
    "/": () => $("#prompt").focus(),
    Escape: () => {
      if (running) return running.stop.abort();
      const turn = desk.piece.turns.find((one) => current(one).editing);
      return turn ? actions.done(turn) : false;
    },
  });
  $("#stop").addEventListener("click", () => running?.stop.abort());
  $("#afresh").addEventListener("click", () => turnTo());
}

async function main() {
  start();
  greeting();
  try {
    twin = await chosenTwin();
  } catch (fault) {
    showFault($("#fault"), fault);
  }
  desk = new Desk(twin);
  compose = new Compose(twin, go);
  laidOut();
  desk.follow(() => {
    if (running || document.activeElement?.closest(".editor")) return false;
    laidOut();
    page();
    return true;
  });
  listen();
  page();
  document.body.classList.add("ready");
  try {
    compose.setModels(await get(`/api/models${twin ? `?twin=${encodeURIComponent(twin)}` : ""}`));
    await ideas();
    page();
  } catch (fault) {
    showFault($("#fault"), fault);
  }
}

main();
