// The next version: how much there is to learn from, the training that runs now as it goes, and those before.

import { events, get, query, send } from "./api.js";
import { curve } from "./chart.js";
import { element } from "./markdown.js";
import { $, showFault, toast } from "./shell.js";

const LEAST = 3; // judgements that make a training possible
const OPEN = ["queued", "running", "stopping"];
const WORDS = { queued: "waits", running: "runs", stopping: "is being stopped", done: "done", failed: "failed", cancelled: "stopped" };
const AGAIN = 2000; // milliseconds before a broken stream is asked for again

const UNDER_WAY = "A training is under way.";
let [twin, watched, ended] = [null, null, () => {}];

// whenEnded: called after a training has ended, as versions may have changed.
export async function training(name, whenEnded) {
  [twin, ended] = [name, whenEnded];
  $("#train").addEventListener("click", train);
  $("#job-stop").addEventListener("click", stop);
  await Promise.all([waiting(), list()]);
}

async function waiting() {
  const { examples, posts, unlearned, minimum } = await get(`/api/training-data${query({ twin, limit: 0 })}`);
  const wait = unlearned === 1 ? "One judgement waits" : `${unlearned || "No"} judgements wait`;
  const known = examples ? ` Your twin knows ${examples.toLocaleString("en")} examples from ${posts.toLocaleString("en")} posts.` : "";
  $("#training-told").textContent = `${wait} to be learned from.${known}`;
  const missing = LEAST - unlearned;
  $("#train").disabled = missing > 0 || watched !== null;
  $("#train-why").textContent =
    watched !== null ? UNDER_WAY
    : missing > 0 ? `${missing} more ${missing === 1 ? "is" : "are"} needed: rate, choose or edit what the twin writes.`
    : unlearned < minimum ? `It can be trained now; ${minimum} or more teach it better.` : "";
}

async function train() {
  $("#train").disabled = true;
  showFault($("#job-fault"), null);
  try {
    follow(await send("POST", "/api/train", { twin }));
  } catch (fault) {
    showFault($("#job-fault"), fault);
    await waiting();
  }
}

async function stop() {
  try {
    show(await send("DELETE", `/api/jobs/${watched}`));
  } catch (fault) {
    toast(fault.message, true);
  }
}

async function list() {
  const { jobs } = await get(`/api/jobs${query({ twin, limit: 12 })}`);
  const open = jobs.find((job) => OPEN.includes(job.state));
  if (open && watched !== open.id) follow(open);
  const over = jobs.filter((job) => !OPEN.includes(job.state));
  $("#runs").hidden = !over.length;
  if (!over.length) return;
  const head = element("tr", {}, ...["Begun", "", "Took", "Loss", "Became"].map((name) => element("th", { scope: "col" }, name)));
  $("#runs").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...over.map(row))));
}

function row(job) {
  const begun = new Date(job.created_at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  const became = element("td", {}, job.version ? element("span", { class: "name" }, job.version) : "");
  if (job.state === "done" && !job.version) became.append(element("span", { class: "quiet" }, job.notes.at(-1) ?? "nothing new"));
  if (job.error) became.append(element("details", {}, element("summary", {}, "Why"), element("p", { class: "why" }, job.error)));
  return element(
    "tr",
    {},
    element("td", {}, begun),
    element("td", {}, element("span", { class: `state ${job.state}` }, WORDS[job.state])),
    element("td", {}, duration(job.seconds)),
    element("td", {}, job.losses.length > 1 ? curve(job.losses, lossWords(job.losses), 150, 40) : "–"),
    became,
  );
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function lossWords(losses) {
  return `Loss, from ${losses[0][1].toFixed(2)} to ${losses.at(-1)[1].toFixed(2)} nats a token`;
}

async function follow(job) {
  if (watched === job.id) return;
  watched = job.id;
  $("#train").disabled = true;
  $("#train-why").textContent = UNDER_WAY;
  show(job);
  let last = job;
  while (OPEN.includes(last.state)) {
    try {
      for await (const { name, value } of events("GET", `/api/jobs/${job.id}/events`)) {
        if (name !== "job") continue;
        last = value;
        show(last);
      }
    } catch {
      $("#job-figures").textContent = "The server does not answer; the training goes on without this page.";
    }
    if (OPEN.includes(last.state)) await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
  watched = null;
  $("#job").hidden = true;
  $("#status").textContent = `Training: ${WORDS[last.state]}.`;
  const [message, ...hint] = (last.error || "The training failed.").split("\n");
  showFault($("#job-fault"), last.state === "failed" ? { message, hint: hint.join(" ") } : null);
  if (last.state === "done") toast(last.version ? `There is a new version: ${last.version}` : "No new version came of it; why is told below.");
  await Promise.all([waiting(), list(), ended()]);
}

function show(job) {
  $("#job").hidden = false;
  const now = job.bars.at(-1);
  const note = job.notes.at(-1);
  $("#job-what").textContent = job.state === "queued" ? "Waits for its turn." : job.state === "stopping" ? "Is being stopped …" : (now?.label ?? note ?? "Begins …");
  const bar = $("#job-bar");
  if (now?.total) [bar.max, bar.value] = [now.total, now.done];
  else bar.removeAttribute("value");
  const figures = Object.entries(now?.figures ?? {}).map(([name, value]) => `${name} ${value}`);
  const steps = now?.total ? `${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")} ${now.unit}` : "";
  const left = now?.total && now.rate ? `about ${duration((now.total - now.done) / now.rate)} left` : "";
  $("#job-figures").textContent = [steps, ...figures, left].filter(Boolean).join(" · ");
  $("#job-curve").replaceChildren(...(job.losses.length > 1 ? [curve(job.losses, lossWords(job.losses))] : []));
  const log = $("#job-log pre");
  const below = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  if (job.log) log.textContent = job.log;
  if (below) log.scrollTop = log.scrollHeight;
  $("#job-stop").disabled = job.state === "stopping";
}
