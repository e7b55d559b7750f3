// Claims: whoever begins to work on a task has it for a while, and everybody else sees that.
import { confirmed, failure, t, toast } from "./core.js";
import { form, opinion } from "./queueforms.js";
import { open, post, tell, whenShown } from "./queuepanel.js";
import { detail, rowOf, shownTask } from "./queuerows.js";

let mine = "";
let lastSign = 0;
let timer = 0;

function shown() {
  return /** @type {HTMLElement | null} */ (detail.querySelector("[data-detail]"));
}

/** @param {{name: string, is_me: boolean} | null} who */
function tellClaim(who) {
  const line = /** @type {HTMLElement | null} */ (detail.querySelector("[data-claim-line]"));
  const initial = /** @type {HTMLElement | null} */ (detail.querySelector("[data-claim-initial]"));
  const text = detail.querySelector("[data-claim-text]");
  const button = /** @type {HTMLButtonElement | null} */ (detail.querySelector("[data-claim-button]"));
  if (line) line.hidden = !who;
  if (initial && who) {
    initial.textContent = who.name.slice(0, 1).toUpperCase();
    initial.toggleAttribute("data-me", who.is_me);
  }
  if (text) text.textContent = who ? (who.is_me ? t("You work on this.") : t("{name} works on this.", { name: who.name })) : "";
  if (button) {
    button.value = who?.is_me ? "release" : "claim";
    const label = button.querySelector("span");
    if (label) label.textContent = who?.is_me ? button.dataset.release || "" : button.dataset.claim || "";
  }
}

/** @param {boolean} asked by a key or button; else because somebody began to work */
async function claim(asked) {
  const id = shownTask();
  const place = shown();
  if (!id || !place || place.dataset.claim === "off" || !detail.querySelector("[data-claim-button]")) return;
  lastSign = Date.now();
  if (mine === id) return;
  mine = id;
  const answer = await post(id, { verb: "claim" });
  if (answer.ok) {
    if (asked) toast(t("Claimed."), "good");
    mineNow(id);
    return;
  }
  mine = "";
  if (answer.body.code !== "flow.claimed_by") {
    if (asked) tell(failure(answer));
    return;
  }
  const who = answer.body.problems?.[0]?.params || {};
  tellClaim({ name: who.by_name || who.by || "", is_me: false });
  if (asked) await takeOver(id, who);
}

/**
 * @param {string} id
 * @param {Record<string, string>} who
 */
async function takeOver(id, who) {
  const name = who.by_name || who.by || "";
  const until = who.until ? new Date(who.until).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" }) : "";
  const yes = await confirmed({ title: t("Take it over?"), text: t("{name} works on this until {time} and will be told.", { name, time: until }), confirm: t("Take over") });
  if (yes === null) return;
  const answer = await post(id, { verb: "claim", steal: "1" });
  if (!answer.ok) {
    tell(failure(answer));
    return;
  }
  mine = id;
  lastSign = Date.now();
  mineNow(id);
}

/**
 * Show that a task is claimed; where that alone gives the verbs, fetch them.
 * @param {string} id
 */
function mineNow(id) {
  const link = rowOf(id);
  if (!form() && link) open(link, { push: false, focus: true });
  else tellClaim({ name: "", is_me: true });
  beat(id);
}

/** Keep the claim while somebody really works: the lease runs out by itself when they stop.
 * @param {string} id */
function beat(id) {
  clearInterval(timer);
  const lease = Number(shown()?.dataset.lease || 300) * 1000;
  timer = window.setInterval(async () => {
    if (mine !== id || shownTask() !== id || Date.now() - lastSign > lease) {
      clearInterval(timer);
      mine = "";
      return;
    }
    if (Date.now() - lastSign > lease / 2 || document.hidden) return;
    const answer = await post(id, { verb: "claim" });
    if (answer.status === 409) {
      clearInterval(timer);
      mine = "";
      const who = answer.body.problems?.[0]?.params || {};
      const name = who.by_name || who.by || "";
      tellClaim({ name, is_me: false });
      tell(t("{name} took this over.", { name }));
    }
  }, Math.max(5_000, lease / 3));
}

export async function claimOrRelease() {
  const button = /** @type {HTMLButtonElement | null} */ (detail.querySelector("[data-claim-button]"));
  if (!button) return;
  if (button.value !== "release") return claim(true);
  const id = shownTask();
  const answer = await post(id, { verb: "release" });
  if (!answer.ok) return void tell(failure(answer));
  clearInterval(timer);
  mine = "";
  tellClaim(null);
  rowOf(id)?.querySelector("[data-claimed]")?.remove();
  toast(t("Released."), "good");
}

detail.addEventListener("input", (event) => {
  if (event.target === opinion() || form()?.contains(/** @type {Node} */ (event.target))) claim(false);
});
detail.addEventListener("toggle", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.matches("details[data-verb-form]") && /** @type {HTMLDetailsElement} */ (target).open) claim(false);
}, { capture: true });
detail.addEventListener("submit", (event) => {
  if (!(/** @type {HTMLElement} */ (event.target).matches("[data-claiming]"))) return;
  event.preventDefault();
  claimOrRelease();
});
whenShown(() => {
  clearInterval(timer);
  const line = detail.querySelector("[data-claim-initial][data-me]");
  mine = line ? shownTask() : "";
  if (mine) beat(mine);
});
