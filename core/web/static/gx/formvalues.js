// The form as a record in wire form; what was not touched since is not read again.

import { fromLocal } from "./days.js";
import { environment } from "./environment.js";

/** @typedef {Record<string, any>} Values */
/** @typedef {{line: HTMLTableRowElement, id: string, values: Values, isBlank: boolean}} Line */

const NUMERIC = new Set(["integer", "decimal", "money", "rate", "percent", "rating"]);
const MANY = new Set(["multi_select", "links", "users", "files"]);

/** @param {string} text */
const isNumber = (text) => /^[+-]?\d+(\.\d+)?$/.test(text);

export class FormValues {
  /**
   * @param {HTMLFormElement} form
   * @param {Record<string, any>} fields what is said about each field
   */
  constructor(form, fields) {
    this.form = form;
    this.fields = fields;
    /** @type {Map<string, HTMLElement>} */
    this.places = new Map();
    for (const each of form.querySelectorAll("[data-field]")) {
      this.places.set(each.getAttribute("data-field") || "", /** @type {HTMLElement} */ (each));
    }
    /** @type {Map<string, any>} */
    this.known = new Map();
    /** @type {WeakMap<HTMLElement, Line>} */
    this.lines = new WeakMap();
  }

  /** Read everything again next time. */
  forget() {
    this.known = new Map();
    this.lines = new WeakMap();
  }

  /**
   * Note what an event has changed.
   * @param {EventTarget | null} target
   * @returns {HTMLElement | null} the field or the cell, null where it may be anything
   */
  touch(target) {
    const place = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("[data-field]")) : null;
    if (!place || !(target instanceof Element)) {
      this.forget();
      return null;
    }
    const name = place.dataset.field || "";
    this.known.delete(name);
    const inside = /** @type {HTMLElement | null} */ (target.closest("tr[data-inside]"));
    const line = /** @type {HTMLElement | null} */ (
      inside ? place.querySelector(`tr[data-row="${CSS.escape(inside.dataset.inside || "")}"]`) : target.closest("tr[data-row]")
    );
    if (line) this.lines.delete(line);
    else if (this.fields[name]?.columns) this.lines = new WeakMap();
    return /** @type {HTMLElement | null} */ (target.closest("td[data-column]")) || place;
  }

  /**
   * @param {string} name of a field outside tables
   * @returns {any} undefined where the form has no control of it
   */
  value(name) {
    if (!this.known.has(name)) {
      const place = this.places.get(name);
      this.known.set(name, place ? read(name, this.fields[name].kind, place) : undefined);
    }
    return this.known.get(name);
  }

  /**
   * @param {string} name of a table field
   * @returns {Line[] | undefined} its rows as typed, undefined where nobody types them
   */
  rows(name) {
    if (!this.known.has(name)) this.known.set(name, this.readRows(name));
    return this.known.get(name);
  }

  /** @param {string} name */
  readRows(name) {
    const table = this.places.get(name)?.querySelector("[data-sheet]");
    if (!table || this.places.get(name)?.dataset.view !== undefined) return undefined;
    return rowsOf(table).map((each) => {
      const line = /** @type {HTMLTableRowElement} */ (each);
      const known = this.lines.get(line);
      if (known) return known;
      const path = line.dataset.row || "";
      /** @type {Values} */
      const values = {};
      for (const [column, rule] of Object.entries(this.fields[name].columns)) {
        const cell = /** @type {ParentNode} */ (line.querySelector(`td[data-column="${CSS.escape(column)}"]`) || line);
        const below = `${path}.${column}`;
        values[column] = (rule.columns ? this.inside(table, below, rule.columns) : read(below, rule.kind, cell)) ?? null;
      }
      const isBlank = blank(values, this.fields[name].columns);
      const made = { line, id: String(read(`${path}.id`, "text", line) ?? ""), values, isBlank };
      this.lines.set(line, made);
      return made;
    });
  }

  /**
   * @param {Element} table
   * @param {string} path of a table field inside a row of `table`
   * @param {Record<string, any>} columns
   * @returns {Values[] | null} its rows as typed, without blank ones
   */
  inside(table, path, columns) {
    const own = table.querySelector(`[data-sheet="${CSS.escape(path)}"]`);
    if (!own) return null;
    const rows = rowsOf(own).map((line) => {
      const names = Object.entries(columns);
      return Object.fromEntries(names.map(([name, rule]) => [name, read(`${line.getAttribute("data-row")}.${name}`, rule.kind, line) ?? null]));
    });
    return rows.filter((row) => !blank(row, columns));
  }
}

/** @param {Element} table @returns {Element[]} its rows, without those of tables inside of it */
function rowsOf(table) {
  return [...table.querySelectorAll("tr[data-row]")].filter((each) => each.closest("[data-sheet]") === table);
}

/** @param {Values} values @param {Record<string, any>} columns */
function blank(values, columns) {
  return Object.entries(values).every(([name, one]) => columns[name]?.given || one === null || one === false || one === "" || (Array.isArray(one) && !one.length));
}

/**
 * @param {string} path
 * @param {string} kind
 * @param {ParentNode} root
 */
function read(path, kind, root) {
  if (kind === "address" || kind === "location") return parts(path, root);
  const found = /** @type {HTMLInputElement[]} */ ([...root.querySelectorAll(`[name="${CSS.escape(path)}"]`)]);
  if (!found.length) return undefined;
  if (MANY.has(kind)) {
    return found.filter((each) => each.value && (each.type !== "checkbox" || each.checked)).map((each) => each.value);
  }
  const control = found[found.length - 1];
  if (kind === "boolean") return control.checked;
  const text = control.value.trim();
  // A secret that is stored is not shown, but it is there.
  if (text === "") return control.dataset.set === undefined ? null : "•••";
  if (kind === "datetime") return fromLocal(text, environment.zone);
  return NUMERIC.has(kind) && !isNumber(text) ? null : text;
}

/**
 * @param {string} path
 * @param {ParentNode} root
 * @returns {Record<string, string> | null | undefined} the parts of a structured value that are filled in
 */
function parts(path, root) {
  const place = root.querySelector(`[data-path="${CSS.escape(path)}"]`);
  if (!place) return undefined;
  /** @type {Record<string, string>} */
  const found = {};
  for (const control of place.querySelectorAll("input")) {
    const text = control.value.trim();
    const isCoordinate = place.getAttribute("data-kind") === "location";
    if (text && (!isCoordinate || isNumber(text))) found[control.name.slice(path.length + 1)] = text;
  }
  return Object.keys(found).length ? found : null;
}
