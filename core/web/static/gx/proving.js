// Prove every approval, a part at a time, so that any number of them fits and it can be stopped.
import { ask, element, failure, t } from "./core.js";

const card = /** @type {HTMLElement} */ (document.getElementById("proof"));
const button = /** @type {HTMLButtonElement} */ (card.querySelector("[data-prove]"));
const place = /** @type {HTMLElement} */ (card.querySelector("[data-progress]"));
const bar = /** @type {HTMLProgressElement} */ (place.querySelector("progress"));
const told = /** @type {HTMLElement} */ (card.querySelector("[data-told]"));
const verdict = /** @type {HTMLElement} */ (card.querySelector("[data-verdict]"));
const breaks = /** @type {HTMLElement} */ (card.querySelector("[data-breaks]"));

/** So many breaks are shown; more say no more. */
const SHOWN = 200;

let isRunning = false;

/**
 * @param {string} text
 * @param {"good" | "bad" | "warn"} tone
 */
function say(text, tone) {
  verdict.replaceChildren(element("div", { class: "gx-note", "data-tone": tone }, element("div", {}, text)));
}

/** @param {{approval: string, message: string}} problem */
function show(problem) {
  if (breaks.childElementCount >= SHOWN) return;
  const words = element("span", { class: "gx-grow" }, problem.message);
  const link = problem.approval ? element("a", { href: `/instances/${problem.approval}` }, words, element("code", {}, problem.approval)) : words;
  breaks.append(element("li", {}, link));
  breaks.hidden = false;
}

async function prove() {
  const sum = { approvals: 0, events: 0, erased: 0, broken: 0 };
  breaks.replaceChildren();
  verdict.replaceChildren();
  breaks.hidden = true;
  place.hidden = false;
  let next = "/evidence/proof";
  do {
    const answer = await ask(next);
    if (!answer.ok) return say(failure(answer), "bad");
    const part = answer.body;
    for (const name of /** @type {const} */ (["approvals", "events", "erased", "broken"])) sum[name] += part[name];
    part.problems.forEach(show);
    next = part.next;
    bar.value = sum.approvals;
    told.textContent = t("{done} of {total} approvals, {events} events", { done: sum.approvals, total: Math.max(sum.approvals, Number(card.dataset.total)), events: sum.events });
  } while (next && isRunning);
  if (sum.broken) say(t("Breaks found: {count}", { count: sum.broken }), "bad");
  else if (next) say(t("It was stopped."), "warn");
  else say(t("Everything proves.") + (sum.erased ? ` ${t("{count} events are stripped of a person who was erased.", { count: sum.erased })}` : ""), "good");
}

button.addEventListener("click", async () => {
  if (isRunning) {
    isRunning = false;
    return;
  }
  isRunning = true;
  button.textContent = t("Stop");
  await prove();
  isRunning = false;
  button.textContent = t("Prove now");
});
