// Undo: the server holds a decision for a moment before it acts on it; z takes it back.
import { ask, element, t, toast } from "./core.js";
import { forget, open, reload, tell } from "./queuepanel.js";
import { counts, putBack, rowOf, verbs } from "./queuerows.js";

/** @typedef {{id: string, seconds: number}} Held */

/** Whoever wants no time to undo says so on this device. */
const AT_ONCE = "gx-send-at-once";

export const sendsAtOnce = () => localStorage.getItem(AT_ONCE) !== null;

export function switchHold() {
  if (sendsAtOnce()) localStorage.removeItem(AT_ONCE);
  else localStorage.setItem(AT_ONCE, "1");
  toast(sendsAtOnce() ? t("From now on decisions are sent at once.") : t("From now on decisions can be undone for five seconds."), "good");
}
/** @typedef {{held: Held, task: string, note: HTMLElement, timer: number}} Waiting */
/** @type {Waiting[]} */
const waiting = [];

/**
 * @param {string} verb
 * @param {HTMLFormElement} form
 * @returns {boolean} whether it is sent after a moment, so that it can be undone
 */
export function mayHold(verb, form) {
  return Boolean(verbs[verb]?.holds) && !sendsAtOnce() && !form.querySelector('[data-signing]:not([data-signing="click"])');
}

/**
 * @param {Held} what
 * @param {string} task
 * @param {string} verb
 */
export function held(what, task, verb) {
  const undo = element("button", { type: "button" }, t("Undo"), element("kbd", {}, "z"));
  const note = element("div", { class: "gx-toast gx-undo", "data-tone": "good" }, element("span", {}, verbs[verb]?.done || ""), undo);
  document.getElementById("gx-toasts")?.append(note);
  /** @type {Waiting} */
  const one = { held: what, task, note, timer: 0 };
  one.timer = window.setTimeout(() => settle(one), what.seconds * 1000 + 400);
  undo.addEventListener("click", () => cancel(one));
  waiting.push(one);
}

/** @returns {boolean} whether there was something to undo */
export function undoLast() {
  const last = waiting.at(-1);
  if (last) cancel(last);
  return Boolean(last);
}

/** @param {Waiting} one */
function done(one) {
  clearTimeout(one.timer);
  one.note.remove();
  waiting.splice(waiting.indexOf(one), 1);
}

/** @param {Waiting} one */
async function cancel(one) {
  const answer = await ask(`/tasks/held/${one.held.id}/cancel`, { method: "POST" });
  done(one);
  if (answer.body.counts) counts(answer.body.counts);
  if (!answer.ok) {
    tell(answer.body.message || t("It was sent already."));
    return;
  }
  forget(one.task);
  if (!putBack(one.task)) await reload();
  const link = rowOf(one.task);
  if (link) open(link, { focus: true });
}

/** @param {Waiting} one */
async function settle(one) {
  const answer = await ask(`/tasks/held/${one.held.id}/settle`, { method: "POST" });
  done(one);
  if (answer.body.state === "refused") {
    const link = putBack(one.task);
    const show = element("button", { type: "button" }, t("Show it"));
    const note = element("div", { class: "gx-toast gx-undo", "data-tone": "bad" }, element("span", {}, t("Not sent: {reason}", { reason: answer.body.message || "" })), show);
    document.getElementById("gx-toasts")?.append(note);
    show.addEventListener("click", () => {
      note.remove();
      forget(one.task);
      if (link) open(link, { focus: true });
      else location.assign(`/tasks/${one.task}`);
    });
    return;
  }
  rowOf(one.task)?.closest("li")?.remove();
}
