// What all pages have: the theme, the help, the twin, the keys that lead elsewhere, and short messages.

import { get } from "./api.js";
import { element } from "./markdown.js";
import { recall, remember } from "./kept.js";

const THEMES = { "": "as the system", light: "light", dark: "dark" };
const PAGES = { w: "/", q: "/quiz", p: "/dashboard" };
const SHOWN = 3600; // milliseconds of a short message

export function $(selector, under = document) {
  return under.querySelector(selector);
}

export function toast(text, fault = false) {
  const told = element("p", { class: fault ? "fault" : null }, text);
  $("#toasts").append(told);
  setTimeout(() => told.remove(), fault ? 3 * SHOWN : SHOWN);
}

// A refusal in place: what happened, and what to do about it, with commands to copy.
export function showFault(place, fault) {
  place.hidden = !fault;
  place.replaceChildren();
  if (!fault) return;
  place.classList.add("fault");
  place.append(element("p", {}, sentence(fault.message)));
  if (fault.hint) place.append(element("p", {}, ...withCommands(sentence(fault.hint))));
}

export function sentence(text) {
  const trimmed = text.trim();
  return /^[a-z]+ /.test(trimmed) ? trimmed[0].toUpperCase() + trimmed.slice(1) : trimmed;
}

function withCommands(text) {
  return text.split(/(blogtwin [a-z]+(?: (?:--?[\w-]+|[\w./:-]+))*)/).map((part, place) => (place % 2 ? element("code", {}, part) : part));
}

export function typing(target) {
  return target.closest?.("textarea, select, input:not([type=radio]):not([type=checkbox]), [contenteditable]") !== null;
}

// Single keys, while nothing is being typed and no dialog is open.
export function keys(table) {
  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey || press.defaultPrevented) return;
    if ($("dialog[open]") || (typing(press.target) && press.key !== "Escape")) return;
    if (leading) return;
    const does = table[press.key];
    if (does && does(press) !== false) press.preventDefault();
  });
}

let leading = false; // whether g was pressed a moment ago

function leadElsewhere() {
  let timer = 0;
  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey || typing(press.target) || $("dialog[open]")) return;
    if (leading && PAGES[press.key]) {
      press.preventDefault();
      location.href = PAGES[press.key];
    }
    clearTimeout(timer);
    setTimeout(() => (leading = false));
    if (press.key === "g" && !leading) {
      setTimeout(() => (leading = true));
      timer = setTimeout(() => (leading = false), 1500);
    }
    if (press.key === "?") $("#help-dialog").showModal();
  });
}

function theme() {
  const button = $("#theme");
  const tell = (chosen) => {
    button.setAttribute("aria-label", `Theme: ${THEMES[chosen]}`);
    button.title = `Theme: ${THEMES[chosen]}`;
  };
  const chosen = () => document.documentElement.dataset.theme ?? "";
  tell(chosen());
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(chosen()) + 1) % names.length];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    try {
      localStorage.setItem("blogtwin.theme", next);
    } catch {
      // it holds for this page at least
    }
    tell(next);
    toast(`Theme: ${THEMES[next]}`);
  });
}

// The twin that the page is about: null where the settings' one is the only one. Changing it begins the page anew.
export async function chosenTwin() {
  const { twins } = await get("/api/twins");
  const names = twins.map((one) => one.name);
  const wanted = recall("twin");
  const usual = twins.find((one) => one.default)?.name ?? names[0] ?? null;
  const twin = names.includes(wanted) ? wanted : usual;
  if (names.length > 1) {
    const select = $("#twin");
    select.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === twin }, name)));
    select.closest("label").hidden = false;
    select.addEventListener("change", () => {
      remember("twin", select.value);
      location.reload();
    });
  }
  return twin;
}

export function start() {
  theme();
  leadElsewhere();
  const help = $("#help-dialog");
  $("#help").addEventListener("click", () => help.showModal());
  if (/Mac|iPhone|iPad/.test(navigator.platform)) for (const key of document.querySelectorAll("kbd.mod")) key.textContent = "⌘";
  for (const dialog of document.querySelectorAll("dialog"))
    dialog.addEventListener("click", (click) => click.target === dialog && dialog.close(""));
}
