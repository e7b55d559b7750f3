// Many tasks at once: tick, look at what would happen, decide, and see what became of each.
import { ask, element, failure, t, toast } from "./core.js";
import { allClear, open } from "./queuepanel.js";
import { counts, queue, rowOf, rows, takeOut, tellLeft, verbs } from "./queuerows.js";

const MOST = 500;
const bar = /** @type {HTMLFormElement | null} */ (document.getElementById("bulk"));

/** @returns {HTMLInputElement[]} */
function picked() {
  return /** @type {HTMLInputElement[]} */ ([...queue.querySelectorAll("[data-pick]:checked")]);
}

function changed() {
  if (!bar) return;
  const number = picked().length;
  bar.hidden = !number;
  const place = bar.querySelector("[data-bulk-count]");
  if (place) place.textContent = t("{count} selected", { count: number });
}

export function pickAll() {
  const all = /** @type {HTMLInputElement[]} */ ([...queue.querySelectorAll("[data-pick]")]);
  const on = all.some((each) => !each.checked);
  all.forEach((each) => {
    each.checked = on;
  });
  changed();
}

/** How a preview is grouped. @type {Record<string, string>} */
const GROUPS = {
  eligible: t("ready"),
  needs_opinion: t("needs an opinion"),
  needs_signature: t("needs a signature"),
  changed: t("changed meanwhile"),
  not_yours: t("not yours"),
  "flow.already_decided": t("decided already"),
  "flow.already_ended": t("decided already"),
};
/** @type {Record<string, string>} */
const RESULTS = { applied: t("done"), no_op: t("nothing to do"), refused: t("refused"), failed: t("failed") };

/**
 * @typedef {{id: string, subject_hash: string}} Item
 * @typedef {{id: string, result: string, code?: string, message?: string}} Result
 */

/**
 * @param {string} verb
 * @param {Item[]} items
 * @param {string} opinion
 * @param {boolean} preview
 */
function call(verb, items, opinion, preview) {
  return ask("/tasks/bulk", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ verb, items, opinion, preview }),
  });
}

/** @param {Result[]} results @param {Record<string, string>} names @param {(one: Result) => string} kind */
function groups(results, names, kind) {
  /** @type {Map<string, number>} */
  const numbers = new Map();
  for (const one of results) {
    const name = names[kind(one)] || t("cannot be done together");
    numbers.set(name, (numbers.get(name) || 0) + 1);
  }
  return [...numbers].map(([name, number]) => element("div", {}, element("strong", {}, String(number)), element("span", {}, name)));
}

/** @param {Result} one */
const title = (one) => rowOf(one.id)?.querySelector("strong")?.textContent || one.id;

/** @param {Result[]} results */
function lines(results) {
  return results.filter((one) => one.result !== "eligible" && one.result !== "applied").map((one) => element("li", {}, element("span", { class: "gx-grow" }, title(one)), element("span", { class: "gx-muted" }, one.message || RESULTS[one.result] || one.result)));
}

/**
 * @param {string} verb
 * @param {Item[]} items
 */
async function preview(verb, items) {
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "gx-dialog", "aria-labelledby": "bulk-title" }));
  const shown = element("div", { class: "gx-bulk-groups", "aria-live": "polite" });
  const list = element("ul", { class: "gx-bulk-items" });
  const field = /** @type {HTMLTextAreaElement} */ (element("textarea", { class: "form-control", rows: "2", maxlength: "2000", id: "bulk-opinion" }));
  const label = element("label", { class: "gx-label", for: "bulk-opinion" }, t("Opinion for all of them"));
  const no = element("button", { class: "btn", type: "button" }, t("Cancel"));
  const yes = /** @type {HTMLButtonElement} */ (element("button", { class: `btn ${verb === "approve" ? "gx-approve" : "btn-danger"}`, type: "button" }));
  const heading = verb === "approve" ? t("Approve {count} tasks", { count: items.length }) : t("Reject {count} tasks", { count: items.length });
  const body = element("div", { class: "gx-dialog-body" }, element("h2", { id: "bulk-title" }, heading), shown, label, field, list);
  dialog.append(body, element("div", { class: "gx-dialog-foot" }, no, yes));
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  no.addEventListener("click", () => dialog.close());
  /** @type {Item[]} */
  let ready = [];
  const look = async () => {
    const answer = await call(verb, items, field.value, true);
    if (!answer.ok) {
      shown.replaceChildren(element("div", { role: "alert" }, failure(answer)));
      return;
    }
    /** @type {Result[]} */
    const results = answer.body.items;
    const fine = new Set(results.filter((one) => one.result === "eligible").map((one) => one.id));
    ready = items.filter((one) => fine.has(one.id));
    shown.replaceChildren(...groups(results, GROUPS, (one) => (one.result === "refused" ? one.code || "" : one.result)));
    list.replaceChildren(...lines(results));
    yes.disabled = !ready.length;
    yes.textContent = ready.length ? t("Decide {count}", { count: ready.length }) : t("Nothing can be decided.");
  };
  let later = 0;
  field.addEventListener("input", () => {
    clearTimeout(later);
    later = window.setTimeout(look, 350);
  });
  yes.addEventListener("click", () => act(verb, ready, field.value, { dialog, shown, list, label, field, no, yes }));
  yes.disabled = true;
  yes.textContent = t("Loading …");
  dialog.showModal();
  field.focus();
  await look();
}

/**
 * @param {string} verb
 * @param {Item[]} items
 * @param {string} opinion
 * @param {{dialog: HTMLDialogElement, shown: HTMLElement, list: HTMLElement, label: HTMLElement, field: HTMLElement, no: HTMLElement, yes: HTMLButtonElement}} parts
 */
async function act(verb, items, opinion, parts) {
  parts.yes.disabled = true;
  parts.yes.textContent = t("Sending …");
  parts.label.hidden = parts.field.hidden = true;
  const progress = /** @type {HTMLProgressElement} */ (element("progress", { max: String(items.length), value: "0" }));
  const told = element("div", {}, t("{done} of {total} done", { done: 0, total: items.length }));
  parts.shown.replaceChildren(progress, told);
  const answer = await call(verb, items, opinion, false);
  if (!answer.ok) {
    parts.shown.replaceChildren(element("div", { role: "alert" }, failure(answer)));
    parts.yes.disabled = false;
    parts.yes.textContent = t("Retry");
    return;
  }
  const body = answer.status === 202 ? await follow(answer.body.id, progress, told) : answer.body;
  /** @type {Result[]} */
  const results = body.items;
  const applied = results.filter((one) => one.result === "applied");
  parts.shown.replaceChildren(...groups(results, RESULTS, (one) => one.result));
  parts.list.replaceChildren(...lines(results));
  for (const one of applied) {
    const link = rowOf(one.id);
    if (link) takeOut(link, false);
  }
  if (body.counts) counts(body.counts);
  tellLeft(body.counts?.[queue.dataset.box || "todo"] ?? rows().length);
  const failed = new Set(results.filter((one) => one.result === "failed").map((one) => one.id));
  parts.no.textContent = t("Close");
  parts.yes.hidden = !failed.size;
  if (failed.size) {
    const again = /** @type {HTMLButtonElement} */ (parts.yes.cloneNode(false));
    again.disabled = false;
    again.textContent = t("Try the failed ones again");
    again.addEventListener("click", () => act(verb, items.filter((one) => failed.has(one.id)), opinion, { ...parts, yes: again }));
    parts.yes.replaceWith(again);
  }
  parts.no.focus();
  changed();
  parts.dialog.addEventListener("close", () => (rows()[0] ? open(rows()[0], { focus: true }) : allClear()), { once: true });
  if (applied.length) toast(`${verbs[verb]?.done || ""} ${applied.length}`, "good");
}

/**
 * Wait for what the worker does in the background, and show how far it is.
 * @param {string} id
 * @param {HTMLProgressElement} progress
 * @param {HTMLElement} told
 */
async function follow(id, progress, told) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 400));
    const answer = await ask(`/tasks/bulk/${id}`);
    if (!answer.ok && answer.status !== 0) return { items: [], counts: null };
    if (!answer.ok) continue;
    progress.value = answer.body.done;
    told.textContent = t("{done} of {total} done", { done: answer.body.done, total: answer.body.total });
    if (answer.body.state !== "working") return answer.body;
  }
}

queue.addEventListener("change", (event) => {
  if (event.target instanceof Element && event.target.matches("[data-pick]")) changed();
});

bar?.addEventListener("submit", (event) => {
  event.preventDefault();
  const verb = event.submitter instanceof HTMLButtonElement ? event.submitter.value : "approve";
  const items = picked().map((each) => ({ id: each.value, subject_hash: each.dataset.hash || "" }));
  if (items.length > MOST) toast(t("At most {limit} at once.", { limit: MOST }), "bad");
  else if (items.length) preview(verb, items);
});

bar?.querySelector("[data-bulk-clear]")?.addEventListener("click", () => {
  for (const each of picked()) each.checked = false;
  changed();
});
changed();
