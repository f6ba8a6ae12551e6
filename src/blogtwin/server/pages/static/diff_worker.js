// Beside the page, so that typing never waits for a comparison.
import { changedShare, diff } from "./diff.js";

addEventListener("message", ({ data }) => {
  const parts = diff(data.before, data.after);
  postMessage({ number: data.number, parts, share: changedShare(parts) });
});
