// Workshop: what the producer sends and the consumer receives.

import { card, figures, setEmpty } from "../card.js";
import { donut } from "../chart.js";
import { el, say } from "../dom.js";
import { table } from "../table.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.workshop;

export const interval = 2000;

export default () => {
  const cards = figures([
    { name: "workshop.sent", label: t.sent, key: true },
    { name: "workshop.received", label: t.received },
    { name: "workshop.last_message_at", label: t.last },
    { name: "workshop.topic", label: t.topic },
  ]);
  const platforms = donut({ of: "platforms", name: "workshop-platforms", title: t.platforms, size: "half", first: t.platform, second: t.quantity,
    center: (groups) => format.brief(groups.reduce((sum, group) => sum + group.value, 0)) });
  const brokers = el("ul", { class: "tasks", id: "brokers" });
  const brokersCard = card({ of: "summary", title: t.brokers, size: "half" }, brokers);
  const messages = table({
    name: "workshop-messages", caption: t.messages,
    columns: [
      { field: "direction", title: t.direction, build: (row) => el("span", { class: `badge ${row.direction === "received" ? "good" : ""}` }, t.directions[row.direction] ?? String(row.direction)) },
      { field: "at", title: t.at, kind: "plain", format: format.timeOfDay },
      { field: "place", title: t.place, kind: "plain", format: String },
      ...Object.entries(t.fields).map(([field, title]) => ({ field, title })),
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
          cards.show("workshop.sent", data.sent, format.count(data.sent), perSecond(data.sent_per_second));
          cards.show("workshop.received", data.received, format.count(data.received), perSecond(data.received_per_second));
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
        url: "/api/workshop/messages",
        show: ({ rows }) => {
          setEmpty(messages.element, rows.length === 0);
          const place = (row) => (row.partition === null || row.partition === undefined ? "–" : `${row.partition} @ ${row.offset ?? "–"}`);
          messages.show(rows.map((row) => ({ ...row, place: place(row) })));
        },
      },
    },
  };
};
