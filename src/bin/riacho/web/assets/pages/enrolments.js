// Matrículas: distinct enrolments by course, payment and shift, the most common profile, and the enrolments.

import { card, figures, setEmpty, share } from "../card.js";
import { bars, donut } from "../chart.js";
import { el, say } from "../dom.js";
import { pagedTable } from "../table.js";
import * as format from "../format.js";
import { texts } from "../texts.js";

const t = texts.enrolments;
const SHIFTS = ["Manhã", "Tarde", "Noite"];
const PROFILE = ["ds_aluno_sexo", "ds_aluno_idade", "ds_curso_turno", "ds_aluno_responsavel_financeiro", "ds_matricula_pagamento", "ds_curso_nome"];

const SHOWN = {
  id_matricula: { kind: "id" },
  ds_curso_duracao: { kind: "number", format: format.number },
  ds_curso_inicio: { kind: "plain", format: format.date },
  ds_aluno_idade: { kind: "number", format: format.number },
  dt_matricula: { kind: "plain", format: format.date },
};

const SEXES = new Map(Object.entries(t.sexes));

/** How a value is said in words. */
const SAID = {
  ds_aluno_sexo: (value) => SEXES.get(value) ?? value,
  ds_aluno_idade: (value) => t.years(format.number(value)),
};

/** The most frequent value of a field, with how many of all enrolments have it. */
const tile = (field) => {
  const value = el("span", { "data-figure": `enrolments.profile.${field}`, dir: "auto" }, "–");
  const [part, percent, counts] = [share(), el("strong"), el("span")];
  const show = (mode) => {
    value.dataset.value = mode?.value ?? "";
    say(value, mode ? String((SAID[field] ?? String)(mode.value)) : "–");
    say(percent, mode ? format.share(mode.quantity, mode.of) : "");
    say(counts, mode ? t.of(format.count(mode.quantity), format.count(mode.of)) : "");
    part.show(mode?.quantity ?? 0, mode?.of ?? 0);
  };
  return { element: el("div", {}, el("dt", {}, t.fields[field]), el("dd", {}, value, part.element, el("span", { class: "sub" }, percent, counts))), show };
};

export const interval = 5_000;

export default (live) => {
  const cards = figures([
    { name: "enrolments.total", label: t.total, key: true },
    { name: "enrolments.last_enrolment", label: t.last },
    { name: "enrolments.duplicates", label: t.duplicates },
    { name: "enrolments.instances", label: t.instances },
  ]);
  const counted = { second: t.quantity, brief: format.count };
  const courses = bars({ ...counted, of: "courses", name: "enrolments-courses", title: t.courses, size: "half", first: t.course, oneColour: true });
  const payments = bars({ ...counted, of: "payments", name: "enrolments-payments", title: t.payments, size: "half", first: t.payment, oneColour: true });
  const sum = (groups) => groups.reduce((total, group) => total + group.value, 0);
  const shifts = donut({ ...counted, of: "shifts", name: "enrolments-shifts", title: t.shifts, size: "half", first: t.shift, center: (groups) => format.count(sum(groups)) });

  const tiles = new Map(PROFILE.map((field) => [field, tile(field)]));
  const profileCard = card({ of: "profile", title: t.profile, size: "half" }, el("dl", { class: "profile" }, [...tiles.values()].map(({ element }) => element)));

  const table = pagedTable({ name: "enrolments", caption: t.table, changed: () => live().again("table"),
    columns: Object.entries(t.fields).map(([field, title]) => ({ field, title, ...SHOWN[field] })) });

  /** Groups come with the largest first; those in `order` are put first, in that order. */
  const grouped = (chart, order = []) => ({ groups }) => {
    const place = ({ name }) => (order.includes(name) ? order.indexOf(name) : order.length);
    const list = [...groups].sort((one, other) => place(one) - place(other));
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
          cards.show("enrolments.instances", data.instances, format.count(data.instances), t.partitions(format.count(data.partitions_assigned), format.count(data.partitions)));
        },
      },
      courses: { url: "/api/enrolments/courses", show: grouped(courses) },
      payments: { url: "/api/enrolments/payments", show: grouped(payments) },
      shifts: { url: "/api/enrolments/shifts", show: grouped(shifts, SHIFTS) },
      profile: {
        url: "/api/enrolments/profile",
        show: (data) => {
          setEmpty(profileCard, PROFILE.every((field) => !data[field]));
          for (const [field, { show }] of tiles) show(data[field]);
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
