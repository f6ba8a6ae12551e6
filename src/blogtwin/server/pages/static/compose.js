// Where one says what is wanted. In: typing, files, dials. Out: an ask, and the request that it makes; both survive a reload.
//
// ask = {prompt, kind, mode: one | three | compare, model, style: {formality, warmth, voice, length}, notes, files: [{name, text}]}

import { recall, remember } from "./kept.js";
import { element } from "./markdown.js";
import { $, toast } from "./shell.js";

const LABELS = {
  write: ["What is it about?", "A topic, a title, a first sentence …"],
  continue: ["The text to go on from", "Paste what you have; the twin goes on from its end."],
  rewrite: ["The text to say in your voice", "Paste a text; it comes back as you would have put it."],
  chat: ["What do you want to say?", "Ask for a change, for a title, for what comes next …"],
};
const VERBS = { write: "Write", continue: "Continue", rewrite: "Rewrite", chat: "Send" };
const AS_IS = { formality: 0, warmth: 0, voice: 1, length: null };
const LARGEST = 300_000; // characters of an attached file

export function emptyAsk() {
  return { prompt: "", kind: "write", mode: "one", model: "finetuned", style: { ...AS_IS }, notes: "", files: [] };
}

export class Compose {
  // go(ask): called with what is wanted. canCompare tells why a comparison cannot be made, or null.
  constructor(twin, go) {
    this.name = `compose.${twin ?? ""}`;
    this.state = { ...emptyAsk(), ...recall(this.name) };
    this.models = [];
    this.#listen(go);
    this.show();
  }

  #listen(go) {
    const change = (does) => (event) => {
      does(event.target);
      this.changed();
    };
    $("#kinds").addEventListener("change", change((input) => this.setKind(input.value)));
    $("#prompt").addEventListener("input", change((input) => (this.state.prompt = input.value)));
    $("#notes").addEventListener("input", change((input) => (this.state.notes = input.value)));
    $("#mode").addEventListener("change", change((input) => (this.state.mode = input.value)));
    $("#model").addEventListener("change", change((input) => (this.state.model = input.value)));
    for (const name of ["formality", "warmth"]) $(`#${name}`).addEventListener("input", change((input) => (this.state.style[name] = Number(input.value))));
    $("#voice").addEventListener("input", change((input) => (this.state.style.voice = Number(input.value) / 100)));
    $("#length").addEventListener("change", change((input) => (this.state.style.length = Number(input.value) || null)));
    $("#style-reset").addEventListener("click", change(() => (this.state.style = { ...AS_IS })));
    for (const name of ["notes", "style"]) $(`#${name}-toggle`).addEventListener("click", () => this.#toggle(name));
    $("#attach").addEventListener("click", () => $("#file").click());
    $("#file").addEventListener("change", (event) => this.attach(event.target.files).finally(() => (event.target.value = "")));
    const form = $("#compose");
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("drop", (event) => {
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.attach(event.dataTransfer.files);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.busy && this.ready()) go(structuredClone(this.state));
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
  }

  #toggle(name, open = $(`#${name}-panel`).hidden) {
    $(`#${name}-panel`).hidden = !open;
    $(`#${name}-toggle`).setAttribute("aria-expanded", String(open));
    grow($("#notes"));
    if (open) $(`#${name}-panel`).querySelector("textarea, input").focus();
  }

  setKind(kind) {
    if (kind === "rewrite" && this.state.kind !== "rewrite") this.state.mode = "three";
    else if (kind === "chat") this.state.mode = "one";
    this.state.kind = kind;
  }

  async attach(files) {
    for (const one of files) {
      const text = await one.text();
      if (text.includes("\u0000") || text.includes("\ufffd")) toast(`${one.name} is no text: save it as text first.`, true);
      else if (text.length > LARGEST) toast(`${one.name} is too long: ${LARGEST.toLocaleString("en")} characters are read at most.`, true);
      else this.state.files = [...this.state.files.filter((other) => other.name !== one.name), { name: one.name, text }];
    }
    this.changed();
  }

  ready() {
    const { kind, prompt, files, notes } = this.state;
    return prompt.trim() !== "" || (kind !== "chat" && (files.length > 0 || notes.trim() !== ""));
  }

  // What was asked stands here again, to be changed.
  fill(ask) {
    this.state = { ...emptyAsk(), ...structuredClone(ask) };
    this.changed();
    $("#prompt").focus();
  }

  // After something was sent: dials and model stay, the words go; talk goes on as talk.
  sent() {
    Object.assign(this.state, { prompt: "", notes: "", files: [], kind: "chat", mode: "one" });
    this.changed();
  }

  setModels({ models }) {
    this.models = models.filter((one) => one.served);
    const name = (one) => (one.state === "base" ? "Base model, untrained" : `${one.state}: ${one.name.replace(/^[^:]*:/, "")}`);
    const versions = this.models.map((one) => [one.state === "base" ? "base" : one.name, name(one)]);
    const offered = [["finetuned", "Your twin"], ...versions];
    $("#model").replaceChildren(...offered.map(([value, label]) => element("option", { value }, label)));
    if (!offered.some(([value]) => value === this.state.model)) this.state.model = "finetuned";
    this.changed();
  }

  changed() {
    if (!remember(this.name, this.state)) remember(this.name, { ...this.state, files: [] });
    this.show();
  }

  #compareRefused() {
    if (this.state.kind !== "write") return "only a new post can be compared";
    if (this.state.files.length || this.state.notes.trim()) return "without notes and files";
    return null;
  }

  #voiceRefused() {
    const asked = this.models.find((one) => one.name === this.state.model) ?? this.models.find((one) => one.state === "champion");
    if (this.state.model === "base") return "The base model has none of it.";
    return asked && !asked.voice ? `It is all or nothing here: ${asked.why_not || "the runtime cannot weaken it"}.` : null;
  }

  show() {
    const { state } = this;
    const [label, placeholder] = LABELS[state.kind];
    $(`input[name=kind][value=${state.kind}]`).checked = true;
    $("#prompt-label").textContent = label;
    for (const [id, value] of [["prompt", state.prompt], ["notes", state.notes], ["model", state.model]])
      if ($(`#${id}`).value !== value) $(`#${id}`).value = value;
    $("#prompt").placeholder = placeholder;
    $("#go").textContent = VERBS[state.kind];
    const refused = this.#compareRefused();
    const compare = $("#mode option[value=compare]");
    compare.disabled = refused !== null;
    compare.textContent = `Twin beside base${refused ? `: ${refused}` : ""}`;
    if (refused && state.mode === "compare") state.mode = "one";
    $("#mode").value = state.mode;
    $("#model").disabled = state.mode === "compare";
    this.#showStyle();
    this.#showFiles();
    grow($("#prompt"));
    grow($("#notes"));
  }

  #showStyle() {
    const { style } = this.state;
    for (const name of ["formality", "warmth"]) {
      const input = $(`#${name}`);
      input.value = style[name];
      const told = dialWords(name, style[name]);
      $(`#${name}-told`).textContent = told;
      input.setAttribute("aria-valuetext", told);
    }
    const refused = this.#voiceRefused();
    if (refused) style.voice = 1;
    $("#voice").disabled = refused !== null;
    $("#voice").value = style.voice * 100;
    $("#voice-told").textContent = `${Math.round(style.voice * 100)}%`;
    $("#voice-why").textContent = refused ?? "";
    $("#voice-why").hidden = !refused;
    const length = $("#length");
    if (style.length && ![...length.options].some((one) => one.value === String(style.length)))
      length.append(element("option", { value: style.length }, `about ${style.length} words`));
    length.value = style.length ?? "";
    $("#style-toggle").classList.toggle("turned", JSON.stringify(style) !== JSON.stringify(AS_IS));
    $("#notes-toggle").classList.toggle("turned", this.state.notes.trim() !== "");
  }

  #showFiles() {
    $("#files").hidden = !this.state.files.length;
    $("#files").replaceChildren(
      ...this.state.files.map(({ name, text }) => {
        const away = element("button", { type: "button", class: "quietly", "aria-label": `Remove ${name}` }, "×");
        away.addEventListener("click", () => {
          this.state.files = this.state.files.filter((one) => one.name !== name);
          this.changed();
        });
        return element("li", {}, `${name} · ${countWords(text).toLocaleString("en")} words`, away);
      }),
    );
  }

  setBusy(busy) {
    this.busy = busy;
    $("#go").hidden = busy;
    $("#stop").hidden = !busy;
    $("#prompt-hint").hidden = busy;
  }
}

export function dialWords(name, value) {
  return $(`#${name}`).dataset.words.split(",")[value + 2];
}

export function countWords(text) {
  return (text.match(/[\p{L}\p{N}]+(?:['’\-][\p{L}\p{N}]+)*/gu) ?? []).length;
}

// The height follows the text, so that the page scrolls and not the field.
export function grow(area) {
  if (!area.offsetParent) return; // not shown, so it has no height
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

// An ask → the path and the body that the API takes. before: the conversation above.
export function request(ask, before, twin, session) {
  const style = { ...ask.style };
  const source = [ask.notes.trim(), ...ask.files.map((one) => one.text.trim())].filter(Boolean).join("\n\n") || null;
  const prompt = ask.prompt.trim() || (ask.files[0]?.name.replace(/\.\w+$/, "") ?? ask.notes.trim().split("\n")[0]);
  const shared = { prompt, twin, session, style, stream: true };
  if (ask.mode === "compare") return ["/api/evaluate", shared];
  const talk = ask.kind === "chat" ? { before } : {};
  return ["/api/generate", { ...shared, ...talk, kind: ask.kind, model: ask.model, options: ask.mode === "three" ? 3 : 1, source }];
}
