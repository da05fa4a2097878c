// The frame around every page: header, navigation, theme, and the page that the address names.

import { button, el, icon, svg } from "./dom.js";
import { hrefOf, isElsewhere, isHere } from "./links.js";
import { Live } from "./live.js";
import { texts } from "./texts.js";

const PAGES = ["start", "transactions", "sales", "enrolments", "extraction", "workshop"];

/** Not for everybody, but nobody should have to know them by heart. The workshop has no topology, and no metrics. */
const OPERATOR = isHere("workshop") ? ["/health", "/ready"] : ["/metrics", "/health", "/ready", "/topology", "/info"];

const named = location.pathname.replace(/^\/|\/$/g, "");
const current = PAGES.includes(named) ? named : "start";

const brand = () =>
  el("a", { class: "brand", href: "/", "aria-label": `riacho: ${texts.pages.start.nav}` },
    svg("svg", { viewBox: "0 0 32 32", "aria-hidden": "true", fill: "none", "stroke-width": "2.6", "stroke-linecap": "round" },
      svg("circle", { cx: "16", cy: "16", r: "15", fill: "#07404d" }),
      svg("path", { d: "M5.5 9.5c5-3.6 8 2.6 12.6.4s5.4-4 9-.6", stroke: "#56b4e9" }),
      svg("path", { d: "M3.8 16.4c5.6-4.2 8.4 3.2 13.2.5s6.6-4 11.2-.4", stroke: "#9be3e6" }),
      svg("path", { d: "M6 23.2c4.6-3.6 7.4 2.6 11.4.5s5.2-3.2 8.6-.5", stroke: "#35c2a0" })),
    "riacho");

/** A page whose application runs neither here nor where a link leads can be opened, and says so before. */
const entry = (page) => {
  const absent = page !== "start" && !isHere(page) && !isElsewhere(page);
  return el("a", { href: hrefOf(page), "aria-current": page === current ? "page" : null,
    class: isHere(page) ? "here" : absent ? "not-here" : null, title: absent ? texts.notServed : null },
    texts.pages[page].nav, absent ? el("span", { class: "unseen" }, ` (${texts.start.notRunning})`) : null);
};

const navigation = () =>
  el("nav", { class: "nav", "aria-label": texts.menu }, el("ul", {}, PAGES.map((page) => el("li", {}, entry(page)))));

const themeButton = () => {
  const node = button("", { id: "theme", onclick: () => window.riacho.toggleTheme() });
  const show = () => {
    const dark = document.documentElement.dataset.theme === "dark";
    const label = dark ? texts.toLight : texts.toDark;
    node.replaceChildren(icon(dark ? "sun" : "moon"));
    node.setAttribute("aria-label", label);
    node.setAttribute("title", label);
  };
  addEventListener("themechange", show);
  show();
  return node;
};

const { title, lead } = texts.pages[current];
document.title = `${title} · riacho`;

const { default: page, interval } = await import(`./pages/${current}.js`);
let live = null;
// A table asks for its next page through what is only made from the tables' questions.
const { content, questions } = page(() => live);
live = new Live({ interval, questions });

document.body.replaceChildren(
  el("a", { class: "skip", href: "#main" }, texts.skip),
  el("header", { class: "header" }, el("div", { class: "bank" }, brand(), navigation(), themeButton())),
  el("main", { class: "main bank", id: "main", tabindex: "-1" },
    el("div", { class: "head" }, el("div", {}, el("h1", {}, title), el("p", {}, lead)), live.element),
    live.voice, live.banner, ...content),
  el("footer", { class: "footer" }, el("div", { class: "bank" }, el("span", {}, texts.footer), el("span", {}, OPERATOR.flatMap((path) => [el("a", { href: path }, path), " "])), el("a", { href: "/assets/vendor/README.md" }, texts.credits))),
);
document.body.dataset.page = current;
document.querySelector(".nav [aria-current]").scrollIntoView({ inline: "center", block: "nearest" });
live.start();
