// What the schema's conditions say about the form while somebody types. The server says
// the same again when it saves: this only spares people the round trip.
import { compile } from "./expression.js";
import { rateText, t } from "./core.js";

/** @typedef {Record<string, any>} Values */

/** What expressions know of the world: the store day and who asks, as the server says. */
const environment = JSON.parse(document.getElementById("environment")?.textContent || "{}");

export class Conditions {
  /**
   * @param {HTMLFormElement} form
   * @param {{fields: Record<string, any>, sections: Record<string, any>}} rules
   */
  constructor(form, rules) {
    this.form = form;
    this.rules = rules;
    this.wasRequired = new Map();
    form.addEventListener("input", () => this.apply());
    form.addEventListener("change", () => this.apply());
    this.apply();
  }

  apply() {
    const row = this.values();
    for (const [name, rule] of Object.entries(this.rules.fields)) {
      if (rule.formula) this.compute(name, rule, row);
    }
    for (const [name, rule] of Object.entries(this.rules.fields)) {
      const place = this.form.querySelector(`[data-field="${CSS.escape(name)}"]`);
      if (place) this.rule(/** @type {HTMLElement} */ (place), rule, row);
    }
    for (const [key, tree] of Object.entries(this.rules.sections)) {
      const place = /** @type {HTMLElement | null} */ (this.form.querySelector(`[data-section="${CSS.escape(key)}"]`));
      if (place) place.hidden = value(tree, row) !== true;
    }
    for (const hint of this.form.querySelectorAll("[data-rate-hint]")) {
      const input = hint.parentElement?.querySelector("input");
      if (input) hint.textContent = rateText(input.value);
    }
  }

  /**
   * @param {HTMLElement} place
   * @param {any} rule
   * @param {Values} row
   */
  rule(place, rule, row) {
    if (rule.visible_when) place.hidden = value(rule.visible_when, row) !== true;
    if (rule.required_when) {
      const required = rule.required || value(rule.required_when, row) === true;
      place.querySelector("[data-must]")?.toggleAttribute("hidden", !required);
      for (const control of place.querySelectorAll("input, select, textarea")) {
        if (required) control.setAttribute("aria-required", "true");
        else control.removeAttribute("aria-required");
      }
    }
    if (rule.read_only_when) {
      const locked = value(rule.read_only_when, row) === true;
      for (const control of place.querySelectorAll("input, select, textarea, button")) {
        if (control instanceof HTMLSelectElement || control instanceof HTMLButtonElement) {
          control.toggleAttribute("data-locked", locked);
          control.setAttribute("aria-disabled", String(locked));
        } else control.toggleAttribute("readonly", locked);
      }
    }
    if (rule.options_when) this.options(place, rule.options_when, row);
  }

  /**
   * @param {HTMLElement} place
   * @param {Record<string, any>} rules
   * @param {Values} row
   */
  options(place, rules, row) {
    for (const [option, tree] of Object.entries(rules)) {
      const offered = value(tree, row) === true;
      for (const each of place.querySelectorAll(`option[value="${CSS.escape(option)}"], input[value="${CSS.escape(option)}"]`)) {
        each.toggleAttribute("disabled", !offered);
        if (each instanceof HTMLOptionElement) each.hidden = !offered;
        const label = each.closest("label");
        if (label) label.hidden = !offered;
      }
    }
  }

  /**
   * @param {string} name
   * @param {any} rule
   * @param {Values} row
   */
  compute(name, rule, row) {
    const found = value(rule.formula, row);
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
      else if (rule.kind !== "formula") row[name] = rule.value ?? null;
    }
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

/** @type {Map<any, (row: Values, env: any) => any>} */
const compiled = new Map();

/**
 * @param {any} tree
 * @param {Values} row
 * @returns {any} undefined when it cannot be told here
 */
function value(tree, row) {
  try {
    let run = compiled.get(tree);
    if (!run) compiled.set(tree, (run = compile(tree)));
    return run(row, environment);
  } catch (error) {
    console.warn("a condition could not be evaluated", error);
    return undefined;
  }
}

/** @param {any} found */
function shown(found) {
  if (found === true) return t("Yes");
  if (found === false) return t("No");
  return String(found);
}
