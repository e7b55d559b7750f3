// While a new record is typed: the records that it looks like. Nothing is refused.
import { ask, element, t } from "./core.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("record-form"));
const place = /** @type {HTMLElement} */ (document.getElementById("similar"));
const names = new Set((place.dataset.fields || "").split(","));
let turn = 0;

async function look() {
  const mine = ++turn;
  const answer = await ask(`/records/${form.dataset.type}/similar`, { method: "POST", body: new FormData(form) });
  if (mine !== turn) return;
  const items = answer.ok ? answer.body.items : [];
  place.hidden = !items.length;
  place.replaceChildren(...(items.length ? [told(items)] : []));
}

/** @param {{href: string, title: string, by: string}[]} items */
function told(items) {
  const list = element("ul", {}, ...items.map((one) => element("li", {},
    element("a", { href: one.href, target: "_blank" }, one.title), ` ${one.by}`)));
  return element("div", {}, element("strong", {}, t("There are records that look like this one:")), list);
}

form.addEventListener("change", (event) => {
  const path = event.target instanceof HTMLElement ? event.target.closest("[data-path]")?.getAttribute("data-path") : "";
  if (path && names.has(path)) look();
});
