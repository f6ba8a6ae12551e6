// Small charts as SVG nodes. In: numbers. Out: an <svg> with its meaning in words; every colour comes from the style sheet.

const SPACE = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function picture(width, height, label, kind) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: kind, preserveAspectRatio: "xMinYMid meet" });
}

export const percent = (share) => `${Math.round(share * 100)}%`;

// One share with its interval and what chance alone would give, on a scale from 0 to 1.
export function interval({ share, low, high, chance }, side, label) {
  const [width, height, y] = [600, 44, 16];
  const x = (value) => 8 + value * (width - 16);
  const made = picture(width, height, label, `interval-chart ${side}`);
  made.append(
    svg("line", { x1: x(0), x2: x(1), y1: y, y2: y, class: "track" }),
    svg("line", { x1: x(chance), x2: x(chance), y1: 4, y2: 28, class: "chance" }),
    svg("line", { x1: x(low), x2: x(high), y1: y, y2: y, class: "range" }),
    svg("circle", { cx: x(share), cy: y, r: 7, class: "mark" }),
    svg("text", { x: x(0), y: 42 }, "never"),
    svg("text", { x: x(chance), y: 42, "text-anchor": "middle" }, `${percent(chance)}: by chance`),
    svg("text", { x: x(1), y: 42, "text-anchor": "end" }, "always"),
  );
  return made;
}

// Shares over time: days = [{name: "2026-11-21", like_rate, low, high, total}], the oldest first.
// width: in pixels of the page, so that its letters are as large as others.
export function rates(days, width, label) {
  const height = width < 480 ? 180 : 240;
  const [left, right, top, bottom] = [44, 12, 14, 28];
  const times = days.map((day) => Date.parse(day.name));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (time) => (first === last ? (left + width - right) / 2 : left + ((time - first) / (last - first)) * (width - left - right));
  const y = (share) => top + (1 - share) * (height - top - bottom);
  const made = picture(width, height, label, "chart rates");
  for (const share of [0, 0.25, 0.5, 0.75, 1])
    made.append(
      svg("line", { x1: left, x2: width - right, y1: y(share), y2: y(share), class: "grid" }),
      svg("text", { x: left - 8, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
    );
  const points = days.map((day, at) => [x(times[at]), day]);
  if (points.length > 1) {
    const upper = points.map(([place, day]) => `${place},${y(day.high)}`);
    const lower = points.map(([place, day]) => `${place},${y(day.low)}`).reverse();
    made.append(
      svg("polygon", { points: [...upper, ...lower].join(" "), class: "band" }),
      svg("polyline", { points: points.map(([place, day]) => `${place},${y(day.like_rate)}`).join(" "), class: "line" }),
    );
  }
  for (const [place, day] of points) {
    const told = svg("title", {}, `${day.name}: ${percent(day.like_rate)} of ${day.likes + day.dislikes}, between ${percent(day.low)} and ${percent(day.high)}`);
    if (points.length === 1) made.append(svg("line", { x1: place, x2: place, y1: y(day.low), y2: y(day.high), class: "whisker" }));
    made.append(svg("circle", { cx: place, cy: y(day.like_rate), r: points.length > 60 ? 2 : 4, class: "point" }, told));
  }
  const ends = first === last ? [[(left + width - right) / 2, first, "middle"]] : [[left, first, "start"], [width - right, last, "end"]];
  for (const [place, time, anchor] of ends)
    made.append(svg("text", { x: place, y: height - 6, "text-anchor": anchor }, dayName(time)));
  return made;
}

// A falling line: points = [[step, value], …], labelled at its ends.
export function curve(points, label, width = 360, height = 96) {
  const [left, right, top, bottom] = [6, 44, 8, 8];
  const [steps, values] = [points.map(([step]) => step), points.map(([, value]) => value)];
  const [from, to, low, high] = [Math.min(...steps), Math.max(...steps), Math.min(...values), Math.max(...values)];
  const x = (step) => left + (to === from ? 0.5 : (step - from) / (to - from)) * (width - left - right);
  const y = (value) => top + (high === low ? 0.5 : (high - value) / (high - low)) * (height - top - bottom);
  const made = picture(width, height, label, "chart curve");
  made.append(
    svg("polyline", { points: points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" "), class: "line" }),
    svg("circle", { cx: x(steps.at(-1)), cy: y(values.at(-1)), r: 3.5, class: "point" }),
    svg("text", { x: x(steps.at(-1)) + 8, y: y(values.at(-1)) + 4 }, values.at(-1).toFixed(2)),
  );
  return made;
}

export function dayName(time) {
  return new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
}
