// One turn of a piece on the page: what was asked, the drafts as they come, and what can be done with them.
// In: a turn (desk.js) and the actions of the page. Out: its element; `update` brings it up to date.

import { countWords, dialWords } from "./compose.js";
import { current, draftOf, textOf } from "./desk.js";
import { editor } from "./editor.js";
import { element, render } from "./markdown.js";
import { $, showFault } from "./shell.js";

const KINDS = { write: "New post", continue: "Continue", rewrite: "Rewrite", chat: "You" };
const SLOW = "The model is being loaded, or others are before you. The first words take longest.";
const STATES = {
  stopped: "Stopped here.",
  cut: "The page was left while this was being written; what had come by then is kept.",
};

export class TurnView {
  constructor(turn, actions) {
    this.turn = turn;
    this.actions = actions;
    this.element = $("#turn-template").content.firstElementChild.cloneNode(true);
    this.element.addEventListener("click", (event) => this.#act(event.target.closest("button[data-do]")));
    $("[data-do=save]", this.element).addEventListener("change", (event) => {
      actions.save(turn, event.target.value);
      event.target.value = "";
    });
    const comment = $("[data-do=comment]", this.element);
    comment.addEventListener("change", () => actions.comment(turn, comment.value));
    comment.addEventListener("keydown", (event) => event.key === "Enter" && comment.blur());
    this.#asked();
    this.update();
  }

  #act(button) {
    if (!button || button.disabled) return;
    const { do: name, place } = button.dataset;
    if (name === "choose") this.actions.choose(this.turn, Number(place));
    else this.actions[name]?.(this.turn);
  }

  #asked() {
    const { ask } = this.turn;
    $(".kind", this.element).textContent = KINDS[ask.kind];
    const prompt = $(".prompt", this.element);
    prompt.textContent = ask.prompt || ask.files[0]?.name || "From your notes";
    prompt.classList.toggle("long", ask.prompt.length > 140);
    const { style } = ask;
    const told = ["formality", "warmth"].filter((name) => style[name]).map((name) => dialWords(name, style[name]));
    if (style.voice < 1) told.push(`${Math.round(style.voice * 100)}% of your voice`);
    if (style.length) told.push(`about ${style.length} words`);
    if (ask.notes.trim()) told.push("from notes");
    told.push(...ask.files.map((one) => one.name));
    $(".with", this.element).textContent = told.join(" · ");
    this.element.setAttribute("aria-label", `${KINDS[ask.kind]}: ${prompt.textContent.slice(0, 80)}`);
  }

  // The words that just came, no more often than the screen is drawn.
  flow() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const one = current(this.turn);
      for (const [place, node] of [...$(".drafts", this.element).children].entries())
        if (one.drafts[place] && node.matches(".draft")) this.#fill(node, one, place);
    });
  }

  #fill(node, one, place) {
    const { text } = one.drafts[place];
    render($(".prose", node), text);
    const writing = one.state === "writing";
    node.setAttribute("aria-busy", String(writing));
    node.classList.toggle("coming", writing && (one.now ?? place) === place);
    $(".count", node).textContent = one.drafts.length > 1 && !draftOf(one) && text ? `${countWords(text).toLocaleString("en")} words` : writing && !text ? "…" : "";
  }

  update() {
    const one = current(this.turn);
    const still = one.state === "writing";
    const chosen = draftOf(one);
    const many = one.drafts.length > 1;
    this.element.classList.toggle("many", many && !chosen);
    this.element.classList.toggle("editing", Boolean(one.editing));
    if (chosen && one.editing && !still) this.#edit(one, chosen);
    else this.#show(one, chosen);
    showFault($(".fault", this.element), one.fault ?? null);
    const state = $(".state", this.element);
    state.textContent = [this.#which(), still && one.slow ? SLOW : STATES[one.state], many && !chosen && !still ? "Which one is most like you?" : ""].filter(Boolean).join(" ");
    state.hidden = !state.textContent;
    this.#acts(one, chosen, still);
  }

  #which() {
    const { tries, at } = this.turn;
    return tries.length > 1 ? `Try ${at + 1} of ${tries.length}.` : "";
  }

  #show(one, chosen) {
    const place = $(".drafts", this.element);
    const many = one.drafts.length > 1;
    const shown = chosen ? [one.drafts.indexOf(chosen)] : one.drafts.map((_, at) => at);
    const nodes = shown.map((at) => {
      const node = $("#draft-template").content.firstElementChild.cloneNode(true);
      const label = one.drafts[at].by ?? (many && !chosen ? `Draft ${at + 1}` : "");
      const title = chosen && one.edited !== null ? "As you edited it" : label;
      $(".label", node).textContent = title;
      $("header", node).hidden = !title;
      node.setAttribute("aria-label", label || "Draft");
      if (chosen && one.edited !== null) render($(".prose", node), one.edited);
      else this.#fill(node, one, at);
      this.#chooser(node, one, at, many && !chosen);
      return node;
    });
    place.replaceChildren(...nodes);
    this.editing = null;
    this.#others(one, chosen);
  }

  #chooser(node, one, at, offered) {
    const button = $(".choose", node);
    button.hidden = !offered || one.state === "writing" || !one.drafts[at].text;
    button.dataset.place = at;
    button.replaceChildren("Choose this ", element("kbd", {}, String(at + 1)));
    button.setAttribute("aria-label", `Choose draft ${at + 1}`);
  }

  #others(one, chosen) {
    const others = $(".others", this.element);
    others.hidden = !chosen || one.drafts.length < 2 || one.editing;
    if (others.hidden) return;
    const rest = one.drafts.map((draft, at) => [draft, at]).filter(([draft]) => draft !== chosen);
    $("summary", others).textContent = rest.length === 1 ? "The other one" : `The other ${rest.length}`;
    $(".others-list", others).replaceChildren(
      ...rest.map(([draft, at]) => {
        const node = $("#draft-template").content.firstElementChild.cloneNode(true);
        $(".label", node).textContent = draft.by ?? `Draft ${at + 1}`;
        render($(".prose", node), draft.text);
        this.#chooser(node, one, at, true);
        return node;
      }),
    );
  }

  #edit(one, chosen) {
    if (this.editing === chosen) return;
    this.editing = chosen;
    const made = editor(chosen.text, textOf(one), (text) => this.actions.typed(this.turn, text));
    $(".drafts", this.element).replaceChildren(made);
    $(".others", this.element).hidden = true;
    $("textarea", made).focus({ preventScroll: true });
  }

  #acts(one, chosen, still) {
    const bar = $(".acts", this.element);
    bar.hidden = still;
    const has = Boolean(chosen && textOf(one).trim());
    for (const name of ["good", "bad", "edit", "copy", "approve", "save"]) {
      const button = $(`.acts [data-do=${name}]`, this.element);
      (button.closest("label") ?? button).hidden = !has || (one.editing && ["edit", "approve"].includes(name));
    }
    const press = (name, pressed) => $(`.acts [data-do=${name}]`, this.element).setAttribute("aria-pressed", String(pressed));
    press("good", one.rating === 1);
    press("bad", one.rating === -1);
    press("approve", Boolean(one.approved));
    $(".length", this.element).textContent = has ? `${countWords(textOf(one)).toLocaleString("en")} words` : "";
    $(".approve span", this.element).textContent = one.approved ? "Approved" : "Approve";
    $(".remark", this.element).hidden = still || !has;
    const comment = $("[data-do=comment]", this.element);
    if (document.activeElement !== comment) comment.value = one.comment ?? "";
    for (const node of this.element.querySelectorAll(".kept")) node.textContent = one.told ?? "";
  }
}
