// The API as the page uses it. In: paths and values. Out: values, streams of events, or a Refusal that says what to do.

export class Refusal extends Error {
  constructor(message, hint = "", status = 0) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

const GONE = "The server does not answer.";
const GONE_HINT = "Start it again where you started it: blogtwin serve. What you wrote here is safe.";

async function ask(method, path, body, signal) {
  const init = { method, signal, headers: { Accept: "application/json, text/event-stream" } };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Refusal(GONE, GONE_HINT);
  }
  if (response.ok) return response;
  let told = {};
  try {
    told = await response.json();
  } catch {
    // not of our making, so it says nothing that could be shown
  }
  throw new Refusal(told.error ?? `The server answered ${response.status}.`, told.hint ?? "", response.status);
}

export async function get(path) {
  return (await ask("GET", path)).json();
}

export async function send(method, path, body) {
  const response = await ask(method, path, body);
  return response.headers.get("Content-Type")?.includes("json") ? response.json() : null;
}

export async function file(path, body) {
  return (await ask("POST", path, body)).blob();
}

// Server-sent events of an answer to GET or POST, as {name, value}, in their order. Leaving the loop ends the request.
export async function* events(method, path, body, signal) {
  const response = await ask(method, path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((fault) => {
        if (fault.name === "AbortError") throw fault;
        throw new Refusal("The server stopped answering in the middle.", GONE_HINT);
      });
      if (done) return;
      rest += value;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const found = event(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (found) yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function event(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return data.length ? { name, value: JSON.parse(data.join("\n")) } : null;
}

export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
