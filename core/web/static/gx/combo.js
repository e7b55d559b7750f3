// A link picker: a combobox that asks the server while somebody types (ARIA 1.2 pattern).
import { ask, element, t } from "./core.js";

let count = 0;

/**
 * Make every picker below `root` work.
 * @param {ParentNode} root
 */
export function pickers(root) {
  for (const box of root.querySelectorAll("[data-combo]:not([data-ready])")) {
    new Picker(/** @type {HTMLElement} */ (box));
  }
}

class Picker {
  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    box.dataset.ready = "";
    this.many = "many" in box.dataset;
    this.input = /** @type {HTMLInputElement} */ (box.querySelector("[data-search]"));
    this.list = /** @type {HTMLUListElement} */ (box.querySelector("[role=listbox]"));
    this.chosen = /** @type {HTMLInputElement | null} */ (box.querySelector("[data-chosen]"));
    this.clearButton = /** @type {HTMLButtonElement | null} */ (box.querySelector("[data-clear]"));
    this.shown = this.input.value;
    this.at = -1;
    /** @type {{id: string, title: string, note: string}[]} */
    this.items = [];
    this.timer = 0;
    /** @type {AbortController | null} */
    this.asking = null;
    this.key = `combo-${(count += 1)}`;
    this.input.addEventListener("input", () => this.later());
    this.input.addEventListener("keydown", (event) => this.pressed(event));
    this.input.addEventListener("click", () => this.list.hidden && this.search());
    addEventListener("scroll", () => this.place(), { capture: true, passive: true });
    this.input.addEventListener("blur", () => setTimeout(() => this.left(), 120));
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = /** @type {HTMLElement | null} */ (
        event.target instanceof Element ? event.target.closest("[role=option]") : null
      );
      if (option) this.choose(Number(option.dataset.index));
    });
    this.clearButton?.addEventListener("click", () => {
      this.set("", "");
      this.input.focus();
    });
    box.addEventListener("gx-fill", (event) => {
      for (const key of String(/** @type {CustomEvent} */ (event).detail).split(/[\s,;，；、]+/)) {
        if (key && this.many) this.pick(key, key);
        else if (key) this.set(key, key);
      }
    });
    box.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("[data-unpick]") : null;
      if (button) this.unpick(/** @type {HTMLElement} */ (button.closest("[data-value]")));
    });
  }

  later() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.search(), 160);
  }

  async search() {
    const text = this.input.value === this.shown && !this.many ? "" : this.input.value.trim();
    this.asking?.abort();
    this.asking = new AbortController();
    this.note(t("Searching …"));
    try {
      const answer = await ask(this.question(text), { signal: this.asking.signal });
      if (!answer.ok) return this.note(answer.body.message || t("The search failed. Please try again."));
      this.items = answer.body.items;
      this.draw();
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
    }
  }

  /**
   * @param {string} text
   * @returns {string} the address that answers what to offer
   */
  question(text) {
    const type = this.input.closest("form")?.getAttribute("data-type") || "";
    const own = this.box.dataset.path || "";
    const path = own.replace(/^fields\./, "").replace(/\.\d+(?=\.)/g, "");
    if (this.box.dataset.target === "@user") return `/people/lookup?${new URLSearchParams({ search: text })}`;
    if (!("choices" in this.box.dataset)) {
      const query = new URLSearchParams({ search: text, from: type ? `${type}.${path}` : "" });
      if ("cascades" in this.box.dataset) this.siblings(query, own);
      return `/records/${this.box.dataset.target}/lookup?${query}`;
    }
    // What is offered depends on the other values of the same row.
    const query = new URLSearchParams({ search: text, field: path });
    this.siblings(query, own);
    return `/records/${type}/choices?${query}`;
  }

  /**
   * Add the other values of the row that the picker stands in.
   * @param {URLSearchParams} query
   * @param {string} own
   */
  siblings(query, own) {
    const start = own.slice(0, own.lastIndexOf(".") + 1);
    for (const [name, value] of new FormData(/** @type {HTMLFormElement} */ (this.input.form))) {
      const rest = name.slice(start.length);
      const control = this.input.form?.elements.namedItem(name);
      if (control instanceof HTMLInputElement && control.type === "password") continue; // no address holds a secret
      if (name.startsWith(start) && !rest.includes(".") && typeof value === "string" && value.length < 200) {
        query.set(`row.${rest}`, value);
      }
    }
  }

  draw() {
    if (!this.items.length) return this.note(t("Nothing found."));
    this.list.replaceChildren(
      ...this.items.map((item, index) => {
        const option = element(
          "li",
          { role: "option", id: `${this.key}-${index}`, "data-index": String(index), "aria-selected": "false" },
          item.title
        );
        if (item.note && item.note !== item.title) option.append(element("small", {}, item.note));
        return option;
      })
    );
    this.open(true);
    this.move(0);
  }

  /** @param {string} text */
  note(text) {
    this.items = [];
    this.at = -1;
    this.list.replaceChildren(
      element("li", { role: "option", "aria-disabled": "true", "aria-selected": "false", "data-note": "" }, text)
    );
    this.open(document.activeElement === this.input);
  }

  /** @param {boolean} open */
  open(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    if (open) this.place();
    else this.input.removeAttribute("aria-activedescendant");
  }

  /** A sheet scrolls sideways and would cut the list off, so there it lies above the page. */
  place() {
    if (this.list.hidden || !this.box.closest(".gx-sheet-wrap")) return;
    const at = this.input.getBoundingClientRect();
    const above = innerHeight - at.bottom < 300 && at.top > innerHeight - at.bottom;
    Object.assign(this.list.style, {
      position: "fixed", left: `${at.left}px`, right: "auto", width: `${Math.max(at.width, 260)}px`,
      top: above ? "auto" : `${at.bottom + 4}px`, bottom: above ? `${innerHeight - at.top + 4}px` : "auto",
    });
  }

  /** @param {number} to */
  move(to) {
    const options = this.list.querySelectorAll("[data-index]");
    if (!options.length) return;
    this.at = (to + options.length) % options.length;
    options.forEach((option, index) => option.setAttribute("aria-selected", String(index === this.at)));
    const current = options[this.at];
    current.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", current.id);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const open = !this.list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      event.stopPropagation();
      if (!open) this.search();
      else this.move(this.at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && open && this.at >= 0) {
      event.preventDefault();
      event.stopPropagation();
      this.choose(this.at);
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      this.open(false);
      if (!this.many) this.input.value = this.shown;
    } else if (event.key === "Backspace" && this.many && !this.input.value) {
      const last = /** @type {HTMLElement | null} */ (this.box.querySelector("[data-picked] [data-value]:last-child"));
      if (last) this.unpick(last);
    }
  }

  /** @param {number} index */
  choose(index) {
    const item = this.items[index];
    if (!item) return;
    this.open(false);
    // A choice is stored, and later shown, by its key.
    const title = "choices" in this.box.dataset ? item.id : item.title;
    if (this.many) this.pick(item.id, title);
    else this.set(item.id, title);
  }

  /**
   * @param {string} id
   * @param {string} title
   */
  set(id, title) {
    if (this.chosen) this.chosen.value = id;
    this.input.value = this.shown = title;
    if (this.clearButton) this.clearButton.hidden = !id;
    this.changed();
  }

  /**
   * @param {string} id
   * @param {string} title
   */
  pick(id, title) {
    const place = /** @type {HTMLElement} */ (this.box.querySelector("[data-picked]"));
    this.input.value = "";
    if (place.querySelector(`[data-value="${CSS.escape(id)}"]`)) return;
    const remove = element("button", { type: "button", "data-unpick": "", title: t("Remove") }, "×");
    remove.append(element("span", { class: "gx-visually-hidden" }, `${t("Remove")} ${title}`));
    place.append(
      element(
        "span",
        { class: "gx-chip", "data-value": id },
        element("input", { type: "hidden", name: this.box.dataset.path || "", value: id }),
        title,
        remove
      )
    );
    this.changed();
  }

  /** @param {HTMLElement} chip */
  unpick(chip) {
    chip.remove();
    this.input.focus();
    this.changed();
  }

  left() {
    if (this.box.contains(document.activeElement)) return;
    this.open(false);
    if (this.many) return;
    // What was typed without a choice is no record: empty means none, anything else goes back.
    if (!this.input.value.trim() && this.chosen?.value) this.set("", "");
    else this.input.value = this.shown;
  }

  changed() {
    this.box.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
