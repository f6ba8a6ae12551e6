// The blind quiz: rounds from the API, choices back to it at once; what was chosen, with its interval, at the end.

import { events, query, Refusal, send } from "./api.js";
import { interval, percent } from "./chart.js";
import { recall, remember } from "./kept.js";
import { element } from "./markdown.js";
import { $, chosenTwin, keys, showFault, start } from "./shell.js";

const WRITERS = { author: "the author", twin: "the twin", base: "the base model" };
const AT_ONCE = 20; // rounds of a sitting
const SLIP = 700; // milliseconds: nobody has read two passages by then, so it was a key held too long

let [twin, sitting, place, since, answered, told] = [null, null, 0, 0, false, null];
const wanted = { shape: "pair", reader: "you", reveal: false, rounds: AT_ONCE };

function show(...names) {
  for (const name of ["welcome", "preparing", "round", "result"]) $(`#${name}`).hidden = !names.includes(name);
}

async function begin() {
  show("preparing");
  showFault($("#fault"), null);
  const { shape, reader, rounds } = wanted;
  try {
    for await (const { name, value } of events("GET", `/api/quiz${query({ twin, shape, reader, wanted: rounds })}`)) {
      if (name === "progress") {
        $("#preparing-what").textContent = value.label;
        const bar = $("#preparing-bar");
        if (value.total) [bar.max, bar.value] = [value.total, value.done];
        else bar.removeAttribute("value");
      } else if (name === "error") throw new Refusal(value.error, value.hint);
      else if (name === "sitting") sitting = value;
    }
    if (!sitting) throw new Refusal("The server stopped before the quiz was ready.");
  } catch (fault) {
    show("welcome");
    showFault($("#fault"), fault);
    return;
  }
  told = sitting.summary;
  place = 0;
  if (sitting.rounds.length) ask();
  else finish();
}

function ask() {
  const round = sitting.rounds[place];
  answered = false;
  since = performance.now();
  show("round");
  $("#question").textContent = wanted.reader === "you" ? "Which one is you?" : "Which one did the author write?";
  $("#counter").textContent = `${sitting.answered + place + 1} of ${sitting.answered + sitting.rounds.length}`;
  $("#round-prompt").textContent = round.prompt;
  $("#passages").replaceChildren(
    ...round.texts.map((text, at) => {
      const button = element(
        "button",
        { type: "button", class: "passage", "aria-label": `Passage ${at + 1}: ${text}` },
        element("span", {}, element("kbd", {}, String(at + 1)), element("span", { class: "who" })),
        element("span", { class: "prose", dir: "auto" }, text),
      );
      button.addEventListener("click", () => (answered ? next() : choose(at)));
      return button;
    }),
  );
  $("#skip").replaceChildren("Skip ", element("kbd", {}, "s"));
  $("#question").focus({ preventScroll: true });
  scrollTo({ top: 0 });
  $("#status").textContent = `Round ${place + 1}.`;
}

async function choose(at) {
  const seconds = (performance.now() - since) / 1000;
  if (answered || seconds * 1000 < SLIP || (at !== null && at >= sitting.rounds[place].texts.length)) return;
  answered = true;
  const round = sitting.rounds[place];
  const { shape, reader, reveal } = wanted;
  try {
    const kept = await send("POST", `/api/quiz/${round.id}`, { place: at, seconds, twin, shape, reader, reveal });
    told = kept.summary;
    if (reveal && kept.writers && at !== null) reveals(kept.writers, at);
    else next();
  } catch (fault) {
    answered = false;
    showFault($("#fault"), fault);
  }
}

function reveals(writers, at) {
  const names = wanted.reader === "you" ? { ...WRITERS, author: "you" } : WRITERS;
  for (const [which, button] of [...$("#passages").children].entries()) {
    button.dataset.writer = writers[which];
    button.querySelector(".who").textContent = names[writers[which]] + (which === at ? ", whom you chose" : "");
  }
  $("#skip").replaceChildren("Go on ", element("kbd", {}, "Enter"));
  $("#status").textContent = `${writers[at] === "author" ? "Right" : "No"}: ${writers.map((one, which) => `${which + 1} is ${names[one]}`).join(", ")}.`;
}

function next() {
  showFault($("#fault"), null);
  place += 1;
  if (place < sitting.rounds.length) ask();
  else finish();
}

function finish() {
  show("result");
  const left = sitting.rounds.length - place;
  const done = told ? told.rounds + told.skipped : 0;
  $("#result-body").replaceChildren(...(told ? findings(told) : [element("p", {}, "Nothing has been chosen yet.")]));
  const exhausted = left === 0 && sitting.answered + sitting.rounds.length < sitting.wanted;
  if (exhausted)
    $("#result-body").append(
      element("p", { class: "quiet" }, "The held-out posts give no more passages that were not read. More: hold out more posts, or evaluate more samples."),
    );
  $("#more").hidden = exhausted;
  $("#more").textContent = left ? `Go on: ${left} left` : `${AT_ONCE} more`;
  $("#result-title").focus({ preventScroll: true });
  $("#status").textContent = `${done} answered.`;
}

function findings(summary) {
  const name = element("p", { class: "quiet" }, `${summary.version_name ?? summary.model} · ${summary.rounds} decided, ${summary.skipped} skipped, from ${summary.posts} posts`);
  const each = summary.taken.map((taken, at) => {
    const label = `${WRITERS[taken.writer]}: ${percent(taken.share)}, between ${percent(taken.low)} and ${percent(taken.high)}`;
    return element("div", { class: "finding" }, interval(taken, taken.writer, label), element("p", {}, summary.sentences[at]));
  });
  return [name, ...each];
}

function more() {
  if (place < sitting.rounds.length) return ask();
  wanted.rounds = sitting.answered + sitting.rounds.length + AT_ONCE;
  return begin();
}

async function main() {
  start();
  $("#reader").value = recall("reader", "you");
  $("#begin").addEventListener("submit", (event) => {
    event.preventDefault();
    wanted.shape = $("input[name=shape]:checked").value;
    wanted.reader = $("#reader").value.trim() || "you";
    wanted.reveal = $("#reveal").checked;
    remember("reader", wanted.reader);
    begin();
  });
  $("#skip").addEventListener("click", () => (answered ? next() : choose(null)));
  $("#quit").addEventListener("click", finish);
  $("#more").addEventListener("click", more);
  const inRound = (does) => () => ($("#round").hidden ? false : does());
  const number = (at) => inRound(() => (answered ? next() : choose(at)));
  keys({
    1: number(0), 2: number(1), 3: number(2),
    s: inRound(() => (answered ? next() : choose(null))),
    q: inRound(() => finish()),
    Enter: (press) => (press.target.closest("button, a") || !answered || $("#round").hidden ? false : next()),
  });
  try {
    twin = await chosenTwin();
  } catch (fault) {
    showFault($("#fault"), fault);
  }
  document.body.classList.add("ready");
  $("#start").focus({ preventScroll: true });
}

main();
