// @ts-check
/**
 * Computes the JSON trees that the server makes of expressions (core/expression/jsontree.py).
 *
 * The same rules as on the server: exact decimals (scaled BigInt), null-safe equality,
 * text ordered by code point, days in the store's zone. Nothing is generated or evaluated
 * as code, so it runs under a strict content security policy.
 *
 * Values inside: numbers are `Decimal`, dates and times their ISO text, instants
 * microseconds since 1970 as BigInt, links ids, table fields lists of objects. Rows hold
 * values as they come over the wire.
 *
 * @typedef {import("./decimals.js").Decimal} Decimal  n / 10^s
 * @typedef {Record<string, any>} Row  field name to wire value
 * @typedef {object} Env
 * @property {string} today  the store's day
 * @property {string} now  RFC 3339
 * @property {string} zone  IANA name of the store day's zone
 * @property {string} user  id of the person acting
 * @property {Record<string, any>} [variables]
 * @property {(type: string, id: string) => Row | null | undefined} [follow]  a linked record
 * @property {(type: string, row: Row, field: string) => any[]} [rows]  rows not in the row
 * @typedef {Env & {left: number}} Counted
 * @typedef {{row: Row, outer: Frame | null}} Frame
 * @typedef {(frame: Frame, env: Counted) => any} Run
 */

import {
  DAY_MICROS, SECONDS, addClock, addToDate, addWall, daysBetween, duration, fromWall, instant, instantText, parts, storeDay, toNumber,
} from "./days.js";
import {
  add, average, clampedInteger, decimal, decimalText, divide, extreme, integer, multiply, negate, order, round, same, size, total,
} from "./decimals.js";

const MAX_STEPS = 100000;
const BLANKS = " \t\r\n\u00a0\u3000";

// -- text ---------------------------------------------------------------------------------

/** @param {string} text @param {(char: string) => string} change @returns {string} */
const eachPoint = (text, change) =>
  Array.from(text, (char) => {
    const changed = change(char);
    return Array.from(changed).length === 1 ? changed : char;
  }).join("");

/** @param {string} text @returns {string} */
function trim(text) {
  let [start, end] = [0, text.length];
  while (start < end && BLANKS.includes(text[start])) start += 1;
  while (end > start && BLANKS.includes(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

/** @param {string} text @returns {Decimal | null} */
function numberOf(text) {
  const trimmed = trim(text);
  if (!/^[+-]?[0-9]+(\.[0-9]+)?$/.test(trimmed)) return null;
  return trimmed.replace(/[+\-.]/g, "").length > 30 ? null : decimal(trimmed);
}

/** @param {any} value @returns {string} */
const textOf = (value) => (value !== null && typeof value === "object" ? decimalText(value) : String(value));

/** @param {any[]} values @returns {any[]} */
const known = (values) => values.filter((value) => value !== null);

/** Functions that get their nulls. @type {Record<string, (...values: any[]) => any>} */
const NULLABLE = {
  CONCAT: (...texts) => known(texts).join(""),
  COALESCE: (...values) => known(values)[0] ?? null,
  MIN: (...values) => extreme(known(values), -1),
  MAX: (...values) => extreme(known(values), 1),
  SUM: (...values) => total(known(values)),
  AVG: (...values) => average(known(values)),
  COUNT: (...values) => integer(known(values).length),
};

/** Functions that a null argument makes null, or false. @type {Record<string, (...values: any[]) => any>} */
const STRICT = {
  ROUND: round,
  ABS: (d) => ({ n: size(d.n), s: d.s }),
  LEN: (text) => integer(Array.from(text).length),
  LEFT: (text, n = integer(1)) => Array.from(text).slice(0, Math.max(0, clampedInteger(n))).join(""),
  RIGHT: (text, n = integer(1)) => {
    const count = Math.max(0, clampedInteger(n));
    return count ? Array.from(text).slice(-count).join("") : "";
  },
  UPPER: (text) => eachPoint(text, (char) => char.toUpperCase()),
  LOWER: (text) => eachPoint(text, (char) => char.toLowerCase()),
  TRIM: trim,
  CONTAINS: (text, part) => text.includes(part),
  STARTSWITH: (text, part) => text.startsWith(part),
  NUMBER: numberOf,
  TEXT: textOf,
  YEAR: (day) => integer(parts(day)[0]),
  MONTH: (day) => integer(parts(day)[1]),
  DAY: (day) => integer(parts(day)[2]),
  WEEKDAY: (day) => integer(((((toNumber(day) + 3) % 7) + 7) % 7) + 1),
  COUNT_CHOICES: (values) => integer(values.length),
  HAS: (item, values) => values.includes(item),
  STORE_DAY: storeDay,
  DAY_START: (day, zone) => fromWall(BigInt(toNumber(day)) * DAY_MICROS, zone),
  ADD_TO_DATE: addToDate,
  ADD_CLOCK: addClock,
  ADD_WALL: addWall,
  DAYS_BETWEEN: daysBetween,
  CLOCK_BETWEEN: (/** @type {bigint} */ first, /** @type {bigint} */ last, /** @type {string} */ unit) =>
    integer((last - first) / (BigInt(SECONDS[unit]) * 1000000n)),
};

const PREDICATES = new Set(["CONTAINS", "STARTSWITH", "HAS"]);

/**
 * Adds a plugin's function, which must do what its Python twin does.
 * @param {string} name @param {(...values: any[]) => any} run @param {boolean} [isPredicate]
 */
export function registerFunction(name, run, isPredicate = false) {
  if (name in STRICT || name in NULLABLE) throw new Error(`the function ${name} exists already`);
  STRICT[name] = run;
  if (isPredicate) PREDICATES.add(name);
}

// -- values in and out --------------------------------------------------------------------

/** @param {string} kind @param {any} value as it comes over the wire @returns {any} */
function read(kind, value) {
  if (value === null || value === undefined) return null;
  switch (kind) {
    case "number":
      return decimal(value);
    case "duration":
      return typeof value === "string" ? duration(value) : decimal(value);
    case "datetime":
      return instant(value);
    case "time":
      return value.length === 5 ? `${value}:00` : value;
    default:
      return value;
  }
}

/** @param {any} value @returns {any} plain JSON */
function write(value) {
  if (typeof value === "bigint") return instantText(value);
  return value !== null && typeof value === "object" && "n" in value ? decimalText(value) : value;
}

// -- the tree -----------------------------------------------------------------------------

/** @type {Record<string, (node: any[], depth: number) => Run>} */
const BUILD = {
  literal([, kind, value]) {
    const found = read(kind, value);
    return () => found;
  },
  items([, ...nodes], depth) {
    const runs = nodes.map((node) => build(node, depth));
    return (frame, env) => runs.map((run) => run(frame, env));
  },
  field([, kind, name, number], depth) {
    const levels = depth - number;
    return (frame) => read(kind, at(frame, levels).row[name]);
  },
  variable([, kind, name]) {
    if (name === "@today") return (_frame, env) => env.today;
    if (name === "@now") return (_frame, env) => instant(env.now);
    if (name === "@zone") return (_frame, env) => env.zone;
    if (name === "current_user") return (_frame, env) => env.user;
    return (_frame, env) => read(kind, env.variables?.[name]);
  },
  linked([, kind, base, target, name], depth) {
    const link = build(base, depth);
    return (frame, env) => {
      const record = follow(env, target, link(frame, env));
      return record ? read(kind, record[name]) : null;
    };
  },
  part([, kind, base, name], depth) {
    const whole = build(base, depth);
    return (frame, env) => read(kind, whole(frame, env)?.[name]);
  },
  arithmetic([, operator, left, right], depth) {
    const [first, second] = [build(left, depth), build(right, depth)];
    const compute = ARITHMETIC[operator];
    return (frame, env) => {
      const a = first(frame, env);
      const b = second(frame, env);
      return a === null || b === null ? null : compute(a, b);
    };
  },
  compare([, operator, left, right], depth) {
    const [first, second] = [build(left, depth), build(right, depth)];
    if (operator === "==") return (frame, env) => same(first(frame, env), second(frame, env));
    if (operator === "!=") return (frame, env) => !same(first(frame, env), second(frame, env));
    const test = ORDER[operator];
    return (frame, env) => {
      const a = first(frame, env);
      const b = second(frame, env);
      return a !== null && b !== null && test(order(a, b));
    };
  },
  within([, item, container], depth) {
    const [one, many] = [build(item, depth), build(container, depth)];
    return (frame, env) => {
      const value = one(frame, env);
      const found = many(frame, env) || [];
      return found.some((/** @type {any} */ other) => same(value, container[0] === "rows" ? (other.id ?? other) : other));
    };
  },
  empty([, operand], depth) {
    const value = build(operand, depth);
    return (frame, env) => {
      const found = value(frame, env);
      if (found === null || found === "") return true;
      if (typeof found !== "object") return false;
      return Array.isArray(found) ? found.length === 0 : Object.keys(found).length === 0;
    };
  },
  logic([, operator, ...nodes], depth) {
    const runs = nodes.map((node) => build(node, depth));
    if (operator === "not") return (frame, env) => !runs[0](frame, env);
    if (operator === "and") return (frame, env) => runs.every((run) => Boolean(run(frame, env)));
    return (frame, env) => runs.some((run) => Boolean(run(frame, env)));
  },
  choose([, condition, then, otherwise], depth) {
    const [test, yes, no] = [condition, then, otherwise].map((node) => build(node, depth));
    return (frame, env) => (test(frame, env) ? yes(frame, env) : no(frame, env));
  },
  call([, name, ...nodes], depth) {
    const runs = nodes.map((node) => build(node, depth));
    if (Object.hasOwn(NULLABLE, name)) return (frame, env) => NULLABLE[name](...runs.map((run) => run(frame, env)));
    if (!Object.hasOwn(STRICT, name)) throw new Error(`there is no function ${name}`);
    const missing = PREDICATES.has(name) ? false : null;
    return (frame, env) => {
      const values = runs.map((run) => run(frame, env));
      return values.includes(null) ? missing : STRICT[name](...values);
    };
  },
  rows([, owner, name, number, base, , target], depth) {
    const levels = depth - number;
    const link = base && build(base, depth);
    return (frame, env) => {
      const holder = link ? follow(env, target, link(frame, env)) : at(frame, levels).row;
      if (!holder) return [];
      return holder[name] ?? env.rows?.(owner, holder, name) ?? [];
    };
  },
  each([, rows, item, number], depth) {
    const all = build(rows, depth);
    const one = build(item, number);
    const links = rows[5];
    return (frame, env) => {
      let found = all(frame, env);
      env.left -= found.length;
      if (env.left < 0) throw new RangeError(`more than ${MAX_STEPS} rows`);
      if (links) {
        found = found.map((/** @type {any} */ key) => (typeof key === "string" ? follow(env, links, key) : key));
        found = found.filter(Boolean);
      }
      return found.map((/** @type {Row} */ row) => one({ row, outer: frame }, env));
    };
  },
  rollup([, how, rows, item, number], depth) {
    if (item === null) {
      const all = build(rows, depth);
      return (frame, env) => integer(all(frame, env).length);
    }
    const values = BUILD.each(["each", rows, item, number], depth);
    const fold = FOLD[how];
    return (frame, env) => fold(values(frame, env));
  },
};

/** @type {Record<string, (a: Decimal, b: Decimal) => Decimal | null>} */
const ARITHMETIC = { "+": add, "-": (a, b) => add(a, negate(b)), "*": multiply, "/": divide };

/** @type {Record<string, (n: number) => boolean>} */
const ORDER = { "<": (n) => n < 0, "<=": (n) => n <= 0, ">": (n) => n > 0, ">=": (n) => n >= 0 };

/** @type {Record<string, (values: any[]) => any>} */
const FOLD = {
  sum: (values) => total(known(values)),
  avg: (values) => average(known(values)),
  min: (values) => extreme(known(values), -1),
  max: (values) => extreme(known(values), 1),
  any: (values) => values.some(Boolean),
  all: (values) => values.every(Boolean),
  count: (values) => integer(values.filter(Boolean).length),
};

/** @param {Frame} frame @param {number} levels @returns {Frame} */
function at(frame, levels) {
  let found = frame;
  for (let i = 0; i < levels && found.outer; i += 1) found = found.outer;
  return found;
}

/** @param {Counted} env @param {string} type @param {string | null} id @returns {Row | null} */
const follow = (env, type, id) => (id === null ? null : env.follow?.(type, id) || null);

/** @param {any[]} node @param {number} depth @returns {Run} */
function build(node, depth) {
  if (!Object.hasOwn(BUILD, node[0])) throw new Error(`unknown node ${node[0]}`);
  return BUILD[node[0]](node, depth);
}

/**
 * Compiles a tree once; the result computes it for rows and gives plain JSON values
 * (numbers as text).
 * @param {any[]} tree
 * @param {number} [depth] 1 where it is about a row and sees the record that holds it
 * @returns {(row: Row, env: Env, outer?: Row | null) => any}
 */
export function compile(tree, depth = 0) {
  const run = build(tree, depth);
  return (row, env, outer = null) => write(run({ row, outer: outer && { row: outer, outer: null } }, { ...env, left: MAX_STEPS }));
}
