// Matrículas: distinct enrolments by course, payment and shift, the most common profile, and the enrolments.

import { card, figures, setEmpty } from "../card.js";
import { bars, donut } from "../chart.js";
import { el, say } from "../dom.js";
import { pagedTable } from "../table.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.enrolments;
const SHIFTS = ["Manhã", "Tarde", "Noite"];
const PROFILE = ["ds_aluno_sexo", "ds_aluno_idade", "ds_curso_turno", "ds_aluno_responsavel_financeiro", "ds_matricula_pagamento", "ds_curso_nome"];

export const interval = 10_000;

export default (live) => {
  const cards = figures([
    { name: "enrolments.total", label: t.total, key: true },
    { name: "enrolments.last_enrolment", label: t.last },
    { name: "enrolments.duplicates", label: t.duplicates },
    { name: "enrolments.instances", label: t.instances },
  ]);
  const counted = { second: t.quantity };
  const courses = bars({ ...counted, of: "courses", name: "enrolments-courses", title: t.courses, size: "half", first: t.course, oneColour: true });
  const payments = bars({ ...counted, of: "payments", name: "enrolments-payments", title: t.payments, size: "half", first: t.payment, oneColour: true });
  const sum = (groups) => groups.reduce((total, group) => total + group.value, 0);
  const shifts = donut({ ...counted, of: "shifts", name: "enrolments-shifts", title: t.shifts, size: "half", first: t.shift, center: (groups) => format.brief(sum(groups)) });

  const values = new Map();
  const profile = el("dl", { class: "profile" }, PROFILE.map((field) => {
    const [value, sub] = [el("span", { "data-figure": `enrolments.profile.${field}`, dir: "auto" }, "–"), el("span", { class: "sub" })];
    values.set(field, { value, sub });
    return el("div", {}, el("dt", {}, t.fields[field]), el("dd", {}, value, sub));
  }));
  const profileCard = card({ of: "profile", title: t.profile, size: "half" }, profile);

  const shown = { ds_curso_duracao: format.number, ds_aluno_idade: format.number };
  const dates = ["ds_curso_inicio", "dt_matricula"];
  const columns = Object.entries(t.fields).map(([field, title]) => {
    if (shown[field]) return { field, title, kind: "number", format: (value) => (typeof value === "number" ? format.number(value) : (value ?? "–")) };
    return { field, title, format: dates.includes(field) ? format.date : null };
  });
  const table = pagedTable({ name: "enrolments", caption: t.table, changed: () => live().again("table"), columns });

  const grouped = (chart, order = null) => ({ groups }) => {
    const list = order ? [...groups].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)) : groups;
    setEmpty(chart.element, list.length === 0);
    chart.show(list.map(({ name, quantity, other }) => ({ name, other, value: quantity, text: format.count(quantity) })));
  };

  return {
    content: [
      cards.element,
      el("div", { class: "grid" }, courses.element, payments.element, shifts.element, profileCard, card({ of: "table", title: t.table }, table.element)),
    ],
    questions: {
      summary: {
        url: "/api/enrolments/summary",
        show: (data) => {
          cards.show("enrolments.total", data.total, format.count(data.total));
          cards.show("enrolments.last_enrolment", data.last_enrolment, format.date(data.last_enrolment));
          cards.show("enrolments.duplicates", data.duplicates, format.count(data.duplicates));
          cards.show("enrolments.instances", data.instances, format.count(data.instances), t.partitions(format.count(data.partitions_answered), format.count(data.partitions)));
        },
      },
      courses: { url: "/api/enrolments/courses", show: grouped(courses) },
      payments: { url: "/api/enrolments/payments", show: grouped(payments) },
      shifts: { url: "/api/enrolments/shifts", show: grouped(shifts, SHIFTS) },
      profile: {
        url: "/api/enrolments/profile",
        show: (data) => {
          setEmpty(profileCard, PROFILE.every((field) => !data[field]));
          for (const [field, { value, sub }] of values) {
            const mode = data[field];
            value.dataset.value = mode?.value ?? "";
            say(value, mode ? (field === "ds_aluno_idade" ? t.years(mode.value) : String(mode.value)) : "–");
            say(sub, mode ? t.count(format.count(mode.quantity)) : "");
          }
        },
      },
      table: {
        url: () => `/api/enrolments/table?${table.query()}`,
        show: (data) => {
          setEmpty(table.element, data.total === 0);
          table.show(data);
        },
      },
    },
  };
};
