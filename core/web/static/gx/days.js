// @ts-check
/**
 * Days without a time zone, instants as microseconds since 1970, and the store day between them.
 *
 * @typedef {import("./decimals.js").Decimal} Decimal
 */

import {
  decimal, integer, size, truncated,
} from "./decimals.js";

export const DAY_MICROS = 86400000000n;
/** @type {Record<string, number>} */ const MONTHS = { month: 1, quarter: 3, year: 12 };
/** @type {Record<string, number>} */ const DAYS = { day: 1, week: 7 };
/** @type {Record<string, number>} */ export const SECONDS = { second: 1, minute: 60, hour: 3600 };

/** @param {bigint} a @param {bigint} b @returns {bigint} */
const floorDivide = (a, b) => (a - (((a % b) + b) % b)) / b;

/** @param {number} year @param {number} month @param {number} day @returns {number} since 1970 */
function dayNumber(year, month, day) {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146097 + dayOfEra - 719468;
}

/** @param {number} number @returns {[number, number, number]} */
function civil(number) {
  const z = number + 719468;
  const era = Math.floor(z / 146097);
  const dayOfEra = z - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted + (shifted < 10 ? 3 : -9);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}

/** @param {string} text @returns {[number, number, number]} */
export const parts = (text) => [Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8, 10))];

/** @param {string} text @returns {number} */
export const toNumber = (text) => dayNumber(...parts(text));

/** @param {number} number @returns {string | null} null outside the years 1 to 9999 */
function dayText(number) {
  const [year, month, day] = civil(number);
  if (year < 1 || year > 9999) return null;
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
}

/** An instant as RFC 3339. */
export const INSTANT = /^(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/;

/** @param {string} text RFC 3339 @returns {bigint} microseconds since 1970 */
export function instant(text) {
  const match = INSTANT.exec(text);
  if (!match) throw new RangeError(`not an instant: ${text.slice(0, 40)}`);
  const seconds = BigInt(match[2]) * 3600n + BigInt(match[3]) * 60n + BigInt(match[4]);
  let micros = BigInt(toNumber(match[1])) * DAY_MICROS + seconds * 1000000n;
  micros += BigInt((match[5] || "").padEnd(6, "0"));
  if (match[6] !== "Z") {
    const offset = BigInt(match[6].slice(1, 3)) * 60n + BigInt(match[6].slice(4));
    micros += (match[6][0] === "-" ? 1n : -1n) * offset * 60000000n;
  }
  return micros;
}

/** @param {bigint} micros @returns {string} RFC 3339 in UTC */
export function instantText(micros) {
  const day = floorDivide(micros, DAY_MICROS);
  let rest = micros - day * DAY_MICROS;
  const fraction = String(rest % 1000000n).padStart(6, "0");
  rest /= 1000000n;
  const two = (/** @type {bigint} */ n) => String(n).padStart(2, "0");
  return `${dayText(Number(day))}T${two(rest / 3600n)}:${two((rest / 60n) % 60n)}:${two(rest % 60n)}.${fraction}Z`;
}

/** @param {bigint | null} micros @returns {bigint | null} null outside the years 1 to 9999 */
function inYears(micros) {
  if (micros === null) return null;
  return dayText(Number(floorDivide(micros, DAY_MICROS))) === null ? null : micros;
}

/** @type {Map<string, Intl.DateTimeFormat>} */ const formats = new Map();

/** @param {bigint} micros @param {string} zone @returns {bigint} offset in microseconds */
function offset(micros, zone) {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone, calendar: "gregory", numberingSystem: "latn", hourCycle: "h23", era: "short",
      year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    });
    formats.set(zone, format);
  }
  const seconds = floorDivide(micros, 1000000n);
  /** @type {Record<string, string>} */ const found = {};
  for (const part of format.formatToParts(new Date(Number(seconds) * 1000))) found[part.type] = part.value;
  const year = found.era.startsWith("B") ? 1 - Number(found.year) : Number(found.year);
  const day = BigInt(dayNumber(year, Number(found.month), Number(found.day)));
  const wall = day * 86400n + BigInt(found.hour) * 3600n + BigInt(found.minute) * 60n + BigInt(found.second);
  return (wall - seconds) * 1000000n;
}

/**
 * The later instant where a wall time happens twice; read by the clocks before the change
 * where it is skipped: both are the smaller of the two offsets.
 * @param {bigint} wall @param {string} zone @returns {bigint | null}
 */
export function fromWall(wall, zone) {
  const before = offset(wall - DAY_MICROS, zone);
  const after = offset(wall + DAY_MICROS, zone);
  if (before === after) return inYears(wall - before);
  const valid = [before, after].filter((one) => offset(wall - one, zone) === one);
  if (valid.length === 1) return inYears(wall - valid[0]);
  return inYears(wall - (before < after ? before : after));
}

/** @param {string} text as a `datetime-local` control has it @param {string} zone @returns {string | null} RFC 3339 */
export function fromLocal(text, zone) {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?$/.test(text)) return null;
  const found = fromWall(instant(`${text.length === 16 ? `${text}:00` : text}Z`), zone);
  return found === null ? null : instantText(found);
}

/** @param {string} text RFC 3339 @param {string} zone @returns {string} as a `datetime-local` control has it */
export function toLocal(text, zone) {
  const at = instant(text);
  return instantText(at + offset(at, zone)).slice(0, 19);
}

/** @param {bigint} at @param {string} zone @returns {string | null} */
export const storeDay = (at, zone) => dayText(Number(floorDivide(at + offset(at, zone), DAY_MICROS)));

/** @param {string} day @param {Decimal} count @param {string} unit @returns {string | null} */
export function addToDate(day, count, unit) {
  const bound = unit in MONTHS ? Math.floor(120000 / MONTHS[unit]) : Math.floor(3660000 / DAYS[unit]);
  if (size(truncated(count)) > BigInt(bound)) return null;
  const number = Number(truncated(count));
  if (unit in DAYS) return dayText(toNumber(day) + number * DAYS[unit]);
  const [year, month, date] = parts(day);
  const months = year * 12 + month - 1 + number * MONTHS[unit];
  const [y, m] = [Math.floor(months / 12), (((months % 12) + 12) % 12) + 1];
  if (y < 1 || y > 9999) return null;
  const last = m === 12 ? 31 : dayNumber(y, m + 1, 1) - dayNumber(y, m, 1);
  return dayText(dayNumber(y, m, Math.min(date, last)));
}

/** @param {bigint} at @param {Decimal} count @param {string} unit @returns {bigint | null} */
export function addClock(at, count, unit) {
  const number = truncated(count);
  if (size(number) > (3660000n * 86400n) / BigInt(SECONDS[unit])) return null;
  return inYears(at + number * BigInt(SECONDS[unit]) * 1000000n);
}

/** @param {bigint} at @param {Decimal} count @param {string} unit @param {string} zone */
export function addWall(at, count, unit, zone) {
  const wall = at + offset(at, zone);
  const day = floorDivide(wall, DAY_MICROS);
  const from = dayText(Number(day));
  const to = from === null ? null : addToDate(from, count, unit);
  if (to === null) return null;
  return fromWall(BigInt(toNumber(to)) * DAY_MICROS + (wall - day * DAY_MICROS), zone);
}

/** @param {string} first @param {string} last @param {string} unit @returns {Decimal} */
export function daysBetween(first, last, unit) {
  if (unit in DAYS) return integer(Math.trunc((toNumber(last) - toNumber(first)) / DAYS[unit]));
  const [y1, m1, d1] = parts(first);
  const [y2, m2, d2] = parts(last);
  let months = (y2 - y1) * 12 + m2 - m1;
  if (months > 0 && d2 < d1) months -= 1;
  else if (months < 0 && d2 > d1) months += 1;
  return integer(Math.trunc(months / MONTHS[unit]));
}

/** @param {string} text `PT1H30M` or `1h 30m` @returns {Decimal} seconds */
export function duration(text) {
  const match =
    /^(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(text) ||
    /^(-?)(?:(\d+)d)? ?(?:(\d+)h)? ?(?:(\d+)m)? ?(?:(\d+)s)?$/.exec(text);
  if (!match) return decimal(text);
  const unit = [86400n, 3600n, 60n, 1n];
  const n = unit.reduce((sum, each, i) => sum + BigInt(match[i + 2] || 0) * each, 0n);
  return { n: match[1] ? -n : n, s: 0 };
}
