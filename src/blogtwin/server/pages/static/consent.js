// Feedback, with the reader's consent: it is asked for once, in plain words, before the first judgement would be kept.

import { send } from "./api.js";
import { recall, remember } from "./kept.js";
import { $ } from "./shell.js";

export function consent() {
  return recall("consent");
}

export function setConsent(answer) {
  remember("consent", answer);
}

let asking = null;

async function asked() {
  if (consent()) return consent() === "yes";
  asking ??= new Promise((resolve) => {
    const dialog = $("#consent-dialog");
    if (!["localhost", "127.0.0.1", "[::1]"].includes(location.hostname))
      $("[data-where]", dialog).textContent = "on the computer that serves this page";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
    dialog.showModal();
  }).finally(() => (asking = null));
  const answer = await asking;
  if (answer === "yes" || answer === "no") setConsent(answer);
  return answer === "yes";
}

const waiting = new Map(); // request id → the post before, so that judgements arrive in their order

// Whether it was kept. quietly: where nobody has been asked yet, do not ask now. Raises Refusal.
export async function judge(requestId, judgement, quietly = false) {
  if (!requestId || (quietly && consent() !== "yes")) return false;
  if (!(await asked())) return false;
  const before = waiting.get(requestId) ?? Promise.resolve();
  const now = before.catch(() => {}).then(() => send("POST", `/api/feedback/${encodeURIComponent(requestId)}`, judgement));
  waiting.set(requestId, now);
  await now;
  return true;
}
