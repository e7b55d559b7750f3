// The audit queue: read the difference, decide, and be at the next task at once.
import { ask, element, failure, t, toast } from "./core.js";

const queue = /** @type {HTMLElement} */ (document.getElementById("queue"));
const detail = /** @type {HTMLElement} */ (document.getElementById("detail"));
const help = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));
const box = queue.dataset.box || "todo";

/** @type {Map<string, Promise<string | null>>} */
const fetched = new Map();

/** @returns {HTMLAnchorElement[]} */
function tasks() {
  return [...queue.querySelectorAll("[data-tasks] a[data-task]")].map((each) => /** @type {HTMLAnchorElement} */ (each));
}

function current() {
  return tasks().find((each) => each.getAttribute("aria-current") === "true") || null;
}

/**
 * Get a task's panel; each is fetched once and thrown away when it is shown.
 * @param {string} id
 * @returns {Promise<string | null>}
 */
function panel(id) {
  let found = fetched.get(id);
  if (!found) {
    found = fetch(`/tasks/${id}/panel?box=${encodeURIComponent(box)}`, { credentials: "same-origin" })
      .then((answer) => (answer.ok ? answer.text() : null))
      .catch(() => null);
    fetched.set(id, found);
  }
  return found;
}

/**
 * @param {HTMLAnchorElement} link
 * @param {{focus?: boolean, push?: boolean}} [how]
 */
async function open(link, { focus = false, push = true } = {}) {
  const id = link.dataset.task || "";
  for (const each of tasks()) {
    if (each === link) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
  queue.dataset.open = "";
  link.scrollIntoView({ block: "nearest" });
  const slow = setTimeout(() => detail.replaceChildren(waiting()), 120);
  const html = await panel(id);
  clearTimeout(slow);
  fetched.delete(id);
  if (current() !== link) return;
  if (html === null) {
    detail.replaceChildren(broken(link));
    return;
  }
  const parsed = new DOMParser().parseFromString(html, "text/html");
  detail.replaceChildren(...parsed.body.childNodes);
  if (push) history.pushState({ task: id }, "", link.href);
  if (focus) detail.focus({ preventScroll: true });
  const list = tasks();
  const next = list[list.indexOf(link) + 1];
  if (next) panel(next.dataset.task || "");
}

function waiting() {
  return element("div", { class: "gx-card gx-empty", role: "status" }, element("span", { class: "gx-busy" }), element("div", {}, t("Loading …")));
}

/** @param {HTMLAnchorElement} link */
function broken(link) {
  const again = element("button", { type: "button", class: "btn" }, t("Retry"));
  again.addEventListener("click", () => open(link));
  return element("div", { class: "gx-card gx-empty", role: "alert" }, element("strong", {}, t("This cannot be loaded now. Please try again.")), again);
}

queue.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const link = /** @type {HTMLAnchorElement | null} */ (target?.closest("a[data-task]") ?? null);
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    open(link, { focus: true });
  }
  const phrase = /** @type {HTMLElement | null} */ (target?.closest("[data-phrase]") ?? null);
  if (phrase) say(phrase.dataset.phrase || "");
});

document.querySelector("[data-keys]")?.addEventListener("click", () => help.showModal());

addEventListener("popstate", () => location.reload());

/** @param {string} text */
function say(text) {
  const field = opinion();
  if (!field) return;
  field.value = field.value.trim() ? `${field.value.trim()} ${text}` : text;
  field.focus();
}

function opinion() {
  return /** @type {HTMLTextAreaElement | null} */ (detail.querySelector("#opinion"));
}

/** @param {string} verb */
function button(verb) {
  return /** @type {HTMLButtonElement | null} */ (detail.querySelector(`form[data-decide] button[value="${verb}"]`));
}

detail.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.matches("[data-decide]")) return;
  event.preventDefault();
  const pressed = event.submitter instanceof HTMLButtonElement ? event.submitter : button("approve");
  if (pressed) decide(form, pressed);
});

/**
 * @param {HTMLFormElement} form
 * @param {HTMLButtonElement} pressed
 */
async function decide(form, pressed) {
  const verb = pressed.value;
  const said = opinion();
  if (verb === "reject" && said && said.dataset.needed !== undefined && !said.value.trim()) {
    toast(t("Please write an opinion first."), "bad");
    said.setAttribute("aria-invalid", "true");
    said.focus();
    return;
  }
  if (form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  pressed.setAttribute("aria-busy", "true");
  const data = new FormData(form);
  data.set("verb", verb);
  const answer = await ask(form.action, { method: "POST", body: data });
  form.removeAttribute("aria-busy");
  pressed.removeAttribute("aria-busy");
  if (answer.ok) return decided(verb, answer.body);
  refused(answer, said?.value || "");
}

/**
 * @param {string} verb
 * @param {any} body
 */
function decided(verb, body) {
  const done = current();
  const list = tasks();
  const at = done ? list.indexOf(done) : -1;
  const next = list[at + 1] || list[at - 1] || null;
  done?.closest("li")?.remove();
  counts(body.counts || {});
  const left = tasks().length;
  toast(`${verb === "approve" ? t("Approved.") : t("Rejected.")} ${left ? t("{count} left", { count: body.counts?.todo ?? left }) : t("All clear")}`, "good");
  if (next) open(next, { focus: true });
  else {
    delete queue.dataset.open;
    detail.replaceChildren(element("section", { class: "gx-card" }, element("div", { class: "gx-empty" }, element("strong", {}, t("All clear")))));
    detail.focus();
    history.pushState({}, "", `/tasks/?box=${encodeURIComponent(box)}`);
  }
}

/** @param {Record<string, number>} numbers */
function counts(numbers) {
  for (const [name, number] of Object.entries(numbers)) {
    for (const place of document.querySelectorAll(`[data-box="${name}"].gx-count`)) {
      place.textContent = String(number);
      place.toggleAttribute("data-some", name === "todo" && number > 0);
    }
  }
  const menu = document.querySelector('[data-count="tasks"]');
  if (menu && "todo" in numbers) {
    menu.textContent = String(numbers.todo);
    menu.toggleAttribute("data-some", numbers.todo > 0);
  }
}

/**
 * Somebody else decided, or the document changed: show it, keep the opinion.
 * @param {import("./core.js").Answer} answer
 * @param {string} said
 */
async function refused(answer, said) {
  const link = current();
  const problems = (answer.body.problems || []).map((/** @type {any} */ each) => each.message).filter(Boolean);
  const text = [failure(answer), ...problems].join(" ");
  if ((answer.status === 409 || answer.status === 412) && link) {
    await open(link, { push: false });
    const field = opinion();
    if (field) field.value = said;
  }
  const place = detail.querySelector("[data-task-messages]");
  place?.replaceChildren(element("div", { class: "gx-note", "data-tone": "bad", role: "alert" }, element("div", {}, text)));
  place?.scrollIntoView({ block: "nearest" });
  if (!place) toast(text, "bad");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && document.activeElement === opinion()) {
      event.preventDefault();
      const verb = opinion()?.dataset.verb || "approve";
      const form = /** @type {HTMLFormElement | null} */ (detail.querySelector("form[data-decide]"));
      const pressed = button(verb);
      if (form && pressed) decide(form, pressed);
    }
    return;
  }
  const target = /** @type {HTMLElement} */ (event.target);
  if (help.open) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) {
    if (event.key === "Escape") {
      event.preventDefault();
      target.blur();
      detail.focus();
    } else if (/^[1-9]$/.test(event.key) && target === opinion() && !opinion()?.value) phrase(event);
    return;
  }
  pressedKey(event, target);
});

/** @param {KeyboardEvent} event */
function phrase(event) {
  const each = /** @type {HTMLElement | undefined} */ (detail.querySelectorAll("[data-phrase]")[Number(event.key) - 1]);
  if (!each) return;
  event.preventDefault();
  say(each.dataset.phrase || "");
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} target
 */
function pressedKey(event, target) {
  const list = tasks();
  const link = current();
  const focused = /** @type {HTMLAnchorElement | null} */ (target.closest("a[data-task]"));
  const at = list.indexOf(/** @type {HTMLAnchorElement} */ (focused || link));
  if (event.key === "j" || event.key === "k") {
    const next = list[Math.max(0, Math.min(list.length - 1, at + (event.key === "j" ? 1 : -1)))];
    if (next) {
      next.focus();
      open(next);
    }
  } else if (event.key === "o" && (focused || list[0])) {
    open(focused || list[0], { focus: true });
  } else if (event.key === "a") {
    event.preventDefault();
    const field = opinion();
    if (field) field.dataset.verb = "approve";
    button("approve")?.focus();
  } else if (event.key === "r") {
    event.preventDefault();
    const field = opinion();
    if (field && button("reject")) {
      field.dataset.verb = "reject";
      field.focus();
    }
  } else if (event.key === "?") {
    event.preventDefault();
    help.showModal();
  } else if (/^[1-9]$/.test(event.key)) phrase(event);
}
