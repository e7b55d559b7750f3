// Building a chart: conditions by choosing, and what it shows while it is chosen.
import { ask, csrf, failure } from "./core.js";
import { fill } from "./charts.js";
import { ConditionBuilder } from "./conditionbuilder.js";

const form = /** @type {HTMLFormElement} */ (document.querySelector("form[data-build]"));
const preview = /** @type {HTMLElement} */ (document.querySelector("[data-preview]"));
const text = /** @type {HTMLInputElement} */ (document.getElementById("filter-text"));
const host = /** @type {HTMLElement} */ (document.querySelector("[data-filter-builder]"));
const WAIT = 250;

/** @param {string} name */
function value(name) {
  return String(new FormData(form).get(name) || "");
}

/** Show only what goes with what is chosen. */
function fit() {
  const chart = value("chart");
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-not]"))) {
    each.hidden = (each.dataset.not || "").split(" ").includes(chart);
  }
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-unless]"))) {
    each.hidden = each.dataset.unless === value("how");
  }
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-new]"))) each.hidden = value("dashboard") !== "";
  const picked = /** @type {HTMLSelectElement | null} */ (form.querySelector("select[name=dashboard]"))?.selectedOptions[0];
  if (picked) /** @type {HTMLInputElement} */ (form.elements.namedItem("version")).value = picked.dataset.version || "";
}

/** @type {AbortController | null} */
let running = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

async function show() {
  running?.abort();
  running = new AbortController();
  const body = new FormData(form);
  body.set("csrf_token", csrf());
  preview.setAttribute("aria-busy", "true");
  try {
    const answer = await ask("/dashboards/chart/preview", { method: "POST", body, signal: running.signal });
    if (answer.ok) fill(preview, answer.body.html);
    else preview.textContent = failure(answer);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // a newer one is under way
    return;
  }
  preview.removeAttribute("aria-busy");
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(show, WAIT);
}

for (const each of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-again]"))) each.hidden = true;

new ConditionBuilder(text, { scope: host.dataset.type || "", isFilter: true, place: host, typed: /** @type {HTMLElement} */ (text.closest("label")) });

form.addEventListener("input", (event) => {
  if (host.contains(/** @type {Node} */ (event.target))) return;
  fit();
  later();
});
form.addEventListener("change", (event) => {
  const target = /** @type {HTMLSelectElement} */ (event.target);
  if (target.name !== "type") return;
  // Another form has other fields: the page is made anew for it.
  const kept = new URLSearchParams({ type: target.value, chart: value("chart"), dashboard: value("dashboard"), card: value("card"), label: value("label") });
  location.assign(`/dashboards/chart?${kept}`);
});
fit();
