// The settings of a view: how records are shown, and saving that for oneself or for others.
import { ask, confirmed, element, failure, t } from "./core.js";

const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById("view-settings"));
const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-view-form]"));
const now = JSON.parse(document.getElementById("view-now")?.textContent || "{}");

/** @param {HTMLFormElement} form */
function fit(form) {
  const type = /** @type {HTMLSelectElement} */ (form.elements.namedItem("type")).value;
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-for]"))) each.hidden = each.dataset.for !== type;
}

/**
 * @param {HTMLFormElement} form
 * @returns {Record<string, any>} the view as the server takes it
 */
function content(form) {
  const data = new FormData(form);
  const type = String(data.get("type"));
  const picked = /** @type {string[]} */ (data.getAll("columns"));
  const known = /** @type {string[]} */ (now.order);
  const columns = [...known.filter((each) => picked.includes(each)), ...picked.filter((each) => !known.includes(each))];
  const shared = String(data.get("shared_with"));
  return {
    label: String(data.get("label")).trim(),
    type,
    columns,
    filter: now.filter,
    sort: now.sort,
    group_by: type === "kanban" ? data.get("board") : type === "list" ? data.get("group") : "",
    date_field: type === "calendar" ? data.get("date_field") : "",
    totals: now.totals,
    color_when: now.color_when,
    shared_with: shared ? [shared] : [],
  };
}

/**
 * @param {HTMLFormElement} form
 * @param {string} method
 * @param {string} url
 */
async function save(form, method, url) {
  const headers = /** @type {Record<string, string>} */ ({ "Content-Type": "application/json" });
  if (form.dataset.version) headers["If-Match"] = `"${form.dataset.version}"`;
  const body = method === "DELETE" ? undefined : JSON.stringify(content(form));
  const answer = await ask(url, { method, headers, body });
  if (answer.ok) {
    location.assign(method === "DELETE" ? location.pathname : `?view=${answer.body.id}`);
    return;
  }
  const place = /** @type {HTMLElement} */ (form.querySelector("[data-view-problems]"));
  const problems = (answer.body.problems || []).map((/** @type {any} */ each) => each.message);
  place.replaceChildren(...(problems.length ? problems : [failure(answer)]).map((/** @type {string} */ text) => element("p", { class: "gx-problem" }, text)));
}

if (dialog && form) {
  const base = `/api/v1/views/${form.dataset.type}`;
  document.querySelector("[data-view-open]")?.addEventListener("click", () => {
    fit(form);
    dialog.showModal();
  });
  form.elements.namedItem("type") && form.addEventListener("change", () => fit(form));
  form.querySelector("[data-view-save]")?.addEventListener("click", () => {
    delete form.dataset.version;
    save(form, "POST", base);
  });
  form.querySelector("[data-view-update]")?.addEventListener("click", () => save(form, "PATCH", `${base}/${form.dataset.id}`));
  form.querySelector("[data-view-delete]")?.addEventListener("click", async () => {
    dialog.close();
    const yes = await confirmed({ title: t("Delete this view?"), confirm: t("Delete"), danger: true });
    if (yes) save(form, "DELETE", `${base}/${form.dataset.id}`);
  });
  form.querySelector("[data-view-show]")?.addEventListener("click", () => {
    const wanted = content(form);
    const query = new URLSearchParams(location.search);
    query.delete("after");
    query.delete("trail");
    query.set("type", wanted.type);
    query.set("columns", wanted.columns.join(","));
    query.set("group", wanted.group_by || "-");
    if (wanted.date_field) query.set("day", wanted.date_field);
    location.assign(`?${query}`);
  });
}
