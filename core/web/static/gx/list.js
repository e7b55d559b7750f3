// Records of one type: conditions, settings of the view, rows walked by keys.
import { ConditionBuilder } from "./conditionbuilder.js";
import "./viewform.js";
import "./cells.js";
import "./bulk.js";

const panel = /** @type {HTMLElement} */ (document.getElementById("filter"));
const toggle = document.querySelector("[data-filter-toggle]");
const host = /** @type {HTMLElement} */ (document.querySelector("[data-filter-builder]"));
const typed = /** @type {HTMLElement} */ (document.getElementById("filter-typed"));
const text = /** @type {HTMLInputElement} */ (document.getElementById("filter-text"));

/** @type {ConditionBuilder | null} */
let builder = null;

async function start() {
  builder = new ConditionBuilder(text, { scope: host.dataset.type || "", isFilter: true, place: host, typed });
  await builder.ready;
  if (!text.value) builder.add();
}

toggle?.addEventListener("click", async () => {
  panel.hidden = !panel.hidden;
  toggle.setAttribute("aria-expanded", String(!panel.hidden));
  if (panel.hidden) return;
  if (!builder) await start();
  /** @type {HTMLElement | null} */ (panel.querySelector("select, input"))?.focus();
});
panel.addEventListener("keydown", (event) => {
  const isValue = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
  if (event.key === "Enter" && isValue && !event.defaultPrevented && !event.isComposing) text.form?.requestSubmit();
});
if (!panel.hidden) start();

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || target.closest("dialog")) return;
  if (event.key === "/") {
    event.preventDefault();
    /** @type {HTMLElement | null} */ (document.querySelector("input[type=search]"))?.focus();
  } else if (event.key === "n") {
    /** @type {HTMLElement | null} */ (document.querySelector("[data-key=n]"))?.click();
  } else if (event.key === "x") {
    /** @type {HTMLElement | null} */ (document.activeElement?.closest("tr")?.querySelector("[data-pick]"))?.click();
  } else if (event.key === "j" || event.key === "k") {
    const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".gx-row-link")]);
    const row = document.activeElement?.closest("tr, li")?.querySelector(".gx-row-link");
    const at = links.indexOf(/** @type {HTMLElement} */ (row || document.activeElement));
    const next = links[Math.max(0, Math.min(links.length - 1, at + (event.key === "j" ? 1 : -1)))];
    next?.focus();
  }
});
