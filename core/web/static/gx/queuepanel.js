// The task that is shown: fetched ahead of time, so that the next one is there at once.
import { pickers } from "./combo.js";
import { ask, element, t } from "./core.js";
import { showReviews } from "./review.js";
import { box, current, detail, mark, queue, rows } from "./queuerows.js";

/** Panels fetched ahead are thrown away after so many milliseconds. */
const FRESH = 60_000;
const AHEAD = 2;

/** @type {Map<string, {at: number, html: Promise<string | null>}>} */
const fetched = new Map();
/** @type {(() => void)[]} */
const listeners = [];

/** @param {() => void} listener called whenever another task is shown */
export function whenShown(listener) {
  listeners.push(listener);
}

/**
 * @param {string} id
 * @returns {Promise<string | null>}
 */
function panel(id) {
  const known = fetched.get(id);
  if (known && performance.now() - known.at < FRESH) return known.html;
  const html = fetch(`/tasks/${id}/panel?box=${encodeURIComponent(box)}`, { credentials: "same-origin" })
    .then((answer) => (answer.ok ? answer.text() : null))
    .catch(() => null);
  fetched.set(id, { at: performance.now(), html });
  return html;
}

/** @param {string} id */
export function forget(id) {
  fetched.delete(id);
}

/**
 * @param {HTMLAnchorElement} link
 * @param {{focus?: boolean, push?: boolean}} [how]
 */
export async function open(link, { focus = false, push = true } = {}) {
  const id = link.dataset.task || "";
  mark(link);
  queue.dataset.open = "";
  const slow = setTimeout(() => detail.replaceChildren(waiting()), 120);
  const html = await panel(id);
  clearTimeout(slow);
  fetched.delete(id);
  if (current() !== link) return;
  if (html === null) {
    fetched.delete(id);
    detail.replaceChildren(broken(link));
    return;
  }
  const parsed = new DOMParser().parseFromString(html, "text/html");
  detail.replaceChildren(...parsed.body.childNodes);
  if (push) history.pushState({ task: id }, "", link.href);
  shown(focus);
  ahead(link);
}

/** @param {HTMLAnchorElement} link */
function ahead(link) {
  const list = rows();
  const at = list.indexOf(link);
  for (const next of list.slice(at + 1, at + 1 + AHEAD)) panel(next.dataset.task || "");
}

/** @param {boolean} focus */
export function shown(focus) {
  pickers(detail);
  scrollTo({ top: 0 });
  detail.scrollTop = 0;
  if (focus) detail.focus({ preventScroll: true });
  for (const listener of listeners) listener();
  past();
  showReviews(detail);
  looked();
}

/** Say that the difference is before somebody: a decision without that would be a stamp. */
function looked() {
  const id = /** @type {HTMLElement | null} */ (detail.querySelector("[data-detail]"))?.dataset.detail;
  if (id && detail.querySelector("form[data-decide]")) post(id, {}, "opened");
}

/** What the past says is asked for once the task itself is there. */
async function past() {
  const place = /** @type {HTMLElement | null} */ (detail.querySelector("[data-insight]"));
  if (!place) return;
  const answer = await fetch(place.dataset.insight || "", { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok || !place.isConnected) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  place.replaceChildren(...parsed.body.childNodes);
  place.hidden = false;
}

export function close() {
  delete queue.dataset.open;
  const link = current();
  mark(null);
  history.pushState({}, "", `/tasks/?box=${encodeURIComponent(box)}`);
  (link || rows()[0] || detail).focus();
}

export function allClear() {
  reload();
  delete queue.dataset.open;
  detail.replaceChildren(
    element("section", { class: "gx-card" }, element("div", { class: "gx-empty" }, element("strong", {}, t("All clear")), element("span", {}, t("Nothing waits in this box.")))),
  );
  detail.focus({ preventScroll: true });
  history.pushState({}, "", `/tasks/?box=${encodeURIComponent(box)}`);
}

function waiting() {
  return element("div", { class: "gx-card gx-empty", role: "status" }, element("span", { class: "gx-busy" }), element("div", {}, t("Loading …")));
}

/** @param {HTMLAnchorElement} link */
function broken(link) {
  const again = element("button", { type: "button", class: "btn" }, t("Retry"));
  again.addEventListener("click", () => open(link));
  return element("div", { class: "gx-card gx-empty", role: "alert" }, element("strong", {}, t("This cannot be loaded now. Please try again.")), again);
}

/** @param {string} text */
export function tell(text) {
  const place = detail.querySelector("[data-task-messages]");
  place?.replaceChildren(element("div", { class: "gx-note", "data-tone": "bad", role: "alert" }, element("div", {}, text)));
  place?.scrollIntoView({ block: "nearest" });
  return Boolean(place);
}

/** Fetch the rows of the box again, and keep the place. */
export async function reload() {
  const answer = await fetch(`/tasks/rows${location.search || `?box=${box}`}`, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) return false;
  const id = current()?.dataset.task;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  queue.querySelector("[data-rows]")?.replaceChildren(...parsed.body.childNodes);
  const same = id ? rows().find((each) => each.dataset.task === id) : undefined;
  if (same) mark(same);
  return true;
}

/** @param {string} id */
export const post = (id, what = {}, path = "decide") => {
  const data = new FormData();
  for (const [name, value] of Object.entries(what)) data.set(name, value);
  return ask(`/tasks/${id}/${path}`, { method: "POST", body: data });
};
