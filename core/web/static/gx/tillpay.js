// Paying: several payments, change, and a commit that is safe to repeat.
import { element, t } from "./core.js";
import { body, clear, done, field, one, post, problems, sale, state } from "./tillsale.js";
import { nobody } from "./tillfind.js";

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("till-pay"));
const refused = /** @type {HTMLElement} */ (dialog.querySelector("[data-refused]"));
/** @type {{method: string, label: string, amount: string}[]} */
let paid = [];

/** @param {string} text @returns {number} cents, NaN for no amount */
const cents = (text) => (/^\d+(\.\d{1,2})?$/.test(text.trim()) ? Math.round(Number(text) * 100) : NaN);
/** @param {number} amount */
const text = (amount) => (amount / 100).toFixed(2);
const payable = () => cents(state.quote?.totals.payable ?? "0");
const soFar = () => paid.reduce((total, each) => total + cents(each.amount), 0);

export function open() {
  if (!state.quote || !sale.lines.length) return;
  paid = [];
  refused.hidden = true;
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
    certificate: state.quote.certificate,
    payments: paid.map(({ method, amount }) => ({ method, amount })),
    ...(keep ? { keep_change: keep } : {}),
  };
  // The same key until it is known what became of it: sent again it sells nothing twice.
  const answer = await post("/till/orders", order, { key: state.key });
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
  nobody();
  clear();
  done({
    amount: cents(change) > 0 ? t("Change: {amount}", { amount: change }) : "",
    rest: [t("Sold: {no}", { no }), ...(cents(kept) > 0 ? [t("Kept on the card: {amount}", { amount: kept })] : [])],
    order: id,
  });
  field("till-scan").focus();
}

for (const id of ["till-amount", "till-keep"]) field(id).addEventListener("input", draw);
