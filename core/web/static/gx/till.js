// The till: every key and button of the page, and what each does.
import { element, t } from "./core.js";
import * as finding from "./tillfind.js";
import * as paying from "./tillpay.js";
import * as returning from "./tillreturn.js";
import { changed, draw, field, mayDiscount, more, move, one, onQuote, pointsText, remove, sale, state, why } from "./tillsale.js";

const discount = /** @type {HTMLDialogElement} */ (document.getElementById("till-discount"));
const dialogs = [...document.querySelectorAll("dialog")];
const scan = field("till-scan");
const store = /** @type {HTMLSelectElement} */ (document.getElementById("till-store"));
/** A till stands in one store: this browser keeps which. */
const STORE = "gx.till.store";

/** @type {Record<string, () => unknown>} */
const forms = {
  scan: finding.scan,
  who: finding.who,
  code: () => {
    sale.code = field("till-code").value;
    field("till-code").value = "";
    changed();
    scan.focus();
  },
  points: () => {
    sale.points = field("till-points").value.trim();
    changed();
    scan.focus();
  },
  pay: paying.submit,
  receipt: returning.find,
  return: returning.giveBack,
  discount: () => {
    const line = sale.lines[state.at];
    line.other_rate = field("till-rate").value.trim();
    const price = field("till-price");
    if (price) line.unit_price = price.value.trim();
    discount.close();
    changed();
    scan.focus();
  },
};

/** @type {Record<string, () => unknown>} */
const doing = {
  pay: paying.open,
  returns: returning.open,
  "give-back": returning.giveBack,
  nobody: finding.nobody,
  keys: () => /** @type {HTMLDialogElement} */ (document.getElementById("till-keys")).showModal(),
};

/** @type {Record<string, () => unknown>} */
const keys = {
  F1: doing.keys,
  F2: () => field("till-card").focus(),
  F4: openDiscount,
  F6: () => !one('[data-form="points"]').hidden && field("till-points").focus(),
  F7: why,
  F8: paying.open,
  F9: returning.open,
  Escape: () => {
    finding.close();
    scan.focus();
  },
};

function openDiscount() {
  const line = sale.lines[state.at];
  if (!line || !mayDiscount()) return;
  one("[data-discount-for]").textContent = line.name;
  field("till-rate").value = line.other_rate ?? "";
  if (field("till-price")) field("till-price").value = line.unit_price ?? "";
  discount.showModal();
  field("till-rate").select();
}

addEventListener("submit", (event) => {
  const form = event.target instanceof HTMLFormElement ? event.target : null;
  const act = form && forms[form.dataset.form ?? ""];
  if (!act) return;
  event.preventDefault();
  act();
});

addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const act = target?.closest("[data-do]");
  if (act instanceof HTMLElement) doing[act.dataset.do ?? ""]?.();
  target?.closest("[data-close]")?.closest("dialog")?.close();
  const line = target?.closest("[data-line]");
  if (!(line instanceof HTMLElement)) return;
  if (target?.closest("input")) return;
  state.at = Number(line.dataset.line);
  if (target?.closest("[data-remove]")) remove();
  else if (target?.closest("[data-why]")) why();
  else if (target?.closest("[data-discount]")) openDiscount();
  else draw();
});

addEventListener("change", (event) => {
  const input = event.target instanceof HTMLInputElement ? event.target : null;
  if (input?.dataset.quantity !== undefined) {
    state.at = Number(input.dataset.quantity);
    sale.lines[state.at].quantity = input.value.trim() || "1";
    changed();
    scan.focus();
  } else if (event.target === store) {
    localStorage.setItem(STORE, store.value);
    inCurrency();
    changed();
    scan.focus();
  }
});

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (dialogs.some((each) => each.open)) {
    if (event.key === "F8" && /** @type {HTMLDialogElement} */ (document.getElementById("till-returns")).open) {
      event.preventDefault();
      returning.giveBack();
    }
    return;
  }
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
    return;
  }
  if (event.target !== scan || scan.value) return;
  const empty = /** @type {Record<string, () => void>} */ ({
    ArrowUp: () => move(-1), ArrowDown: () => move(1), "+": () => more(1), "-": () => more(-1), Delete: remove,
  });
  if (empty[event.key]) {
    event.preventDefault();
    empty[event.key]();
  }
});

onQuote(() => {
  const quote = state.quote;
  /** @type {HTMLButtonElement} */ (one('[data-do="pay"]')).disabled = !quote;
  one("[data-payable]").textContent = quote ? quote.totals.payable : "0.00";
  const rows = quote
    ? [[t("Total"), quote.totals.list_amount], [t("Other discount"), quote.totals.other_discount], [t("Member discount"), quote.totals.member_discount], [t("Paid with points"), quote.totals.points_paid]]
    : [];
  const told = rows.filter(([, amount], at) => at === 0 || Number(amount) !== 0);
  one("[data-totals]").replaceChildren(...told.flatMap(([label, amount], at) => [element("dt", {}, label), element("dd", {}, at ? `−${amount}` : amount)]));
  one("[data-earned]").textContent = quote ? pointsText("Earns {total} points: {each}", quote.points) : "";
});

function inCurrency() {
  for (const place of document.querySelectorAll("[data-currency]:not(option)")) place.textContent = store.selectedOptions[0]?.dataset.currency ?? "";
}

const kept = localStorage.getItem(STORE);
if ([...store.options].some((option) => option.value === kept)) store.value = kept ?? "";
inCurrency();

scan.focus();
