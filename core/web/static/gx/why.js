// Answers "why is this required, hidden, locked?" beside the fields of a form.
import { element, t } from "./core.js";
import { value } from "./conditions.js";

/** @typedef {import("./conditions.js").Condition} Condition */

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
    /** @type {{button: HTMLElement, box: HTMLElement, names: () => string[]} | null} */
    this.open = null;
    for (const [name, rule] of Object.entries(conditions.rules.fields)) {
      const label = form.querySelector(`[data-field="${CSS.escape(name)}"] > .gx-label`);
      if (label && isTold(rule)) label.after(this.button("?", `${t("Why?")} ${rule.label}`, () => [name]));
    }
    this.hidden = this.button("", "", () => this.hiddenNames());
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
   * @param {string} text
   * @param {string} label
   * @param {() => string[]} names
   */
  button(text, label, names) {
    const made = element("button", { type: "button", class: "gx-why", "data-why": "", "aria-expanded": "false", "aria-label": label, title: label }, text);
    made.addEventListener("click", () => {
      const again = this.open?.button === made;
      this.close();
      if (again) return;
      const box = element("div", { class: "gx-why-box", role: "note" });
      made.after(box);
      made.setAttribute("aria-expanded", "true");
      this.open = { button: made, box, names };
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
      const place = /** @type {HTMLElement | null} */ (this.form.querySelector(`[data-field="${CSS.escape(name)}"]`));
      return place?.hidden;
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
    if (!this.open) return;
    const names = this.open.names();
    const lists = names.flatMap((name) => {
      const rule = this.conditions.rules.fields[name];
      const lines = this.lines(rule, row);
      return names.length > 1 || this.open?.button === this.hidden ? [element("strong", {}, rule.label), lines] : [lines];
    });
    this.open.box.replaceChildren(...lists);
  }

  /**
   * @param {any} rule
   * @param {Record<string, any>} row
   */
  lines(rule, row) {
    const list = element("ul");
    for (const [key, about] of ABOUT) {
      for (const one of [rule[key] || []].flat()) list.append(this.line(t(about), one, row));
    }
    for (const [option, one] of Object.entries(rule.options || {})) {
      list.append(this.line(t("“{option}” can be chosen when", { option }), /** @type {Condition} */ (one), row));
    }
    for (const one of rule.limits || []) {
      list.append(this.line(t("Only {options} when", { options: one.options.join(", ") }), one.when, row));
    }
    return list;
  }

  /**
   * @param {string} about
   * @param {Condition} one
   * @param {Record<string, any>} row
   */
  line(about, one, row) {
    const holds = this.conditions.holds(one, row);
    const state = holds === undefined ? t("decided when it is saved") : holds ? t("holds now") : t("does not hold now");
    const line = element("li", { "data-holds": String(holds) }, `${about}${t(": ")}`);
    if (one.text) line.append(element("code", {}, one.text));
    else line.append(t(ALWAYS));
    if (one.source === "rule") line.append(element("span", { class: "gx-muted" }, ` (${t("rule {name}", { name: one.name })})`));
    if (one.source === "stage") line.append(element("span", { class: "gx-muted" }, ` (${t("stage")})`));
    if (one.text) line.append(element("em", {}, ` ${state}`));
    for (const part of one.parts || []) {
      const found = value(part.tree, row, this.conditions.world);
      line.append(element("span", { class: "gx-why-value" }, `${part.label}${t(": ")}${this.shown(part, found)}`));
    }
    return line;
  }

  /**
   * @param {import("./conditions.js").Part} part
   * @param {any} found
   */
  shown(part, found) {
    if (found === undefined) return "…";
    if (found === null || found === "") return t("(empty)");
    if (found === true) return t("Yes");
    if (found === false) return t("No");
    const search = part.field && /** @type {HTMLInputElement | null} */ (this.form.querySelector(`[data-field="${CSS.escape(part.field)}"] [data-search]`));
    if (search && search.value) return search.value;
    return [found].flat().map((each) => part.options?.[each] ?? String(each)).join(", ");
  }
}

/** @param {any} rule */
function isTold(rule) {
  const always = (rule.required || []).every((/** @type {Condition} */ one) => !one.text && one.source === "required");
  return Boolean(rule.visible || rule.shown || rule.locked || rule.options || rule.limits) || !always;
}
