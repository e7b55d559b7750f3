// Returns: the receipt's lines, what giving them back does, and then doing it.
import { ask, element, t } from "./core.js";
import { done, field, isLost, one, pointsText, post, problems } from "./tillsale.js";

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("till-returns"));
const form = /** @type {HTMLFormElement} */ (dialog.querySelector('[data-form="return"]'));
const rows = /** @type {HTMLElement} */ (dialog.querySelector("[data-return-lines]"));
const shown = /** @type {HTMLElement} */ (dialog.querySelector("[data-preview]"));
const refused = /** @type {HTMLElement} */ (dialog.querySelector("[data-refused]"));
const refund = /** @type {HTMLSelectElement} */ (document.getElementById("till-refund"));
const commit = /** @type {HTMLButtonElement} */ (dialog.querySelector('[data-do="give-back"]'));
let sale = "";
let key = "";
let timer = 0;
/** How often was asked what would come back: only the last answer is shown, and committed. */
let asked = 0;

export function open() {
  sale = "";
  form.hidden = true;
  refused.hidden = true;
  commit.disabled = true;
  dialog.showModal();
  field("till-receipt").select();
}

/** @param {string} text */
function tell(text) {
  refused.textContent = text;
  refused.hidden = !text;
}

/** Find the sale of a receipt number and show its lines. */
export async function find() {
  const no = field("till-receipt").value.trim();
  if (!no) return;
  const filter = `no == '${no.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}' and kind == 'sale'`;
  const list = await ask(`/api/v1/records/order?${new URLSearchParams({ filter, fields: "no" })}`);
  const found = list.ok ? list.body.items[0] : null;
  const order = found ? await ask(`/api/v1/records/order/${found.id}?expand=member`) : null;
  if (!order?.ok) {
    form.hidden = true;
    commit.disabled = true;
    tell(list.ok ? t("There is no sale {no}.", { no }) : problems(list));
    return;
  }
  tell("");
  sale = order.body.id;
  const names = await products(order.body.lines.map((/** @type {any} */ line) => line.product));
  rows.replaceChildren(...order.body.lines.map((/** @type {any} */ line, /** @type {number} */ at) => {
    const name = names.get(line.product) ?? line.product;
    const input = element("input", { class: "form-control", inputmode: "decimal", value: "0", "data-back": String(at + 1), "aria-label": t("Quantity of {name}", { name }) });
    return element("tr", {}, element("td", {}, element("strong", {}, name), element("div", { class: "gx-muted gx-small" }, t("sold {sold}", { sold: String(Number(line.quantity)) }))),
      element("td", { class: "gx-number" }, line.amount_due ?? ""), element("td", { class: "gx-number" }, input));
  }));
  // Money goes back the way it came, unless the cashier says otherwise.
  const methods = [...refund.options].map((option) => option.value);
  refund.value = (order.body.payments ?? []).map((/** @type {any} */ each) => each.method).find((/** @type {string} */ each) => methods.includes(each)) ?? methods[0];
  form.hidden = false;
  const first = /** @type {HTMLInputElement | null} */ (rows.querySelector("input"));
  first?.focus();
  first?.select();
  preview();
}

/** @param {string[]} ids @returns {Promise<Map<string, string>>} */
async function products(ids) {
  const wanted = [...new Set(ids)].slice(0, 200).map((id) => `id == '${id}'`).join(" or ");
  const answer = await ask(`/api/v1/records/product?${new URLSearchParams({ filter: wanted, fields: "name", limit: "200" })}`);
  return new Map((answer.body.items ?? []).map((/** @type {any} */ each) => [each.id, each.name]));
}

function lines() {
  const all = [...rows.querySelectorAll("input")];
  // What is no number is sent too, so that the cashier is told instead of it being left out.
  return all.filter((input) => Number(input.value) !== 0).map((input) => ({ line: Number(input.dataset.back), quantity: input.value.trim() }));
}

/** Ask what would come back, a moment after the last key. */
export function later() {
  commit.disabled = true;
  asked += 1;
  clearTimeout(timer);
  timer = setTimeout(preview, 120);
}

async function preview() {
  const back = lines();
  const mine = (asked += 1);
  key = crypto.randomUUID();
  if (!back.length) {
    shown.replaceChildren(element("span", { class: "gx-muted" }, t("Nothing comes back yet.")));
    commit.disabled = true;
    return;
  }
  const answer = await post(`/till/orders/${sale}/returns`, { lines: back, method: refund.value, preview: true });
  if (mine !== asked) return; // something else was typed meanwhile
  commit.disabled = !answer.ok;
  tell(answer.ok ? "" : problems(answer));
  if (answer.ok) draw(answer.body);
  else shown.replaceChildren();
}

/** @param {any} body */
const refunded = ({ refund: amount }) => Number(amount) < 0 ? t("The member pays {amount}", { amount: amount.slice(1) }) : t("Give back {amount}", { amount });

/** @param {any} body */
function draw(body) {
  const told = refunded(body);
  const taken = pointsText("Takes back {total} points: {each}", body.claw_back);
  /** @type {HTMLElement[]} */
  const parts = [element("strong", {}, told)];
  if (taken) parts.push(element("div", {}, taken));
  if (body.F) parts.push(element("div", {}, t("The member buys {points} missing points for {price}", { points: body.F, price: body.F_price })));
  for (const lot of body.lots) {
    const until = lot.expires_on ? ` · ${t("expires {date}", { date: lot.expires_on })}` : "";
    parts.push(element("div", {}, t("{points} points that were used go back", { points: lot.points ?? lot.amount ?? "" }) + until));
  }
  shown.replaceChildren(...parts);
}

export async function giveBack() {
  if (commit.disabled) return;
  commit.disabled = true;
  const answer = await post(`/till/orders/${sale}/returns`, { lines: lines(), method: refund.value }, { key });
  if (!answer.ok) {
    commit.disabled = false;
    tell(isLost(answer) ? t("It is not known whether this was booked. Press Enter to ask again.") : problems(answer));
    return;
  }
  dialog.close();
  done({ amount: refunded(answer.body), rest: [t("Returned: {no}", { no: answer.body.no })], order: answer.body.id });
  one("[data-said]").dataset.returned = answer.body.no;
  field("till-scan").focus();
}

rows.addEventListener("input", later);
refund.addEventListener("change", later);
