// Workshop: what the producer sends and the consumer receives.

import { card, figures, setEmpty } from "../card.js";
import { donut } from "../chart.js";
import { el, say } from "../dom.js";
import { pagedTable } from "../table.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.workshop;

export const interval = 2000;

/** An id with its beginning: all of it would fill the table. */
const ID_LETTERS = 8;
const beginning = (id) => {
  const text = String(id ?? "–");
  return el("span", { class: "mono", dir: "auto", title: id ?? null }, text.length > ID_LETTERS + 4 ? `${text.slice(0, ID_LETTERS)}…` : text);
};
const IDS = ["id_transacao", "id_produto"];

export default (live) => {
  const cards = figures([
    { name: "workshop.sent", label: t.sent },
    { name: "workshop.received", label: t.received },
    { name: "workshop.last_message_at", label: t.last },
    { name: "workshop.topic", label: t.topic },
  ]);
  const platforms = donut({ of: "platforms", name: "workshop-platforms", title: t.platforms, size: "half", first: t.platform, second: t.quantity,
    center: (groups) => format.brief(groups.reduce((sum, group) => sum + group.value, 0)) });
  const brokers = el("ul", { class: "tasks", id: "brokers" });
  const brokersCard = card({ of: "summary", title: t.brokers, size: "half" }, brokers);
  const messages = pagedTable({
    name: "workshop-messages", caption: t.messages, changed: () => live().again("messages"),
    columns: [
      { field: "direction", title: t.direction, build: (row) => el("span", { class: `badge ${row.direction === "received" ? "good" : ""}` }, t.directions[row.direction] ?? String(row.direction)) },
      { field: "at", title: t.at, kind: "plain", format: format.timeOfDay },
      { field: "place", title: t.place, kind: "plain", format: String },
      ...Object.entries(t.fields).map(([field, title]) => (IDS.includes(field) ? { field, title, build: (row) => beginning(row[field]) } : { field, title, kind: field === "cadastro_em" ? "id" : "quoted" })),
    ],
  });
  const messagesCard = card({ of: "messages", title: t.messages }, messages.element);

  return {
    content: [cards.element, el("div", { class: "grid" }, platforms.element, brokersCard, messagesCard)],
    questions: {
      summary: {
        url: "/api/workshop/summary",
        show: (data) => {
          const perSecond = (value) => `${format.rate(value)}${texts.perSecond}`;
          // What the other half does is on its own page.
          const half = (name, action, count, rate) => {
            const isOwn = data.action === action;
            cards.show(name, count, isOwn ? format.count(count) : "–", isOwn ? perSecond(rate) : t.elsewhere);
            cards.mark(name, isOwn);
          };
          half("workshop.sent", "producer", data.sent, data.sent_per_second);
          half("workshop.received", "consumer", data.received, data.received_per_second);
          cards.show("workshop.last_message_at", data.last_message_at, format.timeOfDay(data.last_message_at), t.action[data.action] ?? "");
          cards.show("workshop.topic", data.topic, data.topic, data.consumer_group ? `${t.group}: ${data.consumer_group}` : "");
          setEmpty(brokersCard, data.brokers.length === 0);
          brokers.replaceChildren(...data.brokers.map((broker) =>
            el("li", { class: "task", "data-up": String(broker.up) }, el("div", { class: "mono", dir: "auto" }, broker.address),
              el("span", { class: `badge ${broker.up ? "good" : "bad"}` }, broker.up ? t.up : t.down))));
        },
      },
      platforms: {
        url: "/api/workshop/platforms",
        show: ({ groups }) => {
          setEmpty(platforms.element, groups.length === 0);
          platforms.show(groups.map(({ name, quantity, other }) => ({ name, other, value: quantity, text: format.count(quantity) })));
        },
      },
      messages: {
        url: () => `/api/workshop/messages?${messages.query()}`,
        show: (data) => {
          setEmpty(messages.element, data.total === 0);
          const place = (row) => (row.partition === null || row.partition === undefined ? "–" : `${row.partition} @ ${row.offset ?? "–"}`);
          messages.show({ ...data, rows: data.rows.map((row) => ({ ...row, place: place(row) })) });
        },
      },
    },
  };
};
