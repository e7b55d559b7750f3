// Puts a value into a field's controls, whatever kind they are.
import { toLocal } from "./days.js";
import { environment } from "./environment.js";

/**
 * @param {HTMLFormElement} form
 * @param {string} path
 * @param {{value: any, text: string}} other the value as it goes over the wire, and as people read it
 */
export function fill(form, path, other) {
  const place = form.querySelector(`[data-field="${CSS.escape(path)}"]`);
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (place?.querySelectorAll("[data-part]") ?? [])) {
    const control = part.querySelector("input");
    if (control) control.value = other.value?.[part.dataset.part ?? ""] ?? "";
  }
  const controls = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll(`[name="${CSS.escape(path)}"]`)]);
  for (const control of controls) {
    if (control.type === "checkbox") {
      control.checked = Array.isArray(other.value) ? other.value.includes(control.value) : other.value === true;
    } else if (control.type === "datetime-local") control.value = other.value ? toLocal(other.value, environment.zone) : "";
    else if (control.type !== "hidden" || control.dataset.chosen !== undefined) control.value = other.value ?? "";
  }
  place?.querySelector("[data-upload]")?.dispatchEvent(new CustomEvent("gx-put", { detail: other.value }));
  const search = /** @type {HTMLInputElement | null} */ (place?.querySelector("[data-search]") ?? null);
  if (search) search.value = other.text;
  form.dispatchEvent(new Event("change", { bubbles: true }));
}
