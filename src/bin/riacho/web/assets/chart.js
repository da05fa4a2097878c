// Charts on Apache ECharts: drawn on a canvas, beside each the same figures as a table.

import { card } from "./card.js";
import { button, el } from "./dom.js";
import { colourOf, shapeOf } from "./palette.js";
import { headOf, rowsOf } from "./table.js";
import * as format from "./format.js";
import { texts } from "./texts.js";

let library = null;
/** ECharts is large: only pages with charts load it, once. */
export const loadLibrary = () => {
  library ??= new Promise((resolve, reject) => {
    document.head.append(el("script", { src: "/assets/vendor/echarts/echarts.min.js", onload: () => resolve(window.echarts), onerror: reject }));
  });
  return library;
};

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The theme's colours as the style sheet has them now. */
const ink = () => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { ink: of("--ink"), soft: of("--soft"), line: of("--line"), surface: of("--surface"), sunken: of("--sunken"), strong: of("--strong-line"), water: of("--water"), light: of("--water-light"), font: getComputedStyle(document.body).fontFamily };
};

const all = new Map();
window.riacho.chart = (name) => all.get(name)?.read() ?? null;

/**
 * A chart in a card. `draw(data, colours)` gives ECharts' option; `columns` and `rows(data)` its table alternative.
 * The canvas only comes when the library is there; until then, and where it cannot be had, the table speaks.
 */
export class Chart {
  #draw;
  #rows;
  #columns;
  #data = null;
  #instance = null;
  #broken = false;
  #title;
  #summary;

  constructor({ of, name, title, size, shape = "", draw, columns, rows, summary = null, tools = [], below = [] }) {
    [this.name, this.#draw, this.#rows, this.#columns] = [name, draw, rows, columns];
    [this.#title, this.#summary] = [title, summary];
    this.canvas = el("div", { class: `chart ${shape}`, id: `chart-${name}`, role: "img", "aria-label": texts.chartLabel(title) });
    this.body = el("tbody", { id: `rows-${name}` });
    this.table = el("div", { class: "scroll bounded", hidden: true, tabindex: "0", role: "region", "aria-label": title },
      el("table", { id: `table-${name}` }, el("caption", { class: "unseen" }, title), headOf(columns), this.body));
    this.toggle = button(texts.tableOf(title), { text: texts.showTable, class: "button small", "aria-pressed": "false", "data-toggle": name,
      "aria-label": texts.tableOf(title), onclick: () => this.#show(this.table.hidden) });
    this.element = card({ of, title, size, tools: [...tools, this.toggle] }, this.canvas, this.table, ...below);
    all.set(name, this);
    addEventListener("themechange", () => this.#paint(true));
    new ResizeObserver(() => this.#paint()).observe(this.canvas);
  }

  #show(table) {
    this.table.hidden = !table;
    this.canvas.hidden = table;
    this.toggle.setAttribute("aria-pressed", String(table));
    if (!table) this.#paint();
  }

  get instance() {
    return this.#instance;
  }

  show(data) {
    this.#data = data;
    const rows = this.#rows(data);
    this.body.replaceChildren(...rowsOf(this.#columns, rows));
    if (this.#summary) this.canvas.setAttribute("aria-label", `${texts.chartLabel(this.#title)} ${this.#summary(rows)}`);
    this.#paint();
  }

  async #paint(anew = false) {
    if (this.#broken || this.#data === null || this.canvas.clientWidth === 0) return;
    try {
      const echarts = await loadLibrary();
      if (anew) this.#dispose();
      if (this.#instance === null) {
        this.#instance = echarts.init(this.canvas, null, { renderer: "canvas" });
        this.begun?.(this.#instance);
      }
      this.#instance.resize();
      const colours = ink();
      const common = {
        animation: !still.matches, animationDuration: 350, animationDurationUpdate: 350,
        textStyle: { fontFamily: colours.font, color: colours.ink },
        // Drawn, not HTML: a name can be any text, and the page needs no inline styles.
        tooltip: { renderMode: "richText", confine: true, backgroundColor: colours.surface, borderColor: colours.strong, textStyle: { color: colours.ink, fontFamily: colours.font, fontSize: 13 } },
      };
      const option = this.#draw(this.#data, colours, this.canvas.clientWidth);
      this.#instance.setOption({ ...common, ...option, tooltip: { ...common.tooltip, ...option.tooltip } }, { replaceMerge: ["series"] });
    } catch (error) {
      console.error(error);
      this.#broken = true;
      this.#show(true);
      this.toggle.disabled = true;
      this.element.append(el("p", { class: "note" }, texts.noChart));
    }
  }

  #dispose() {
    this.#instance?.dispose();
    this.#instance = null;
  }

  /** What is drawn, read back from the chart itself. */
  read() {
    if (this.#instance === null) return null;
    const { xAxis, yAxis, series } = this.#instance.getOption();
    const axis = [...(xAxis ?? []), ...(yAxis ?? [])].find((candidate) => candidate.type === "category");
    const pie = series[0]?.type === "pie";
    const value = (point) => (point !== null && typeof point === "object" && !Array.isArray(point) ? point.value : point);
    return {
      labels: pie ? series[0].data.map((point) => point.name) : (axis?.data ?? []),
      series: series.map((one) => ({ name: one.name, values: one.data.map(value) })),
      zoom: this.#instance.getOption().geo?.[0]?.zoom ?? null,
      center: this.#instance.getOption().geo?.[0]?.center ?? null,
    };
  }
}

/** Groups are { name, value, text, other }. */
const groupColumns = (first, second) => [
  { field: "name", title: first },
  { field: "text", title: second, kind: "number", format: String },
  { field: "share", title: texts.sales.share, kind: "number", format: String },
];

/** What a chart says to those who do not see it. */
const groupSummary = (rows) => rows.slice(0, 8).map((row) => `${format.label(row.name)}: ${row.text} (${row.share})`).join("; ");

const groupRows = (groups) => {
  const whole = groups.reduce((sum, group) => sum + group.value, 0);
  return groups.map((group) => ({ ...group, name: group.other ? texts.other : group.name, share: format.share(group.value, whole) }));
};

/** A chart of groups, whose table and summary are the same however they are drawn. */
const grouped = ({ first, second, ...rest }, draw) =>
  new Chart({ ...rest, columns: groupColumns(first, second), rows: groupRows, summary: groupSummary, draw });

/** The labels of parts that are hardly seen would lie on each other; legend and table have them. */
const unlabelled = { label: { show: false }, labelLine: { show: false } };

export const donut = ({ center, ...rest }) =>
  grouped(rest, (groups, colours, width) => {
    const whole = groups.reduce((sum, group) => sum + group.value, 0);
    const narrow = width < 380;
    const byName = new Map(groups.map((group) => [group.name, group]));
    const nameOf = (name) => format.label(byName.get(name)?.other ? texts.other : name);
    return {
      title: { text: center(groups), left: "center", top: "40%", textAlign: "auto", textStyle: { color: colours.ink, fontSize: 20, fontWeight: 650, fontFamily: colours.font } },
      legend: { type: "scroll", bottom: 0, icon: "roundRect", itemWidth: 12, itemHeight: 12, itemGap: 16, textStyle: { color: colours.ink, fontSize: 13 }, pageTextStyle: { color: colours.soft }, pageIconColor: colours.ink, formatter: nameOf },
      tooltip: { trigger: "item", formatter: ({ name, value }) => `${nameOf(name)}\n${byName.get(name)?.text ?? ""} (${format.share(value, whole)})` },
      series: [{
        id: "groups", name: rest.title, type: "pie", radius: ["52%", "76%"], center: ["50%", "45%"], minAngle: 2, padAngle: 1.2,
        itemStyle: { borderRadius: 5, borderColor: colours.surface, borderWidth: 2 },
        label: { show: !narrow, color: colours.ink, fontSize: 13, fontWeight: 600, formatter: ({ value }) => format.share(value, whole) },
        labelLine: { show: !narrow, length: 8, length2: 8, lineStyle: { color: colours.strong } },
        emphasis: { scaleSize: 4 },
        data: groups.map((group) => ({ name: group.name, value: group.value, itemStyle: { color: colourOf(group.name, group.other) }, ...(group.value < whole / 50 ? unlabelled : {}) })),
      }],
    };
  });

/** Lying bars, the largest on top: names have room, also on a phone. */
export const bars = ({ brief = format.brief, oneColour = false, ...rest }) =>
  grouped(rest, (groups, colours, width) => {
    const rows = [...groups].reverse();
    const longest = Math.max(...rows.map((group) => format.label(group.name, 40).length), 1);
    const nameWidth = Math.min(longest * 8, 170, Math.round(width * 0.34));
    return {
      grid: { left: 4, right: width < 420 ? 58 : 84, top: 8, bottom: 4, containLabel: true },
      xAxis: { type: "value", splitNumber: 3, axisLabel: { color: colours.soft, formatter: brief, hideOverlap: true }, splitLine: { lineStyle: { color: colours.line } } },
      yAxis: { type: "category", data: rows.map((group) => group.name), axisTick: { show: false }, axisLine: { lineStyle: { color: colours.line } },
        axisLabel: { showMaxLabel: true, color: colours.ink, fontSize: 13, width: nameWidth, overflow: rows.length > 8 ? "truncate" : "break", lineHeight: 16, formatter: (name) => format.label(rows.find((g) => g.name === name)?.other ? texts.other : name, 40) } },
      tooltip: { trigger: "item", formatter: ({ dataIndex }) => `${format.label(rows[dataIndex].other ? texts.other : rows[dataIndex].name, 60)}\n${rows[dataIndex].text}` },
      series: [{
        id: "groups", name: rest.title, type: "bar", barMaxWidth: 30, itemStyle: { borderRadius: [0, 5, 5, 0] },
        label: { show: true, position: "right", color: colours.ink, fontSize: 12.5, fontWeight: 600, formatter: ({ value }) => brief(value) },
        data: rows.map((group) => ({ value: group.value, itemStyle: { color: oneColour && !group.other ? colours.water : colourOf(group.name, group.other) } })),
      }],
    };
  });

/** Lines over `labels`; series are { name, values }. The table has a column per series. */
export const lines = ({ labelText, value = format.count, area = false, ...rest }) =>
  new Chart({
    ...rest,
    draw: ({ labels, series }, colours, width) => ({
      grid: { left: 4, right: 26, top: 44, bottom: 4, containLabel: true },
      legend: { type: "scroll", top: 0, left: 0, itemWidth: 28, itemGap: 18, textStyle: { color: colours.ink, fontSize: 13 }, pageIconColor: colours.ink, formatter: (name) => format.label(name) },
      xAxis: { type: "category", data: labels, boundaryGap: false, axisLabel: { color: colours.soft, hideOverlap: true, formatter: labelText }, axisLine: { lineStyle: { color: colours.strong } } },
      yAxis: { type: "value", splitNumber: width < 420 ? 3 : 5, axisLabel: { color: colours.soft, formatter: format.brief }, splitLine: { lineStyle: { color: colours.line } } },
      tooltip: { trigger: "axis", formatter: (points) => [labelText(points[0].axisValue), ...points.map((point) => `${format.label(point.seriesName)}: ${value(point.value)}`)].join("\n") },
      series: series.map((one, index) => {
        const { symbol, dash } = shapeOf(index);
        const colour = one.colour ?? colourOf(one.name);
        return {
          id: one.name, name: one.name, type: "line", data: one.values, symbol, symbolSize: labels.length > 20 ? 0 : 8, color: colour,
          lineStyle: { width: 2.5, type: dash }, areaStyle: area ? { opacity: 0.14 } : undefined, smooth: 0.18,
        };
      }),
    }),
  });
