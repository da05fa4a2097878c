// Elements with their attributes and children. Texts become text nodes: no string is ever read as markup.

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
};

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** Sets a text only where it differs: what did not change is not announced and keeps its selection. */
export const say = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

/** A cell whose text comes from a record: isolated, so that right-to-left marks turn nothing else around. */
export const quoted = (text, attributes = {}) => {
  const value = String(text ?? "");
  if (value.trim() === "") return el("td", attributes, el("span", { class: "absent" }, "–"));
  return el("td", attributes, el("span", { dir: "auto", class: value.length > 60 ? "long" : null }, value));
};

const ICONS = {
  start: "M3 9c4-4 6 3 10 0s5-3 8 0M3 15c4-4 6 3 10 0s5-3 8 0",
  sales: "M4 20V10m5 10V4m5 16v-8m5 8V7",
  enrolments: "M3 9l9-4 9 4-9 4zM7 11v5c3 2.5 7 2.5 10 0v-5M21 9v6",
  extraction: "M12 3v11m-4-4l4 4 4-4M4 17v3h16v-3",
  workshop: "M4 6h11v8H8l-4 3zM18 9h2v11l-3-3h-6",
  transactions: "M4 8h14l-3-3m5 11H6l3 3",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2m0 16v2M2 12h2m16 0h2M5 5l1.5 1.5m11 11L19 19M19 5l-1.5 1.5m-11 11L5 19",
  moon: "M20 14A8.5 8.5 0 019.5 4a8.5 8.5 0 1010.5 10z",
  pause: "M8 5v14m8-14v14",
  play: "M7 5l12 7-12 7z",
  refresh: "M20 12a8 8 0 11-2.5-5.800M20 3v5h-5",
  warning: "M12 4l9 16H3zM12 10v4m0 2.5v.5",
  first: "M18 6l-6 6 6 6M7 6v12",
  previous: "M15 6l-6 6 6 6",
  next: "M9 6l6 6-6 6",
  last: "M6 6l6 6-6 6M17 6v12",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  globe: "M12 3a9 9 0 100 18 9 9 0 000-18zM3 12h18M12 3c3 3 3 15 0 18c-3-3-3-15 0-18",
};

export const icon = (name) =>
  svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", fill: "none", stroke: "currentColor",
    "stroke-width": "1.9", "stroke-linecap": "round", "stroke-linejoin": "round" }, svg("path", { d: ICONS[name] }));

export const button = (label, { text, icon: drawing, ...attributes }) =>
  el("button", { type: "button", class: "button", "aria-label": text === label ? null : label, title: text ? null : label, ...attributes },
    drawing ? icon(drawing) : null, text ?? null);
