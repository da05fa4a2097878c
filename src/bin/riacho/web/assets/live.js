// A page that stays fresh: asks its questions every few seconds, shows what is new, and says how fresh it is.

import { button, el, icon, say } from "./dom.js";
import * as format from "./format.js";
import { texts } from "./texts.js";

const PATIENCE_MS = 8000;

/** One answer of the server, whatever happens: the envelope, or an envelope that says what went wrong. */
const ask = async (url, interval) => {
  const none = (state, reason) => ({ state, reason, updated_at: Date.now(), data: null });
  let response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
  } catch {
    return none("error", texts.unreachable(interval / 1000));
  }
  try {
    const answer = await response.json();
    if (["loading", "ready", "stale", "error"].includes(answer.state)) return { ...answer, status: response.status };
  } catch {
    // Not the application: what answers here knows nothing of it.
  }
  return none("error", response.status === 404 ? texts.notServed : texts.unreadable);
};

const RANK = { ready: 0, stale: 1, loading: 2, error: 3 };

export class Live {
  #questions;
  #interval;
  #timer = null;
  #paused = false;
  #round = 0;
  #last = new Map();

  /**
   * `questions`: name -> { url, show(data, answer), distinct }. `url` is a string, or a function of what is chosen now;
   * of a `distinct` question the figures of one address say nothing about another.
   */
  constructor({ interval, questions }) {
    this.#interval = interval;
    this.#questions = questions;
    this.#controls();
  }

  #controls() {
    this.time = el("time", { id: "updated" }, texts.notYet);
    this.word = el("strong", {}, texts.state.loading);
    this.pauseButton = button(texts.pause, { icon: "pause", "aria-pressed": "false", id: "pause", onclick: () => this.#pause(!this.#paused) });
    this.element = el("div", { class: "pulse" },
      el("p", { class: "state" }, el("span", { class: "dot", "aria-hidden": "true" }), this.word, el("span", {}, `${texts.updated} `, this.time)),
      button(texts.refreshNow, { icon: "refresh", id: "refresh", onclick: () => this.refresh(true) }),
      this.pauseButton);
    // Said when the state changes or somebody asks; every few seconds would drown out everything else.
    this.voice = el("p", { class: "unseen", role: "status", "aria-live": "polite", id: "voice" });
    this.reason = el("span", { dir: "auto" });
    this.banner = el("div", { class: "banner", hidden: true, id: "reason" }, icon("warning"), this.reason);
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) clearTimeout(this.#timer);
      else if (!this.#paused) this.refresh();
    });
    this.refresh();
  }

  #pause(paused) {
    this.#paused = paused;
    this.pauseButton.replaceChildren(icon(paused ? "play" : "pause"));
    const label = paused ? texts.resume : texts.pause;
    this.pauseButton.setAttribute("aria-label", label);
    this.pauseButton.setAttribute("title", label);
    this.pauseButton.setAttribute("aria-pressed", String(paused));
    this.#tell(false);
    if (!paused) this.refresh();
    else clearTimeout(this.#timer);
  }

  /** Asks everything once, and goes on in its rhythm unless it is paused. */
  async refresh(aloud = false) {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    // Each answer is shown when it comes: a slow one holds no other up.
    const asked = Object.keys(this.#questions).map((name) => this.#askOne(name, round).then(() => this.#tell(false)));
    await Promise.all(asked);
    if (round !== this.#round) return;
    this.#tell(aloud);
    window.riacho.refreshes = (window.riacho.refreshes ?? 0) + 1;
    if (!this.#paused && !document.hidden) this.#timer = setTimeout(() => this.refresh(), this.#interval);
  }

  /** Asks one question now, because its address has changed. */
  async again(name) {
    await this.#askOne(name, null);
    this.#tell(false);
  }

  async #askOne(name, round) {
    const question = this.#questions[name];
    const url = typeof question.url === "function" ? question.url() : question.url;
    if (!url) return;
    const answer = await ask(url, this.#interval);
    const current = typeof question.url === "function" ? question.url() : question.url;
    // Overtaken: a later round is under way, or another page of the table is asked for.
    if ((round !== null && round !== this.#round) || current !== url) return;
    this.#take(name, answer, url);
  }

  #take(name, answer, url) {
    const question = this.#questions[name];
    const last = this.#last.get(name);
    // Nobody answers below this address; of a thing that was chosen, the server knows better why.
    if (answer.status === 404 && !question.distinct) answer.reason = texts.notServed;
    const before = question.distinct && last?.url !== url ? undefined : last;
    let entry;
    if (answer.data !== null && answer.data !== undefined) {
      entry = { state: answer.state, reason: answer.reason, good: answer.updated_at };
      try {
        question.show(answer.data, answer);
      } catch (error) {
        console.error(error);
        entry = { state: "error", reason: texts.broken, good: before?.good ?? null };
      }
    } else if (before?.good) {
      // The last good figures stay on the screen, with their time.
      entry = { state: "stale", reason: answer.reason, good: before.good };
    } else {
      entry = { state: answer.state === "loading" ? "loading" : "error", reason: answer.reason, good: null };
    }
    this.#last.set(name, { ...entry, url });
  }

  #tell(aloud) {
    const entries = [...this.#last.values()];
    if (entries.length === 0) return;
    // Some figures and not all of them: the page as a whole is stale, not broken.
    const worst = entries.reduce((a, b) => (RANK[b.state] > RANK[a.state] ? b : a));
    const some = entries.some((entry) => entry.good);
    const state = some && worst.state !== "ready" ? "stale" : worst.state;
    const good = Math.min(...entries.filter((entry) => entry.good).map((entry) => entry.good));
    const changed = document.body.dataset.state !== state;
    document.body.dataset.state = state;
    say(this.word, this.#paused ? texts.state.paused : texts.state[state]);
    if (Number.isFinite(good)) {
      this.time.setAttribute("datetime", new Date(good).toISOString());
      say(this.time, format.timeOfDay(good));
    }
    for (const [name, entry] of this.#last) {
      for (const card of document.querySelectorAll(`[data-of="${name}"]`)) markCard(card, entry, worst.reason);
    }
    say(this.reason, worst.reason ?? "");
    this.banner.hidden = !worst.reason || state === "ready";
    if (changed || aloud) {
      const when = Number.isFinite(good) ? `${texts.updated} ${format.timeOfDay(good)}.` : "";
      say(this.voice, `${texts.state[state]}. ${worst.reason ?? ""} ${when}`);
    }
  }
}

/** The banner has told `told`: a card does not repeat it. */
const markCard = (card, entry, told) => {
  card.dataset.state = entry.state;
  const empty = card.dataset.empty === "true";
  card.dataset.figures = entry.good && !empty ? "some" : "none";
  const note = card.querySelector(":scope > .note");
  if (!note) return;
  const own = entry.reason && entry.reason !== told ? ` ${entry.reason}` : "";
  let text = "";
  if (!entry.good) text = own || (entry.state === "loading" ? texts.loading : `${texts.state.error}.`);
  else if (entry.state !== "ready") text = `${texts.dataOf(format.timeOfDay(entry.good))}${own}`;
  else if (empty) text = texts.empty;
  say(note, text);
  note.hidden = text === "";
};
