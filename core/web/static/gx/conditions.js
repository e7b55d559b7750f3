// What the schema's conditions say about the form while somebody types. The server says
// the same again when it saves: this only spares people the round trip.
import { compile } from "./expression.js";
import { rateText, t } from "./core.js";
import { fill } from "./fill.js";
import { Unknown, follower } from "./linked.js";
import { Why } from "./why.js";

/** @typedef {Record<string, any>} Values */
/** @typedef {{source: string, name: string, text: string, tree?: any[], parts?: Part[]}} Condition */
/** @typedef {{label: string, tree: any[], field?: string, options?: Record<string, string>}} Part */
/**
 * @typedef {{fields: Record<string, any>, sections: Record<string, any>, steps: any[],
 *   values: Values, follows: Record<string, string[]>}} Rules
 */

/** What expressions know of the world: the store day and who asks, as the server says. */
const environment = JSON.parse(document.getElementById("environment")?.textContent || "{}");

export class Conditions {
  /**
   * @param {HTMLFormElement} form
   * @param {Rules} rules
   */
  constructor(form, rules) {
    this.form = form;
    this.rules = rules;
    this.world = { ...environment, follow: follower(rules.follows, () => this.apply()) };
    this.why = new Why(form, this);
    /** @type {Values | null} */
    this.last = null;
    form.addEventListener("input", () => this.apply());
    form.addEventListener("change", () => this.apply());
    this.apply();
  }

  apply() {
    const row = this.row();
    if (this.last && this.fillIn(row, this.last)) return; // filling in has applied everything anew
    this.last = row;
    for (const [name, rule] of Object.entries(this.rules.fields)) {
      const place = this.form.querySelector(`[data-field="${CSS.escape(name)}"]`);
      if (place) this.rule(/** @type {HTMLElement} */ (place), rule, row);
    }
    for (const [key, tree] of Object.entries(this.rules.sections)) {
      const place = /** @type {HTMLElement | null} */ (this.form.querySelector(`[data-section="${CSS.escape(key)}"]`));
      const shown = value(tree, row, this.world);
      if (place && shown !== undefined) place.hidden = shown !== true;
    }
    for (const hint of this.form.querySelectorAll("[data-rate-hint]")) {
      const input = hint.parentElement?.querySelector("input");
      if (input) hint.textContent = rateText(input.value);
    }
    this.why.renew(row);
  }

  /** @returns {Values} the record as it is typed, formulas computed */
  row() {
    const row = this.values();
    for (const [name, rule] of Object.entries(this.rules.fields)) {
      if (rule.formula) this.compute(name, rule, row);
    }
    return row;
  }

  /**
   * Do what rules on change say, where something that they read was changed.
   * @param {Values} row
   * @param {Values} last
   */
  fillIn(row, last) {
    const focused = document.activeElement?.closest("[data-field]")?.getAttribute("data-field");
    let filled = false;
    this.last = row;
    for (const step of this.rules.steps) {
      if (!step.reads.some((/** @type {string} */ name) => !equal(row[name], last[name]))) continue;
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

  /**
   * What holds of some conditions; undefined while none does and one cannot be told here.
   * @param {Condition[]} conditions
   * @param {Values} row
   */
  any(conditions, row) {
    const found = conditions.map((one) => this.holds(one, row));
    return found.includes(true) ? true : found.includes(undefined) ? undefined : false;
  }

  /**
   * @param {Condition} condition
   * @param {Values} row
   * @returns {boolean | undefined}
   */
  holds(condition, row) {
    if (!condition.tree) return undefined;
    const found = value(condition.tree, row, this.world);
    return found === undefined ? undefined : found === true;
  }

  /**
   * @param {any} rule
   * @param {Values} row
   * @returns {boolean | undefined} whether a field is hidden
   */
  isHidden(rule, row) {
    const own = rule.visible ? this.holds(rule.visible, row) : true;
    const shown = rule.shown ? this.any(rule.shown, row) : true;
    if (own === false || shown === false) return true;
    return own === undefined || shown === undefined ? undefined : false;
  }

  /**
   * @param {HTMLElement} place
   * @param {any} rule
   * @param {Values} row
   */
  rule(place, rule, row) {
    if (rule.visible || rule.shown) {
      const hidden = this.isHidden(rule, row);
      if (hidden !== undefined) place.hidden = hidden;
    }
    if (rule.required) {
      const required = this.any(rule.required, row) === true;
      place.querySelector("[data-must]")?.toggleAttribute("hidden", !required);
      for (const control of place.querySelectorAll("input, select, textarea")) {
        if (required) control.setAttribute("aria-required", "true");
        else control.removeAttribute("aria-required");
      }
    }
    if (rule.locked) {
      const locked = this.any(rule.locked, row) === true;
      for (const control of place.querySelectorAll("input, select, textarea, button:not([data-why])")) {
        if (control instanceof HTMLSelectElement || control instanceof HTMLButtonElement) {
          control.toggleAttribute("data-locked", locked);
          control.setAttribute("aria-disabled", String(locked));
        } else control.toggleAttribute("readonly", locked);
      }
    }
    if (rule.options || rule.limits) this.options(place, rule, row);
  }

  /**
   * @param {HTMLElement} place
   * @param {any} rule
   * @param {Values} row
   */
  options(place, rule, row) {
    /** @type {{when: Condition, options: string[]}[]} */
    const limits = (rule.limits || []).filter((/** @type {any} */ one) => this.holds(one.when, row) === true);
    for (const each of place.querySelectorAll("option, input[type=checkbox], input[type=radio]")) {
      const option = /** @type {HTMLOptionElement | HTMLInputElement} */ (each).value;
      if (!option) continue;
      const own = rule.options?.[option] ? this.holds(rule.options[option], row) !== false : true;
      const offered = own && limits.every((one) => one.options.includes(option));
      each.toggleAttribute("disabled", !offered);
      if (each instanceof HTMLOptionElement) each.hidden = !offered;
      const label = each.closest("label");
      if (label) label.hidden = !offered;
    }
  }

  /**
   * @param {string} name
   * @param {any} rule
   * @param {Values} row
   */
  compute(name, rule, row) {
    const found = value(rule.formula, row, this.world);
    if (found === undefined) return;
    row[name] = found;
    const place = this.form.querySelector(`[data-shows="${CSS.escape(name)}"]`);
    if (!place) return;
    const empty = found === null || found === "";
    place.toggleAttribute("data-empty", empty);
    place.textContent = empty ? "—" : shown(found);
  }

  /** @returns {Values} the form as a record in wire form */
  values() {
    /** @type {Values} */
    const row = {};
    for (const [name, rule] of Object.entries(this.rules.fields)) {
      const found = rule.columns ? this.rows(name, rule.columns) : this.read(name, rule.kind, this.form);
      if (found !== undefined) row[name] = found;
      else row[name] = this.rules.values[name] ?? null;
    }
    for (const [name, known] of Object.entries(this.rules.values)) row[name] ??= known;
    return row;
  }

  /**
   * @param {string} name
   * @param {Record<string, string>} columns
   * @returns {Values[] | undefined}
   */
  rows(name, columns) {
    const table = this.form.querySelector(`[data-sheet="${CSS.escape(name)}"]`);
    if (!table) return undefined;
    return [...table.querySelectorAll("tbody tr")]
      .map((line) => {
        const path = line.getAttribute("data-row") || "";
        /** @type {Values} */
        const row = {};
        for (const [column, kind] of Object.entries(columns)) row[column] = this.read(`${path}.${column}`, kind, line) ?? null;
        return row;
      })
      .filter((row) => Object.values(row).some((each) => each !== null && each !== false && each !== ""));
  }

  /**
   * @param {string} path
   * @param {string} kind
   * @param {ParentNode} root
   */
  read(path, kind, root) {
    if (kind === "address" || kind === "location") return this.parts(path, root);
    const found = /** @type {HTMLInputElement[]} */ ([...root.querySelectorAll(`[name="${CSS.escape(path)}"]`)]);
    if (!found.length) return undefined;
    if (["multi_select", "links", "users", "files"].includes(kind)) {
      return found.filter((each) => each.value && (each.type !== "checkbox" || each.checked)).map((each) => each.value);
    }
    const control = found[found.length - 1];
    if (kind === "boolean") return control.checked;
    const text = control.value.trim();
    // A secret that is stored is not shown, but it is there.
    if (text === "") return control.dataset.set === undefined ? null : "•••";
    if (kind === "datetime") {
      const instant = new Date(text);
      return Number.isNaN(instant.getTime()) ? null : instant.toISOString();
    }
    return numeric.has(kind) && !isNumber(text) ? null : text;
  }

  /**
   * @param {string} path
   * @param {ParentNode} root
   * @returns {Record<string, string> | null | undefined} the parts of a structured value that are filled in
   */
  parts(path, root) {
    const place = root.querySelector(`[data-path="${CSS.escape(path)}"]`);
    if (!place) return undefined;
    /** @type {Record<string, string>} */
    const parts = {};
    for (const control of place.querySelectorAll("input")) {
      const text = control.value.trim();
      const isCoordinate = place.getAttribute("data-kind") === "location";
      if (text && (!isCoordinate || isNumber(text))) parts[control.name.slice(path.length + 1)] = text;
    }
    return Object.keys(parts).length ? parts : null;
  }
}

/** @param {string} text */
const isNumber = (text) => /^[+-]?\d+(\.\d+)?$/.test(text);

const numeric = new Set(["integer", "decimal", "money", "rate", "percent", "rating"]);

/** Kinds of fields whose control shows something else than their value. */
const NOT_FILLED = new Set(["link", "links", "user", "users", "table", "file", "files", "image"]);

/**
 * @param {any} one
 * @param {any} other
 */
const equal = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

/** @type {Map<any, (row: Values, env: any) => any>} */
const compiled = new Map();

/**
 * @param {any} tree
 * @param {Values} row
 * @param {any} world
 * @returns {any} undefined when it cannot be told here
 */
export function value(tree, row, world) {
  try {
    let run = compiled.get(tree);
    if (!run) compiled.set(tree, (run = compile(tree)));
    return run(row, world);
  } catch (error) {
    if (!(error instanceof Unknown)) console.warn("a condition could not be evaluated", error);
    return undefined;
  }
}

/** @param {any} found */
function shown(found) {
  if (found === true) return t("Yes");
  if (found === false) return t("No");
  return String(found);
}
