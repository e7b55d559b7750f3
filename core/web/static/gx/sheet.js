// A child table as a spreadsheet: rows added, removed, walked by keys, pasted.
import { t, toast } from "./core.js";
import { pickers } from "./combo.js";
import { conditionBuilders } from "./conditionbuilder.js";

/**
 * Make every editable child table of a form, or of a part of it, work.
 * @param {HTMLFormElement} form
 * @param {ParentNode} [part]
 */
export function sheets(form, part = form) {
  for (const table of part.querySelectorAll("[data-sheet]")) {
    const name = table.getAttribute("data-sheet") || "";
    const template = form.querySelector(`template[data-sheet-row="${CSS.escape(name)}"]`);
    if (template) new Sheet(form, /** @type {HTMLTableElement} */ (table), /** @type {HTMLTemplateElement} */ (template));
  }
}

class Sheet {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLTableElement} table
   * @param {HTMLTemplateElement} template
   */
  constructor(form, table, template) {
    this.form = form;
    this.table = table;
    this.template = template;
    this.name = table.dataset.sheet || "";
    this.body = table.tBodies[0];
    this.max = Number(table.dataset.max) || 1000;
    this.next = this.rows().length;
    form
      .querySelector(`[data-add-row="${CSS.escape(this.name)}"]`)
      ?.addEventListener("click", () => this.focus(this.add(), 0));
    this.body.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("[data-remove-row]") : null;
      if (button && this.owns(button)) this.remove(/** @type {HTMLTableRowElement} */ (button.closest("tr")));
    });
    this.body.addEventListener("keydown", (event) => this.owns(event.target) && this.pressed(event));
    this.body.addEventListener("paste", (event) => this.owns(event.target) && this.pasted(event));
  }

  /**
   * @param {EventTarget | null} node
   * @returns {boolean} whether it stands in a row of this table, not in one inside of it
   */
  owns(node) {
    return node instanceof Element && node.closest("[data-sheet]") === this.table;
  }

  /** @returns {HTMLTableRowElement[]} its rows, without what unfolds below them */
  rows() {
    return [...this.body.rows].filter((row) => row.hasAttribute("data-row"));
  }

  /** @returns {HTMLTableRowElement | null} the new last row */
  add() {
    if (this.rows().length >= this.max) {
      toast(t("At most {max} rows.", { max: this.max }), "bad");
      return null;
    }
    const number = this.next;
    this.next += 1;
    const body = /** @type {HTMLElement} */ (this.template.content.querySelector("tbody"));
    const fresh = /** @type {HTMLTableRowElement[]} */ ([...body.children].map((each) => document.importNode(each, true)));
    for (const each of fresh) moved(each, `${this.name}.0`, `${this.name}.${number}`);
    this.body.append(...fresh);
    this.renumber();
    for (const each of fresh) {
      pickers(each);
      conditionBuilders(each);
      sheets(this.form, each);
    }
    this.changed();
    return fresh[0];
  }

  /** @param {HTMLTableRowElement} row */
  remove(row) {
    const index = this.rows().indexOf(row);
    while (row.nextElementSibling?.hasAttribute("data-inside")) row.nextElementSibling.remove();
    row.remove();
    toast(t("Row {number} removed.", { number: index + 1 }));
    this.renumber();
    const near = this.rows()[Math.min(index, this.rows().length - 1)];
    if (near) this.focus(near, 0);
    else /** @type {HTMLElement | null} */ (this.form.querySelector(`[data-add-row="${CSS.escape(this.name)}"]`))?.focus();
    this.changed();
  }

  renumber() {
    this.rows().forEach((row, index) => {
      for (const place of row.querySelectorAll("[data-row-number]")) place.textContent = String(index + 1);
    });
  }

  /**
   * @param {HTMLTableRowElement | null} row
   * @param {number} column
   */
  focus(row, column) {
    const control = row ? cells(row)[column] : null;
    if (!control || isHidden(control)) return;
    control.focus();
    if (control instanceof HTMLInputElement && control.type === "text") control.select();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const control = /** @type {HTMLElement} */ (event.target);
    const row = /** @type {HTMLTableRowElement | null} */ (control.closest("tr"));
    if (!row || control instanceof HTMLButtonElement) return;
    const column = cells(row).indexOf(control);
    if (column < 0) return;
    const step = { Enter: 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      // Arrows belong to the control itself where it has lines or choices.
      if (event.key !== "Enter" && (control instanceof HTMLTextAreaElement || control instanceof HTMLSelectElement)) return;
      event.preventDefault();
      const down = event.key === "Enter" && event.shiftKey ? -1 : step;
      const index = this.rows().indexOf(row) + down;
      if (index < 0) return;
      const target = this.rows()[index] || (event.key === "Enter" ? this.add() : null);
      this.focus(target, column);
    } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && atEdge(control, event.key)) {
      const shown = cells(row).filter((each) => !isHidden(each));
      const near = shown[shown.indexOf(control) + (event.key === "ArrowRight" ? 1 : -1)];
      if (near) {
        event.preventDefault();
        near.focus();
      }
    }
  }

  /** @param {ClipboardEvent} event */
  pasted(event) {
    const text = event.clipboardData?.getData("text/plain") || "";
    if (!/[\t\n]/.test(text.replace(/\n$/, ""))) return;
    const start = /** @type {HTMLElement} */ (event.target);
    const row = /** @type {HTMLTableRowElement | null} */ (start.closest("tr"));
    if (!row) return;
    event.preventDefault();
    const column = Math.max(0, cells(row).indexOf(start));
    const lines = text.replace(/\r/g, "").replace(/\n$/, "").split("\n");
    /** @type {HTMLTableRowElement | null} */
    let current = row;
    let done = 0;
    for (const line of lines) {
      if (!current) break;
      const target = cells(current);
      line.split("\t").forEach((value, index) => fill(target[column + index], value.trim()));
      done += 1;
      current = this.rows()[this.rows().indexOf(current) + 1] || null;
      if (!current && done < lines.length) current = this.add();
    }
    toast(t("{count} rows pasted.", { count: done }), "good");
    this.changed();
  }

  changed() {
    const told = this.table.closest("details")?.querySelector("[data-inside-count]");
    if (told && this.table.closest("[data-inside]")) told.textContent = String(this.rows().length);
    this.table.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

/**
 * Give what was made for the first row of a table the paths of another one, templates included.
 * @param {Element} root
 * @param {string} from
 * @param {string} to
 */
function moved(root, from, to) {
  const [old, id] = [from, to].map((path) => `f-${path.replace(/\./g, "-")}-`);
  for (const node of [root, ...root.querySelectorAll("*")]) {
    for (const { name, value } of [...node.attributes]) {
      if (value.startsWith(from)) node.setAttribute(name, to + value.slice(from.length));
      else if (value.includes(old)) node.setAttribute(name, value.replaceAll(old, id));
    }
    if (node instanceof HTMLTemplateElement) {
      for (const each of node.content.children) moved(each, from, to);
    }
  }
}

/**
 * @param {HTMLTableRowElement} row
 * @returns {HTMLElement[]} the controls of a row, one a cell
 */
function cells(row) {
  return [...row.cells]
    .filter((cell) => cell.hasAttribute("data-column"))
    .map((cell) => /** @type {HTMLElement | null} */ (cell.querySelector("input:not([type=hidden], [type=file]), select, textarea, [data-choose]")))
    .filter((control) => control !== null);
}

/** @param {HTMLElement} control */
const isHidden = (control) => Boolean(control.closest("td[data-hidden]"));

/**
 * @param {HTMLElement} control
 * @param {string} key
 */
function atEdge(control, key) {
  if (control instanceof HTMLSelectElement) return false;
  if (control instanceof HTMLInputElement && control.type !== "text") return control.type === "checkbox";
  const field = /** @type {HTMLInputElement | HTMLTextAreaElement} */ (control);
  const all = field.selectionStart === 0 && field.selectionEnd === field.value.length;
  const place = key === "ArrowLeft" ? 0 : field.value.length;
  return all || (field.selectionStart === place && field.selectionEnd === place);
}

/**
 * Put pasted text into a control; choices are found by value or label.
 * @param {HTMLElement | undefined} control
 * @param {string} text
 */
function fill(control, text) {
  if (control instanceof HTMLSelectElement) {
    const option = [...control.options].find((each) => each.value === text || each.text.trim() === text);
    if (option) control.value = option.value;
  } else if (control instanceof HTMLInputElement && control.type === "checkbox") {
    control.checked = /^(1|true|yes|y|是)$/i.test(text);
  } else if (control?.closest("[data-choices]")) {
    control.closest("[data-choices]")?.dispatchEvent(new CustomEvent("gx-fill", { detail: text }));
  } else if (control instanceof HTMLInputElement && control.dataset.search !== undefined) {
    control.value = text;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement) {
    control.value = text;
  }
}

