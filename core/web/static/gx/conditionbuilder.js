// A condition built by choosing: rows of field, operator and value over an expression's text.
// The text stays the truth: every choice writes it, and typing it draws the rows anew.
//
//     import { ConditionBuilder } from "./conditionbuilder.js";
//     const builder = new ConditionBuilder(input, { scope: "member", gives: "boolean" });
//
// `input` is the text control (input or textarea) that holds the expression and is submitted;
// it gets an "input" event whenever a choice changes its text. `scope` is TYPE or TYPE.TABLE.
// After setting `input.value` from outside call `builder.read()`.
import { ask, element, t } from "./core.js";
import { pickers } from "./combo.js";

/**
 * @typedef {{name: string, label: string, kind: string, operators: string[], target: string,
 *   choices: [string, string][]}} Field
 * @typedef {{kind: string, text: string}} Value
 * @typedef {{field: string, operator: string, values: Value[]}} Row
 * @typedef {{how: "and" | "or", parts: Part[]}} Group
 * @typedef {Row | Group | {text: string}} Part
 */

const NUMBERS = new Set(["integer", "decimal", "money", "rate", "percent", "rating", "duration"]);
const MANY = new Set(["multi_select", "links", "users"]);
const LISTED = new Set(["in", "not in"]);
/** What stands for this day or the person acting, by the kind of field. */
const MOMENTS = /** @type {Record<string, Value>} */ ({
  date: { kind: "call", text: "TODAY()" }, datetime: { kind: "call", text: "NOW()" }, user: { kind: "name", text: "current_user" },
  users: { kind: "name", text: "current_user" },
});

const operatorText = () => /** @type {Record<string, string>} */ ({
  "==": t("is"), "!=": t("is not"), "<": t("less than"), "<=": t("at most"), ">": t("more than"), ">=": t("at least"),
  contains: t("contains"), "starts with": t("starts with"), in: t("is one of"), "not in": t("is none of"),
  "is empty": t("is empty"), "is not empty": t("is not empty"), has: t("includes"), "has not": t("does not include"),
});

/** @type {Map<string, Promise<Field[]>>} */
const scopes = new Map();

/** @param {string} scope @returns {Promise<Field[]>} */
function fieldsOf(scope) {
  const known = scopes.get(scope);
  if (known) return known;
  const asked = ask(`/expressions/scope?${new URLSearchParams({ name: scope })}`).then((answer) => answer.body.fields || []);
  scopes.set(scope, asked);
  return asked;
}

/**
 * Give every expression control below `root` its builder, or for other values than conditions
 * just what is wrong with the text.
 * @param {ParentNode} root
 */
export function conditionBuilders(root) {
  for (const each of root.querySelectorAll("textarea[data-expression]:not([data-ready])")) {
    const input = /** @type {HTMLTextAreaElement} */ (each);
    if (input.closest("template") || input.closest("td")) continue;
    input.dataset.ready = "";
    new ConditionBuilder(input, {
      scope: input.dataset.scope || "", gives: input.dataset.gives || "", isText: input.dataset.expression !== "condition",
    });
  }
}

export class ConditionBuilder {
  /**
   * @param {HTMLInputElement | HTMLTextAreaElement} input
   * @param {{scope: string, gives?: string, isText?: boolean}} options
   */
  constructor(input, { scope, gives = "boolean", isText = false }) {
    this.input = input;
    this.scope = scope;
    this.gives = gives;
    this.isText = isText;
    /** @type {Field[]} */
    this.fields = [];
    /** @type {Group} */
    this.group = { how: "and", parts: [] };
    /** @type {Record<string, string>} */
    this.titles = {};
    this.timer = 0;
    this.reading = 0;
    this.place = element("div", { class: "gx-builder", role: "group", "aria-label": t("Conditions") });
    this.note = element("p", { class: "gx-problem", "aria-live": "polite" });
    this.note.hidden = true;
    input.before(this.place);
    input.after(this.note);
    input.addEventListener("input", (event) => event.isTrusted && this.later());
    this.start();
  }

  async start() {
    if (!this.isText) {
      const text = element("button", { type: "button", class: "btn btn-sm gx-quiet", "aria-expanded": "false" }, t("As text"));
      text.addEventListener("click", () => {
        this.input.hidden = !this.input.hidden;
        text.setAttribute("aria-expanded", String(!this.input.hidden));
        if (!this.input.hidden) this.input.focus();
      });
      this.input.hidden = true;
      this.toggle = text;
      this.fields = await fieldsOf(this.scope);
    }
    await this.read();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.read(), 350);
  }

  /** Draw the rows of the text as it is now. */
  async read() {
    const turn = (this.reading += 1);
    const body = new FormData();
    body.set("text", this.input.value);
    body.set("scope", this.scope);
    body.set("gives", this.gives);
    const answer = await ask("/expressions/read", { method: "POST", body });
    if (turn !== this.reading) return;
    if (!answer.ok) return this.tell(answer.body.message || t("The server cannot be reached."));
    const [first] = answer.body.problems;
    this.tell(first ? `${first.message}${first.column ? ` (${first.column})` : ""}` : "");
    if (this.isText) return;
    if (answer.body.rows) {
      this.group = answer.body.rows;
      Object.assign(this.titles, answer.body.titles);
      this.draw();
    } else if (this.input.hidden) this.toggle?.click(); // a text that no row can show is typed
  }

  /** @param {string} text */
  tell(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  draw() {
    this.place.replaceChildren(this.drawGroup(this.group, null));
    if (this.toggle) this.place.append(this.toggle);
    pickers(this.place);
  }

  /** The choices changed: write the text, and let the server look at it. */
  write() {
    this.input.value = groupText(this.group, true);
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.check(), 350);
  }

  /** Say what is wrong without drawing anew, which would take the focus away. */
  async check() {
    const drawn = this.draw;
    this.draw = () => {};
    await this.read();
    this.draw = drawn;
  }

  /**
   * @param {Group} group
   * @param {Group | null} outer
   * @returns {HTMLElement}
   */
  drawGroup(group, outer) {
    const how = /** @type {HTMLSelectElement} */ (
      choose(t("How they go together"), [["and", t("All of these hold")], ["or", t("Any of these holds")]], group.how)
    );
    how.addEventListener("change", () => {
      group.how = how.value === "or" ? "or" : "and";
      this.write();
    });
    const head = element("div", { class: "gx-builder-head" }, how);
    if (outer) head.append(this.removeButton(outer, group));
    const box = element("div", { class: "gx-builder-group" }, head);
    for (const part of group.parts) box.append(this.drawPart(part, group));
    const add = element("button", { type: "button", class: "btn btn-sm", "data-add": "" }, t("Add condition"));
    add.addEventListener("click", () => {
      const field = this.fields[0];
      if (!field) return;
      group.parts.push({ field: field.name, operator: offered(field)[0], values: [] });
      this.redraw(group);
    });
    const nest = element("button", { type: "button", class: "btn btn-sm gx-quiet" }, t("Add group"));
    nest.addEventListener("click", () => {
      group.parts.push({ how: group.how === "and" ? "or" : "and", parts: [] });
      this.redraw(group);
    });
    box.append(element("div", { class: "gx-builder-foot" }, add, nest));
    return box;
  }

  /** @param {Group} group whose newest row gets the focus */
  redraw(group) {
    this.draw();
    const index = group.parts.length - 1;
    const rows = this.place.querySelectorAll(".gx-builder-row");
    /** @type {HTMLElement | null | undefined} */ (index >= 0 ? rows[rows.length - 1]?.querySelector("select") : null)?.focus();
    this.write();
  }

  /**
   * @param {Group} group
   * @param {Part} part
   */
  removeButton(group, part) {
    const remove = element("button", { type: "button", class: "btn gx-quiet gx-square btn-sm", title: t("Remove condition") }, "×");
    remove.append(element("span", { class: "gx-visually-hidden" }, t("Remove condition")));
    remove.addEventListener("click", () => {
      group.parts.splice(group.parts.indexOf(part), 1);
      this.draw();
      this.write();
      /** @type {HTMLElement | null} */ (this.place.querySelector("[data-add]"))?.focus();
    });
    return remove;
  }

  /**
   * @param {Part} part
   * @param {Group} group
   * @returns {HTMLElement}
   */
  drawPart(part, group) {
    if ("parts" in part) return this.drawGroup(part, group);
    const row = element("div", { class: "gx-builder-row" });
    if ("text" in part) {
      row.append(element("code", { class: "gx-grow" }, part.text), this.removeButton(group, part));
      return row;
    }
    const field = this.fields.find((each) => each.name === part.field);
    const names = /** @type {[string, string][]} */ (this.fields.map((each) => [each.name, each.label]));
    if (!field) names.unshift([part.field, part.field]);
    const which = /** @type {HTMLSelectElement} */ (choose(t("Field"), names, part.field));
    const operators = field ? offered(field) : [part.operator];
    if (!operators.includes(part.operator)) operators.unshift(part.operator);
    const texts = operatorText();
    const operator = /** @type {HTMLSelectElement} */ (
      choose(t("Condition"), operators.map((each) => [each, texts[each] || each]), part.operator)
    );
    which.addEventListener("change", () => {
      const chosen = this.fields.find((each) => each.name === which.value);
      if (chosen) Object.assign(part, { field: chosen.name, operator: offered(chosen)[0], values: [] });
      this.replace(row, part, group, which);
    });
    operator.addEventListener("change", () => {
      part.operator = operator.value;
      if (!needsValue(part)) part.values = [];
      this.replace(row, part, group, operator);
    });
    row.append(which, operator, ...(needsValue(part) ? [this.drawValue(part, field)] : []), this.removeButton(group, part));
    return row;
  }

  /**
   * Draw one row again after its field or operator changed, with the focus where it was.
   * @param {HTMLElement} row
   * @param {Row} part
   * @param {Group} group
   * @param {HTMLElement} focused
   */
  replace(row, part, group, focused) {
    const place = [...row.children].indexOf(focused);
    const made = this.drawPart(part, group);
    row.replaceWith(made);
    pickers(made);
    /** @type {HTMLElement | undefined} */ (made.children[place])?.focus();
    this.write();
  }

  /**
   * @param {Row} part
   * @param {Field | undefined} field
   * @returns {HTMLElement}
   */
  drawValue(part, field) {
    const holder = element("span", { class: "gx-builder-value" });
    const moment = field && !LISTED.has(part.operator) ? MOMENTS[field.kind] : undefined;
    const isMoment = () => part.values[0]?.kind === moment?.kind;
    const control = this.control(part, field);
    if (moment) {
      const names = moment.kind === "name" ? [t("a person"), t("me")] : [t("a moment"), t("today")];
      const mode = /** @type {HTMLSelectElement} */ (choose(t("Value"), [["", names[0]], ["now", names[1]]], isMoment() ? "now" : ""));
      control.hidden = isMoment();
      mode.addEventListener("change", () => {
        control.hidden = Boolean(mode.value);
        part.values = mode.value ? [moment] : [];
        this.write();
      });
      holder.append(mode);
    }
    holder.append(control);
    return holder;
  }

  /**
   * @param {Row} part
   * @param {Field | undefined} field
   * @returns {HTMLElement}
   */
  control(part, field) {
    const kind = field?.kind || "text";
    /** @param {string[]} texts */
    const give = (texts) => {
      part.values = texts.filter((text) => text !== "").map((text) => valueOf(kind, text));
      this.write();
    };
    const first = part.values[0]?.text ?? "";
    if (kind === "boolean" || field?.choices.length) {
      const isList = LISTED.has(part.operator);
      const choices = kind === "boolean" ? [["true", t("Yes")], ["false", t("No")]] : field?.choices || [];
      const select = /** @type {HTMLSelectElement} */ (choose(t("Value"), [...(isList ? [] : [["", "—"]]), ...choices], first));
      select.multiple = isList;
      for (const option of isList ? select.options : []) option.selected = part.values.some((each) => each.text === option.value);
      select.addEventListener("change", () => give([...select.selectedOptions].map((option) => option.value)));
      return select;
    }
    if (field?.target && !LISTED.has(part.operator)) return this.picker(field, first, give);
    const type = { date: "date", datetime: "datetime-local", time: "time" }[kind] || "text";
    const shown = LISTED.has(part.operator) ? part.values.map((each) => each.text).join(", ") : kind === "datetime" ? local(first) : first;
    const input = /** @type {HTMLInputElement} */ (element("input", { class: "form-control", type, value: shown, "aria-label": t("Value") }));
    input.addEventListener("input", (event) => {
      event.stopPropagation();
      give(LISTED.has(part.operator) ? input.value.split(/\s*[,，、]\s*/) : [input.value]);
    });
    return input;
  }

  /**
   * @param {Field} field
   * @param {string} id
   * @param {(texts: string[]) => void} give
   */
  picker(field, id, give) {
    const chosen = /** @type {HTMLInputElement} */ (element("input", { type: "hidden", value: id, "data-chosen": "" }));
    const list = `builder-${(count += 1)}`;
    const search = element("input", {
      class: "form-control", type: "text", role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": list,
      autocomplete: "off", "data-search": "", "aria-label": t("Value"), value: this.titles[id] || id,
    });
    const box = element(
      "div", { class: "gx-combo", "data-combo": "", "data-target": field.target }, chosen, search,
      element("ul", { class: "gx-combo-list", id: list, role: "listbox", "aria-label": t("Value"), hidden: "" })
    );
    search.addEventListener("input", (event) => event.stopPropagation());
    box.addEventListener("change", () => {
      this.titles[chosen.value] = /** @type {HTMLInputElement} */ (search).value;
      give([chosen.value]);
    });
    return box;
  }
}

let count = 0;

/** @param {Field} field @returns {string[]} operators of a row, where a list "contains" what it includes */
function offered(field) {
  if (!MANY.has(field.kind)) return [...field.operators];
  return [...field.operators.map((each) => (each === "contains" ? "has" : each)), "has not"];
}

/** @param {Row} part */
const needsValue = (part) => !part.operator.startsWith("is ") && part.operator !== "is empty";

/** @param {string} kind @param {string} text @returns {Value} */
function valueOf(kind, text) {
  if (kind === "boolean") return { kind: "truth", text };
  if (NUMBERS.has(kind) && /^[+-]?\d+(\.\d+)?$/.test(text.trim())) return { kind: "number", text: text.trim() };
  const instant = kind === "datetime" ? new Date(text) : null;
  if (instant && !Number.isNaN(instant.getTime())) return { kind: "text", text: instant.toISOString() };
  return { kind: "text", text };
}

/** @param {string} text an instant as RFC 3339 @returns {string} as a `datetime-local` control has it */
function local(text) {
  const instant = new Date(text);
  if (!text || Number.isNaN(instant.getTime())) return text;
  return new Date(instant.getTime() - instant.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

/**
 * @param {string} label
 * @param {string[][]} options
 * @param {string} value
 */
function choose(label, options, value) {
  const select = /** @type {HTMLSelectElement} */ (element("select", { class: "form-select", "aria-label": label }));
  for (const [each, text] of options) select.append(element("option", { value: each }, text));
  select.value = value;
  return select;
}

/** @param {Value} value */
function literal(value) {
  return value.kind === "text" ? `'${value.text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'` : value.text;
}

/** @param {Group} group @param {boolean} [isTop] @returns {string} */
export function groupText(group, isTop = false) {
  const parts = group.parts.map((part) => partText(part, group.parts.length > 1)).filter(Boolean);
  const text = parts.join(` ${group.how} `);
  return isTop || parts.length < 2 ? text : `(${text})`;
}

/** @param {Part} part @param {boolean} isOneOfMany @returns {string} empty while its value is missing */
function partText(part, isOneOfMany) {
  if ("parts" in part) return groupText(part);
  if ("text" in part) return isOneOfMany ? `(${part.text})` : part.text;
  if (!needsValue(part)) return `${part.field} ${part.operator}`;
  if (!part.values.length) return "";
  const values = part.values.map(literal);
  if (LISTED.has(part.operator)) return `${part.field} ${part.operator} [${values.join(", ")}]`;
  if (part.operator === "contains") return `CONTAINS(${part.field}, ${values[0]})`;
  if (part.operator === "starts with") return `STARTSWITH(${part.field}, ${values[0]})`;
  if (part.operator === "has") return `${values[0]} in ${part.field}`;
  if (part.operator === "has not") return `${values[0]} not in ${part.field}`;
  return `${part.field} ${part.operator} ${values[0]}`;
}
