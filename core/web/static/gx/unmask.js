// Shows a masked value to whoever has the right to it; the server writes down that it did.
import { ask, failure, toast } from "./core.js";

const form = document.getElementById("record-form");

/** @param {HTMLElement} button */
async function show(button) {
  const name = button.dataset.unmask ?? "";
  const body = new FormData();
  body.set("field", name);
  button.setAttribute("disabled", "");
  const { type, record } = /** @type {HTMLElement} */ (form).dataset;
  const answer = await ask(`/records/${type}/${record}/unmask`, { method: "POST", body });
  if (!answer.ok) {
    button.removeAttribute("disabled");
    toast(failure(answer), "bad");
    return;
  }
  const place = /** @type {HTMLElement} */ (button.closest(".gx-field"));
  const control = /** @type {HTMLInputElement | null} */ (place.querySelector("[data-masked] > input"));
  const masked = /** @type {HTMLElement} */ (place.querySelector("[data-masked]"));
  if (control) {
    control.value = answer.body.input;
    delete control.dataset.set;
    control.removeAttribute("placeholder");
    place.querySelector(`input[name="${CSS.escape(name)}.masked"]`)?.remove();
    control.nextElementSibling?.remove();
    control.focus();
  } else {
    masked.textContent = answer.body.text || "—";
    masked.tabIndex = -1;
    masked.focus();
  }
  button.remove();
}

form?.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-unmask]") : null;
  if (button instanceof HTMLElement) show(button);
});
