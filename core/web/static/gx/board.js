// A board: cards go to another column by dragging, by keys or by their own list of columns.
import { ask, csrf, failure, t, toast } from "./core.js";

const board = /** @type {HTMLElement | null} */ (document.querySelector("[data-board]"));

/** @param {Element | null | undefined} place */
const laneOf = (place) => /** @type {HTMLElement | null} */ (place?.closest("[data-lane]") ?? null);

/**
 * @param {HTMLElement} lane
 * @param {number} by
 */
function count(lane, by) {
  const place = lane.querySelector("[data-lane-count]");
  if (place) place.textContent = String(Number(place.textContent) + by);
}

/**
 * Move a card and tell the server; a refusal puts it back and says why.
 * @param {HTMLElement} card
 * @param {HTMLElement} lane
 */
async function move(card, lane) {
  const from = laneOf(card);
  if (!board || !from || from === lane || card.dataset.busy) return;
  const next = card.nextElementSibling;
  put(card, lane, null);
  count(from, -1);
  count(lane, 1);
  card.dataset.busy = "";
  const body = new FormData();
  body.set("csrf_token", csrf());
  body.set("version", card.dataset.version || "");
  body.set(board.dataset.field || "", lane.dataset.value || "");
  const answer = await ask(`${board.dataset.home}/${card.dataset.id}/cells/${board.dataset.field}`, { method: "POST", body });
  delete card.dataset.busy;
  if (answer.ok) {
    const name = lane.querySelector("[data-lane-name]")?.textContent || "";
    toast(t("Moved to {name}.", { name }), "good");
    if (answer.body.gone) card.remove();
    else card.dataset.version = String(answer.body.version);
    return;
  }
  put(card, from, next);
  count(from, 1);
  count(lane, -1);
  const texts = (answer.body.problems || []).map((/** @type {any} */ each) => each.message);
  const theirs = answer.body.collisions?.[0];
  toast(theirs ? `${theirs.who}: ${theirs.theirs}` : texts.join(" ") || failure(answer), "bad");
}

/**
 * @param {HTMLElement} card
 * @param {HTMLElement} lane
 * @param {Element | null} before
 */
function put(card, lane, before) {
  const hadFocus = card.contains(document.activeElement);
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const list = /** @type {HTMLElement} */ (lane.querySelector("[data-cards-of]"));
  if (before) list.insertBefore(card, before);
  else list.prepend(card);
  const select = /** @type {HTMLSelectElement | null} */ (card.querySelector("[data-move]"));
  if (select) select.value = lane.dataset.value || "";
  if (hadFocus) focused?.focus();
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} card
 */
function pressed(event, card) {
  const lanes = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-lane]")]);
  const at = lanes.indexOf(/** @type {HTMLElement} */ (laneOf(card)));
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && event.altKey) {
    event.preventDefault();
    if (board && "movable" in board.dataset && lanes[at + step]) move(card, lanes[at + step]);
  } else if (step) {
    event.preventDefault();
    for (let next = at + step; lanes[next]; next += step) {
      const link = /** @type {HTMLElement | null} */ (lanes[next].querySelector(".gx-row-link"));
      if (link) return link.focus();
    }
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const other = event.key === "ArrowDown" ? card.nextElementSibling : card.previousElementSibling;
    /** @type {HTMLElement | null | undefined} */ (other?.querySelector(".gx-row-link"))?.focus();
  }
}

if (board) {
  /** @type {HTMLElement | null} */
  let dragged = null;
  board.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const card = /** @type {HTMLElement | null} */ (target.closest("[data-card]"));
    if (card && target.tagName !== "SELECT") pressed(event, card);
  });
  board.addEventListener("change", (event) => {
    const select = event.target;
    if (!(select instanceof HTMLSelectElement) || !("move" in select.dataset)) return;
    const lane = [...board.querySelectorAll("[data-lane]")].find((each) => /** @type {HTMLElement} */ (each).dataset.value === select.value);
    const card = /** @type {HTMLElement | null} */ (select.closest("[data-card]"));
    if (card && lane) move(card, /** @type {HTMLElement} */ (lane));
  });
  board.addEventListener("dragstart", (event) => {
    dragged = event.target instanceof Element ? event.target.closest("[data-card]") : null;
    event.dataTransfer?.setData("text/plain", dragged?.dataset.id || "");
  });
  board.addEventListener("dragover", (event) => {
    const lane = event.target instanceof Element ? laneOf(event.target) : null;
    if (!dragged || !lane) return;
    event.preventDefault();
    for (const each of board.querySelectorAll("[data-over]")) if (each !== lane) each.removeAttribute("data-over");
    lane.setAttribute("data-over", "");
  });
  board.addEventListener("dragend", () => {
    dragged = null;
    for (const each of board.querySelectorAll("[data-over]")) each.removeAttribute("data-over");
  });
  board.addEventListener("drop", (event) => {
    const lane = event.target instanceof Element ? laneOf(event.target) : null;
    if (!dragged || !lane) return;
    event.preventDefault();
    move(dragged, lane);
  });
}
