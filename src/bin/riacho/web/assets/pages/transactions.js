// Transações: the main job's figures and its latest results.

import { card, figures, setEmpty } from "../card.js";
import { el } from "../dom.js";
import { pagedTable } from "../table.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.transactions;
/** Different currencies add up to nothing; these totals are honest. */
const byCurrency = (row) => (row.totais_por_moeda ?? []).map((one) => `${one.moeda} ${format.amount(one.total)}`).join(" · ") || "–";

const SHOWN = {
  id_vendedor: { kind: "id" },
  janela_inicio: { kind: "plain", format: format.moment },
  janela_fim: { kind: "plain", format: format.timeOfDay },
  numero_transacoes: { kind: "number", format: format.count },
  valor_total_por_vendedor: { kind: "number", format: format.amount },
  valor_minimo: { kind: "number", format: format.amount },
  valor_maximo: { kind: "number", format: format.amount },
  valor_medio: { kind: "number", format: format.amount },
  totais_por_moeda: { build: byCurrency },
};

export const interval = 5000;

export default (live) => {
  const cards = figures([
    { name: "transactions.transactions", label: t.transactions, key: true },
    { name: "transactions.windows_open", label: t.open },
    { name: "transactions.windows_closed", label: t.closed },
    { name: "transactions.late", label: t.late },
    { name: "transactions.dead_letters", label: t.dead },
  ]);
  const vendors = pagedTable({
    name: "transactions-vendors", caption: t.table, changed: () => live().again("vendors"),
    columns: Object.entries(t.fields).map(([field, title]) => ({ field, title, ...SHOWN[field] })),
  });
  return {
    content: [cards.element, el("div", { class: "grid" }, card({ of: "vendors", title: t.table }, vendors.element))],
    questions: {
      summary: {
        url: "/api/transactions/summary",
        show: (data) => {
          for (const field of ["transactions", "windows_open", "windows_closed", "late", "dead_letters"]) {
            cards.show(`transactions.${field}`, data[field], format.count(data[field]));
          }
        },
      },
      vendors: {
        url: () => `/api/transactions/vendors?${vendors.query()}`,
        show: (data) => {
          setEmpty(vendors.element, data.total === 0);
          vendors.show(data);
        },
      },
    },
  };
};
