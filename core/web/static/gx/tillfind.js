// Finding: the product that was scanned or typed, and the member or card that was shown.
import { ask, element, t } from "./core.js";
import { add, changed, field, one, onNoCard, onQuote, sale, say, state } from "./tillsale.js";

const MOST = 12;
/** The member whose points stand on the page. */
let known = "";
const FAULTS = /** @type {Record<string, string>} */ ({
  lost: t("The card is lost"), frozen: t("The card is frozen"), expired: t("The card has expired"),
  cancelled: t("The card is cancelled"), not_verified: t("The code is missing"), wrong_code: t("The code is wrong"), code_locked: t("The code is locked"),
  replaced: t("Another card took its place"), not_issued: t("The card was not issued yet"), not_active: t("The card is not active yet"),
  rebate_card: t("It is a rebate card"), type_not_in_force: t("Its card type is not in force"),
});

/** @param {string} text a text as expressions write it */
const quoted = (text) => `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;

/**
 * @param {string} type
 * @param {Record<string, string>} query
 * @returns {Promise<any[]>}
 */
async function records(type, query) {
  const answer = await ask(`/api/v1/records/${type}?${new URLSearchParams({ limit: String(MOST), ...query })}`);
  return answer.ok ? answer.body.items : [];
}

/**
 * Offer what was found; the first is one Enter away.
 * @param {HTMLElement} list
 * @param {{title: string, note: string, choose: () => void}[]} found
 */
function offer(list, found) {
  list.hidden = found.length === 0;
  list.replaceChildren(...found.map(({ title, note, choose }) => {
    const button = element("button", { type: "button" }, element("strong", { class: "gx-grow" }, title), element("span", { class: "gx-muted" }, note));
    button.addEventListener("click", () => {
      close();
      choose();
    });
    button.addEventListener("keydown", (event) => {
      const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      const buttons = [...list.querySelectorAll("button")];
      if (by) {
        event.preventDefault();
        buttons[buttons.indexOf(/** @type {HTMLButtonElement} */ (button)) + by]?.focus();
      }
    });
    return element("li", {}, button);
  }));
  list.querySelector("button")?.focus();
}

/** Put away what was offered and not chosen. */
export function close() {
  for (const list of [one("[data-found]"), one("[data-people]")]) {
    list.hidden = true;
    list.replaceChildren();
  }
  say("");
}

/** Add what was scanned, or offer what is called like it. */
export async function scan() {
  const input = field("till-scan");
  const typed = input.value.trim();
  if (!typed) return;
  const parts = /^(\d+(?:\.\d{1,3})?)\s*[*×xX]\s*(.+)$/.exec(typed);
  const [quantity, text] = parts ? [parts[1], parts[2]] : ["1", typed];
  close();
  const fields = "code,name,list_price";
  const exact = await records("product", { filter: `code == ${quoted(text)} or barcode == ${quoted(text)}`, fields });
  const found = exact.length ? exact : await records("product", { search: text, fields });
  if (exact.length === 1) {
    taken(exact[0], quantity);
    return;
  }
  if (!found.length) {
    say(t("Nothing is found for “{text}”.", { text }), "bad");
    input.select();
    return;
  }
  say(t("Choose one: {count} are found.", { count: found.length }));
  offer(one("[data-found]"), found.map((product) => ({
    title: product.name, note: `${product.code} · ${product.list_price ?? ""}`, choose: () => taken(product, quantity),
  })));
}

/** @param {any} product @param {string} quantity */
function taken(product, quantity) {
  say("");
  const input = field("till-scan");
  input.value = "";
  input.focus();
  add(product, quantity);
}

/** Find the card or member that was typed. */
export async function who() {
  const text = field("till-card").value.trim();
  if (!text) return;
  close();
  // Whoever scans on at once scans products, while the card is still looked for.
  field("till-card").value = "";
  field("till-scan").focus();
  // What a reader swipes is the number and a proof; whether it is good, the quote says.
  const number = text.replace(/^[%;]+/, "").split("=")[0];
  const [card] = await records("card", { filter: `number == ${quoted(number)}`, fields: "number,member,card_type", expand: "member,card_type" });
  if (card) {
    shown({ card: text }, card.member?.name ?? number, [card.card_type?.name, number].filter(Boolean).join(" · "));
    return;
  }
  const people = await records("member", { search: text, fields: "no,name,phone" });
  if (!people.length) {
    refuse(t("No card or member is found for “{text}”.", { text }));
    return;
  }
  offer(one("[data-people]"), people.map((member) => ({
    title: member.name ?? member.no, note: [member.no, member.phone].filter(Boolean).join(" · "),
    choose: () => {
      shown({ member: member.id }, member.name ?? member.no, member.no ?? "");
      field("till-scan").focus();
    },
  })));
}

/**
 * @param {{card?: string, member?: string}} whose
 * @param {string} name
 * @param {string} note
 */
function shown(whose, name, note) {
  Object.assign(sale, { card: "", member: "", code: "", points: "" }, whose);
  known = "";
  one("[data-fault]").hidden = true;
  one("[data-member-points]").textContent = "";
  one("[data-member]").hidden = false;
  one("[data-member-name]").textContent = name;
  one("[data-member-note]").textContent = note || t("no card");
  changed();
  if (!sale.lines.length && whose.member) tellAccount(whose.member);
}

/** Sell to nobody in particular. */
export function nobody() {
  Object.assign(sale, { card: "", member: "", code: "", points: "" });
  one("[data-member]").hidden = true;
  one('[data-form="points"]').hidden = true;
  one('[data-form="code"]').hidden = true;
  one("[data-fault]").hidden = true;
  changed();
}

/**
 * Go on without a card or member, and say what is wrong where it was typed.
 * @param {string} why
 */
function refuse(why) {
  nobody();
  const fault = one("[data-fault]");
  fault.textContent = why;
  fault.dataset.tone = "bad";
  fault.hidden = false;
}

onNoCard(refuse);

/** @param {string} member */
async function tellAccount(member) {
  if (known === member) return;
  known = member;
  const answer = await ask(`/api/v1/members/${member}/accounts`);
  const points = (answer.body.accounts ?? []).find((/** @type {any} */ each) => each.kind === "points");
  if (known !== member) return;
  if (points) one("[data-member-points]").textContent = t("Points to spend: {points}", { points: points.available });
}

onQuote(() => {
  const quote = state.quote;
  const faults = quote?.card?.faults ?? [];
  const told = (quote?.warnings ?? []).map((/** @type {any} */ each) => each.message);
  if (faults.length) told.unshift(t("The card gives no benefits: {why}", { why: faults.map((/** @type {string} */ each) => FAULTS[each] ?? each).join(" · ") }));
  const fault = one("[data-fault]");
  if (sale.card || sale.member || told.length) {
    fault.textContent = told.join(" ");
    fault.dataset.tone = "warn";
    fault.hidden = told.length === 0;
  }
  one('[data-form="code"]').hidden = !faults.some((/** @type {string} */ each) => each === "not_verified" || each === "wrong_code");
  one('[data-form="points"]').hidden = !quote?.member;
  const note = one("[data-member-note]");
  if (quote?.card && note.textContent === t("no card")) note.textContent = [quote.card.card_type, quote.card.number].filter(Boolean).join(" · ");
  if (quote?.member) tellAccount(quote.member);
});
