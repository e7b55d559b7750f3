// Undo: the server holds a decision for a moment before it acts on it; z takes it back.
import { ask, element, t } from "./core.js";
import { forget, open, reload, tell } from "./queuepanel.js";
import { counts, putBack, queue, rowOf, verbs } from "./queuerows.js";

/** @typedef {{id: string, seconds: number}} Held */
/** @typedef {{held: Held, task: string, note: HTMLElement, timer: number}} Waiting */
/** @type {Waiting[]} */
const waiting = [];

/** @param {string} verb @returns {boolean} whether this verb is sent after a moment, so that it can be undone */
export function mayHold(verb) {
  return queue.dataset.hold !== undefined && Boolean(verbs[verb]?.leaves);
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
  const link = putBack(one.task);
  if (link) open(link, { focus: true });
  else reload();
}

/** @param {Waiting} one */
async function settle(one) {
  const answer = await ask(`/tasks/held/${one.held.id}`);
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
