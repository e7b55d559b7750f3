// A condition built by choosing: rows of field, operator and value over an expression's text.
// The text stays the truth: every choice writes it, and typing it draws the rows anew.
//
//     import { ConditionBuilder } from "./conditionbuilder.js";
//     const builder = new ConditionBuilder(input, { scope: "member", gives: "boolean" });
//
// `input` is the text control (input or textarea) that holds the expression and is submitted;
// it gets an "input" event whenever a choice changes its text. `scope` is TYPE, TYPE.TABLE, or
// `till:sale` and `till:line` for a sale at the till.
// After setting `input.value` from outside call `builder.read()`.
import { ask, element, t } from "./core.js";
import { pickers } from "./combo.js";
import { groupText, isListed, isSame, needsValue, offered, operatorText } from "./conditiontext.js";
import { choose, valueControl } from "./conditionvalue.js";

/** @typedef {import("./conditiontext.js").Field} Field */
/** @typedef {import("./conditiontext.js").Row} Row */
/** @typedef {import("./conditiontext.js").Group} Group */
/** @typedef {import("./conditiontext.js").Part} Part */

/** @type {Map<string, Promise<Field[]>>} */
const scopes = new Map();

/**
 * @param {string} scope
 * @param {boolean} isFilter whether records are found by it, which takes more rights than reading one
 * @returns {Promise<Field[]>}
 */
function fieldsOf(scope, isFilter) {
  const query = new URLSearchParams({ name: scope, ...(isFilter ? { use: "filter" } : {}) }).toString();
  const known = scopes.get(query);
  if (known) return known;
  const asked = ask(`/expressions/scope?${query}`).then((answer) => answer.body.fields || []);
  scopes.set(query, asked);
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
    if (input.closest("template")) continue;
    if (input.closest("td")) {
      inCell(input);
      continue;
    }
    input.dataset.ready = "";
    new ConditionBuilder(input, {
      scope: input.dataset.scope || "", gives: input.dataset.gives || "", isText: input.dataset.expression !== "condition",
    });
  }
}

/**
 * Offer to build a cell's condition in a dialog: a cell has no room for its rows.
 * @param {HTMLTextAreaElement} input
 */
function inCell(input) {
  input.dataset.ready = "";
  if (input.dataset.expression !== "condition") return;
  const label = input.getAttribute("aria-label") || t("Conditions");
  const open = element("button", { type: "button", class: "btn btn-sm gx-quiet", "aria-haspopup": "dialog" }, t("Build condition"));
  open.addEventListener("click", () => {
    const typed = /** @type {HTMLTextAreaElement} */ (
      element("textarea", { class: "form-control", rows: "3", spellcheck: "false", "aria-label": label })
    );
    typed.value = input.value;
    const no = element("button", { type: "button", class: "btn" }, t("Cancel"));
    const yes = element("button", { class: "btn btn-primary", value: "yes" }, t("Apply"));
    no.addEventListener("click", () => dialog.close());
    const body = element("div", { class: "gx-dialog-body" }, element("h2", { id: "gx-condition-title" }, label), typed);
    const form = element("form", { method: "dialog" }, body, element("div", { class: "gx-dialog-foot" }, no, yes));
    const dialog = /** @type {HTMLDialogElement} */ (
      element("dialog", { class: "gx-dialog gx-dialog-wide", "aria-labelledby": "gx-condition-title" }, form)
    );
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "yes") {
        input.value = typed.value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        input.dispatchEvent(new Event("change", { bubbles: true }));
      }
      open.focus();
    });
    const builder = new ConditionBuilder(typed, { scope: input.dataset.scope || "" });
    dialog.showModal();
    builder.ready.then(() => typed.value || builder.add());
  });
  input.after(open);
}

export class ConditionBuilder {
  /**
   * @param {HTMLInputElement | HTMLTextAreaElement} input
   * @param {{scope: string, gives?: string, isText?: boolean, isFilter?: boolean, place?: HTMLElement,
   *   typed?: HTMLElement}} options `place` holds the rows, `typed` what is shown to type the text
   */
  constructor(input, { scope, gives = "boolean", isText = false, isFilter = false, place, typed = input }) {
    this.input = input;
    this.typed = typed;
    this.isFilter = isFilter;
    this.scope = scope;
    this.gives = gives;
    this.isText = isText;
    /** @type {Field[]} */
    this.fields = [];
    /** @type {Group} */
    this.group = { how: "and", parts: [] };
    /** @type {Record<string, string>} */
    this.titles = {};
    /** What shows each part. @type {WeakMap<Part, HTMLElement>} */
    this.drawn = new WeakMap();
    this.timer = 0;
    this.reading = 0;
    this.place = place || element("div", { class: "gx-builder", role: "group", "aria-label": t("Conditions") });
    this.note = element("p", { class: "gx-problem", "aria-live": "polite" });
    this.note.hidden = true;
    if (!place) input.before(this.place);
    input.after(this.note);
    input.addEventListener("input", (event) => event.isTrusted && this.later());
    this.ready = this.start();
  }

  async start() {
    if (!this.isText) {
      const text = element("button", { type: "button", class: "btn btn-sm gx-quiet", "aria-expanded": "false" }, t("As text"));
      text.addEventListener("click", () => {
        this.typed.hidden = !this.typed.hidden;
        text.setAttribute("aria-expanded", String(!this.typed.hidden));
        if (!this.typed.hidden) this.input.focus();
      });
      this.typed.hidden = this.input.getAttribute("aria-invalid") !== "true";
      text.setAttribute("aria-expanded", String(!this.typed.hidden));
      this.toggle = text;
      this.fields = await fieldsOf(this.scope, this.isFilter);
    }
    await this.read();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.read(), 350);
  }

  /**
   * Look at the text as it is now, and draw its rows.
   * @param {boolean} [isWritten] the rows wrote it: they stay as they are, and the focus with them
   */
  async read(isWritten = false) {
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
    if (this.isText || isWritten) return;
    if (answer.body.rows) {
      this.group = answer.body.rows;
      Object.assign(this.titles, answer.body.titles);
      this.draw();
    } else if (this.typed.hidden) this.toggle?.click(); // a text that no row can show is typed
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
    if (this.toggle) this.place.querySelector(":scope > .gx-builder-group > .gx-builder-foot")?.append(this.toggle);
    pickers(this.place);
  }

  /** The choices changed: write the text, and let the server look at it. */
  write() {
    this.input.value = groupText(this.group, true);
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.read(true), 350);
  }

  /** Add a row, with the focus on its field. */
  add() {
    /** @type {HTMLElement | null} */ (this.place.querySelector(":scope > .gx-builder-group > .gx-builder-foot > [data-add]"))?.click();
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
    const box = element("div", { class: "gx-builder-group" });
    const head = element("div", { class: "gx-builder-head" }, how);
    if (outer) head.append(this.removeButton(outer, group));
    if (outer || group.parts.length > 1) box.append(head);
    for (const part of group.parts) box.append(this.drawPart(part, group));
    const add = element("button", { type: "button", class: "btn btn-sm", "data-add": "" }, t("Add condition"));
    add.addEventListener("click", () => {
      const field = this.fields[0];
      if (!field) return;
      group.parts.push({ field: field.name, operator: offered(field)[0], values: [] });
      this.redraw(group, group.parts.length - 1);
    });
    const nest = element("button", { type: "button", class: "btn btn-sm gx-quiet" }, t("Add group"));
    nest.addEventListener("click", () => {
      group.parts.push({ how: group.how === "and" ? "or" : "and", parts: [] });
      this.redraw(group, group.parts.length - 1);
    });
    box.append(element("div", { class: "gx-builder-foot" }, add, nest));
    return box;
  }

  /**
   * Draw everything anew, with the focus on one part of a group.
   * @param {Group} group
   * @param {number} index
   */
  redraw(group, index) {
    this.draw();
    const drawn = this.drawn.get(group.parts[index] || group);
    /** @type {HTMLElement | null | undefined} */ (drawn?.querySelector("select, input, [data-add]"))?.focus();
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
      const index = group.parts.indexOf(part);
      group.parts.splice(index, 1);
      this.redraw(group, Math.min(index, group.parts.length - 1));
    });
    return remove;
  }

  /**
   * @param {Part} part
   * @param {Group} group
   * @returns {HTMLElement}
   */
  drawPart(part, group) {
    const made = "parts" in part ? this.drawGroup(part, group) : "text" in part ? this.drawText(part, group) : this.drawRow(part, group);
    this.drawn.set(part, made);
    return made;
  }

  /**
   * What no row can say is kept to the letter, and changed as text.
   * @param {{text: string}} part
   * @param {Group} group
   */
  drawText(part, group) {
    const input = /** @type {HTMLInputElement} */ (
      element("input", { class: "form-control gx-builder-text", value: part.text, "aria-label": t("As an expression"), spellcheck: "false", autocomplete: "off" })
    );
    input.addEventListener("input", (event) => {
      event.stopPropagation();
      part.text = input.value;
      this.write();
    });
    return element("div", { class: "gx-builder-row", "data-text": "" }, input, this.removeButton(group, part));
  }

  /**
   * @param {Row} part
   * @param {Group} group
   */
  drawRow(part, group) {
    const row = element("div", { class: "gx-builder-row" });
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
      const [wasListed, wasSame] = [isListed(part), isSame(part)];
      part.operator = operator.value;
      if (!needsValue(part) || isSame(part) !== wasSame) part.values = [];
      else if (isListed(part) !== wasListed) part.values = part.values.filter((each) => !["call", "name", "field"].includes(each.kind)).slice(0, 1);
      this.replace(row, part, group, operator);
    });
    const value = needsValue(part) ? valueControl(part, this.fields, this.titles, () => this.write()) : element("span");
    row.append(which, operator, value, this.removeButton(group, part));
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
}
