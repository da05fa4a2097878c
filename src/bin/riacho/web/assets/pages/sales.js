// Vendas: totals, products, months, places and the sales themselves.

import { figures, setEmpty, card } from "../card.js";
import { bars, donut, lines } from "../chart.js";
import { salesMap } from "../map.js";
import { pagedTable } from "../table.js";
import { el } from "../dom.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.sales;

/** For the eye a double is exact enough; texts are made from the decimal string. */
const drawn = (decimal) => Number(decimal);

// With the time that the answers take, new sales are seen within five seconds.
export const interval = 4000;

export default (live) => {
  const cards = figures([
    { name: "sales.total_amount", label: t.total, key: true },
    { name: "sales.transactions", label: t.transactions },
  ], { wide: true });

  const byAmount = { of: "products", first: t.product, second: t.amount };
  const byQuantity = { of: "products", first: t.product, second: t.quantity };
  const sum = (groups) => groups.reduce((total, group) => total + group.value, 0);
  const amountDonut = donut({ ...byAmount, name: "sales-amount-donut", title: t.amountDonut, size: "half", center: (groups) => format.briefMoney(sum(groups)) });
  const quantityDonut = donut({ ...byQuantity, name: "sales-quantity-donut", title: t.quantityDonut, size: "half", center: (groups) => format.brief(sum(groups)) });
  const amountBars = bars({ ...byAmount, name: "sales-amount-bars", title: t.amountBars, size: "half", shape: "low", brief: format.briefMoney });
  const quantityBars = bars({ ...byQuantity, name: "sales-quantity-bars", title: t.quantityBars, size: "half", shape: "low" });

  const monthColumns = [
    { field: "month", title: t.month, kind: "plain", format: format.monthOf },
    { field: "product", title: t.product },
    { field: "quantity", title: t.quantity, kind: "number", format: format.count },
    { field: "amount", title: t.amount, kind: "number", format: format.money },
  ];
  const months = lines({
    of: "months", name: "sales-months", title: t.months, labelText: format.monthOf, columns: monthColumns,
    rows: ({ labels, series }) => labels.flatMap((month, at) => series.map((one) => ({ month, product: one.name, quantity: one.values[at], amount: one.amounts[at] }))),
  });

  const map = salesMap({ of: "map", name: "sales-map", moved: () => live().again("map") });

  const sales = pagedTable({
    name: "sales", caption: t.table, changed: () => live().again("table"),
    columns: [
      { field: "sale_id", title: t.id, kind: "number", format: String },
      { field: "product", title: t.product },
      { field: "amount", title: t.amount, kind: "number", format: format.money },
      { field: "latitude", title: t.latitude, kind: "number", format: format.degree },
      { field: "longitude", title: t.longitude, kind: "number", format: format.degree },
      { field: "sale_date", title: t.date, kind: "plain", format: format.date },
    ],
  });

  return {
    content: [
      cards.element,
      el("div", { class: "grid" }, amountDonut.element, quantityDonut.element, amountBars.element, quantityBars.element,
        months.element, map.element, card({ of: "table", title: t.table }, sales.element)),
    ],
    questions: {
      summary: {
        url: "/api/sales/summary",
        show: (data) => {
          const period = data.first_date ? t.between(format.date(data.first_date), format.date(data.last_date)) : "";
          cards.show("sales.total_amount", data.total_amount, format.money(data.total_amount), t[data.source] ?? "");
          cards.show("sales.transactions", data.transactions, format.count(data.transactions), period);
        },
      },
      products: {
        url: "/api/sales/by-product",
        show: ({ products }) => {
          const groups = (value, text) => products.map((one) => ({ name: one.product, other: one.other, value: value(one), text: text(one) }));
          const amounts = groups((one) => drawn(one.amount), (one) => format.money(one.amount));
          const quantities = groups((one) => one.quantity, (one) => format.count(one.quantity));
          for (const [chart, data] of [[amountDonut, amounts], [amountBars, amounts], [quantityDonut, quantities], [quantityBars, quantities]]) {
            setEmpty(chart.element, products.length === 0);
            chart.show(data);
          }
        },
      },
      months: {
        url: "/api/sales/by-month",
        show: ({ months: labels, series }) => {
          setEmpty(months.element, labels.length === 0);
          months.show({ labels, series: series.map((one) => ({ name: one.product, values: one.quantity, amounts: one.amount })) });
        },
      },
      map: {
        url: () => `/api/sales/map?${map.query()}`,
        show: (data) => map.show(data),
      },
      table: {
        url: () => `/api/sales/table?${sales.query()}`,
        show: (data) => {
          setEmpty(sales.element, data.total === 0);
          sales.show(data);
        },
      },
    },
  };
};
