// Extração: the files as they appear, what is in them, and how fast they come.

import { card, figures, setEmpty } from "../card.js";
import { lines } from "../chart.js";
import { button, el, quoted, say } from "../dom.js";
import { pagedTable } from "../table.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.extraction;
const TONES = { raw: "", normalised: "good", csv: "good", rejected: "bad" };

export const interval = 5000;

export default (live) => {
  const cards = figures([
    { name: "extraction.rows_normalised", label: t.normalised, key: true },
    { name: "extraction.files_raw", label: t.raw },
    { name: "extraction.rows_rejected", label: t.rejected },
    { name: "extraction.bytes", label: t.bytes },
    { name: "extraction.waiting_references", label: t.waiting },
  ]);
  const source = el("p", { class: "hint", dir: "auto" });

  const now = el("p", { class: "hint" });
  const throughput = lines({
    of: "throughput", name: "extraction-throughput", title: t.throughput, labelText: (at) => format.timeOfDay(Number(at)), area: true, below: [now],
    columns: [
      { field: "at", title: t.time, kind: "plain", format: format.timeOfDay },
      { field: "rows", title: t.rowCount, kind: "number", format: format.count },
      { field: "bytes", title: t.size, kind: "number", format: format.bytes },
      { field: "rejected", title: t.rejectedRows, kind: "number", format: format.count },
    ],
    rows: ({ points }) => [...points].reverse(),
  });

  let chosen = null;
  const files = pagedTable({
    name: "extraction-files", caption: t.files, changed: () => live().again("files"),
    columns: [
      { field: "name", title: t.name },
      { field: "stage", title: t.stage, build: (row) => el("span", { class: `badge ${TONES[row.stage] ?? ""}` }, t.stages[row.stage] ?? String(row.stage)) },
      { field: "rows", title: t.rowCount, kind: "number", format: format.count },
      { field: "bytes", title: t.size, kind: "number", format: format.bytes },
      { field: "created_at", title: t.created, kind: "plain", format: format.moment },
      { field: "schema_version", title: t.schema, kind: "number", format: format.count },
      { field: "checksum", title: t.checksum, build: (row) => el("span", { class: "mono", title: row.checksum ?? null }, row.checksum ? `${String(row.checksum).slice(0, 18)}…` : "–") },
      { field: "id", title: t.look, build: (row) => button(t.lookAt(row.name), { text: t.look, class: "button small", "data-preview": row.id, "aria-label": t.lookAt(row.name), onclick: () => choose(row) }) },
    ],
  });

  const about = el("p", { class: "hint", dir: "auto" });
  const schema = el("div", { class: "scroll bounded", tabindex: "0", role: "region", "aria-label": t.schemaOf });
  const rows = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t.preview });
  const preview = el("section", { class: "card", id: "preview", "aria-labelledby": "preview-title", tabindex: "-1", "data-of": "preview", "data-figures": "none", "data-state": "ready" },
    el("header", {}, el("h2", { id: "preview-title" }, t.preview)), el("div", { class: "body" }, about, el("h3", {}, t.schemaOf), schema, el("h3", {}, t.preview), rows),
    el("p", { class: "note", dir: "auto" }, t.previewHint));
  const choose = (row) => {
    chosen = row;
    live().again("preview").then(() => preview.focus());
  };

  const showPreview = (data) => {
    say(about, `${t.previewOf(chosen.name, format.count(data.rows.length), format.count(data.rows_total))} ${data.columns_total > data.columns.length ? t.columnsCut(format.count(data.columns_total - data.columns.length)) : ""}`);
    schema.replaceChildren(el("table", { id: "table-extraction-schema" }, el("caption", { class: "unseen" }, t.schemaOf),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t.column), el("th", { scope: "col" }, t.type))),
      el("tbody", {}, data.columns.map((column) => el("tr", {}, quoted(column.name), quoted(column.type, { class: "mono" }))))));
    rows.replaceChildren(el("table", { id: "table-extraction-preview", class: "cells" }, el("caption", { class: "unseen" }, t.preview),
      el("thead", {}, el("tr", {}, data.columns.map((column) => el("th", { scope: "col", dir: "auto" }, format.label(column.name, 40))))),
      el("tbody", { id: "rows-extraction-preview" }, data.rows.map((row) => el("tr", {}, row.map((value) => quoted(value)))))));
  };

  return {
    content: [
      cards.element,
      el("div", { class: "grid" }, throughput.element, card({ of: "files", title: t.files }, source, files.element), preview),
    ],
    questions: {
      summary: {
        url: "/api/extraction/summary",
        show: (data) => {
          cards.show("extraction.rows_normalised", data.rows_normalised, format.count(data.files_normalised), t.rows(format.count(data.rows_normalised)));
          cards.show("extraction.files_raw", data.files_raw, format.count(data.files_raw), t.rows(format.count(data.rows_raw)));
          cards.show("extraction.rows_rejected", data.rows_rejected, format.count(data.rows_rejected));
          cards.show("extraction.bytes", data.bytes, format.bytes(data.bytes), `${t.csv}: ${format.count(data.files_csv)}`);
          cards.show("extraction.waiting_references", data.waiting_references, format.count(data.waiting_references));
          say(source, `${t.source}: ${data.source ?? "–"}`);
        },
      },
      throughput: {
        url: "/api/extraction/throughput",
        show: (data) => {
          setEmpty(throughput.element, data.points.length === 0);
          say(now, t.now(format.rate(data.rows_per_second), format.bytes(data.bytes_per_second)));
          throughput.show({ points: data.points, labels: data.points.map((point) => String(point.at)), series: [{ name: t.rowCount, values: data.points.map((point) => point.rows), colour: "#0072b2" }] });
        },
      },
      files: {
        url: () => `/api/extraction/files?${files.query()}`,
        show: (data) => {
          setEmpty(files.element, data.total === 0);
          files.show(data);
        },
      },
      preview: {
        url: () => (chosen ? `/api/extraction/files/${encodeURIComponent(chosen.id)}/preview` : null),
        distinct: true,
        show: showPreview,
      },
    },
  };
};
