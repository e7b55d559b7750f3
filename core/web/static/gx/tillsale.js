// The sale that is being rung up: its lines, who pays, and what the server says it costs.
import { ask, csrf, element, failure, t } from "./core.js";

/**
 * @typedef {{product: string, name: string, quantity: string, other_rate?: string, unit_price?: string}} Line
 * @typedef {{lines: Line[], card: string, code: string, member: string, points: string}} Sale
 */

/** @type {Sale} */
export const sale = { lines: [], card: "", code: "", member: "", points: "" };

/** @type {{quote: any, isAsking: boolean, at: number, open: Set<number>, key: string}} */
export const state = { quote: null, isAsking: false, at: -1, open: new Set(), key: crypto.randomUUID() };

/** @param {string} selector */
export const one = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
/** @param {string} id */
export const field = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

const tbody = one("[data-lines]");
const said = one("[data-said]");
const last = one("[data-last]");
const categories = /** @type {Record<string, string>} */ (JSON.parse(one("#till").dataset.categories ?? "{}"));
/** @type {AbortController | null} */
let asking = null;
let timer = 0;
/** @type {(() => void)[]} */
const listeners = [];

/** @type {((why: string) => void)[]} */
const refusing = [];
/** Refusals of a quote that are about the card alone. */
const NO_CARD = new Set(["card_types.unknown_card", "card_types.wrong_track"]);

/** @param {(why: string) => void} listener called when the card shown is none of ours */
export const onNoCard = (listener) => refusing.push(listener);

/** @param {() => void} listener called whenever there is another quote, or none */
export const onQuote = (listener) => listeners.push(listener);

/**
 * @param {string} text
 * @param {"bad" | ""} [tone]
 */
export function say(text, tone = "") {
  said.textContent = text;
  said.dataset.tone = tone;
}

/**
 * Tell what was just done until the next sale is begun, for change is counted out meanwhile.
 * @param {{amount: string, rest: string[], order: string}} what
 */
export function done({ amount, rest, order }) {
  const parts = [amount ? element("strong", {}, amount) : "", ...rest.map((text) => element("span", {}, text)),
    element("a", { href: `/records/order/${order}` }, t("Open the receipt"))];
  last.replaceChildren(...parts);
}

/**
 * Return points in all and by category, as people read them; "" for none.
 * @param {string} source a text with {total} and {each}
 * @param {Record<string, number | string>} points
 */
export function pointsText(source, points) {
  const some = Object.entries(points).filter(([, amount]) => Number(amount) !== 0);
  const total = some.reduce((all, [, amount]) => all + Number(amount), 0);
  return some.length ? t(source, { total, each: some.map(([name, amount]) => `${categories[name] ?? name} ${amount}`).join(" · ") }) : "";
}

/**
 * What both a quote and an order say of the sale.
 * @returns {Record<string, unknown>}
 */
export function body() {
  const asked = /** @type {Record<string, unknown>} */ ({
    store: field("till-store").value,
    lines: sale.lines.map(({ product, quantity, other_rate, unit_price }) => ({
      product,
      quantity,
      ...(other_rate ? { other_rate } : {}),
      ...(unit_price ? { unit_price } : {}),
    })),
  });
  if (sale.card) asked.card = sale.card;
  if (sale.code) asked.verification = sale.code;
  if (sale.member) asked.member = sale.member;
  if (sale.points) asked.spend_points = sale.points;
  return asked;
}

/** @returns {boolean} whether the cashier may take something off a line */
export const mayDiscount = () => (one("#till").dataset.rights ?? "").split(" ").some((right) => right.startsWith("till."));

/**
 * Send JSON to the server's own interface.
 * @param {string} path
 * @param {unknown} what
 * @param {{key?: string, signal?: AbortSignal}} [options]
 */
export function post(path, what, { key, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf() };
  if (key) headers["Idempotency-Key"] = key;
  return ask(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(what), signal });
}

/**
 * Whether it is not known what became of a request: no answer, or one of a server in trouble.
 * @param {import("./core.js").Answer} answer
 */
export const isLost = (answer) => answer.status === 0 || answer.status >= 500;

/** Ask what the sale costs now; the last question wins. */
export function changed() {
  // Another sale than before: a key that was sent for the old one must not answer for it.
  state.key = crypto.randomUUID();
  draw();
  clearTimeout(timer);
  asking?.abort();
  state.isAsking = sale.lines.length > 0;
  if (!sale.lines.length) {
    state.quote = null;
    tell();
    return;
  }
  timer = setTimeout(quote, 60);
}

async function quote() {
  asking = new AbortController();
  let answer;
  try {
    answer = await post("/till/quote", body(), { signal: asking.signal });
  } catch {
    return; // a later question is under way
  }
  state.isAsking = false;
  if (!answer.ok && NO_CARD.has(answer.body.code)) {
    const why = `${problems(answer)} ${sale.card}`;
    for (const refuse of refusing) refuse(why);
    return;
  }
  state.quote = answer.ok ? answer.body : null;
  say(answer.ok ? "" : problems(answer), "bad");
  draw();
  tell();
}

/**
 * Say what is wrong, every reason.
 * @param {import("./core.js").Answer} answer
 */
export function problems(answer) {
  const all = (answer.body.problems ?? []).map((/** @type {any} */ one) => one.message);
  return all.length ? [...new Set(all)].join(" ") : failure(answer);
}

function tell() {
  for (const listener of listeners) listener();
}

/**
 * Add a product; the same one again is one more of it.
 * @param {{code: string, name: string}} product
 * @param {string} quantity
 */
export function add(product, quantity) {
  const last = sale.lines.findIndex((line) => line.product === product.code && !line.other_rate && !line.unit_price);
  if (last >= 0) {
    sale.lines[last].quantity = sum(sale.lines[last].quantity, quantity);
    state.at = last;
  } else {
    sale.lines.push({ product: product.code, name: product.name, quantity });
    state.at = sale.lines.length - 1;
  }
  changed();
}

/** @param {string} left @param {string} right exact to three digits, as quantities are */
function sum(left, right) {
  const thousandths = Math.round(Number(left) * 1000) + Math.round(Number(right) * 1000);
  return String(thousandths / 1000);
}

/** @param {number} by */
export function more(by) {
  const line = sale.lines[state.at];
  if (!line) return;
  const quantity = sum(line.quantity, String(by));
  if (Number(quantity) <= 0) remove();
  else {
    line.quantity = quantity;
    changed();
  }
}

export function remove() {
  if (!sale.lines[state.at]) return;
  sale.lines.splice(state.at, 1);
  state.open.clear();
  state.at = Math.min(state.at, sale.lines.length - 1);
  changed();
}

/** @param {number} by */
export function move(by) {
  if (!sale.lines.length) return;
  state.at = Math.max(0, Math.min(sale.lines.length - 1, state.at + by));
  draw();
}

/** Show or hide why the chosen line costs what it does. */
export function why() {
  if (!sale.lines[state.at]) return;
  if (state.open.has(state.at)) state.open.delete(state.at);
  else state.open.add(state.at);
  draw();
}

/** Begin anew. */
export function clear() {
  Object.assign(sale, { lines: [], card: "", code: "", member: "", points: "" });
  Object.assign(state, { quote: null, at: -1, open: new Set() });
  changed();
}

export function draw() {
  tbody.replaceChildren(...sale.lines.flatMap(rows));
  one("[data-empty]").hidden = sale.lines.length > 0;
  if (sale.lines.length) last.replaceChildren();
  tbody.querySelector('[aria-current="true"]')?.scrollIntoView({ block: "nearest" });
}

/**
 * @param {Line} line
 * @param {number} at
 */
function rows(line, at) {
  const priced = state.quote?.lines[at];
  const input = element("input", {
    class: "form-control", inputmode: "decimal", value: line.quantity, "data-quantity": String(at),
    "aria-label": t("Quantity of {name}", { name: line.name }),
  });
  const due = element("td", { class: "gx-number gx-till-due" });
  if (priced && priced.amount_due !== priced.list_amount) due.append(element("s", {}, priced.list_amount));
  due.append(priced ? priced.amount_due : "…");
  const what = element("td", {}, element("strong", {}, line.name), element("div", { class: "gx-muted gx-small" }, line.product));
  if (priced) what.append(element("div", { class: "gx-small" }, how(priced)));
  const tools = element("div", { class: "gx-till-tools" },
    ...(mayDiscount() ? [element("button", { type: "button", class: "btn btn-sm gx-quiet", "data-discount": "" }, t("Discount"))] : []),
    element("button", { type: "button", class: "btn btn-sm gx-quiet", "data-why": "", "aria-expanded": String(state.open.has(at)) }, t("Why?")),
    element("button", { type: "button", class: "btn btn-sm gx-quiet gx-square", "data-remove": "", title: t("Remove the line"), "aria-label": t("Remove the line") }, "×"));
  const made = element("tr", { "data-line": String(at), ...(at === state.at ? { "aria-current": "true" } : {}) },
    what, element("td", { class: "gx-number" }, input),
    element("td", { class: "gx-number gx-not-phone" }, priced?.unit_price ?? ""), due, element("td", {}, tools));
  return priced && state.open.has(at) ? [made, element("tr", { class: "gx-till-trace" }, element("td", { colspan: "5" }, trace(priced)))] : [made];
}

/** @param {any} priced */
function how(priced) {
  const parts = [];
  if (priced.other_rate !== "1") parts.push(t("other promotions {rate}", { rate: priced.other_rate }));
  if (Number(priced.member_rate) !== 1) parts.push(t("member rate {rate}", { rate: priced.member_rate }));
  if (priced.rule) parts.push(t("rule {no}", { no: priced.rule }));
  return parts.join(" · ") || t("list price");
}

/** @param {any} priced */
function trace(priced) {
  const steps = priced.trace.map((/** @type {any} */ step) => element("li", {}, step.text.replaceAll(" * ", " × ")));
  return element("ul", { class: "gx-till-why", "data-trace": "" }, ...(steps.length ? steps : [element("li", {}, t("list price"))]));
}
