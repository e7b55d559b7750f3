// Records of one type: conditions, settings of the view, rows walked by keys.
import { FilterBuilder } from "./filter.js";
import "./viewform.js";
import "./cells.js";
import "./bulk.js";

const panel = /** @type {HTMLElement} */ (document.getElementById("filter"));
const toggle = document.querySelector("[data-filter-toggle]");
const host = /** @type {HTMLElement} */ (document.querySelector("[data-filter-builder]"));
const text = /** @type {HTMLInputElement} */ (document.getElementById("filter-text"));

const builder = new FilterBuilder(host, {
  fields: JSON.parse(document.getElementById("filter-fields")?.textContent || "[]"),
  type: host.dataset.type || "",
  onchange: (written) => (text.value = written),
});
let isRead = false;

async function start() {
  isRead = true;
  if (!(await builder.read(text.value))) builder.draw();
  if (!text.value) /** @type {HTMLElement | null} */ (host.querySelector("[data-filter-add]"))?.click();
}

toggle?.addEventListener("click", async () => {
  panel.hidden = !panel.hidden;
  toggle.setAttribute("aria-expanded", String(!panel.hidden));
  if (panel.hidden) return;
  if (!isRead) await start();
  /** @type {HTMLElement | null} */ (panel.querySelector("select, input"))?.focus();
});
text.addEventListener("change", () => builder.read(text.value));
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
