// Answers "why is this required, hidden, locked?" beside the fields of a form.
import { element, t } from "./core.js";
import { value } from "./computing.js";

/** @typedef {import("./conditions.js").Condition} Condition */
/** @typedef {(row: Record<string, any>) => HTMLElement[]} Tell */

/** What each kind of reason is about, in the order it is told. */
const ABOUT = [
  ["visible", "Shown when"], ["shown", "Shown when"], ["required", "Required when"], ["locked", "Locked when"],
];

/** What is told of a reason that is no condition. */
const ALWAYS = "Always";

export class Why {
  /**
   * @param {HTMLFormElement} form
   * @param {import("./conditions.js").Conditions} conditions
   */
  constructor(form, conditions) {
    this.form = form;
    this.conditions = conditions;
    /** @type {{button: HTMLElement, box: HTMLElement, tell: Tell} | null} */
    this.open = null;
    for (const [name, rule] of Object.entries(conditions.rules.fields)) {
      const place = conditions.typed.places.get(name);
      const label = place?.querySelector(":scope > .gx-label");
      if (label && isTold(rule)) label.after(this.button("?", `${t("Why?")} ${rule.label}`, (row) => [this.lines(rule, row)]));
      if (place && rule.columns) this.sheet(place, name, rule);
    }
    this.hidden = this.button("", "", (row) => this.hiddenNames().flatMap((name) => this.named(conditions.rules.fields[name], row)));
    this.hidden.removeAttribute("aria-label");
    this.hidden.classList.add("gx-why-hidden");
    form.querySelector("[data-state]")?.before(this.hidden);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.open) {
        event.stopPropagation();
        this.open.button.focus();
        this.close();
      }
    });
  }

  /**
   * One button for the cells of a sheet: it tells of the row that was worked in last.
   * @param {HTMLElement} place
   * @param {string} name
   * @param {any} rule
   */
  sheet(place, name, rule) {
    const columns = Object.values(rule.columns).filter(isTold);
    if (!columns.length) return;
    let index = 0;
    const text = () => t("Why? Row {number}", { number: index + 1 });
    const made = this.button(text(), "", (record) => {
      const row = this.conditions.sheets[name]?.[index]?.row;
      return row ? columns.flatMap((one) => this.named(one, row, record)) : [element("span", {}, t("No rows."))];
    });
    made.removeAttribute("aria-label");
    made.classList.add("gx-why-row");
    (place.querySelector(".gx-sheet-foot") || place).append(made);
    place.addEventListener("focusin", (event) => {
      const line = event.target instanceof Element ? event.target.closest("tr") : null;
      const at = this.conditions.sheets[name]?.findIndex((each) => each.line === line) ?? -1;
      if (at < 0 || at === index) return;
      index = at;
      made.textContent = text();
      if (this.open?.button === made) this.draw(this.conditions.row());
    });
  }

  /**
   * @param {string} text
   * @param {string} label
   * @param {Tell} tell
   */
  button(text, label, tell) {
    const made = element("button", { type: "button", class: "gx-why", "data-why": "", "aria-expanded": "false", "aria-label": label, title: label }, text);
    made.addEventListener("click", () => {
      const again = this.open?.button === made;
      this.close();
      if (again) return;
      const box = element("div", { class: "gx-why-box", role: "note" });
      made.after(box);
      made.setAttribute("aria-expanded", "true");
      this.open = { button: made, box, tell };
      this.draw(this.conditions.row());
    });
    return made;
  }

  close() {
    this.open?.box.remove();
    this.open?.button.setAttribute("aria-expanded", "false");
    this.open = null;
  }

  hiddenNames() {
    return Object.keys(this.conditions.rules.fields).filter((name) => {
      return this.conditions.typed.places.get(name)?.hidden;
    });
  }

  /** @param {Record<string, any>} row */
  renew(row) {
    const count = this.hiddenNames().length;
    this.hidden.hidden = count === 0;
    this.hidden.textContent = t("Hidden fields: {count}", { count });
    if (this.open) this.draw(row);
  }

  /** @param {Record<string, any>} row */
  draw(row) {
    this.open?.box.replaceChildren(...this.open.tell(row));
  }

  /**
   * @param {any} rule
   * @param {Record<string, any>} row
   * @param {Record<string, any> | null} [outer] the record that holds the row
   */
  named(rule, row, outer = null) {
    return [element("strong", {}, rule.label), this.lines(rule, row, outer)];
  }

  /**
   * @param {any} rule
   * @param {Record<string, any>} row
   * @param {Record<string, any> | null} [outer]
   */
  lines(rule, row, outer = null) {
    const list = element("ul");
    for (const [key, about] of ABOUT) {
      for (const one of [rule[key] || []].flat()) list.append(this.line(t(about), one, row, outer));
    }
    for (const [option, one] of Object.entries(rule.options || {})) {
      list.append(this.line(t("“{option}” can be chosen when", { option: rule.texts?.[option] ?? option }), /** @type {Condition} */ (one), row, outer));
    }
    for (const one of rule.limits || []) {
      list.append(this.line(t("Only {options} when", { options: one.options.map((/** @type {string} */ each) => rule.texts?.[each] ?? each).join(", ") }), one.when, row, outer));
    }
    return list;
  }

  /**
   * @param {string} about
   * @param {Condition} one
   * @param {Record<string, any>} row
   * @param {Record<string, any> | null} outer
   */
  line(about, one, row, outer) {
    const holds = this.conditions.holds(one, row, outer);
    const state = holds === undefined ? t("decided when it is saved") : holds ? t("holds now") : t("does not hold now");
    const line = element("li", { "data-holds": String(holds) }, `${about}${t(": ")}`);
    if (one.text) line.append(element("code", {}, one.text));
    else line.append(t(ALWAYS));
    if (one.source === "rule") line.append(element("span", { class: "gx-muted" }, ` (${t("rule {name}", { name: one.name })})`));
    if (one.source === "stage") line.append(element("span", { class: "gx-muted" }, ` (${t("stage")})`));
    if (one.text) line.append(element("em", {}, ` ${state}`));
    for (const part of one.parts || []) {
      const found = value(part.tree, row, this.conditions.world, outer);
      line.append(element("span", { class: "gx-why-value" }, `${part.label}${t(": ")}${this.shown(part, found, outer)}`));
    }
    return line;
  }

  /**
   * @param {import("./conditions.js").Part} part
   * @param {any} found
   * @param {Record<string, any> | null} outer
   */
  shown(part, found, outer) {
    if (found === undefined) return "…";
    if (found === null || found === "") return t("(empty)");
    if (found === true) return t("Yes");
    if (found === false) return t("No");
    const place = part.field && !outer ? this.conditions.typed.places.get(part.field) : null;
    const search = /** @type {HTMLInputElement | null | undefined} */ (place?.querySelector("[data-search]"));
    if (search && search.value) return search.value;
    return [found].flat().map((each) => part.options?.[each] ?? String(each)).join(", ");
  }
}

/** @param {any} rule */
function isTold(rule) {
  const always = (rule.required || []).every((/** @type {Condition} */ one) => !one.text && one.source === "required");
  return Boolean(rule.visible || rule.shown || rule.locked || rule.options || rule.limits) || !always;
}
