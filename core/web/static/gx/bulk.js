// Records picked in a list, and the same changes to all of them; the server tries them first.
import { ask, csrf, element, failure, t, toast } from "./core.js";
import { pickers } from "./combo.js";

const bar = /** @type {HTMLElement | null} */ (document.querySelector("[data-bulk]"));
const boxes = /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("[data-pick]")]);
const whole = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-pick-all]"));
const all = /** @type {HTMLButtonElement | null} */ (document.querySelector("[data-bulk-all]"));

/** @type {{name: string, label: string}[]} */
const columns = JSON.parse(document.getElementById("bulk-fields")?.textContent || "[]");

const picked = () => boxes.filter((each) => each.checked);
const isAll = () => all?.getAttribute("aria-pressed") === "true";

function told() {
  if (!bar) return;
  const count = picked().length;
  if (!count) all?.setAttribute("aria-pressed", "false");
  bar.hidden = !count;
  const place = bar.querySelector("[data-bulk-count]");
  if (place) place.textContent = isAll() ? t("all that match") : t("{count} picked", { count });
  if (whole) {
    whole.checked = count > 0 && count === boxes.length;
    whole.indeterminate = count > 0 && count < boxes.length;
  }
}

function merge() {
  const rows = picked().map((each) => /** @type {HTMLElement} */ (each.closest("tr")));
  const ids = rows.map((row) => `ids=${encodeURIComponent(row.dataset.id || "")}`);
  if (ids.length < 2) toast(t("Pick two records or more."), "bad");
  else location.assign(`/records/${bar?.dataset.type}/merge?${ids.join("&")}`);
}

function ask_changes() {
  if (!bar) return;
  const host = element("div", { class: "gx-grid" });
  const form = /** @type {HTMLFormElement} */ (element("form", { method: "post", action: `/records/${bar.dataset.type}/edits` }));
  const choose = /** @type {HTMLSelectElement} */ (element("select", { class: "form-select", "aria-label": t("Field") }, element("option", { value: "" }, t("Choose a field"))));
  for (const each of columns) choose.append(element("option", { value: each.name }, each.label));
  const hidden = /** @type {Record<string, string>} */ ({ csrf_token: csrf() });
  if (isAll()) Object.assign(hidden, { _filter: bar.dataset.filter || "", _search: bar.dataset.search || "" });
  else {
    hidden._items = JSON.stringify(picked().map((each) => {
      const row = /** @type {HTMLElement} */ (each.closest("tr"));
      return [row.dataset.id, Number(row.dataset.version)];
    }));
  }
  const go = /** @type {HTMLButtonElement} */ (element("button", { class: "btn btn-primary" }, t("Try it first")));
  go.disabled = true;
  const cancel = element("button", { type: "button", class: "btn" }, t("Cancel"));
  form.append(
    ...Object.entries(hidden).map(([name, value]) => element("input", { type: "hidden", name, value })),
    element("div", { class: "gx-dialog-body" },
      element("h2", { id: "bulk-title" }, isAll() ? t("Change all that match") : t("Change {count} records", { count: picked().length })),
      host, choose),
    element("div", { class: "gx-dialog-foot" }, cancel, go));
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "gx-dialog", "aria-labelledby": "bulk-title" }, form));
  document.body.append(dialog);
  choose.addEventListener("change", async () => {
    const field = columns.find((each) => each.name === choose.value);
    if (!field) return;
    const answer = await ask(`/records/${bar.dataset.type}/controls/${field.name}`);
    if (!answer.ok) {
      toast(failure(answer), "bad");
      return;
    }
    const parsed = new DOMParser().parseFromString(answer.body.html, "text/html");
    const place = element("div", { class: "gx-field" }, element("span", { class: "gx-label" }, field.label));
    place.append(...parsed.body.childNodes);
    host.append(place);
    pickers(place);
    choose.querySelector(`option[value="${CSS.escape(field.name)}"]`)?.remove();
    choose.value = "";
    go.disabled = false;
    /** @type {HTMLElement | null} */ (place.querySelector("input:not([type=hidden]), select, textarea"))?.focus();
  });
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  choose.focus();
}

if (bar) {
  for (const box of boxes) box.addEventListener("change", told);
  whole?.addEventListener("change", () => {
    for (const box of boxes) box.checked = whole.checked;
    told();
  });
  all?.addEventListener("click", () => {
    all.setAttribute("aria-pressed", String(!isAll()));
    told();
  });
  bar.querySelector("[data-bulk-clear]")?.addEventListener("click", () => {
    for (const box of boxes) box.checked = false;
    told();
  });
  bar.querySelector("[data-bulk-merge]")?.addEventListener("click", merge);
  bar.querySelector("[data-bulk-open]")?.addEventListener("click", ask_changes);
  told();
}
