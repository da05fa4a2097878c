// What pages are made of: cards that know whose answer they show, and figures.

import { el, say, svg } from "./dom.js";
import { texts } from "./texts.js";

/** A card of question `of`; `body` is hidden as long as there are no figures. */
export const card = ({ of, title, size = "", tools = [], level = "h2", attributes = {} }, ...body) => {
  const id = `title-${of}-${title}`.replace(/[^\p{L}\p{N}]+/gu, "-").toLowerCase();
  return el("section", { class: `card ${size}`, "data-of": of, "data-state": "loading", "data-figures": "none", "aria-labelledby": id, ...attributes },
    el("header", {}, el(level, { id }, title), el("div", { class: "tools" }, tools)),
    el("div", { class: "body" }, body),
    el("p", { class: "note", dir: "auto" }, texts.loading));
};

/** Says whether there is anything to show; the card does the rest when its answer is marked. */
export const setEmpty = (node, empty) => {
  node.closest("[data-of]").dataset.empty = String(empty);
};

/** A list of figures; each is { name, label, key }. `show(name, value, text, sub)` sets one, `mark(name, key)` says whether it is the main one. */
export const figures = (list, { wide = false } = {}) => {
  const nodes = new Map();
  const element = el("dl", { class: wide ? "figures wide" : "figures" }, list.map(({ name, label, key, spark }) => {
    const value = el("dd", { "data-figure": name, dir: "auto" }, "–");
    const sub = el("dd", { class: "sub", dir: "auto" });
    nodes.set(name, { value, sub });
    return el("div", { class: key ? "card figure key" : "card figure" }, el("dt", {}, label), value, sub, spark ?? null);
  }));
  const show = (name, raw, text, sub = "") => {
    const node = nodes.get(name);
    node.value.dataset.value = raw ?? "";
    node.value.style.setProperty("--letters", text.length);
    say(node.value, text);
    say(node.sub, sub);
  };
  const mark = (name, key) => nodes.get(name).value.parentElement.classList.toggle("key", key);
  return { element, show, mark };
};

/** A bar as long as a part of its whole; the figure beside it says the same. */
export const share = () => {
  const part = svg("rect", { class: "part", height: "4" });
  const element = svg("svg", { class: "share", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, part);
  const show = (count, whole) => part.setAttribute("width", whole > 0 ? Math.min(100, (100 * count) / whole).toFixed(1) : "0");
  return { element, show };
};

/** A line without axes behind a figure: only whether it rises or falls. */
export const spark = (label) => {
  const area = svg("path", { fill: "currentColor", opacity: "0.5" });
  const line = svg("path", { fill: "none", stroke: "currentColor", "stroke-width": "2", "vector-effect": "non-scaling-stroke" });
  const element = svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": label }, area, line);
  const values = [];
  const push = (value) => {
    values.push(value);
    if (values.length > 90) values.shift();
    if (values.length < 2) return;
    const top = Math.max(...values, 1);
    const points = values.map((v, i) => `${((100 * i) / (values.length - 1)).toFixed(1)} ${(29 - (27 * v) / top).toFixed(1)}`);
    line.setAttribute("d", `M${points.join("L")}`);
    area.setAttribute("d", `M0 30L${points.join("L")}L100 30Z`);
  };
  return { element, push };
};
