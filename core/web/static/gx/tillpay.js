// Paying: several payments, change, and a commit that is safe to repeat.
import { element, t } from "./core.js";
import { body, clear, done, field, isLost, one, onQuote, post, problems, sale, state } from "./tillsale.js";
import { nobody } from "./tillfind.js";

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("till-pay"));
const refused = /** @type {HTMLElement} */ (dialog.querySelector("[data-refused]"));
/** @type {{method: string, label: string, amount: string}[]} */
let paid = [];
/** A sale that was sent and not answered: it is sent again as it is, so that it is sold once. @type {{order: any, key: string} | null} */
let unanswered = null;
/** Key of the sale that the cashier wants to pay as soon as it is known what it costs. */
let wanted = "";

/** Digits after the point that there is money of, as the total has them. */
const digits = () => (state.quote?.totals.payable ?? "0.00").split(".")[1]?.length ?? 0;
/** @param {string} text @returns {number} the smallest coins, NaN for no amount */
const cents = (text) => (/^\d+(\.\d+)?$/.test(text.trim()) && (text.trim().split(".")[1] ?? "").length <= digits() ? Math.round(Number(text) * 10 ** digits()) : NaN);
/** @param {number} amount */
const text = (amount) => (amount / 10 ** digits()).toFixed(digits());
const payable = () => cents(state.quote?.totals.payable ?? "0");
const soFar = () => paid.reduce((total, each) => total + cents(each.amount), 0);

export function open() {
  // What was scanned last is in no total yet.
  wanted = state.isAsking ? state.key : "";
  if (state.isAsking || !state.quote || !sale.lines.length) return;
  paid = [];
  refused.hidden = !unanswered;
  one("[data-pay-total]").textContent = state.quote.totals.payable;
  field("till-amount").value = state.quote.totals.payable;
  field("till-keep").value = "";
  draw();
  dialog.showModal();
  field("till-amount").select();
}

function draw() {
  one("[data-paid]").replaceChildren(...paid.map((each) => element("li", {}, `${each.label} ${text(cents(each.amount))}`)));
  const given = cents(field("till-amount").value || "0");
  const change = soFar() + (Number.isNaN(given) ? 0 : given) - payable();
  one("[data-change]").textContent = change > 0 ? t("Change: {amount}", { amount: text(change) })
    : change < 0 ? t("{amount} is still to be paid.", { amount: text(-change) })
    : paid.length ? t("{amount} is still to be paid.", { amount: text(payable() - soFar()) }) : "";
  /** @type {HTMLElement} */ (dialog.querySelector("[data-keep]")).hidden = !(change > 0 && state.quote?.card);
}

/** Take the payment typed; commit as soon as everything is paid. */
export async function submit() {
  if (unanswered) {
    await commit();
    return;
  }
  const method = /** @type {HTMLSelectElement} */ (document.getElementById("till-method"));
  const amount = field("till-amount").value.trim();
  if (Number.isNaN(cents(amount || "0"))) {
    tell(t("{amount} is still to be paid.", { amount: text(payable() - soFar()) }));
    return;
  }
  if (cents(amount || "0") > 0) paid.push({ method: method.value, label: method.selectedOptions[0].text, amount });
  const missing = payable() - soFar();
  if (missing > 0) {
    field("till-amount").value = text(missing);
    draw();
    field("till-amount").select();
    return;
  }
  await commit();
}

/** @param {string} why */
function tell(why) {
  refused.textContent = why;
  refused.hidden = false;
}

async function commit() {
  const keep = field("till-keep").value.trim();
  const order = {
    ...body(),
    certificate: state.quote?.certificate,
    payments: paid.map(({ method, amount }) => ({ method, amount })),
    ...(keep ? { keep_change: keep } : {}),
  };
  // The same key until it is known what became of it: sent again it sells nothing twice.
  const sent = unanswered ?? { order, key: state.key };
  const answer = await post("/till/orders", sent.order, { key: sent.key });
  unanswered = isLost(answer) ? sent : null;
  if (unanswered) {
    tell(t("It is not known whether this was booked. Press Enter to ask again."));
    return;
  }
  if (!answer.ok) {
    paid = [];
    tell(problems(answer));
    draw();
    field("till-amount").focus();
    return;
  }
  dialog.close();
  const { id, no, change, kept_change: kept } = answer.body;
  one("[data-said]").dataset.sold = no;
  if (sent.key === state.key) {
    nobody();
    clear();
  }
  done({
    amount: cents(change) > 0 ? t("Change: {amount}", { amount: change }) : "",
    rest: [t("Sold: {no}", { no }), ...(cents(kept) > 0 ? [t("Kept on the card: {amount}", { amount: kept })] : [])],
    order: id,
  });
  field("till-scan").focus();
}

onQuote(() => {
  if (wanted === state.key) open();
});

for (const id of ["till-amount", "till-keep"]) field(id).addEventListener("input", draw);
