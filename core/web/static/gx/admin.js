// Flask-AppBuilder's screens: confirm before deleting, long multiple choices with a search.
import { askBeforeSending, element, t } from "./core.js";

askBeforeSending();

for (const each of document.querySelectorAll("select[multiple]")) choices(/** @type {HTMLSelectElement} */ (each));

/**
 * Show a multiple select as a searchable list of boxes; the select still carries the answer.
 * @param {HTMLSelectElement} select
 */
function choices(select) {
  const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
  const list = element("div", { class: "gx-boxes", role: "group", "aria-label": label?.textContent?.trim() || "" });
  for (const option of select.options) {
    const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox" }));
    box.checked = option.selected;
    box.addEventListener("change", () => (option.selected = box.checked));
    list.append(element("label", {}, box, option.text));
  }
  const parts = [list];
  if (select.options.length > 10) {
    const search = /** @type {HTMLInputElement} */ (
      element("input", { class: "form-control", type: "search", placeholder: t("Type to search"), "aria-label": t("Type to search") })
    );
    search.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      for (const line of list.children) {
        /** @type {HTMLElement} */ (line).hidden = !(line.textContent || "").toLowerCase().includes(wanted);
      }
    });
    parts.unshift(search);
  }
  select.hidden = true;
  select.after(...parts);
}
