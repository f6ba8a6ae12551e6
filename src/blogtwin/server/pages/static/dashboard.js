// What readers said, over time and by part; what was not good; which versions there are; the next one in the making.

import { get, query } from "./api.js";
import { percent, rates, svg } from "./chart.js";
import { consent, setConsent } from "./consent.js";
import { training } from "./jobs.js";
import { element, render } from "./markdown.js";
import { $, chosenTwin, showFault, start } from "./shell.js";

const [POINTS, LEAST] = [15, 4]; // of the line at most, and ratings of each at least: few say little, so days are put together
const Z = 1.959964;
const LONG = 600; // characters of a text that is folded

let [twin, older] = [null, null];

// The 95% score interval of a share (Wilson, 1927), as the API gives it for single days.
function wilson(likes, total) {
  const [share, spread] = [likes / total, (Z * Z) / total];
  const middle = (share + spread / 2) / (1 + spread);
  const half = (Z * Math.sqrt((share * (1 - share)) / total + spread / (4 * total))) / (1 + spread);
  return { like_rate: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

function points(days) {
  const rated = days.filter((day) => day.likes + day.dislikes);
  const least = Math.max(LEAST, rated.reduce((sum, day) => sum + day.likes + day.dislikes, 0) / POINTS);
  const groups = [];
  for (const { name, likes, dislikes } of rated) {
    const last = groups.at(-1);
    if (last && last.likes + last.dislikes < least) Object.assign(last, { name, likes: last.likes + likes, dislikes: last.dislikes + dislikes });
    else groups.push({ name, likes, dislikes });
  }
  return groups.map((group) => ({ ...group, ...wilson(group.likes, group.likes + group.dislikes) }));
}

function between(tally) {
  return `between ${percent(tally.low)} and ${percent(tally.high)}`;
}

async function stats() {
  const found = await get(`/api/feedback/stats${query({ twin, days: $("#days").value })}`);
  const rated = found.likes + found.dislikes;
  $("#liked-told").textContent = rated
    ? `${percent(found.like_rate)} of ${rated === 1 ? "one rated text was" : `${rated.toLocaleString("en")} rated texts were`} liked (${between(found)}, with 95% confidence).`
    : found.total ? "Nothing has been rated yet; what was chosen and edited counts below."
    : "Nothing has been judged yet. Write something, and say what you think of it.";
  const over = points(found.by_day);
  draw(over.length ? (width) => rates(over, width, `Like rate over time, now ${percent(over.at(-1).like_rate)}, ${between(over.at(-1))}`) : null);
  const counts = [["judged", found.total], ["good", found.likes], ["not good", found.dislikes], ["edited", found.edited], ["chosen", found.chosen], ["approved", found.approved]];
  $("#counts").replaceChildren(...counts.map(([name, many]) => element("div", {}, element("dt", {}, name), element("dd", {}, many.toLocaleString("en")))));
  $("#counts").hidden = !found.total;
  const subjects = found.by_subject.map((one) => [one.name, ...tallied(one)]);
  table($("#subjects"), ["Subject", ["Judged", "number"], ["Liked", "number"], ""], subjects, "No subject has been judged yet.");
  return found;
}

// As wide as the page is, and drawn anew when that changes.
let redraw = null;
const widths = new ResizeObserver(() => redraw?.());

function draw(chart) {
  const place = $("#liked-chart");
  let width = 0;
  redraw = () => {
    if (width === place.clientWidth) return;
    width = place.clientWidth;
    place.replaceChildren(...(chart && width ? [chart(width)] : []));
  };
  widths.observe(place);
  redraw();
}

function tallied(one) {
  const rated = one && one.likes + one.dislikes;
  return [[String(one?.total ?? 0), "number"], [rated ? percent(one.like_rate) : "–", "number"], [rated ? rateBar(one) : "", "bar-cell"]];
}

function rateBar(one) {
  const x = (share) => 4 + share * 192;
  return svg(
    "svg",
    { viewBox: "0 0 200 18", class: "rate-bar", role: "img", "aria-label": between(one), preserveAspectRatio: "none" },
    svg("title", {}, between(one)),
    svg("line", { x1: x(0), x2: x(1), y1: 9, y2: 9, class: "track" }),
    svg("line", { x1: x(one.low), x2: x(one.high), y1: 9, y2: 9, class: "range" }),
    svg("rect", { x: x(one.like_rate) - 2, y: 2, width: 4, height: 14, class: "mark" }),
  );
}

function table(place, heads, rows, otherwise) {
  if (!rows.length) {
    place.replaceChildren(element("p", { class: "empty" }, otherwise));
    return;
  }
  const cell = (tag, content, more = {}) => {
    const [inside, kind] = Array.isArray(content) ? content : [content, null];
    return element(tag, { class: kind, ...more }, inside);
  };
  const head = element("tr", {}, ...heads.map((name) => cell("th", name, { scope: "col" })));
  place.replaceChildren(
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((content) => cell("td", content)))))),
  );
}

async function versions(found) {
  const { models } = await get(`/api/models${query({ twin })}`);
  const told = new Map(found.by_version.map((one) => [one.name, one]));
  const rows = models.map((one) => [
    [one.name === "base" ? "the base model" : one.name, one.name === "base" ? null : "name"],
    element("span", { class: `state ${one.state}` }, one.state),
    [one.state === "base" ? "–" : `${one.share}%`, "number"],
    ...tallied(told.get(one.name)),
  ]);
  table($("#versions"), ["Version", "", ["Share", "number"], ["Judged", "number"], ["Liked", "number"], ""], rows, "No version is in service yet.");
}

async function dislikes(before = null) {
  const { rows, next } = await get(`/api/feedback${query({ twin, rating: -1, limit: 8, before })}`);
  older = next;
  const place = $("#dislikes");
  if (!before) place.replaceChildren();
  if (!before && !rows.length) place.append(element("p", { class: "empty" }, "Nothing was disliked."));
  place.append(...rows.map(dislike));
  $("#dislikes-more").hidden = !next;
}

function dislike(one) {
  const text = element("div", { class: "prose", dir: "auto" });
  render(text, one.response);
  const when = new Date(one.judged_at).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
  const foot = element("footer", {}, when, element("span", { class: "name" }, one.version), one.subject);
  if (one.response.length > LONG) {
    text.classList.add("folded");
    const all = element("button", { type: "button", class: "quietly", "aria-expanded": "false" }, "Read it all");
    all.addEventListener("click", () => {
      const folded = text.classList.toggle("folded");
      all.setAttribute("aria-expanded", String(!folded));
      all.textContent = folded ? "Read it all" : "Fold it";
    });
    foot.append(all);
  }
  const parts = [element("p", { class: "prompt" }, one.prompt.slice(0, 300)), text];
  if (one.comment) parts.push(element("p", { class: "comment" }, one.comment));
  return element("article", { class: "dislike" }, ...parts, foot);
}

async function all() {
  const found = await stats();
  await versions(found);
}

async function report() {
  const { page, sentence } = await get(`/api/report${query({ twin })}`);
  $("#evaluation").hidden = !page;
  $("#report-told").textContent = sentence;
  $("#report").href = `/report${query({ twin })}`;
}

async function main() {
  start();
  const box = $("#consent");
  box.checked = consent() === "yes";
  box.addEventListener("change", () => setConsent(box.checked ? "yes" : "no"));
  $("#days").addEventListener("change", () => stats().catch((fault) => showFault($("#fault"), fault)));
  $("#dislikes-more").addEventListener("click", () => dislikes(older).catch((fault) => showFault($("#fault"), fault)));
  try {
    twin = await chosenTwin();
    await Promise.all([all(), dislikes(), training(twin, all), report()]);
  } catch (fault) {
    showFault($("#fault"), fault);
  }
  document.body.classList.add("ready");
}

main();
