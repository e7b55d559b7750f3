// The list: conditions built by choosing, written as an expression; rows walked by keys.
import { element, t } from "./core.js";

/**
 * @typedef {{name: string, label: string, kind: string, operators: string[], target: string,
 *   choices: [string, string][]}} FilterField
 */

/** @type {FilterField[]} */
const fields = JSON.parse(document.getElementById("filter-fields")?.textContent || "[]");
const panel = /** @type {HTMLElement} */ (document.getElementById("filter"));
const toggle = document.querySelector("[data-filter-toggle]");
const rows = /** @type {HTMLElement} */ (document.querySelector("[data-filter-rows]"));
const text = /** @type {HTMLInputElement} */ (document.getElementById("filter-text"));

const operatorTexts = /** @type {Record<string, string>} */ ({
  "==": t("is"), "!=": t("is not"), contains: t("contains"), startswith: t("starts with"),
  "is empty": t("is empty"), "is not empty": t("is not empty"),
  ">=": t("at least"), "<=": t("at most"), ">": t("more than"), "<": t("less than"),
});

toggle?.addEventListener("click", () => {
  panel.hidden = !panel.hidden;
  toggle.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) {
    if (!rows.children.length && !text.value) addRow();
    /** @type {HTMLElement | null} */ (panel.querySelector("select, input"))?.focus();
  }
});

document.querySelector("[data-filter-add]")?.addEventListener("click", () => addRow().querySelector("select")?.focus());

function addRow() {
  const field = /** @type {HTMLSelectElement} */ (element("select", { class: "form-select", "aria-label": t("Field") }));
  for (const each of fields) field.append(element("option", { value: each.name }, each.label));
  const row = element("div", { class: "gx-filter-row" }, field);
  const remove = element("button", { type: "button", class: "btn gx-quiet gx-square", title: t("Remove condition") }, "×");
  remove.append(element("span", { class: "gx-visually-hidden" }, t("Remove condition")));
  const operator = element("select", { class: "form-select", "aria-label": t("Condition") });
  const value = element("span");
  row.append(operator, value, remove);
  rows.append(row);
  field.addEventListener("change", () => fit(row));
  row.addEventListener("input", write);
  row.addEventListener("change", write);
  remove.addEventListener("click", () => {
    row.remove();
    write();
  });
  fit(row);
  return row;
}

/** @param {HTMLElement} row the row's operators and value control follow its field */
function fit(row) {
  const [fieldSelect, operator] = /** @type {HTMLSelectElement[]} */ ([...row.querySelectorAll("select")]);
  const field = fields.find((each) => each.name === fieldSelect.value);
  if (!field) return;
  const offered = field.operators.filter((each) => operatorTexts[each.toLowerCase()]);
  operator.replaceChildren(...offered.map((each) => element("option", { value: each }, operatorTexts[each.toLowerCase()])));
  row.children[2].replaceWith(control(field));
}

/**
 * @param {FilterField} field
 * @returns {HTMLElement}
 */
function control(field) {
  if (field.choices.length || field.kind === "boolean") {
    const select = element("select", { class: "form-select", "aria-label": t("Value") });
    const choices = field.kind === "boolean" ? [["true", t("Yes")], ["false", t("No")]] : field.choices;
    for (const [value, label] of choices) select.append(element("option", { value }, label));
    return select;
  }
  const type = { date: "date", datetime: "datetime-local", time: "time" }[field.kind] || "text";
  return element("input", { class: "form-control", type, "aria-label": t("Value") });
}

const numbers = new Set(["integer", "decimal", "money", "rate", "percent", "rating"]);

function write() {
  const parts = [];
  for (const row of rows.children) {
    const [fieldSelect, operator] = /** @type {HTMLSelectElement[]} */ ([...row.querySelectorAll("select")]);
    const field = fields.find((each) => each.name === fieldSelect.value);
    const holder = /** @type {HTMLInputElement} */ (row.children[2]);
    if (!field) continue;
    const needsValue = !operator.value.startsWith("is ");
    holder.hidden = !needsValue;
    if (!needsValue) parts.push(`${field.name} ${operator.value}`);
    else if (holder.value.trim() !== "") parts.push(clause(field, operator.value, holder.value.trim()));
  }
  text.value = parts.join(" and ");
}

/**
 * @param {FilterField} field
 * @param {string} operator
 * @param {string} value
 */
function clause(field, operator, value) {
  const literal = numbers.has(field.kind) || field.kind === "boolean" ? value : quoted(field.kind === "datetime" ? new Date(value).toISOString() : value);
  if (operator === "contains" || operator === "startswith") return `${operator.toUpperCase()}(${field.name}, ${literal})`;
  return `${field.name} ${operator} ${literal}`;
}

/** @param {string} value */
function quoted(value) {
  return `'${value.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;
}

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
  if (event.key === "/") {
    event.preventDefault();
    /** @type {HTMLElement | null} */ (document.querySelector("input[type=search]"))?.focus();
  } else if (event.key === "n") {
    /** @type {HTMLElement | null} */ (document.querySelector("[data-key=n]"))?.click();
  } else if (event.key === "j" || event.key === "k") {
    const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".gx-row-link")]);
    const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = links[Math.max(0, Math.min(links.length - 1, at + (event.key === "j" ? 1 : -1)))];
    next?.focus();
  }
});
