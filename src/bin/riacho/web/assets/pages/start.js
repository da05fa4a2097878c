// Início: what runs in this server, drawn and counted.

import { card, figures, setEmpty, spark } from "../card.js";
import { button, el, icon, say } from "../dom.js";
import { hrefOf, isElsewhere } from "../links.js";
import { rowsOf, headOf } from "../table.js";
import { topologyDrawing } from "../topology.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.start;
const APPS = ["transactions", "sales", "enrolments", "extraction", "workshop"];
const TONE = { RUNNING: "good", ERROR: "bad", PENDING_ERROR: "bad" };

export const interval = 2000;

/** The applications, each with a link to its page. */
const appList = () => {
  const nodes = new Map();
  const element = el("ul", { class: "apps" }, APPS.map((id) => {
    const badge = el("span", { class: "badge" }, texts.loading);
    const link = el("a", { href: hrefOf(id) }, texts.pages[id].nav);
    nodes.set(id, { badge, link });
    return el("li", {}, el("article", { class: "card app", "data-app": id },
      el("div", { class: "top" }, icon(id), el("h3", {}, link)), el("p", {}, texts.pages[id].about), badge));
  }));
  const show = (applications) => {
    for (const app of applications) {
      const node = nodes.get(app.id);
      if (!node) continue;
      node.badge.className = `badge ${app.running ? (TONE[app.state] ?? (app.state ? "warn" : "good")) : ""}`;
      const absent = isElsewhere(app.id) ? t.elsewhere : t.notRunning;
      say(node.badge, app.running ? (t.states[app.state ?? "RUNNING"] ?? app.state) : absent);
    }
  };
  return { element, show };
};

/** The tasks of the sub-topologies, tile by tile; tiles stay where they are and change their figures. */
const taskBoard = () => {
  const element = el("div", { class: "stack" });
  let shape = "";
  let tiles = new Map();
  const tile = (task) => {
    const [rate, lag, mark] = [el("span"), el("span"), el("span", { class: "mark", "aria-hidden": "true" })];
    const state = el("span", { class: "unseen" });
    const node = el("li", { class: "task", "data-task": task.id }, el("div", { class: "name" }, el("strong", {}, task.id), state, mark),
      el("div", { class: "row" }, el("span", {}, t.rate), rate), el("div", { class: "row" }, el("span", {}, t.taskLag), lag));
    return { node, rate, lag, state };
  };
  const build = (app) => {
    tiles = new Map();
    element.replaceChildren(...app.subtopologies.map((subtopology) => {
      const list = subtopology.tasks.map((task) => {
        const made = tile(task);
        tiles.set(task.id, made);
        return made.node;
      });
      const rest = subtopology.tasks_total - subtopology.tasks.length;
      return el("section", {}, el("h3", {}, `${t.tasksOf(subtopology.id)}${rest > 0 ? ` (${t.more(format.count(rest))})` : ""}`), el("ul", { class: "tasks" }, list));
    }));
  };
  const show = (app) => {
    const now = app.subtopologies.map((one) => one.tasks.map((task) => task.id).join(" ")).join("|") + app.id;
    if (now !== shape) {
      build(app);
      shape = now;
    }
    for (const task of app.subtopologies.flatMap((one) => one.tasks)) {
      const { node, rate, lag, state } = tiles.get(task.id);
      node.dataset.state = task.state;
      say(rate, task.records_per_second === null ? "–" : `${format.rate(task.records_per_second)}${texts.perSecond}`);
      say(lag, format.count(task.lag));
      say(state, t.taskStates[task.state] ?? "");
      node.title = t.taskStates[task.state] ?? "";
    }
  };
  return { element, show };
};

export default () => {
  const history = spark(t.rateHistory);
  const cards = figures([
    { name: "start.records_per_second", label: t.perSecond, key: true, spark: history.element },
    { name: "start.records", label: t.records },
    { name: "start.lag", label: t.lag },
    { name: "start.tasks", label: t.tasks },
    { name: "start.commits", label: t.commits },
    { name: "start.cached_bytes", label: t.stores },
  ]);
  const apps = appList();
  const drawing = topologyDrawing();
  const tasks = taskBoard();
  const tabs = el("div", { class: "tabs" });
  const facts = el("p", { class: "hint", id: "facts", dir: "auto" });

  const columns = [
    { field: "subtopology", title: t.subtopology, kind: "number", format: String }, { field: "name", title: t.node }, { field: "kind", title: t.kind },
    { field: "topic", title: t.topic }, { field: "store", title: t.store }, { field: "next", title: t.next },
  ];
  const rows = el("tbody", { id: "rows-topology" });
  const asTable = el("div", { class: "scroll bounded", hidden: true, tabindex: "0", role: "region", "aria-label": t.topology },
    el("table", { id: "table-topology" }, el("caption", { class: "unseen" }, t.topology), headOf(columns), rows));
  const toggle = button(texts.tableOf(t.topology), {
    text: texts.showTable, class: "button small", "aria-pressed": "false", "aria-label": texts.tableOf(t.topology), "data-toggle": "topology",
    onclick: () => {
      asTable.hidden = !asTable.hidden;
      drawing.element.hidden = !asTable.hidden;
      toggle.setAttribute("aria-pressed", String(!asTable.hidden));
      if (last) show(last);
    },
  });
  const topology = card({ of: "start", title: t.topology, tools: [tabs, toggle] }, drawing.element, asTable, facts);
  const board = card({ of: "start", title: t.tasks }, tasks.element);

  let chosen = null;
  let last = null;

  const showTabs = (running) => {
    const ids = running.map((app) => app.id).join(" ");
    if (tabs.dataset.ids !== ids) {
      tabs.dataset.ids = ids;
      tabs.replaceChildren(...(running.length < 2 ? [] : running).map((app) => button(texts.pages[app.id]?.nav ?? app.id, {
        text: texts.pages[app.id]?.nav ?? app.id, class: "button small", "data-tab": app.id,
        onclick: () => {
          chosen = app.id;
          show(last);
        },
      })));
    }
    for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.tab === chosen));
  };

  const showApp = (app, data) => {
    const active = app.subtopologies.flatMap((one) => one.tasks).filter((task) => task.state !== "elsewhere");
    const restoring = active.filter((task) => task.state === "restoring").length;
    const total = app.subtopologies.reduce((sum, one) => sum + one.tasks_total, 0);
    cards.show("start.records_per_second", app.records_per_second, format.rate(app.records_per_second));
    cards.show("start.records", app.records, format.count(app.records), app.started_at ? t.sinceStart(format.moment(app.started_at)) : "");
    cards.show("start.lag", app.lag, format.count(app.lag), t.waiting);
    cards.show("start.tasks", active.length, format.count(active.length), restoring ? t.restoring(format.count(restoring)) : t.ofTasks(format.count(total)));
    cards.show("start.commits", app.commits, format.count(app.commits), t.lastCommit(format.count(app.last_commit_ms)));
    cards.show("start.cached_bytes", app.cached_bytes, format.bytes(app.cached_bytes));
    drawing.show(app);
    tasks.show(app);
    rows.replaceChildren(...rowsOf(columns, app.subtopologies.flatMap((one) => one.nodes.map((node) => ({
      ...node, subtopology: one.id, kind: t.kinds[node.type] ?? node.type, next: node.children.join(", "),
    })))));
    say(facts, [app.application_id, t.guarantee[app.guarantee] ?? app.guarantee, t.threads(app.threads), `${t.kafka} ${data.kafka}`,
      `${t.instance} ${data.instance}`, `${t.version} ${data.version}`].join(" · "));
  };

  const show = (data) => {
    last = data;
    apps.show(data.applications);
    const running = data.applications.filter((app) => app.running && app.subtopologies);
    chosen = running.some((app) => app.id === chosen) ? chosen : (running[0]?.id ?? null);
    showTabs(running);
    const app = running.find((one) => one.id === chosen);
    for (const element of [topology, board]) setEmpty(element.querySelector(".body"), !app);
    topology.dataset.figures = app ? "some" : "none";
    if (app) showApp(app, data);
  };
  const resized = new ResizeObserver(() => last && show(last));
  resized.observe(topology);

  return {
    content: [cards.element, el("div", { class: "grid" }, topology, board), el("h2", { class: "section-title" }, t.apps), apps.element],
    questions: {
      start: {
        url: "/api/start",
        show: (data) => {
          show(data);
          const app = data.applications.find((one) => one.id === chosen);
          if (app) history.push(app.records_per_second ?? 0);
        },
      },
    },
  };
};
