// Every key of the queue, and the palette that shows the key each time. One table says both.
import { element, t } from "./core.js";
import { claimOrRelease } from "./queueclaim.js";
import { arm, button, choosePhrase, disarm, form, opinion, sendArmed } from "./queueforms.js";
import { close, open } from "./queuepanel.js";
import { current, detail, queue, rows, verbs } from "./queuerows.js";
import { pickAll } from "./queuebulk.js";
import { sendsAtOnce, switchHold, undoLast } from "./queueundo.js";

/**
 * @typedef {object} Command
 * @property {string} keys what is pressed, as it is written: "a", "g t", "Ctrl Enter"
 * @property {string} label
 * @property {() => unknown} [run] without it the key is only explained
 * @property {() => boolean} [can]
 */

const help = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));
const palette = /** @type {HTMLDialogElement} */ (document.getElementById("palette"));
const typed = /** @type {HTMLInputElement} */ (palette.querySelector("[data-palette-text]"));
const offered = /** @type {HTMLUListElement} */ (palette.querySelector("[data-palette-list]"));
const GO_WITHIN = 1500;

/** @param {number} by */
function move(by) {
  const list = rows();
  if (!list.length) return;
  const focused = /** @type {HTMLAnchorElement | null} */ (document.activeElement?.closest("a[data-task]") ?? null);
  const from = focused || current();
  const at = from ? list.indexOf(from) + by : 0;
  const next = list[Math.max(0, Math.min(list.length - 1, at))];
  next.focus();
  open(next);
}

function openFocused() {
  const focused = /** @type {HTMLAnchorElement | null} */ (document.activeElement?.closest("a[data-task]") ?? null);
  const link = focused || current() || rows()[0];
  if (link) open(link, { focus: true });
}

function pick() {
  const link = document.activeElement?.closest("a[data-task]") || current();
  /** @type {HTMLInputElement | null} */ (link?.closest("li")?.querySelector("[data-pick]") ?? null)?.click();
}

/** @param {string} selector */
const focus = (selector) => /** @type {HTMLElement | null} */ (document.querySelector(selector))?.focus();
/** @param {string} selector */
const click = (selector) => /** @type {HTMLElement | null} */ (document.querySelector(selector))?.click();
/** @param {string} selector */
const has = (selector) => Boolean(document.querySelector(selector));

/** @returns {Command[]} */
function commands() {
  /** @type {Command[]} */
  const own = Object.entries(verbs).map(([verb, look]) => ({
    keys: look.key && (verb === "approve" || verb === "complete") ? `${look.key} Enter` : look.key,
    label: look.label,
    run: () => arm(verb),
    can: () => Boolean(button(verb)),
  }));
  const boxes = [...document.querySelectorAll("[data-boxes] [data-go]")].map((link) => ({
    keys: `g ${/** @type {HTMLElement} */ (link).dataset.go}`,
    label: t("go to: {box}", { box: link.firstChild?.textContent?.trim() || "" }),
    run: () => /** @type {HTMLElement} */ (link).click(),
  }));
  return [
    { keys: "j", label: t("next task"), run: () => move(1) },
    { keys: "k", label: t("previous task"), run: () => move(-1) },
    { keys: "o", label: t("open the task"), run: openFocused },
    { keys: "x", label: t("select the task"), run: pick, can: () => has("[data-pick]") },
    { keys: "Shift x", label: t("select all"), run: pickAll, can: () => has("[data-pick]") },
    ...own,
    { keys: "1 – 9", label: t("choose a phrase") },
    { keys: "Ctrl Enter", label: t("send what is armed") },
    { keys: "z", label: t("undo"), run: undoLast },
    { keys: "e", label: t("claim or release"), run: claimOrRelease, can: () => has("[data-claim-button]") },
    { keys: "s", label: t("put aside"), run: () => focus("#snooze"), can: () => has("#snooze") },
    { keys: "c", label: t("write a note"), run: () => focus("#note"), can: () => has("#note") },
    { keys: "v", label: t("open the record"), run: () => click("[data-record]"), can: () => has("[data-record]") },
    { keys: "/", label: t("search"), run: () => focus("[data-search-tasks]") },
    { keys: "p", label: t("print"), run: () => print(), can: () => has("[data-detail]") },
    { keys: "", label: sendsAtOnce() ? t("hold decisions for undo") : t("send decisions at once"), run: switchHold },
    ...boxes,
    { keys: "Esc", label: t("leave the field") },
    { keys: "Ctrl K", label: t("every command"), run: openPalette },
    { keys: "?", label: t("this help"), run: openHelp },
  ];
}

export function openHelp() {
  help.querySelector("[data-key-list]")?.replaceChildren(
    ...commands().filter((each) => each.keys).flatMap((each) => [element("dt", {}, ...caps(each.keys)), element("dd", {}, each.label)]),
  );
  help.showModal();
}

/** @param {string} keys */
function caps(keys) {
  return keys.split(" ").flatMap((each, at) => [at ? " " : "", each === "–" ? "–" : element("kbd", {}, each)]);
}

/** @type {Command[]} */
let found = [];
let at = 0;

export function openPalette() {
  if (palette.open) return;
  typed.value = "";
  offer();
  palette.showModal();
  typed.focus();
}

function offer() {
  const wanted = typed.value.trim().toLowerCase();
  found = commands().filter((each) => each.run && (!each.can || each.can()) && `${each.label} ${each.keys}`.toLowerCase().includes(wanted));
  at = 0;
  offered.replaceChildren(
    ...(found.length
      ? found.map((each, place) => element("li", { role: "option", id: `palette-${place}`, "data-place": String(place), "aria-selected": String(place === 0) }, element("span", { class: "gx-grow" }, each.label), element("span", {}, ...caps(each.keys))))
      : [element("li", { role: "option", "aria-disabled": "true" }, t("No such command."))]),
  );
  typed.setAttribute("aria-activedescendant", found.length ? "palette-0" : "");
}

/** @param {number} to */
function choose(to) {
  if (!found.length) return;
  at = (to + found.length) % found.length;
  [...offered.children].forEach((each, place) => each.setAttribute("aria-selected", String(place === at)));
  offered.children[at].scrollIntoView({ block: "nearest" });
  typed.setAttribute("aria-activedescendant", `palette-${at}`);
}

function run(place = at) {
  const command = found[place];
  palette.close();
  command?.run?.();
}

typed.addEventListener("input", offer);
typed.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    choose(at + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    run();
  }
});
offered.addEventListener("click", (event) => {
  const item = /** @type {HTMLElement | null} */ (event.target instanceof Element ? event.target.closest("[data-place]") : null);
  if (item) run(Number(item.dataset.place));
});

let went = -Infinity;

document.addEventListener("keydown", (event) => {
  const isCommand = event.ctrlKey || event.metaKey;
  if (isCommand && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (isCommand || event.altKey) {
    if (isCommand && event.key === "Enter" && detail.contains(document.activeElement)) {
      event.preventDefault();
      sendArmed();
    }
    return;
  }
  const target = /** @type {HTMLElement} */ (event.target);
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && !/^(checkbox|radio)$/.test(/** @type {HTMLInputElement} */ (target).type || "")) return inField(event, target);
  if (event.key === "Escape") return left(event);
  pressed(event);
});

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} target
 */
function inField(event, target) {
  if (event.key === "Escape" && !event.defaultPrevented) {
    event.preventDefault();
    disarm();
    target.blur();
    detail.focus({ preventScroll: true });
  } else if (event.key === "Enter" && !event.defaultPrevented && target.tagName === "INPUT" && form()?.contains(target)) {
    // Enter in a field sends what is armed, and else nothing.
    event.preventDefault();
    if (opinion()?.dataset.verb) sendArmed();
  } else if (/^[1-9]$/.test(event.key) && target === opinion() && !opinion()?.value) {
    if (choosePhrase(Number(event.key))) event.preventDefault();
  }
}

/** @param {KeyboardEvent} event */
function left(event) {
  const open = /** @type {HTMLDetailsElement | null} */ (detail.querySelector("details[data-verb-form][open]"));
  if (open) open.open = false;
  else if (queue.dataset.open !== undefined && matchMedia("(max-width: 900px)").matches) close();
  else return;
  event.preventDefault();
  disarm();
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (/^[1-9]$/.test(event.key)) {
    if (choosePhrase(Number(event.key))) event.preventDefault();
    return;
  }
  const isGo = performance.now() - went < GO_WITHIN;
  went = -Infinity;
  if (event.key === "g" && !isGo) {
    went = performance.now();
    return;
  }
  const wanted = isGo ? `g ${event.key}` : event.shiftKey && event.key === "X" ? "Shift x" : event.key;
  const command = commands().find((each) => each.run && (each.keys === wanted || each.keys === `${wanted} Enter`) && (!each.can || each.can()));
  if (!command) return;
  event.preventDefault();
  command.run?.();
}

for (const [selector, act] of /** @type {[string, () => void][]} */ ([["[data-keys]", openHelp], ["[data-palette]", openPalette]])) {
  const place = /** @type {HTMLElement | null} */ (document.querySelector(selector));
  if (!place) continue;
  place.hidden = false;
  place.addEventListener("click", act);
}
