// Numbers, money, dates and sizes as the language writes them.

import { language, texts } from "./texts.js";

const integer = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
const rates = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const currency = new Intl.NumberFormat(language, { style: "currency", currency: texts.currency });
const shortCurrency = new Intl.NumberFormat(language, { style: "currency", currency: texts.currency, notation: "compact", maximumFractionDigits: 1 });
const plainMoney = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const shares = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const degrees = new Intl.NumberFormat(language, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const coarse = new Intl.NumberFormat(language, { maximumFractionDigits: 4 });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
const instant = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "medium" });
// Dates without a time of day belong to no zone.
const day = new Intl.DateTimeFormat(language, { dateStyle: "short", timeZone: "UTC" });
const monthParts = new Intl.DateTimeFormat(language, { month: "short", year: "2-digit", timeZone: "UTC" });
// nov/25: the Portuguese "nov. de 25" leaves no room for the other months.
const month = {
  format: (value) => {
    const parts = Object.fromEntries(monthParts.formatToParts(value).map(({ type, value: text }) => [type, text]));
    return `${parts.month.replace(".", "")}/${parts.year}`;
  },
};

const known = (format) => (value) => (value === null || value === undefined ? "–" : format(value));

export const count = known((value) => integer.format(value));
export const brief = known((value) => short.format(value));
export const rate = known((value) => (Math.abs(value) >= 100 ? integer : rates).format(value));
/** Takes the decimal string as it came: Intl formats it exactly, a double would not hold it. */
export const money = known((value) => currency.format(value));
export const briefMoney = known((value) => shortCurrency.format(value));
/** Money of which the page does not know the currency. */
export const amount = known((value) => plainMoney.format(value));
export const share = (part, whole) => (whole > 0 ? shares.format(part / whole) : "–");
export const degree = known((value) => degrees.format(value));
export const number = known((value) => coarse.format(value));
export const timeOfDay = known((value) => clock.format(value));
export const moment = known((value) => instant.format(value));

const dated = (format) => known((text) => {
  const date = new Date(text.length === 7 ? `${text}-01` : text);
  return Number.isNaN(date.getTime()) ? text : format.format(date);
});
export const date = dated(day);
export const monthOf = dated(month);

const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"].map(
  (unit) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 }),
);
export const bytes = known((value) => {
  let [at, rest] = [0, value];
  while (rest >= 1000 && at < units.length - 1) [at, rest] = [at + 1, rest / 1000];
  return units[at].format(rest);
});

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/g;
/** A text from a record for a canvas, which knows neither isolation nor markup of its own: one line, bounded, never
 * empty. */
export const label = (text, length = 28) => {
  const line = String(text).replace(CONTROLS, " ").replace(/[{}|]/g, "¦").trim();
  if (line === "") return "–";
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
};
