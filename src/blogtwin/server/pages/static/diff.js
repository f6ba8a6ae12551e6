// Two texts → what was kept, taken out and put in, word by word.
//
// Myers, 1986, Algorithmica 1(2), 251-266: the shortest edit script, in O((n + m) d) for d differences. Texts that have less in
// common than FARTHEST allows are compared by paragraphs first, and only paragraphs that stand alone against each other by words.

const FARTHEST = 1500; // differences: beyond, the way there would take more than a blink

export function words(text) {
  return text.match(/\n+|[^\S\n]+|[\p{L}\p{N}]+(?:['’\-][\p{L}\p{N}]+)*|[^\s\p{L}\p{N}]/gu) ?? [];
}

// Out: [{kind: "same" | "out" | "in", text}], whose "same" and "out" make `before`, "same" and "in" make `after`.
export function diff(before, after) {
  const script = shortest(words(before), words(after)) ?? byParagraphs(before, after);
  return joined(script);
}

export function changedShare(parts) {
  let [kept, changed] = [0, 0];
  for (const { kind, text } of parts) {
    const count = (text.match(/[\p{L}\p{N}]+/gu) ?? []).length;
    if (kind === "same") kept += 2 * count;
    else changed += count;
  }
  return kept + changed ? changed / (kept + changed) : 0;
}

function byParagraphs(before, after) {
  const cut = (text) => text.split(/(?<=\n)(?=[^\n])/);
  const rough = shortest(cut(before), cut(after)) ?? [
    { kind: "out", text: before },
    { kind: "in", text: after },
  ];
  const fine = [];
  for (let at = 0; at < rough.length; at += 1) {
    const next = rough[at + 1];
    if (rough[at].kind === "out" && next?.kind === "in") {
      fine.push(...(shortest(words(rough[at].text), words(next.text)) ?? [rough[at], next]));
      at += 1;
    } else fine.push(rough[at]);
  }
  return fine;
}

function shortest(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let [endA, endB] = [a.length, b.length];
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA -= 1;
    endB -= 1;
  }
  const middle = myers(a.slice(start, endA), b.slice(start, endB));
  if (middle === null) return null;
  const same = (list) => list.map((text) => ({ kind: "same", text }));
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(endA))];
}

function myers(a, b) {
  const most = Math.min(a.length + b.length, FARTHEST);
  const offset = most + 1;
  const reach = new Int32Array(2 * most + 3);
  const trail = [];
  for (let d = 0; d <= most; d += 1) {
    trail.push(reach.slice(offset - d - 1, offset + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && reach[offset + k - 1] < reach[offset + k + 1]);
      let x = down ? reach[offset + k + 1] : reach[offset + k - 1] + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach[offset + k] = x;
      if (x >= a.length && x - k >= b.length) return walkedBack(a, b, trail, d);
    }
  }
  return null;
}

function walkedBack(a, b, trail, last) {
  const script = [];
  let [x, y] = [a.length, b.length];
  for (let d = last; d > 0; d -= 1) {
    const reach = (k) => trail[d][k + d + 1];
    const k = x - y;
    const down = k === -d || (k !== d && reach(k - 1) < reach(k + 1));
    const from = down ? k + 1 : k - 1;
    const [startX, startY] = down ? [reach(from), reach(from) - from + 1] : [reach(from) + 1, reach(from) - from];
    while (x > startX && y > startY) {
      script.push({ kind: "same", text: a[x - 1] });
      x -= 1;
      y -= 1;
    }
    if (down) script.push({ kind: "in", text: b[(y -= 1)] });
    else script.push({ kind: "out", text: a[(x -= 1)] });
  }
  while (x > 0) {
    script.push({ kind: "same", text: a[(x -= 1)] });
  }
  return script.reverse();
}

// Neighbours of one kind as one part; in each changed stretch, and over a single space between two, first all that went out.
function joined(script) {
  const parts = [];
  let [out, put] = ["", ""];
  const flush = () => {
    if (out) parts.push({ kind: "out", text: out });
    if (put) parts.push({ kind: "in", text: put });
    [out, put] = ["", ""];
  };
  for (const [place, { kind, text }] of script.entries()) {
    const bridge = kind === "same" && text === " " && out && put && script[place + 1] && script[place + 1].kind !== "same";
    if (kind === "out" || bridge) out += text;
    if (kind === "in" || bridge) put += text;
    if (kind === "same" && !bridge) {
      flush();
      const last = parts.at(-1);
      if (last?.kind === "same") last.text += text;
      else parts.push({ kind, text });
    }
  }
  flush();
  return parts;
}
