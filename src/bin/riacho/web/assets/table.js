// Tables: plain ones, and those of which the server gives one page at a time.

import { button, el, quoted, say } from "./dom.js";
import * as format from "./format.js";
import { texts } from "./texts.js";

/** On a phone a row is a card of its own. */
const SIZE = matchMedia("(max-width: 40rem)").matches ? 6 : 15;

/** Columns are { field, title, kind, format }: kind "number" is set right, "id" is a text from a record that stays on one line if it is short. */
const ID_LETTERS_MAX = 36;
const cell = (row, { field, title, kind, format: shown, build }) => {
  const attributes = { "data-label": title, "data-field": field };
  if (build) return el("td", attributes, build(row));
  const value = row[field];
  if (kind === "number") return el("td", { ...attributes, class: "number" }, shown(value));
  if (kind === "plain") return el("td", { ...attributes, class: "plain" }, shown(value));
  if (kind === "id" && String(value).length <= ID_LETTERS_MAX) attributes.class = "plain";
  return quoted(shown ? shown(value) : value, attributes);
};

export const headOf = (columns) =>
  el("thead", {}, el("tr", {}, columns.map(({ title, kind }) => el("th", { scope: "col", class: kind === "number" ? "number" : null }, title))));

export const rowsOf = (columns, rows) => rows.map((row) => el("tr", {}, columns.map((column) => cell(row, column))));

export const table = ({ name, caption, columns, bounded = false, folding = true }) => {
  const body = el("tbody", { id: `rows-${name}` });
  const element = el("div", { class: bounded ? "scroll bounded" : "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { id: `table-${name}`, class: folding ? "folding" : null }, el("caption", { class: "unseen" }, caption), headOf(columns), body));
  return { element, body, show: (rows) => body.replaceChildren(...rowsOf(columns, rows)) };
};

/** A table with a pager. `changed` is called when another page is wanted; `query()` is what to ask for. */
export const pagedTable = ({ name, caption, columns, changed }) => {
  let page = 1;
  let pages = 1;
  const inner = table({ name, caption, columns });
  const where = el("span", { "data-page": "1" });
  const range = el("span", {});
  const go = (target) => {
    page = Math.min(Math.max(1, target), pages);
    where.dataset.page = String(page);
    changed();
  };
  const buttons = {
    first: button(texts.pager.first, { icon: "first", class: "button small", "data-go": "first", onclick: () => go(1) }),
    previous: button(texts.pager.previous, { icon: "previous", class: "button small", "data-go": "previous", onclick: () => go(page - 1) }),
    next: button(texts.pager.next, { icon: "next", class: "button small", "data-go": "next", onclick: () => go(page + 1) }),
    last: button(texts.pager.last, { icon: "last", class: "button small", "data-go": "last", onclick: () => go(pages) }),
  };
  const pager = el("nav", { class: "pager", "data-pager": name, "aria-label": caption }, range,
    el("div", {}, buttons.first, buttons.previous, where, buttons.next, buttons.last));
  const show = (data) => {
    pages = Math.max(1, Math.ceil(data.total / data.size));
    inner.show(data.rows);
    page = Math.min(data.page, pages);
    where.dataset.page = String(page);
    const from = (data.page - 1) * data.size + 1;
    say(where, texts.pager.of(format.count(page), format.count(pages)));
    say(range, data.rows.length ? texts.pager.rows(format.count(from), format.count(from + data.rows.length - 1), format.count(data.total)) : "");
    for (const [direction, node] of Object.entries(buttons)) {
      const blocked = direction === "first" || direction === "previous" ? page <= 1 : page >= pages;
      // A button that is disabled loses the focus; this one only stops doing anything.
      node.setAttribute("aria-disabled", String(blocked));
    }
    // The table has become shorter than the page that was open.
    if (data.rows.length === 0 && data.page > pages) go(pages);
  };
  return { element: el("div", {}, inner.element, pager), show, query: () => `page=${page}&size=${SIZE}` };
};
