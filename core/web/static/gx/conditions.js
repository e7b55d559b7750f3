// What the schema's conditions say about the form while somebody types. The server says
// the same again when it saves: this only spares people the round trip.
import { rateText } from "./core.js";
import { compute, equal, isSame, show, value } from "./computing.js";
import { environment } from "./environment.js";
import { fill } from "./fill.js";
import { FormValues } from "./formvalues.js";
import { follower } from "./linked.js";
import { Why } from "./why.js";

/** @typedef {Record<string, any>} Values */
/** @typedef {{source: string, name: string, text: string, tree?: any[], parts?: Part[]}} Condition */
/** @typedef {{label: string, tree: any[], field?: string, options?: Record<string, string>}} Part */
/**
 * @typedef {{fields: Record<string, any>, computed: string[], sections: Record<string, any>, steps: any[],
 *   values: Values, stored?: Values, cells: Record<string, Record<string, Values>>, follows: Record<string, string[]>}} Rules
 */
/** @typedef {{line: HTMLTableRowElement, row: Values}} Cells a row of a sheet, computed */

/** Kinds of fields whose control shows something else than their value. */
const NOT_FILLED = new Set(["link", "links", "user", "users", "table", "file", "files", "image"]);

export class Conditions {
  /**
   * @param {HTMLFormElement} form
   * @param {Rules} rules
   */
  constructor(form, rules) {
    this.form = form;
    this.rules = rules;
    this.typed = new FormValues(form, rules.fields);
    this.world = { ...environment, follow: follower(rules.follows, () => this.learned()) };
    /** The record, and rows by their ids, as they came with the page. @type {Values | null} */
    this.first = null;
    /** @type {Map<string, Values>} */
    this.firstRows = new Map();
    /** Rows as they are now, by table field. @type {Record<string, Cells[]>} */
    this.sheets = {};
    /** @type {WeakMap<Element, string>} */
    this.drawn = new WeakMap();
    /** Rows of sheets when conditions were looked at last. @type {Map<HTMLElement, Values>} */
    this.before = new Map();
    /** What is to be taken over from a link once it is known. @type {Set<string>} */
    this.waiting = new Set();
    const tables = Object.entries(rules.fields).filter(([, rule]) => rule.columns);
    this.tables = tables.map(([name]) => name);
    const isStored = Boolean(form.dataset.record);
    // What came with the page may have been typed before: then only the links tell what is stored.
    for (const name of isStored && !rules.stored ? this.tables : []) {
      for (const one of this.typed.rows(name) || []) {
        if (one.id) this.firstRows.set(one.id, { ...one.values, ...rules.cells[name]?.[one.id] });
      }
    }
    if (isStored) this.first = rules.stored || this.row(true);
    this.why = new Why(form, this);
    /** @type {Values | null} */
    this.last = null;
    form.addEventListener("input", (event) => this.changed(event));
    form.addEventListener("change", (event) => this.changed(event));
    this.apply();
    // A new record may come with links filled in already.
    if (!isStored && this.last) this.takeOver(this.last, {}, new Map());
  }

  /** @param {Event} event */
  changed(event) {
    if (event.target instanceof Element && event.target.closest("[data-why]")) return;
    const place = this.typed.touch(event.target);
    if (place) this.drawn.delete(place);
    else this.drawn = new WeakMap();
    this.apply();
  }

  /** A linked record is there: what reads it is computed anew. */
  learned() {
    this.typed.forget();
    this.apply();
  }

  apply() {
    const row = this.row();
    if (this.last && this.fillIn(row, this.last)) return; // filling in has applied everything anew
    this.last = row;
    this.before = this.sheetRows();
    for (const [name, rule] of Object.entries(this.rules.fields)) {
      const place = this.typed.places.get(name);
      if (!place) continue;
      if (rule.formula || rule.fetch) show(place, name, rule, row, this.world);
      this.rule(place, rule, row);
      if (rule.columns) this.cells(name, rule, row);
    }
    for (const [key, tree] of Object.entries(this.rules.sections)) {
      const place = /** @type {HTMLElement | null} */ (this.form.querySelector(`[data-section="${CSS.escape(key)}"]`));
      const shown = value(tree, row, this.world);
      if (place && shown !== undefined) place.hidden = shown !== true;
    }
    for (const hint of this.form.querySelectorAll("[data-rate-hint]")) {
      const input = hint.parentElement?.querySelector("input");
      const text = input ? rateText(input.value) : "";
      if (hint.textContent !== text) hint.textContent = text;
    }
    this.why.renew(row);
  }

  /**
   * @param {boolean} [isFirst] nothing was typed yet: what is computed is what the server said
   * @returns {Values} the record as it is typed, with everything computed
   */
  row(isFirst = false) {
    /** @type {Values} */
    const row = { ...this.rules.values };
    for (const [name, rule] of Object.entries(this.rules.fields)) {
      const found = rule.columns ? this.lines(name, rule) : this.typed.value(name);
      if (found !== undefined) row[name] = found;
      else row[name] ??= null;
    }
    if (!isFirst) compute(this.rules, row, this.first, this.rules.values, this.world);
    return row;
  }

  /**
   * @param {string} name
   * @param {any} rule
   * @returns {Values[] | undefined} the rows of a table field; none that is blank
   */
  lines(name, rule) {
    const typed = this.typed.rows(name);
    if (!typed) return undefined;
    const rules = { fields: rule.columns, computed: rule.computed };
    this.sheets[name] = typed.map((one, position) => {
      const row = { ...one.values, position: String(position) };
      compute(rules, row, this.firstRows.get(one.id) || null, this.rules.cells[name]?.[one.id] || {}, this.world);
      return { line: one.line, row };
    });
    return this.sheets[name].filter((_one, index) => !typed[index].isBlank).map((one) => one.row);
  }

  /**
   * Do what rules on change say, where something that they read was changed, and take over
   * what a link that was set leads to.
   * @param {Values} row
   * @param {Values} last
   */
  fillIn(row, last) {
    const focused = document.activeElement?.closest("[data-field]")?.getAttribute("data-field");
    let filled = this.takeOver(row, last, this.before);
    for (const step of this.rules.steps) {
      if (step.reads.every((/** @type {string} */ name) => isSame(row, last, name))) continue;
      if (value(step.when, row, this.world) !== true) continue;
      const found = value(step.to, row, this.world);
      if (found === undefined) continue;
      for (const name of step.fields) {
        const kind = this.rules.fields[name]?.kind;
        if (name === focused || NOT_FILLED.has(kind) || equal(row[name] ?? null, found)) continue;
        fill(this.form, name, { value: found, text: "" });
        filled = true;
      }
    }
    return filled;
  }

  /** @returns {Map<HTMLElement, Values>} */
  sheetRows() {
    return new Map(this.tables.flatMap((name) => (this.sheets[name] || []).map((one) => [one.line, one.row])));
  }

  /**
   * @param {Values} row
   * @param {Values} last
   * @param {Map<HTMLElement, Values>} before
   */
  takeOver(row, last, before) {
    /** @type {[string, any][]} */
    const found = [];
    /** @param {string} path @param {any} rule @param {Values} now @param {Values | undefined} was */
    const look = (path, rule, now, was) => {
      if (rule.fetch?.mode !== "if_empty" || NOT_FILLED.has(rule.kind)) return;
      const name = path.slice(path.lastIndexOf(".") + 1);
      if (!equal(now[rule.fetch.link], was?.[rule.fetch.link])) this.waiting.add(path);
      if (!this.waiting.has(path)) return;
      const taken = value(rule.fetch.tree, now, this.world);
      if (taken === undefined) return;
      this.waiting.delete(path);
      if (taken !== null && (now[name] ?? "") === "") found.push([path, taken]);
    };
    for (const name of this.rules.computed) look(name, this.rules.fields[name], row, last);
    for (const table of this.tables) {
      const rule = this.rules.fields[table];
      for (const { line, row: now } of this.sheets[table] || []) {
        for (const name of rule.computed) look(`${line.dataset.row}.${name}`, rule.columns[name], now, before.get(line));
      }
    }
    this.last = row;
    this.before = this.sheetRows();
    for (const [path, taken] of found) fill(this.form, path, { value: taken, text: "" });
    return found.length > 0;
  }

  /**
   * What holds of some conditions; undefined while none does and one cannot be told here.
   * @param {Condition[]} conditions
   * @param {Values} row
   * @param {Values | null} [outer]
   */
  any(conditions, row, outer = null) {
    const found = conditions.map((one) => this.holds(one, row, outer));
    return found.includes(true) ? true : found.includes(undefined) ? undefined : false;
  }

  /**
   * @param {Condition} condition
   * @param {Values} row
   * @param {Values | null} [outer] the record that holds the row
   * @returns {boolean | undefined}
   */
  holds(condition, row, outer = null) {
    if (!condition.tree) return undefined;
    const found = value(condition.tree, row, this.world, outer);
    return found === undefined ? undefined : found === true;
  }

  /**
   * @param {any} rule
   * @param {Values} row
   * @param {Values | null} outer
   * @returns {boolean | undefined} whether a field is hidden
   */
  isHidden(rule, row, outer) {
    const own = rule.visible ? this.holds(rule.visible, row, outer) : true;
    const shown = rule.shown ? this.any(rule.shown, row, outer) : true;
    if (own === false || shown === false) return true;
    return own === undefined || shown === undefined ? undefined : false;
  }

  /**
   * @param {string} name
   * @param {any} rule
   * @param {Values} record
   */
  cells(name, rule, record) {
    const told = Object.entries(rule.columns).filter(([, one]) => isTold(one) || one.formula || one.fetch);
    for (const { line, row } of told.length ? this.sheets[name] || [] : []) {
      for (const [column, one] of told) {
        const path = CSS.escape(`${line.dataset.row}.${column}`);
        const cell = /** @type {HTMLElement | null} */ (
          line.querySelector(`td[data-column="${CSS.escape(column)}"]`) || this.form.querySelector(`details[data-path="${path}"]`)
        );
        if (!cell) continue;
        if (one.formula || one.fetch) show(cell, `${line.dataset.row}.${column}`, one, row, this.world);
        this.rule(cell, one, row, record);
      }
    }
  }

  /**
   * @param {HTMLElement} place a field, or a cell
   * @param {any} rule
   * @param {Values} row
   * @param {Values | null} [outer]
   */
  rule(place, rule, row, outer = null) {
    if (!isTold(rule)) return;
    const hidden = rule.visible || rule.shown ? this.isHidden(rule, row, outer) : undefined;
    const required = rule.required && this.any(rule.required, row, outer) === true;
    const locked = rule.locked && this.any(rule.locked, row, outer) === true;
    const closed = rule.options || rule.limits ? this.closed(place, rule, row, outer) : null;
    const now = JSON.stringify([hidden, required, locked, closed]);
    if (this.drawn.get(place) === now) return;
    this.drawn.set(place, now);
    if (hidden !== undefined) hide(place, hidden);
    if (rule.required) must(place, required);
    if (rule.locked) lock(place, locked);
    if (closed) offer(place, new Set(closed));
  }

  /**
   * @param {HTMLElement} place
   * @param {any} rule
   * @param {Values} row
   * @param {Values | null} outer
   * @returns {string[]} the options that cannot be chosen
   */
  closed(place, rule, row, outer) {
    /** @type {{when: Condition, options: string[]}[]} */
    const limits = (rule.limits || []).filter((/** @type {any} */ one) => this.holds(one.when, row, outer) === true);
    const options = /** @type {HTMLInputElement[]} */ ([...place.querySelectorAll(CHOICES)]).map((each) => each.value);
    return options.filter((option) => {
      const own = rule.options?.[option] ? this.holds(rule.options[option], row, outer) !== false : true;
      return option && !(own && limits.every((one) => one.options.includes(option)));
    });
  }
}

const CHOICES = "option, input[type=checkbox], input[type=radio]";

/** @param {any} rule */
const isTold = (rule) => Boolean(rule.visible || rule.shown || rule.required || rule.locked || rule.options || rule.limits);

/** @param {HTMLElement} place @param {boolean} hidden */
function hide(place, hidden) {
  // A cell stays where it is: the others would move into its column.
  if (place instanceof HTMLTableCellElement) place.toggleAttribute("data-hidden", hidden);
  else place.hidden = hidden;
}

/** @param {HTMLElement} place @param {boolean} required */
function must(place, required) {
  if (place instanceof HTMLTableCellElement) place.toggleAttribute("data-must", required);
  else place.querySelector("[data-must]")?.toggleAttribute("hidden", !required);
  for (const control of place.querySelectorAll("input, select, textarea")) {
    if (required) control.setAttribute("aria-required", "true");
    else control.removeAttribute("aria-required");
  }
}

/** @param {HTMLElement} place @param {boolean} locked */
function lock(place, locked) {
  if (place instanceof HTMLTableCellElement) place.toggleAttribute("data-closed", locked);
  for (const control of place.querySelectorAll("input, select, textarea, button:not([data-why])")) {
    if (control instanceof HTMLSelectElement || control instanceof HTMLButtonElement) {
      control.toggleAttribute("data-locked", locked);
      control.setAttribute("aria-disabled", String(locked));
    } else control.toggleAttribute("readonly", locked);
  }
}

/** @param {HTMLElement} place @param {Set<string>} closed options */
function offer(place, closed) {
  for (const each of place.querySelectorAll(CHOICES)) {
    const option = /** @type {HTMLOptionElement | HTMLInputElement} */ (each).value;
    if (!option) continue;
    each.toggleAttribute("disabled", closed.has(option));
    if (each instanceof HTMLOptionElement) each.hidden = closed.has(option);
    const label = each.closest("label");
    if (label) label.hidden = closed.has(option);
  }
}
