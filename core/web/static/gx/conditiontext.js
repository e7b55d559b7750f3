// What rows of a condition say as an expression's text, which stays the truth.
import { storeZone, t } from "./core.js";
import { fromLocal } from "./days.js";

/**
 * @typedef {{name: string, label: string, kind: string, operators: string[], target: string,
 *   choices: [string, string][]}} Field
 * @typedef {{kind: string, text: string}} Value
 * @typedef {{field: string, operator: string, values: Value[]}} Row
 * @typedef {{how: "and" | "or", parts: Part[]}} Group
 * @typedef {Row | Group | {text: string}} Part
 */

const NUMBERS = new Set(["integer", "decimal", "money", "rate", "percent", "rating", "duration"]);
const MANY = new Set(["multi_select", "links", "users"]);
const LISTED = new Set(["in", "not in", "weekday"]);
const DAYS = new Set(["date", "datetime"]);
/** Operators that compare a part of two days -> the function that takes the part. @type {Record<string, string>} */
const SAME = { "same month": "MONTH", "same day": "DAY" };

export const operatorText = () => /** @type {Record<string, string>} */ ({
  "==": t("is"), "!=": t("is not"), "<": t("less than"), "<=": t("at most"), ">": t("more than"), ">=": t("at least"),
  contains: t("contains"), "starts with": t("starts with"), in: t("is one of"), "not in": t("is none of"),
  "is empty": t("is empty"), "is not empty": t("is not empty"), has: t("includes"), "has not": t("does not include"), weekday: t("falls on"),
  "same month": t("same month as"), "same day": t("same day of the month as"),
});

/** @param {Field} field @returns {string[]} operators of a row, where a list "contains" what it includes */
export function offered(field) {
  if (DAYS.has(field.kind)) return [...field.operators, "weekday", ...Object.keys(SAME)];
  if (!MANY.has(field.kind)) return [...field.operators];
  return [...field.operators.map((each) => (each === "contains" ? "has" : each)), "has not"];
}

/** @param {Row} part */
export const needsValue = (part) => !part.operator.startsWith("is ");

/** @param {Row} part @returns {boolean} whether it compares with a list of values */
export const isListed = (part) => LISTED.has(part.operator);

/** @param {Row} part @returns {boolean} whether it compares with another day */
export const isSame = (part) => part.operator in SAME;

/** @param {Field} field @returns {boolean} whether it is a day */
export const isDay = (field) => DAYS.has(field.kind);

/** @param {Field} field @returns {boolean} whether it is a number */
export const isNumber = (field) => NUMBERS.has(field.kind);

/** @param {Field} one @param {Field} other @returns {boolean} whether they can be compared */
export const isAlike = (one, other) => one.kind === other.kind || (isNumber(one) && isNumber(other)) || (isDay(one) && isDay(other));

/** @param {string} kind @param {string} text @returns {Value} */
export function valueOf(kind, text) {
  if (kind === "boolean") return { kind: "truth", text };
  if (NUMBERS.has(kind) && /^[+-]?\d+(\.\d+)?$/.test(text.trim())) return { kind: "number", text: text.trim() };
  return { kind: "text", text: (kind === "datetime" && fromLocal(text.trim(), storeZone())) || text };
}

/** @param {Value} value */
function literal(value) {
  return value.kind === "text" ? `'${value.text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'` : value.text;
}

/** @param {Group} group @param {boolean} [isTop] @returns {string} */
export function groupText(group, isTop = false) {
  const parts = group.parts.map((part) => partText(part, group.parts.length > 1)).filter(Boolean);
  const text = parts.join(` ${group.how} `);
  return isTop || parts.length < 2 ? text : `(${text})`;
}

/** @param {Part} part @param {boolean} isOneOfMany @returns {string} empty while its value is missing */
function partText(part, isOneOfMany) {
  if ("parts" in part) return groupText(part);
  if ("text" in part) return isOneOfMany && part.text.trim() ? `(${part.text.trim()})` : part.text.trim();
  if (!needsValue(part)) return `${part.field} ${part.operator}`;
  if (!part.values.length) return "";
  const values = part.values.map(literal);
  if (part.operator === "weekday") return `WEEKDAY(${part.field}) in [${values.join(", ")}]`;
  if (isSame(part)) return `${SAME[part.operator]}(${part.field}) == ${SAME[part.operator]}(${values[0]})`;
  if (isListed(part)) return `${part.field} ${part.operator} [${values.join(", ")}]`;
  if (part.operator === "contains") return `CONTAINS(${part.field}, ${values[0]})`;
  if (part.operator === "starts with") return `STARTSWITH(${part.field}, ${values[0]})`;
  if (part.operator === "has") return `${values[0]} in ${part.field}`;
  if (part.operator === "has not") return `${values[0]} not in ${part.field}`;
  return `${part.field} ${part.operator} ${values[0]}`;
}
