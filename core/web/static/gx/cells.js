// Cells changed in their place: double-click or F2 opens one, Enter saves, Escape leaves it.
import { ask, csrf, element, failure, t, toast } from "./core.js";
import { pickers } from "./combo.js";

const body = /** @type {HTMLElement | null} */ (document.querySelector("[data-list-rows]"));

/** @type {{cell: HTMLElement, before: Node[], busy: boolean} | null} */
let open = null;

/** @param {HTMLElement} cell */
async function edit(cell) {
  if (open || !body) return;
  const row = /** @type {HTMLElement} */ (cell.closest("tr"));
  const answer = await ask(`${body.dataset.home}/${row.dataset.id}/cells/${cell.dataset.field}`);
  if (!answer.ok) {
    toast(failure(answer), "bad");
    return;
  }
  const form = element("form", { class: "gx-cell-form" });
  const parsed = new DOMParser().parseFromString(answer.body.html, "text/html");
  form.append(...parsed.body.childNodes);
  form.append(element("div", { class: "gx-cell-actions" },
    element("button", { class: "btn btn-sm btn-primary" }, t("Save")),
    element("button", { class: "btn btn-sm", type: "button", "data-leave": "" }, t("Cancel"))));
  open = { cell, before: [...cell.childNodes], busy: false };
  cell.setAttribute("data-open", "");
  cell.replaceChildren(form);
  pickers(form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(row, cell, /** @type {HTMLFormElement} */ (form), Number(answer.body.version));
  });
  form.querySelector("[data-leave]")?.addEventListener("click", () => leave());
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      leave();
    }
  });
  const first = /** @type {HTMLElement | null} */ (form.querySelector("input:not([type=hidden]), select, textarea"));
  first?.focus();
  if (first instanceof HTMLInputElement && first.type === "text") first.select();
}

function leave() {
  if (!open) return;
  const { cell, before } = open;
  open = null;
  cell.removeAttribute("data-open");
  cell.replaceChildren(...before);
  /** @type {HTMLElement | null} */ (cell.closest("tr")?.querySelector(".gx-row-link"))?.focus();
}

/**
 * @param {HTMLElement} row
 * @param {HTMLElement} cell
 * @param {HTMLFormElement} form
 * @param {number} version the version that the typing began on
 */
async function save(row, cell, form, version) {
  if (!open || open.busy) return;
  open.busy = true;
  const data = new FormData(form);
  data.set("csrf_token", csrf());
  data.set("version", String(version));
  data.set("shown", body?.dataset.shown || "");
  const answer = await ask(`${body?.dataset.home}/${row.dataset.id}/cells/${cell.dataset.field}`, { method: "POST", body: data });
  open.busy = false;
  const problems = /** @type {HTMLElement | null} */ (form.querySelector("[data-problems]"));
  if (answer.status === 412 && answer.body.collisions) {
    const theirs = answer.body.collisions[0];
    const take = element("button", { type: "button", class: "btn btn-sm" }, t("Take theirs"));
    const keep = element("button", { type: "button", class: "btn btn-sm" }, t("Keep mine"));
    take.addEventListener("click", () => location.reload());
    keep.addEventListener("click", () => save(row, cell, form, answer.body.version));
    problems?.replaceChildren(element("p", { class: "gx-problem", role: "alert" }, `${theirs.who}: ${theirs.theirs || "—"}`), element("div", { class: "gx-cell-actions" }, take, keep));
    take.focus();
    return;
  }
  if (!answer.ok) {
    const texts = (answer.body.problems || []).map((/** @type {any} */ each) => each.message);
    problems?.replaceChildren(...(texts.length ? texts : [failure(answer)]).map((/** @type {string} */ text) => element("p", { class: "gx-problem", role: "alert" }, text)));
    return;
  }
  leave();
  if (answer.body.gone) {
    row.remove();
    return;
  }
  row.dataset.version = String(answer.body.version);
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (row.querySelectorAll("td"))) {
    const shown = answer.body.cells[columnOf(each)];
    if (shown) show(each, shown);
  }
  toast(t("Saved."), "good");
}

/** @param {HTMLElement} cell */
function columnOf(cell) {
  const names = (body?.dataset.shown || "").split(",");
  return names[[.../** @type {HTMLElement} */ (cell.parentElement).children].indexOf(cell)];
}

/**
 * @param {HTMLElement} cell
 * @param {{text: string, tone: string | null, href: string}} shown
 */
function show(cell, shown) {
  const link = cell.querySelector(".gx-row-link");
  if (link) {
    link.textContent = shown.text || "—";
    return;
  }
  if (shown.tone !== null) {
    const badge = element("span", { class: "gx-badge" }, shown.text);
    if (shown.tone) badge.dataset.tone = shown.tone;
    cell.replaceChildren(badge);
  } else if (shown.href) cell.replaceChildren(element("a", { href: shown.href }, shown.text));
  else cell.replaceChildren(shown.text);
}

/** @param {HTMLElement} row the row that has the focus: its cells can be gone through */
function cellsOf(row) {
  return /** @type {HTMLElement[]} */ ([...row.querySelectorAll("td[data-field]")]);
}

if (body) {
  for (const cell of /** @type {NodeListOf<HTMLElement>} */ (body.querySelectorAll("td[data-field]"))) cell.tabIndex = -1;
  body.addEventListener("dblclick", (event) => {
    const cell = event.target instanceof Element ? event.target.closest("td[data-field]") : null;
    if (cell && !open) edit(/** @type {HTMLElement} */ (cell));
  });
  body.addEventListener("keydown", (event) => {
    if (open || !(event.target instanceof HTMLElement)) return;
    const row = /** @type {HTMLElement | null} */ (event.target.closest("tr"));
    const cell = /** @type {HTMLElement | null} */ (event.target.closest("td[data-field]"));
    if (!row) return;
    const cells = cellsOf(row);
    const at = cell ? cells.indexOf(cell) : -1;
    if (event.key === "F2" || (event.key === "Enter" && event.target === cell)) {
      event.preventDefault();
      if (cell || cells[0]) edit(cell || cells[0]);
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const next = cells[at + (event.key === "ArrowRight" ? 1 : -1)];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    } else if (event.key === "Escape" && cell) /** @type {HTMLElement | null} */ (row.querySelector(".gx-row-link"))?.focus();
  });
}
