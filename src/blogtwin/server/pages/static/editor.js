// The editor on a draft, with what was changed beside it as it is typed.

import { grow } from "./compose.js";
import { element } from "./markdown.js";
import { $ } from "./shell.js";

const PAUSE = 120; // milliseconds without a key before the texts are compared
const TAGS = { in: "ins", out: "del", same: "span" };

// draft: what the model wrote; text: as it is now. typed(text) follows each change. Out: the element, ready to be put in place.
export function editor(draft, text, typed) {
  const made = $("#editor-template").content.firstElementChild.cloneNode(true);
  const area = $("textarea", made);
  area.value = text;
  area.setAttribute("aria-label", "Your text");
  const changes = comparison(draft, $(".diff", made), $(".share", made));
  area.addEventListener("input", () => {
    grow(area);
    typed(area.value);
    changes(area.value);
  });
  $("[data-do=revert]", made).addEventListener("click", () => {
    area.value = draft;
    area.dispatchEvent(new Event("input"));
    area.focus();
  });
  requestAnimationFrame(() => grow(area));
  changes(text);
  return made;
}

function comparison(draft, place, share) {
  const worker = new Worker(new URL("diff_worker.js", import.meta.url), { type: "module" });
  let [number, timer] = [0, 0];
  worker.addEventListener("message", ({ data }) => {
    if (data.number !== number) return; // something was typed meanwhile
    place.replaceChildren(...data.parts.map(({ kind, text }) => element(TAGS[kind], {}, text)));
    share.textContent = data.share ? `${Math.max(1, Math.round(data.share * 100))}% of the words` : "none yet";
    if (!place.isConnected) worker.terminate();
  });
  return (text) => {
    clearTimeout(timer);
    number += 1;
    timer = setTimeout(() => worker.postMessage({ before: draft, after: text, number }), PAUSE);
  };
}
