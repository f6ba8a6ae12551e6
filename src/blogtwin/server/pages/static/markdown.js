// Markdown → DOM nodes. What a model wrote is text and stays text: nodes are made one by one, HTML in it is shown, a link leads
// to a web or mail address or nowhere, an image is its description.

const SAFE = /^(https?:\/\/|mailto:)/i;
const INLINE =
  /(`+)([^`]|[^`].*?[^`])\1(?!`)|!\[([^\]]*)\]\([^)\s]*(?:\s+"[^"]*")?\)|\[([^\]]+)\]\(([^)\s]+)(?:\s+"[^"]*")?\)|(\*\*|__)(?=\S)(.+?\S?)\6|(\*|_)(?=\S)(.+?)\8(?!\w)|\\([\\`*_{}[\]()#+\-.!>~|])|(  |\\)\n/s;
const FENCE = /^\s{0,3}(`{3,}|~{3,})\s*([\w+-]*)/;
const HEADING = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^\s{0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^\s{0,3}>\s?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+/;
const TABLE = /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/;
const DEEPEST = 12; // levels of quotes and lists: no post has more, and a model may write thousands

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// Replaces what `target` holds by the rendered text. Blocks that did not change keep their nodes, so that streaming neither
// flickers nor loses a selection above its last paragraph.
export function render(target, text) {
  const blocks = cut(text);
  const before = target.blocks ?? [];
  let same = 0;
  while (same < blocks.length && same < before.length && blocks[same] === before[same]) same += 1;
  while (target.childNodes.length > same) target.lastChild.remove();
  for (const block of blocks.slice(same)) target.append(element("div", { class: "block" }, ...parse(block.split("\n"), 0)));
  target.blocks = blocks;
}

// The text in pieces that can be rendered apart from each other: at blank lines outside fences and lists.
function cut(text) {
  const pieces = [];
  let current = [];
  let fence = "";
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  for (const [place, line] of lines.entries()) {
    const mark = line.match(FENCE);
    if (fence) {
      if (mark && mark[1].startsWith(fence)) fence = "";
    } else if (mark) fence = mark[1];
    current.push(line);
    const next = lines[place + 1];
    const goesOn = next === undefined || /^\s/.test(next) || ITEM.test(next) || !next.trim();
    if (!fence && !line.trim() && !goesOn) {
      pieces.push(current.join("\n"));
      current = [];
    }
  }
  if (current.some((line) => line.trim())) pieces.push(current.join("\n"));
  return pieces;
}

function parse(lines, depth) {
  const nodes = [];
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) nodes.push(element("p", {}, ...inline(paragraph.join("\n"))));
    paragraph = [];
  };
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const [fence, heading] = [line.match(FENCE), line.match(HEADING)];
    const starts = (next) => next > at;
    let next = at;
    if (!line.trim()) next = at + 1;
    else if (fence) next = takeCode(lines, at, fence, nodes, flush);
    else if (heading) {
      flush();
      nodes.push(element(`h${Math.min(6, heading[1].length + 1)}`, {}, ...inline(heading[2])));
      next = at + 1;
    } else if (RULE.test(line)) {
      flush();
      nodes.push(element("hr"));
      next = at + 1;
    } else if (QUOTE.test(line) && depth < DEEPEST) {
      flush();
      let end = at;
      while (end < lines.length && QUOTE.test(lines[end])) end += 1;
      const inner = lines.slice(at, end).map((one) => one.replace(QUOTE, ""));
      nodes.push(element("blockquote", {}, ...parse(inner, depth + 1)));
      next = end;
    } else if (ITEM.test(line) && depth < DEEPEST && (!paragraph.length || !/^\s*\d/.test(line))) {
      flush();
      next = takeList(lines, at, depth, nodes);
    } else if (line.includes("|") && TABLE.test(lines[at + 1] ?? "")) {
      flush();
      next = takeTable(lines, at, nodes);
    }
    if (starts(next)) {
      if (!line.trim()) flush();
      at = next;
      continue;
    }
    paragraph.push(line.trimStart());
    at += 1;
  }
  flush();
  return nodes;
}

function takeCode(lines, at, fence, nodes, flush) {
  flush();
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(fence[1]) && !lines[end].trim().slice(fence[1].length).trim()))
    end += 1;
  nodes.push(element("pre", { tabindex: "0" }, element("code", {}, lines.slice(at + 1, end).join("\n"))));
  return end + 1;
}

function takeList(lines, at, depth, nodes) {
  const first = lines[at].match(ITEM);
  const ordered = /\d/.test(first[2]);
  const start = ordered ? Number.parseInt(first[2], 10) : 1;
  const list = element(ordered ? "ol" : "ul", { start: ordered && start !== 1 ? start : null });
  const indent = first[1].length;
  let end = at;
  while (end < lines.length) {
    const item = lines[end].match(ITEM);
    if (!item || item[1].length > indent + 1 || item[1].length < indent || /\d/.test(item[2]) !== ordered) break;
    const body = [lines[end].slice(item[0].length)];
    end += 1;
    while (end < lines.length) {
      const line = lines[end];
      const deeper = /^\s+\S/.test(line) && line.search(/\S/) > indent + 1;
      const lazy = line.trim() && !ITEM.test(line) && lines[end - 1].trim() && !HEADING.test(line) && !FENCE.test(line);
      const gap = !line.trim() && /^\s+\S/.test(lines[end + 1] ?? "") && lines[end + 1].search(/\S/) > indent + 1;
      if (!deeper && !lazy && !gap) break;
      body.push(deeper ? line.slice(Math.min(line.search(/\S/), indent + item[2].length + 1)) : line);
      end += 1;
    }
    const inner = parse(body, depth + 1);
    const only = inner[0]?.tagName === "P" ? [...inner[0].childNodes, ...inner.slice(1)] : inner;
    list.append(element("li", {}, ...only));
    while (end < lines.length && !lines[end].trim() && ITEM.test(lines[end + 1] ?? "")) end += 1;
  }
  nodes.push(list);
  return end;
}

function takeTable(lines, at, nodes) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  const row = (line, tag) => element("tr", {}, ...cells(line).map((cell) => element(tag, {}, ...inline(cell))));
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const body = lines.slice(at + 2, end).map((line) => row(line, "td"));
  nodes.push(
    element(
      "div",
      { class: "scroll", tabindex: "0" },
      element("table", {}, element("thead", {}, row(lines[at], "th")), element("tbody", {}, ...body)),
    ),
  );
  return end;
}

function inline(text, depth = 0) {
  const nodes = [];
  let rest = text;
  for (;;) {
    const found = depth < DEEPEST ? rest.match(INLINE) : null;
    if (!found) break;
    if (found.index) nodes.push(rest.slice(0, found.index));
    const [all, ticks, code, alt, label, address, strong, strongText, , emText, escaped] = found;
    if (ticks) nodes.push(element("code", {}, code.trim()));
    else if (alt !== undefined) nodes.push(alt);
    else if (label !== undefined) {
      const inner = inline(label, depth + 1);
      if (SAFE.test(address)) nodes.push(element("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, ...inner));
      else nodes.push(...inner);
    } else if (strong) nodes.push(element("strong", {}, ...inline(strongText, depth + 1)));
    else if (emText !== undefined) nodes.push(element("em", {}, ...inline(emText, depth + 1)));
    else if (escaped) nodes.push(escaped);
    else nodes.push(element("br"));
    rest = rest.slice(found.index + all.length);
  }
  if (rest) nodes.push(rest);
  return nodes;
}
