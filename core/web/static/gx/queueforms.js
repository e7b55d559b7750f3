// What a person says and sends: the opinion, the verb that is armed, what it still needs.
import { ask, failure, t, toast } from "./core.js";
import { allClear, forget, open, tell, whenShown } from "./queuepanel.js";
import { counts, current, detail, rows, shownTask, takeOut, tellLeft, verbs } from "./queuerows.js";
import { held, mayHold } from "./queueundo.js";

const KEPT = "gx-opinion:";

export function opinion() {
  return /** @type {HTMLTextAreaElement | null} */ (detail.querySelector("#opinion"));
}

export function form() {
  return /** @type {HTMLFormElement | null} */ (detail.querySelector("form[data-decide]"));
}

/** @param {string} verb */
export function button(verb) {
  return /** @type {HTMLButtonElement | null} */ (detail.querySelector(`form[data-decide] button[data-verb="${verb}"]`));
}

/** @param {string} text */
export function say(text) {
  const field = opinion();
  if (!field) return;
  field.value = field.value.trim() ? `${field.value.trim()} ${text}` : text;
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/**
 * Get a verb ready; nothing is sent before Enter on its button, or Ctrl+Enter.
 * @param {string} verb
 */
export function arm(verb) {
  const pressed = button(verb);
  if (!pressed) return false;
  disarm();
  pressed.dataset.armed = "";
  pressed.dispatchEvent(new Event("gx:armed", { bubbles: true }));
  const field = opinion();
  if (field) field.dataset.verb = verb;
  const hint = /** @type {HTMLElement | null} */ (detail.querySelector("[data-armed].gx-armed, p.gx-armed"));
  if (hint) {
    hint.hidden = false;
    hint.textContent = t("Ctrl+Enter sends: {verb}", { verb: verbs[verb]?.label || verb });
  }
  const more = /** @type {HTMLDetailsElement | null} */ (detail.querySelector(`details[data-verb-form="${verb}"]`));
  if (more) {
    more.open = true;
    /** @type {HTMLElement | null} */ (more.querySelector("[data-search], input[type=radio]:checked, input"))?.focus();
  } else if (verb === "approve" || verb === "complete" || verb === "take_back") pressed.focus();
  else (field || pressed).focus();
  return true;
}

export function disarm() {
  for (const each of detail.querySelectorAll("button[data-armed]")) each.removeAttribute("data-armed");
  const hint = /** @type {HTMLElement | null} */ (detail.querySelector("p.gx-armed"));
  if (hint) hint.hidden = true;
  delete opinion()?.dataset.verb;
}

/** Send what is armed, else approve. */
export function sendArmed() {
  const verb = opinion()?.dataset.verb || (button("approve") ? "approve" : "complete");
  const pressed = button(verb);
  const own = form();
  if (own && pressed) send(own, pressed);
}

/**
 * @param {HTMLFormElement} own
 * @param {HTMLButtonElement} pressed
 * @returns {boolean} whether everything that the verb needs is there
 */
function isComplete(own, pressed) {
  const verb = pressed.value;
  const asks = verbs[verb]?.asks;
  const data = new FormData(own);
  const to = data.getAll(`${verb}.to`).filter(Boolean);
  if (asks && !to.length) {
    toast(asks === "target" ? t("Please choose where it goes back to.") : t("Please choose somebody."), "bad");
    arm(verb);
    return false;
  }
  const field = opinion();
  if ((own.dataset.needed || "").split(" ").includes(verb) && field && !field.value.trim()) {
    toast(t("Please write an opinion first."), "bad");
    field.setAttribute("aria-invalid", "true");
    field.dataset.verb = verb;
    field.focus();
    return false;
  }
  return true;
}

/**
 * @param {HTMLFormElement} own
 * @param {HTMLButtonElement} pressed
 */
export async function send(own, pressed) {
  if (own.hasAttribute("aria-busy") || !isComplete(own, pressed)) return;
  const verb = pressed.value;
  const id = shownTask();
  const data = new FormData(own);
  data.set("verb", verb);
  if (mayHold(verb, own)) data.set("hold", "1");
  own.setAttribute("aria-busy", "true");
  pressed.setAttribute("aria-busy", "true");
  const answer = await ask(own.action, { method: "POST", body: data });
  own.removeAttribute("aria-busy");
  pressed.removeAttribute("aria-busy");
  if (!answer.ok) return refused(answer);
  drop(id);
  sent(verb, answer.body);
}

/**
 * @param {string} verb
 * @param {any} body
 */
function sent(verb, body) {
  const id = shownTask();
  forget(id);
  const link = current();
  const isHeld = Boolean(body.held);
  if (isHeld) held(body.held, id, verb);
  else toast(`${verbs[verb]?.done || ""}`, "good");
  if (body.counts) counts(body.counts);
  if (link && !verbs[verb]?.leaves) {
    open(link, { push: false });
    return;
  }
  const next = link ? takeOut(link, isHeld) : rows()[0] || null;
  tellLeft(body.counts ? (body.counts[/** @type {HTMLElement} */ (document.getElementById("queue")).dataset.box || "todo"] ?? rows().length) : rows().length);
  if (next) open(next, { focus: true });
  else allClear();
}

/**
 * Somebody else was first, or the document changed: show it, keep the opinion.
 * @param {import("./core.js").Answer} answer
 */
async function refused(answer) {
  const said = opinion()?.value || "";
  const problems = (answer.body.problems || []).map((/** @type {any} */ each) => each.message).filter(Boolean);
  let text = [...new Set([failure(answer), ...problems])].join(" ");
  const link = current();
  if ((answer.status === 409 || answer.status === 412) && link) {
    forget(shownTask());
    await open(link, { push: false });
    const field = opinion();
    if (field) field.value = said;
  }
  if (answer.status === 0) {
    keep();
    text += ` ${t("Your opinion is kept on this device.")}`;
  }
  if (!tell(text)) toast(text, "bad");
}

/** Keep what is typed on this device, so that neither a reload nor a dead line loses it. */
export function keep() {
  const field = opinion();
  const id = shownTask();
  if (!field || !id) return;
  if (field.value.trim()) localStorage.setItem(KEPT + id, JSON.stringify({ text: field.value, at: Date.now() }));
  else localStorage.removeItem(KEPT + id);
}

/** @param {string} id */
function drop(id) {
  localStorage.removeItem(KEPT + id);
}

function restore() {
  const field = opinion();
  if (!field || field.value) return;
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT + shownTask()) || "null");
    if (kept && Date.now() - kept.at < 7 * 86_400_000) field.value = kept.text;
  } catch {
    drop(shownTask()); // not ours, or cut off
  }
}

whenShown(restore);

detail.addEventListener("input", (event) => {
  if (event.target === opinion()) keep();
});

detail.addEventListener("submit", (event) => {
  const own = /** @type {HTMLFormElement} */ (event.target);
  if (!own.matches("[data-decide]")) return;
  event.preventDefault();
  const pressed = event.submitter instanceof HTMLButtonElement ? event.submitter : button("approve") || button("complete");
  if (pressed) send(own, pressed);
});

detail.addEventListener("click", (event) => {
  const phrase = /** @type {HTMLElement | null} */ (event.target instanceof Element ? event.target.closest("[data-phrase]") : null);
  if (phrase) say(phrase.dataset.phrase || "");
});

/** @param {number} number */
export function choosePhrase(number) {
  const each = /** @type {HTMLElement | undefined} */ (detail.querySelectorAll("[data-phrase]")[number - 1]);
  if (each) say(each.dataset.phrase || "");
  return Boolean(each);
}
