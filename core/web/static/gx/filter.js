// A condition built by choosing: reads an expression through the server's tree of clauses and
// writes the expression's text. What cannot be built by choosing stays as the text it was.
import { ask, csrf, element, t } from "./core.js";
import { pickers } from "./combo.js";

/**
 * @typedef {{name: string, label: string, kind: string, operators: string[], target: string,
 *   choices: [string, string][]}} FilterField
 * @typedef {{all?: Part[], any?: Part[], field?: string, operator?: string, value?: any,
 *   text?: string}} Part
 */

const operatorTexts = /** @type {Record<string, string>} */ ({
  "==": t("is"), "!=": t("is not"), contains: t("contains"), "starts with": t("starts with"),
  in: t("is one of"), "not in": t("is none of"), "is empty": t("is empty"), "is not empty": t("is not empty"),
  ">=": t("at least"), "<=": t("at most"), ">": t("more than"), "<": t("less than"),
});
const numbers = new Set(["integer", "decimal", "money", "rate", "percent", "rating", "duration"]);
const days = new Set(["date", "datetime"]);
let count = 0;

/** @param {string} text */
export function quoted(text) {
  return `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;
}

/**
 * Return the expression of a part; a group inside a group stands in brackets.
 * @param {Part} part
 * @param {(name: string) => FilterField | undefined} find
 * @returns {string}
 */
export function written(part, find) {
  const items = part.all || part.any;
  if (items) {
    const texts = items.map((each) => {
      const text = written(each, find);
      return text && (each.any || each.all || each.text !== undefined) && items.length > 1 ? `(${text})` : text;
    });
    return texts.filter(Boolean).join(part.all ? " and " : " or ");
  }
  if (part.text !== undefined) return part.text.trim();
  if (!part.field || !part.operator) return "";
  if (part.operator.startsWith("is ")) return `${part.field} ${part.operator}`;
  const found = find(part.field);
  const literal = literalOf(part.value, found?.kind || "");
  if (!literal) return "";
  if (part.operator === "contains" || part.operator === "starts with") {
    return `${part.operator === "contains" ? "CONTAINS" : "STARTSWITH"}(${part.field}, ${literal})`;
  }
  return `${part.field} ${part.operator} ${literal}`;
}

/**
 * @param {any} value
 * @param {string} kind
 * @returns {string}
 */
function literalOf(value, kind) {
  if (value === null || value === undefined || value === "") return "";
  if (Array.isArray(value)) return value.length ? `[${value.map((each) => literalOf(each, kind)).join(", ")}]` : "";
  if (typeof value === "object") return value.call;
  if (typeof value === "boolean") return String(value);
  const isNumber = numbers.has(kind) && /^[+-]?\d+(\.\d+)?$/.test(value);
  return isNumber || (kind === "boolean" && /^(true|false)$/.test(value)) ? value : quoted(value);
}

export class FilterBuilder {
  /**
   * @param {HTMLElement} host where it is drawn
   * @param {{fields: FilterField[], type: string, onchange: (text: string) => void}} options
   */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    /** @type {Part} */
    this.part = { all: [] };
    /** @type {Record<string, string>} */
    this.titles = {};
    /** @param {string} name */
    this.find = (name) => options.fields.find((each) => each.name === name);
  }

  /** @returns {string} the condition as an expression */
  get text() {
    return written(this.part, this.find);
  }

  /**
   * Show what a text says; a text that is wrong leaves the builder as it was.
   * @param {string} text
   * @returns {Promise<boolean>} whether it could be read
   */
  async read(text) {
    const body = new FormData();
    body.set("text", text);
    body.set("csrf_token", csrf());
    const answer = await ask(`/records/${this.options.type}/clauses`, { method: "POST", body });
    if (!answer.ok) return false;
    this.part = answer.body.part;
    this.titles = answer.body.titles;
    this.draw();
    return true;
  }

  draw() {
    this.host.replaceChildren(this.group(this.part, null));
    pickers(this.host);
  }

  changed() {
    this.options.onchange(this.text);
  }

  /**
   * @param {Part} part
   * @param {Part[] | null} siblings
   * @returns {HTMLElement}
   */
  group(part, siblings) {
    const items = /** @type {Part[]} */ (part.all || part.any);
    const how = /** @type {HTMLSelectElement} */ (element("select", { class: "form-select form-select-sm", "aria-label": t("How conditions combine") },
      element("option", { value: "all" }, t("all of these")), element("option", { value: "any" }, t("any of these"))));
    how.value = part.any ? "any" : "all";
    how.addEventListener("change", () => {
      delete part.all;
      delete part.any;
      part[/** @type {"all" | "any"} */ (how.value)] = items;
      this.changed();
    });
    const head = element("div", { class: "gx-chips" });
    if (items.length > 1 || siblings) head.append(how);
    if (siblings) head.append(this.remover(part, siblings));
    const add = this.button(t("Add condition"), () => {
      items.push({ field: this.options.fields[0]?.name, operator: this.options.fields[0]?.operators[0], value: "" });
      this.draw();
      /** @type {HTMLElement | null} */ (this.host.querySelector("[data-last] select"))?.focus();
    });
    add.setAttribute("data-filter-add", "");
    const nest = this.button(t("Add group"), () => {
      items.push({ [part.any ? "all" : "any"]: [] });
      this.draw();
    });
    const rows = items.map((each, at) => {
      const row = each.all || each.any ? this.group(each, items) : this.row(each, items);
      if (at === items.length - 1) row.setAttribute("data-last", "");
      return row;
    });
    return element("div", { class: "gx-filter-group", role: "group" }, head, ...rows, element("div", { class: "gx-chips" }, add, nest));
  }

  /**
   * @param {string} text
   * @param {() => void} act
   */
  button(text, act) {
    const made = element("button", { type: "button", class: "btn btn-sm" }, text);
    made.addEventListener("click", act);
    return made;
  }

  /**
   * @param {Part} part
   * @param {Part[]} siblings
   */
  remover(part, siblings) {
    const made = element("button", { type: "button", class: "btn gx-quiet gx-square", title: t("Remove condition") }, "×");
    made.append(element("span", { class: "gx-visually-hidden" }, t("Remove condition")));
    made.addEventListener("click", () => {
      siblings.splice(siblings.indexOf(part), 1);
      this.draw();
      this.changed();
    });
    return made;
  }

  /**
   * @param {Part} part
   * @param {Part[]} siblings
   */
  row(part, siblings) {
    const row = element("div", { class: "gx-filter-row" });
    const field = part.field ? this.find(part.field) : undefined;
    if (part.text !== undefined || !field) {
      // Not one field, operator and value: kept to the letter, and changed as text.
      const text = part.text ?? written(part, this.find);
      const input = /** @type {HTMLInputElement} */ (element("input", { class: "form-control gx-filter-text", value: text, "aria-label": t("As an expression") }));
      row.setAttribute("data-text", "");
      input.addEventListener("input", () => {
        for (const key of Object.keys(part)) delete part[/** @type {keyof Part} */ (key)];
        part.text = input.value;
        this.changed();
      });
      row.append(input, this.remover(part, siblings));
      return row;
    }
    const names = this.choice(this.options.fields.map((each) => [each.name, each.label]), field.name, t("Field"));
    names.addEventListener("change", () => {
      const next = this.find(names.value);
      part.field = names.value;
      part.operator = next?.operators.find((each) => operatorTexts[each]);
      part.value = next?.kind === "boolean" ? true : "";
      this.redraw(row, part, siblings);
    });
    const offered = field.operators.filter((each) => operatorTexts[each]);
    if (part.operator && !offered.includes(part.operator)) offered.push(part.operator);
    const operators = this.choice(offered.map((each) => [each, operatorTexts[each] || each]), part.operator || "", t("Condition"));
    operators.addEventListener("change", () => {
      const wasList = Array.isArray(part.value);
      part.operator = operators.value;
      const isList = part.operator === "in" || part.operator === "not in";
      if (isList !== wasList) part.value = isList ? [part.value].filter((each) => each !== "" && each !== undefined) : part.value[0] ?? "";
      this.redraw(row, part, siblings);
    });
    row.append(names, operators, part.operator?.startsWith("is ") ? element("span") : this.control(part, field), this.remover(part, siblings));
    return row;
  }

  /**
   * @param {HTMLElement} row
   * @param {Part} part
   * @param {Part[]} siblings
   */
  redraw(row, part, siblings) {
    const active = [...row.children].indexOf(/** @type {Element} */ (document.activeElement));
    const made = this.row(part, siblings);
    row.replaceWith(made);
    pickers(made);
    /** @type {HTMLElement | undefined} */ (made.children[active])?.focus();
    this.changed();
  }

  /**
   * @param {[string, string][]} choices
   * @param {string} value
   * @param {string} label
   * @returns {HTMLSelectElement}
   */
  choice(choices, value, label) {
    const select = /** @type {HTMLSelectElement} */ (element("select", { class: "form-select", "aria-label": label }));
    for (const [each, text] of choices) select.append(element("option", { value: each }, text));
    select.value = value;
    return select;
  }

  /**
   * @param {Part} part
   * @param {FilterField} field
   * @returns {HTMLElement}
   */
  control(part, field) {
    const isList = Array.isArray(part.value);
    if (field.choices.length && isList) return this.boxes(part, field);
    if (field.choices.length) return this.bound(this.choice([["", ""], ...field.choices], String(part.value ?? ""), t("Value")), part);
    if (field.kind === "boolean") {
      const select = this.choice([["true", t("Yes")], ["false", t("No")]], String(part.value), t("Value"));
      select.addEventListener("change", () => this.put(part, select.value === "true"));
      return select;
    }
    if (field.target && !isList) return this.picker(part, field);
    if (days.has(field.kind)) return this.day(part, field);
    const type = field.kind === "time" ? "time" : "text";
    const value = isList ? part.value.join(", ") : String(part.value ?? "");
    const input = /** @type {HTMLInputElement} */ (element("input", { class: "form-control", type, value, "aria-label": t("Value") }));
    if (isList) input.placeholder = t("several, with commas");
    input.addEventListener("input", () => this.put(part, isList ? input.value.split(/[,，、]/).map((each) => each.trim()).filter(Boolean) : input.value.trim()));
    return input;
  }

  /**
   * @param {Part} part
   * @param {any} value
   */
  put(part, value) {
    part.value = value;
    this.changed();
  }

  /**
   * @param {HTMLSelectElement} select
   * @param {Part} part
   */
  bound(select, part) {
    select.addEventListener("change", () => this.put(part, select.value));
    return select;
  }

  /**
   * @param {Part} part
   * @param {FilterField} field
   */
  boxes(part, field) {
    const host = element("div", { class: "gx-choices", role: "group", "aria-label": t("Value") });
    for (const [value, text] of field.choices) {
      const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", value }));
      box.checked = part.value.includes(value);
      box.addEventListener("change", () => this.put(part, box.checked ? [...part.value, value] : part.value.filter((/** @type {any} */ each) => each !== value)));
      host.append(element("label", {}, box, text));
    }
    return host;
  }

  /**
   * @param {Part} part
   * @param {FilterField} field
   */
  day(part, field) {
    const isToday = typeof part.value === "object" && part.value !== null;
    const now = field.kind === "date" ? "TODAY()" : "NOW()";
    const when = this.choice([["day", t("on a day")], ["now", field.kind === "date" ? t("today") : t("now")]], isToday ? "now" : "day", t("Value"));
    const input = /** @type {HTMLInputElement} */ (element("input", { class: "form-control", type: field.kind === "date" ? "date" : "datetime-local", "aria-label": t("Value") }));
    if (!isToday && part.value) input.value = field.kind === "date" ? String(part.value).slice(0, 10) : localText(String(part.value));
    input.hidden = isToday;
    when.addEventListener("change", () => {
      input.hidden = when.value === "now";
      this.put(part, when.value === "now" ? { call: now } : input.value);
    });
    input.addEventListener("input", () => this.put(part, field.kind === "date" || !input.value ? input.value : new Date(input.value).toISOString()));
    return element("div", { class: "gx-chips gx-filter-day" }, when, input);
  }

  /**
   * @param {Part} part
   * @param {FilterField} field
   */
  picker(part, field) {
    const isMe = typeof part.value === "object" && part.value !== null;
    if (isMe) return element("span", { class: "gx-value" }, part.value.call);
    const id = `filter-combo-${(count += 1)}`;
    const shown = this.titles[part.value] || part.value || "";
    const chosen = /** @type {HTMLInputElement} */ (element("input", { type: "hidden", name: id, value: part.value || "", "data-chosen": "" }));
    const box = element("div", { class: "gx-combo", "data-combo": "", "data-target": field.target, "data-path": id, "data-kind": "link" },
      chosen,
      element("input", { class: "form-control", type: "text", id, role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": `${id}-list`, autocomplete: "off", "data-search": "", placeholder: t("Type to search"), value: shown, "aria-label": t("Value") }),
      element("ul", { class: "gx-combo-list", id: `${id}-list`, role: "listbox", "aria-label": t("Value"), hidden: "" }));
    box.addEventListener("change", () => this.put(part, chosen.value));
    return box;
  }
}

/** @param {string} instant */
function localText(instant) {
  const when = new Date(instant);
  if (Number.isNaN(when.getTime())) return "";
  return new Date(when.getTime() - when.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
