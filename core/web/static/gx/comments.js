// Comments: sent without leaving the page, so that what is typed in the form stays; @ mentions.
import { ask, element, failure, t } from "./core.js";

/** What is typed of a name after the last @ before the caret. */
const TYPED = /(?:^|\s)@([^\s@]{0,40})$/u;

/** @param {ParentNode} root */
function start(root) {
  for (const form of root.querySelectorAll("form[data-comment]:not([data-ready])")) {
    const found = /** @type {HTMLFormElement} */ (form);
    found.dataset.ready = "";
    found.addEventListener("submit", (event) => send(event, found));
    const box = found.querySelector("[data-mentions]");
    if (box) new Mentions(/** @type {HTMLElement} */ (box), found.dataset.home || "");
  }
}

/**
 * @param {SubmitEvent} event
 * @param {HTMLFormElement} form
 */
async function send(event, form) {
  event.preventDefault();
  if (form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  const data = new FormData(form, event.submitter);
  const answer = await ask(form.action, { method: "POST", body: data });
  form.removeAttribute("aria-busy");
  const told = form.querySelector("[data-told]");
  if (!answer.ok) {
    const first = (answer.body.problems || [])[0];
    told?.replaceChildren(first ? first.message : failure(answer));
    return;
  }
  told?.replaceChildren();
  form.reset();
  form.querySelector("[data-named]")?.replaceChildren();
  await refresh(form.dataset.home || "");
}

/** @param {string} home */
async function refresh(home) {
  const place = document.querySelector("[data-timeline]");
  if (!place) return;
  try {
    const response = await fetch(`${home}/timeline`, { credentials: "same-origin" });
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    place.replaceChildren(...page.body.childNodes);
    start(place);
  } catch {
    place.prepend(element("p", { class: "gx-muted", role: "alert" }, t("This cannot be loaded now. Please try again.")));
  }
}

let count = 0;

/** A text area that offers people after an @ (ARIA combobox with a list). */
class Mentions {
  /**
   * @param {HTMLElement} box
   * @param {string} home
   */
  constructor(box, home) {
    this.home = home;
    this.text = /** @type {HTMLTextAreaElement} */ (box.querySelector("textarea"));
    this.list = /** @type {HTMLUListElement} */ (box.querySelector("[role=listbox]"));
    this.named = /** @type {HTMLElement} */ (box.querySelector("[data-named]"));
    this.key = `people-${(count += 1)}`;
    this.list.id = this.key;
    this.text.setAttribute("aria-controls", this.key);
    this.at = 0;
    this.timer = 0;
    /** @type {{id: string, title: string, note: string}[]} */
    this.items = [];
    this.text.addEventListener("input", () => this.later());
    this.text.addEventListener("keydown", (event) => this.pressed(event));
    this.text.addEventListener("blur", () => setTimeout(() => this.close(), 120));
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target instanceof Element ? event.target.closest("[data-index]") : null;
      if (option) this.choose(Number(option.getAttribute("data-index")));
    });
  }

  typed() {
    return TYPED.exec(this.text.value.slice(0, this.text.selectionStart));
  }

  later() {
    this.forget();
    clearTimeout(this.timer);
    if (!this.typed()) return this.close();
    this.timer = setTimeout(() => this.search(), 120);
  }

  /** Whoever's name was deleted from the text is no longer meant. */
  forget() {
    for (const input of this.named.querySelectorAll("input")) {
      if (!this.text.value.includes(`@${input.dataset.name}`)) input.remove();
    }
  }

  async search() {
    const found = this.typed();
    if (!found) return this.close();
    const answer = await ask(`${this.home}/people?${new URLSearchParams({ search: found[1] })}`);
    if (!this.typed()) return this.close();
    this.items = answer.ok ? answer.body.items : [];
    if (!this.items.length) return this.close();
    this.list.replaceChildren(
      ...this.items.map((item, index) => {
        const option = element("li", { role: "option", id: `${this.key}-${index}`, "data-index": String(index) }, item.title);
        if (item.note && item.note !== item.title) option.append(element("small", {}, item.note));
        return option;
      })
    );
    this.list.hidden = false;
    this.text.setAttribute("aria-expanded", "true");
    this.move(0);
  }

  close() {
    this.list.hidden = true;
    this.text.setAttribute("aria-expanded", "false");
    this.text.removeAttribute("aria-activedescendant");
  }

  /** @param {number} to */
  move(to) {
    this.at = (to + this.items.length) % this.items.length;
    for (const option of this.list.querySelectorAll("[data-index]")) {
      option.setAttribute("aria-selected", String(option.getAttribute("data-index") === String(this.at)));
    }
    this.text.setAttribute("aria-activedescendant", `${this.key}-${this.at}`);
    document.getElementById(`${this.key}-${this.at}`)?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault();
      this.text.form?.requestSubmit();
      return;
    }
    if (this.list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.move(this.at + (event.key === "ArrowDown" ? 1 : -1));
    else if (event.key === "Enter" || event.key === "Tab") this.choose(this.at);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} index */
  choose(index) {
    const item = this.items[index];
    const found = this.typed();
    if (!item || !found) return this.close();
    const caret = this.text.selectionStart;
    const before = this.text.value.slice(0, caret - found[1].length) + item.title + " ";
    this.text.value = before + this.text.value.slice(caret);
    this.text.setSelectionRange(before.length, before.length);
    if (!this.named.querySelector(`input[value="${CSS.escape(item.id)}"]`)) {
      this.named.append(element("input", { type: "hidden", name: "mentions", value: item.id, "data-name": item.title }));
    }
    this.close();
    this.text.focus();
  }
}

start(document);
