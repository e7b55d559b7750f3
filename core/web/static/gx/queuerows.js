// The list of the audit queue: its rows, which one is open, and the numbers of the boxes.
import { t } from "./core.js";

export const queue = /** @type {HTMLElement} */ (document.getElementById("queue"));
export const detail = /** @type {HTMLElement} */ (document.getElementById("detail"));
export const box = queue.dataset.box || "todo";

/** @typedef {{label: string, done: string, key: string, asks: string, leaves: boolean, holds: boolean}} Verb */
/** @type {Record<string, Verb>} */
export const verbs = JSON.parse(document.getElementById("verbs")?.textContent || "{}");

/** @returns {HTMLAnchorElement[]} links of the rows that are not on their way out */
export function rows() {
  return /** @type {HTMLAnchorElement[]} */ ([...queue.querySelectorAll("li:not([data-leaving]):not([data-held]) > a[data-task]")]);
}

/** @param {string} id */
export function rowOf(id) {
  return /** @type {HTMLAnchorElement | null} */ (queue.querySelector(`a[data-task="${CSS.escape(id)}"]`));
}

/** @returns {HTMLAnchorElement | null} the row whose task is shown */
export function current() {
  return /** @type {HTMLAnchorElement | null} */ (queue.querySelector('a[data-task][aria-current="true"]'));
}

/** @returns {string} id of the task that is shown, which need not be in the list */
export function shownTask() {
  return /** @type {HTMLElement | null} */ (detail.querySelector("[data-detail]"))?.dataset.detail || "";
}

/** @param {HTMLAnchorElement | null} link */
export function mark(link) {
  for (const each of queue.querySelectorAll("a[data-task][aria-current]")) if (each !== link) each.removeAttribute("aria-current");
  link?.setAttribute("aria-current", "true");
  link?.scrollIntoView({ block: "nearest" });
}

/**
 * Take a row out of the list; `held` keeps it, unseen, until its decision was sent.
 * @param {HTMLAnchorElement} link
 * @param {boolean} held
 * @returns {HTMLAnchorElement | null} the row that comes next
 */
export function takeOut(link, held) {
  const list = rows();
  const at = list.indexOf(link);
  const next = list[at + 1] || list[at - 1] || null;
  const item = /** @type {HTMLElement} */ (link.closest("li"));
  const pick = /** @type {HTMLInputElement | null} */ (item.querySelector("[data-pick]"));
  if (pick?.checked) pick.click();
  item.dataset.leaving = "";
  link.removeAttribute("aria-current");
  const gone = () => {
    delete item.dataset.leaving;
    if (held) item.dataset.held = "";
    else item.remove();
  };
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) gone();
  else item.addEventListener("animationend", gone, { once: true });
  return next;
}

/** @param {string} id */
export function putBack(id) {
  const link = rowOf(id);
  const item = link?.closest("li");
  item?.removeAttribute("data-held");
  item?.removeAttribute("data-leaving");
  return link;
}

/** @param {Record<string, number>} numbers */
export function counts(numbers) {
  for (const [name, number] of Object.entries(numbers)) {
    for (const place of document.querySelectorAll(`[data-box="${name}"].gx-count`)) {
      place.textContent = String(number);
      place.toggleAttribute("data-some", name === "todo" && number > 0);
    }
  }
  const menu = document.querySelector('[data-count="tasks"]');
  if (menu && "todo" in numbers) {
    menu.textContent = String(numbers.todo);
    menu.toggleAttribute("data-some", numbers.todo > 0);
  }
}

/** @param {number} number */
export function tellLeft(number) {
  const place = document.querySelector("[data-left]");
  if (place) place.textContent = number ? t("{count} left", { count: number }) : t("All clear");
}
