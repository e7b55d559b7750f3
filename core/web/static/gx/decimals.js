// @ts-check
/**
 * Exact decimals as scaled BigInt, and the order of all values, as the server has them.
 *
 * @typedef {{n: bigint, s: number}} Decimal  n / 10^s
 */

const QUOTIENT_PLACES = 10;
const MAX_PLACES = 30;
const MOST_LETTERS = 1000000;

/** @param {number} places @returns {bigint} */
const ten = (places) => 10n ** BigInt(places);

/** @param {bigint} n @returns {bigint} */
export const size = (n) => (n < 0n ? -n : n);

/** @param {string | number | bigint} value @returns {Decimal} */
export function decimal(value) {
  const text = typeof value === "number" ? plain(value) : String(value);
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text);
  if (!match) throw new RangeError(`not a number: ${text.slice(0, 40)}`);
  const fraction = match[3] || "";
  const n = BigInt(match[2] + fraction || "0");
  return { n: match[1] === "-" ? -n : n, s: fraction.length };
}

/** @param {number} value @returns {string} */
export function plain(value) {
  const text = String(value);
  return text.includes("e") ? BigInt(Math.trunc(value)).toString() : text;
}

/** @param {Decimal} d @returns {string} the one text form of a number */
export function decimalText(d) {
  const digits = size(d.n).toString().padStart(d.s + 1, "0");
  const whole = digits.slice(0, digits.length - d.s);
  const fraction = digits.slice(digits.length - d.s).replace(/0+$/, "");
  const text = fraction ? `${whole}.${fraction}` : whole;
  return d.n < 0n ? `-${text}` : text;
}

/** @param {Decimal} a @param {Decimal} b @returns {[bigint, bigint, number]} at one scale */
function aligned(a, b) {
  if (a.s === b.s) return [a.n, b.n, a.s];
  return a.s > b.s ? [a.n, b.n * ten(a.s - b.s), a.s] : [a.n * ten(b.s - a.s), b.n, b.s];
}

/** @param {Decimal} a @param {Decimal} b @returns {Decimal} */
export function add(a, b) {
  const [x, y, s] = aligned(a, b);
  return { n: x + y, s };
}

/** @param {Decimal} a @returns {Decimal} */
export const negate = (a) => ({ n: -a.n, s: a.s });

/** @param {Decimal} a @param {Decimal} b @returns {Decimal} */
export const multiply = (a, b) => ({ n: a.n * b.n, s: a.s + b.s });

/** @param {Decimal} a @param {Decimal} b @returns {Decimal | null} half up to ten places */
export function divide(a, b) {
  if (b.n === 0n) return null;
  const [x, y] = aligned(a, b);
  const below = size(y);
  const n = (size(x) * 2n * ten(QUOTIENT_PLACES) + below) / (2n * below);
  return { n: x < 0n === y < 0n ? n : -n, s: QUOTIENT_PLACES };
}

/** @param {Decimal} d @returns {bigint} */
export const truncated = (d) => d.n / ten(d.s);

/** @param {Decimal} d @returns {number} small enough for a Number after clamping */
export function clampedInteger(d, least = -MOST_LETTERS, most = MOST_LETTERS) {
  const n = truncated(d);
  if (n < BigInt(least)) return least;
  return n > BigInt(most) ? most : Number(n);
}

/** @param {Decimal} d @param {Decimal} places @returns {Decimal} */
export function round(d, places = { n: 0n, s: 0 }) {
  const digits = clampedInteger(places, -MAX_PLACES, MAX_PLACES);
  if (d.s <= digits) return d;
  const unit = ten(d.s - digits);
  const n = (size(d.n) * 2n + unit) / (2n * unit);
  const signed = d.n < 0n ? -n : n;
  return digits >= 0 ? { n: signed, s: digits } : { n: signed * ten(-digits), s: 0 };
}

/** @param {Decimal[]} values @returns {Decimal} */
export const total = (values) => values.reduce(add, { n: 0n, s: 0 });

/** @param {Decimal[]} values @returns {Decimal | null} */
export const average = (values) => divide(total(values), { n: BigInt(values.length), s: 0 });

/** @param {number | bigint} n @returns {Decimal} */
export const integer = (n) => ({ n: BigInt(n), s: 0 });

// -- order --------------------------------------------------------------------------------

/** @param {any} a @param {any} b @returns {number} */
export function order(a, b) {
  if (typeof a === "string") return textOrder(a, b);
  if (typeof a === "object") {
    const [x, y] = aligned(a, b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @param {string} a @param {string} b @returns {number} by code point, not by UTF-16 unit */
function textOrder(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      const highX = x >= 0xd800 && x <= 0xdfff;
      const highY = y >= 0xd800 && y <= 0xdfff;
      return highX === highY ? x - y : highX ? 1 : -1;
    }
  }
  return a.length - b.length;
}

/** @param {any} a @param {any} b @returns {boolean} */
export function same(a, b) {
  if (a === null || b === null) return a === b;
  return typeof a === "object" && typeof b === "object" ? order(a, b) === 0 : a === b;
}

/** @param {any[]} values @param {number} sign @returns {any} */
export function extreme(values, sign) {
  return values.reduce((best, one) => (best === null || order(one, best) * sign > 0 ? one : best), null);
}
