// Values that nobody types: formulas, roll-ups, look-ups and what is taken over from a link.
// They are shown as they will be; the server computes them again when it saves.
import { compile } from "./expression.js";
import { rateText, t } from "./core.js";
import { decimal, round } from "./decimals.js";
import { Unknown } from "./linked.js";

/** @typedef {Record<string, any>} Values */

/** Kinds whose text needs more than the value: they stay as the server showed them. */
const NAMED = new Set(["link", "links", "user", "users", "department", "role", "calendar", "file", "files", "image", "signature", "address", "location"]);

/** @type {Map<any, (row: Values, env: any, outer?: Values | null) => any>} */
const compiled = new Map();

/**
 * @param {any} tree
 * @param {Values} row
 * @param {any} world
 * @param {Values | null} [outer] the record that holds the row
 * @returns {any} undefined when it cannot be told here
 */
export function value(tree, row, world, outer = null) {
  try {
    let run = compiled.get(tree);
    if (!run) compiled.set(tree, (run = compile(tree, outer ? 1 : 0)));
    return run(row, world, outer);
  } catch (error) {
    if (!(error instanceof Unknown)) console.warn("a condition could not be evaluated", error);
    return undefined;
  }
}

/**
 * @param {any} one
 * @param {any} other
 * @returns {boolean} false too where one of them is not known
 */
export function equal(one, other) {
  if (one === other) return true;
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

/**
 * Put everything computed into a row.
 * @param {{fields: Record<string, any>, computed: string[]}} rules
 * @param {Values} row
 * @param {Values | null} first the row as it came with the page, null for a new one
 * @param {Values} known what the server said of it
 * @param {any} world
 */
export function compute(rules, row, first, known, world) {
  for (const name of rules.computed) {
    const rule = rules.fields[name];
    if (rule.fetch?.mode === "if_empty") continue; // people type it, once it is filled in
    const reads = rule.fetch ? [rule.fetch.link] : rule.reads;
    if (first && reads.every((/** @type {string} */ each) => each in first && isSame(row, first, each))) row[name] = known[name] ?? null;
    else put(row, name, rounded(value(rule.fetch?.tree || rule.formula, row, world), rule));
  }
}

/**
 * @param {Values} row
 * @param {Values} first
 * @param {string} name
 */
export function isSame(row, first, name) {
  try {
    return equal(row[name], first[name]);
  } catch (error) {
    if (error instanceof Unknown) return false;
    throw error;
  }
}

/**
 * @param {Values} row
 * @param {string} name
 * @param {any} found
 */
function put(row, name, found) {
  if (found !== undefined) row[name] = found;
  else {
    Object.defineProperty(row, name, {
      configurable: true,
      enumerable: true,
      get() {
        throw new Unknown(name);
      },
    });
  }
}

/**
 * @param {any} found
 * @param {{scale?: number}} rule
 * @returns {any} a number with as many digits as its column has, anything else as it is
 */
function rounded(found, { scale }) {
  if (scale === undefined || typeof found !== "string") return found;
  const { n, s } = round(decimal(found), { n: BigInt(scale), s: 0 });
  const digits = (n < 0n ? -n : n).toString() + "0".repeat(Math.max(0, scale - s));
  const padded = digits.padStart(scale + 1, "0");
  const text = scale ? `${padded.slice(0, -scale)}.${padded.slice(-scale)}` : padded;
  return n < 0n ? `-${text}` : text;
}

/**
 * Show what was computed where the page has a place for it.
 * @param {Element} root
 * @param {string} path
 * @param {any} rule
 * @param {Values} row
 * @param {any} world
 */
export function show(root, path, rule, row, world) {
  const place = NAMED.has(rule.kind) ? null : root.querySelector(`[data-shows="${CSS.escape(path)}"]`);
  if (!place) return;
  const name = path.slice(path.lastIndexOf(".") + 1);
  const descriptor = Object.getOwnPropertyDescriptor(row, name);
  const text = descriptor?.get ? "…" : valueText(row[name], rule, world.zone);
  place.toggleAttribute("data-empty", !text);
  if (place.textContent !== (text || "—")) place.textContent = text || "—";
}

/**
 * @param {any} found
 * @param {{kind: string, texts?: Record<string, string>, unit?: string}} rule
 * @param {string} zone
 * @returns {string} as the server shows it
 */
function valueText(found, rule, zone) {
  if (found === null || found === undefined || found === "") return "";
  if (found === true) return t("Yes");
  if (found === false) return t("No");
  const texts = [found].flat().map((each) => rule.texts?.[each] ?? String(each));
  const text = texts.join(document.documentElement.lang.startsWith("zh") ? "、" : ", ");
  if (rule.kind === "datetime") return new Date(text).toLocaleString("sv-SE", { timeZone: zone }).slice(0, 16);
  if (rule.kind === "percent") return `${plain(text)} %`;
  if (rule.kind === "rate") return rateText(text) ? `${plain(text)} (${rateText(text)})` : plain(text);
  const shown = rule.kind === "money" ? text.replace(/^(-?)(\d+)/, (_whole, sign, digits) => sign + digits.replace(/\B(?=(\d{3})+$)/g, ",")) : text;
  return rule.unit ? `${shown} ${rule.unit}` : shown;
}

/** @param {string} text */
const plain = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
