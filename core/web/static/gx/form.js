// The record form: tabs, pickers, sheets, live conditions, saving without losing typing.
import { ask, askBeforeSending, element, failure, t } from "./core.js";
import { pickers } from "./combo.js";
import { sheets } from "./sheet.js";
import { Conditions } from "./conditions.js";
import { fill } from "./fill.js";
import { uploads } from "./upload.js";
import { conditionBuilders } from "./conditionbuilder.js";
import { richEditors } from "./richtext.js";
import { Keeper } from "./unsaved.js";

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("record-form"));
const messages = /** @type {HTMLElement} */ (document.getElementById("form-messages"));

let saved = "";
let leaving = false;

/** @type {Keeper | null} */
let keeper = null;

/** @param {HTMLFormElement} form */
function snapshot(form) {
  const data = new FormData(form);
  data.delete("csrf_token");
  data.delete("version");
  return [...data].map(([name, value]) => `${name}=${value}`).join("\n");
}

/** @param {HTMLFormElement} form */
function start(form) {
  tabs(form);
  pickers(form);
  sheets(form);
  uploads(form);
  richEditors(form);
  conditionBuilders(form);
  const rules = JSON.parse(document.getElementById("conditions")?.textContent || "null");
  if (rules) new Conditions(form, rules);
  saved = snapshot(form);
  // Messages that came with the page say that what is typed is not what is stored.
  if (messages.childElementCount || form.dataset.unsaved) saved = "";
  if (form.dataset.type && form.querySelector("[data-save]")) keeper = new Keeper(form, () => snapshot(form), (text) => told(form, text));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = event.submitter instanceof HTMLButtonElement ? event.submitter : null;
    save(form, button);
  });
  form.addEventListener("input", () => state(form));
  form.addEventListener("change", () => state(form));
  form.querySelector("[data-discard]")?.addEventListener("click", () => {
    leaving = true;
    keeper?.discard();
  });
  addEventListener("beforeunload", (event) => {
    const isTyped = form.querySelector("[data-save]") && snapshot(form) !== saved;
    if (!leaving && isTyped && !keeper?.isSafe()) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s" && form.querySelector("[data-save]")) {
      event.preventDefault();
      form.requestSubmit(/** @type {HTMLButtonElement} */ (form.querySelector("[data-save]")));
    }
  });
  showProblemTab(form);
}

/** @param {HTMLFormElement} form */
function state(form) {
  const isTyped = snapshot(form) !== saved;
  told(form, isTyped ? t("You have unsaved changes.") : "");
  if (isTyped) keeper?.later();
}

/**
 * @param {HTMLFormElement} form
 * @param {string} text
 */
function told(form, text) {
  const place = form.querySelector("[data-state]");
  if (place) place.textContent = text;
}

/** @param {HTMLFormElement} form */
function tabs(form) {
  const list = /** @type {HTMLElement | null} */ (form.querySelector("[data-tabs]"));
  if (!list) return;
  list.hidden = false;
  const buttons = /** @type {HTMLButtonElement[]} */ ([...list.querySelectorAll("[role=tab]")]);
  buttons.forEach((button, index) => {
    button.addEventListener("click", () => open(index));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      open((index + step + buttons.length) % buttons.length).focus();
    });
  });
  /** @param {number} index */
  function open(index) {
    buttons.forEach((button, number) => {
      const chosen = number === index;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      const panel = document.getElementById(button.getAttribute("aria-controls") || "");
      if (panel) panel.hidden = !chosen;
    });
    return buttons[index];
  }
  open(0);
  form.addEventListener("gx-show", (event) => {
    const panel = event.target instanceof Element ? event.target.closest("[data-panel]") : null;
    const index = buttons.findIndex((button) => button.getAttribute("aria-controls") === panel?.id);
    if (index >= 0) open(index);
  });
}

/**
 * Bring a field into view whichever tab it is on.
 * @param {string} id
 */
function reveal(id) {
  const target = document.getElementById(id);
  if (!target) return;
  target.dispatchEvent(new Event("gx-show", { bubbles: true }));
  target.focus();
  target.scrollIntoView({ block: "center" });
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest('#form-messages a[href^="#"]') : null;
  if (!link) return;
  event.preventDefault();
  reveal((link.getAttribute("href") || "").slice(1));
});

/** @param {HTMLFormElement} form */
function showProblemTab(form) {
  const first = form.querySelector(".gx-problem");
  if (first) first.dispatchEvent(new Event("gx-show", { bubbles: true }));
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLButtonElement | null} button
 */
async function save(form, button) {
  if (form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  const label = button ? [...button.childNodes] : [];
  button?.replaceChildren(element("span", { class: "gx-busy", "aria-hidden": "true" }), t("Saving …"));
  await keeper?.stop();
  const data = new FormData(form);
  if (button?.name) data.set(button.name, button.value);
  const answer = await ask(form.action, { method: "POST", body: data });
  form.removeAttribute("aria-busy");
  button?.replaceChildren(...label);
  clear(form);
  if (answer.ok && answer.body.location) {
    leaving = true;
    if (answer.body.location === location.pathname && !location.search) location.reload();
    else location.assign(answer.body.location);
    return;
  }
  // Refused, so it is kept as it is: the page may be closed before it is right.
  keeper?.go();
  if (answer.status === 412 && answer.body.collisions) collided(form, answer.body);
  else refused(form, answer);
}

/** @param {HTMLFormElement} form */
function clear(form) {
  messages.replaceChildren();
  for (const place of form.querySelectorAll("[data-problems]")) place.replaceChildren();
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  for (const box of form.querySelectorAll("[data-invalid]")) box.removeAttribute("data-invalid");
  for (const mark of form.querySelectorAll("[data-tabs] .gx-count")) mark.remove();
}

/**
 * Show a refusal at the fields and as a summary with links.
 * @param {HTMLFormElement} form
 * @param {import("./core.js").Answer} answer
 */
function refused(form, answer) {
  /** @type {import("./core.js").Problem[]} */
  const problems = answer.body.problems || [];
  const list = element("ul");
  for (const problem of problems) {
    const text = problem.label ? `${problem.label}${t(": ")}${problem.message}` : problem.message;
    list.append(element("li", {}, problem.anchor ? element("a", { href: `#${problem.anchor}` }, text) : text));
    mark(form, problem);
  }
  const body = element("div", {}, element("strong", {}, failure(answer)));
  if (problems.length) body.append(list);
  const note = element("div", { class: "gx-note", "data-tone": "bad", role: "alert", tabindex: "-1" }, body);
  messages.append(note);
  note.focus();
  note.scrollIntoView({ block: "center" });
  showProblemTab(form);
}

/**
 * @param {HTMLFormElement} form
 * @param {import("./core.js").Problem} problem
 */
function mark(form, problem) {
  let path = problem.path;
  let place = form.querySelector(`[data-problems="${CSS.escape(path)}"]`);
  while (!place && path.includes(".")) {
    path = path.slice(0, path.lastIndexOf("."));
    place = form.querySelector(`[data-problems="${CSS.escape(path)}"]`);
  }
  if (!place) return;
  place.append(element("p", { class: "gx-problem" }, element("span", {}, problem.message)));
  document.getElementById(problem.anchor || "")?.setAttribute("aria-invalid", "true");
  const panel = place.closest("[data-panel]");
  const tab = panel ? document.getElementById(panel.getAttribute("aria-labelledby") || "") : null;
  if (!tab) return;
  let count = tab.querySelector(".gx-count");
  if (!count) tab.append((count = element("span", { class: "gx-count", "data-some": "" }, "0")));
  count.textContent = String(Number(count.textContent) + 1);
}

/**
 * Somebody saved first: take over what does not collide, show what does, keep the typing.
 * @param {HTMLFormElement} form
 * @param {any} body
 */
function collided(form, body) {
  const version = /** @type {HTMLInputElement} */ (form.elements.namedItem("version"));
  version.value = String(body.version);
  for (const [path, other] of Object.entries(/** @type {Record<string, any>} */ (body.values))) fill(form, path, other);
  const list = element("ul");
  for (const each of body.collisions) {
    const take = element("button", { type: "button", class: "btn btn-sm" }, t("Take theirs"));
    const line = element(
      "li", {}, `${each.label}${t(": ")}`, element("span", {}, `${t("theirs")} `), element("ins", {}, each.theirs || "—"),
      element("span", {}, ` · ${t("yours")} `), element("ins", {}, each.mine || "—"),
      element("span", { class: "gx-muted" }, ` (${each.who}) `)
    );
    // Rows are settled by hand: the other's table stands above.
    if (typeof [each.value].flat()[0] !== "object" || each.value === null) line.append(take);
    take.addEventListener("click", () => {
      fill(form, each.path, { value: each.value, text: each.theirs });
      line.remove();
    });
    list.append(line);
  }
  const note = element(
    "div", { class: "gx-note", "data-tone": "warn", role: "alert", tabindex: "-1" },
    element("div", {}, element("strong", {}, body.message), element("p", {}, body.keep || ""), list)
  );
  messages.append(note);
  note.focus();
  note.scrollIntoView({ block: "center" });
}

askBeforeSending(() => (leaving = true));

// Submitting sends what is stored, so what is typed must be saved first.
document.querySelector("form[data-submit-document]")?.addEventListener("submit", (event) => {
  if (!form || !form.querySelector("[data-save]") || snapshot(form) === saved) return;
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (element("button", { name: "then", value: "submit" }));
  save(form, button);
});

if (form) start(form);
