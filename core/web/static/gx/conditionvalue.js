// The control of the value that a row of a condition compares with: chosen, found or typed.
import { element, storeZone, t } from "./core.js";
import { isAlike, isDay, isListed, isNumber, isSame, valueOf } from "./conditiontext.js";
import { INSTANT, toLocal } from "./days.js";

/** @typedef {import("./conditiontext.js").Field} Field */
/** @typedef {import("./conditiontext.js").Row} Row */
/** @typedef {import("./conditiontext.js").Value} Value */
/** @typedef {(texts: string[]) => void} Give */

/** What stands for now, by the kind of field. @type {Record<string, string>} */
const NOW = { date: "TODAY()", datetime: "NOW()" };
const PEOPLE = new Set(["user", "users"]);
const SHIFTED = /^DATEADD\((?:TODAY|NOW)\(\), ([+-]?)(\d+), 'day'\)$/;

let count = 0;

/**
 * Return the control of a row's value; what is chosen is put into the row.
 * @param {Row} part
 * @param {Field[]} fields of the scope: one of them is the row's
 * @param {Record<string, string>} titles what records and people are called, by id
 * @param {() => void} changed
 * @returns {HTMLElement}
 */
export function valueControl(part, fields, titles, changed) {
  const field = fields.find((each) => each.name === part.field);
  const kind = part.operator === "weekday" ? "integer" : field?.kind || "text";
  const holder = element("span", { class: "gx-builder-value" });
  /** @type {Give} */
  const give = (texts) => {
    part.values = texts.filter((text) => text !== "").map((text) => valueOf(kind, text));
    changed();
  };
  /** @param {Value[]} values */
  const put = (values) => {
    part.values = values;
    changed();
  };
  if (isSame(part)) {
    holder.append(otherDay(part, fields, put));
    return holder;
  }
  const control = plainControl(part, field, titles, give);
  if (field && !isListed(part) && (isNumber(field) || part.values[0]?.kind === "field")) holder.append(...others(part, field, fields, control, put));
  else if (!isListed(part) && NOW[kind]) holder.append(...moments(part, NOW[kind], control, put));
  else if (!isListed(part) && PEOPLE.has(kind)) holder.append(...people(part, control, put));
  else holder.append(control);
  return holder;
}

/**
 * The day of another field, or today.
 * @param {Row} part
 * @param {Field[]} fields
 * @param {(values: Value[]) => void} put
 */
function otherDay(part, fields, put) {
  const days = /** @type {[string, string][]} */ (fields.filter((each) => isDay(each) && each.name !== part.field).map((each) => [each.name, each.label]));
  const chosen = part.values[0]?.text || "";
  const known = !chosen || chosen === NOW.date || days.some(([each]) => each === chosen) ? [] : [[chosen, chosen]];
  const select = choose(t("Value"), [["", "—"], [NOW.date, t("today")], ...days, ...known], chosen);
  select.addEventListener("change", () => put(select.value ? [{ kind: select.value.endsWith("()") ? "call" : "field", text: select.value }] : []));
  return select;
}

/**
 * A value, or what another field of the kind says.
 * @param {Row} part
 * @param {Field} field
 * @param {Field[]} fields
 * @param {HTMLElement} control
 * @param {(values: Value[]) => void} put
 */
function others(part, field, fields, control, put) {
  const alike = /** @type {[string, string][]} */ (fields.filter((each) => isAlike(each, field) && each.name !== part.field).map((each) => [each.name, each.label]));
  const chosen = part.values[0]?.kind === "field" ? part.values[0].text : "";
  const known = !chosen || alike.some(([each]) => each === chosen) ? [] : [[chosen, chosen]];
  const mode = choose(t("Compared with"), [["", t("a value")], ...alike, ...known], chosen);
  control.hidden = mode.value !== "";
  mode.addEventListener("change", () => {
    control.hidden = mode.value !== "";
    put(mode.value ? [{ kind: "field", text: mode.value }] : []);
  });
  return [mode, control];
}

/**
 * A day of the calendar, or one counted from today.
 * @param {Row} part
 * @param {string} now
 * @param {HTMLElement} control
 * @param {(values: Value[]) => void} put
 */
function moments(part, now, control, put) {
  const value = part.values[0];
  const shifted = value?.kind === "call" ? SHIFTED.exec(value.text) : null;
  const mode = choose(t("Value"), [
    ["", t("on a day")], ["now", now === "NOW()" ? t("now") : t("today")], ["-", t("days ago")], ["+", t("days from now")],
  ], value?.kind !== "call" ? "" : shifted ? shifted[1] || "+" : "now");
  const days = /** @type {HTMLInputElement} */ (
    element("input", { class: "form-control gx-number", type: "text", inputmode: "numeric", "aria-label": t("Days"), value: shifted?.[2] || "7" })
  );
  const show = () => {
    control.hidden = mode.value !== "";
    days.hidden = mode.value !== "-" && mode.value !== "+";
  };
  const write = () => {
    const isCounted = /^\d{1,5}$/.test(days.value.trim());
    if (mode.value === "") put([]);
    else if (mode.value === "now") put([{ kind: "call", text: now }]);
    else put(isCounted ? [{ kind: "call", text: `DATEADD(${now}, ${mode.value === "-" ? "-" : ""}${days.value.trim()}, 'day')` }] : []);
  };
  mode.addEventListener("change", () => {
    show();
    write();
  });
  days.addEventListener("input", (event) => {
    event.stopPropagation();
    write();
  });
  show();
  return [mode, days, control];
}

/**
 * Somebody, or whoever asks.
 * @param {Row} part
 * @param {HTMLElement} control
 * @param {(values: Value[]) => void} put
 */
function people(part, control, put) {
  const mode = choose(t("Value"), [["", t("a person")], ["me", t("me")]], part.values[0]?.kind === "name" ? "me" : "");
  control.hidden = mode.value === "me";
  mode.addEventListener("change", () => {
    control.hidden = mode.value === "me";
    put(mode.value === "me" ? [{ kind: "name", text: "current_user" }] : []);
  });
  return [mode, control];
}

/**
 * @param {Row} part
 * @param {Field | undefined} field
 * @param {Record<string, string>} titles
 * @param {Give} give
 * @returns {HTMLElement}
 */
function plainControl(part, field, titles, give) {
  const kind = field?.kind || "text";
  const isList = isListed(part);
  if (part.operator === "weekday") return boxes(part, weekdays(), give);
  const isPlain = !["call", "name", "field"].includes(part.values[0]?.kind ?? "");
  const first = (isPlain && part.values[0]?.text) || "";
  const choices = kind === "boolean" ? [["true", t("Yes")], ["false", t("No")]] : field?.choices || [];
  if (choices.length && isList) return boxes(part, choices, give);
  if (choices.length) {
    const known = choices.some(([each]) => each === first) || !first ? [] : [[first, first]];
    const select = choose(t("Value"), [["", "—"], ...choices, ...known], first);
    select.addEventListener("change", () => give([select.value]));
    return select;
  }
  if (field?.target) return picker(field, isList ? part.values.map((each) => each.text) : [first], isList, titles, give);
  const type = isList ? "text" : { date: "date", datetime: "datetime-local", time: "time" }[kind] || "text";
  const value = isList ? part.values.map((each) => each.text).join(", ") : kind === "datetime" ? local(first) : first;
  const input = /** @type {HTMLInputElement} */ (element("input", { class: "form-control", type, value, "aria-label": t("Value") }));
  if (isList) input.placeholder = t("several, with commas");
  input.addEventListener("input", (event) => {
    event.stopPropagation();
    give(isList ? input.value.trim().split(/\s*[,，、]\s*/) : [input.value]);
  });
  return input;
}

/** @returns {string[][]} Monday 1 to Sunday 7, as `WEEKDAY` counts them */
function weekdays() {
  const name = new Intl.DateTimeFormat(document.documentElement.lang || "en", { weekday: "long", timeZone: "UTC" });
  return [1, 2, 3, 4, 5, 6, 7].map((day) => [String(day), name.format(Date.UTC(2024, 0, day))]);
}

/**
 * @param {Row} part
 * @param {string[][]} choices
 * @param {Give} give
 */
function boxes(part, choices, give) {
  const host = element("div", { class: "gx-choices", role: "group", "aria-label": t("Value") });
  const chosen = part.values.map((each) => each.text);
  const unknown = chosen.filter((each) => !choices.some(([value]) => value === each)).map((each) => [each, each]);
  for (const [value, text] of [...choices, ...unknown]) {
    const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", value }));
    box.checked = chosen.includes(value);
    host.append(element("label", {}, box, text));
  }
  host.addEventListener("change", () => {
    const picked = /** @type {NodeListOf<HTMLInputElement>} */ (host.querySelectorAll("input:checked"));
    give([...picked].map((each) => each.value));
  });
  return host;
}

/**
 * @param {Field} field
 * @param {string[]} ids
 * @param {boolean} isList
 * @param {Record<string, string>} titles
 * @param {Give} give
 */
function picker(field, ids, isList, titles, give) {
  const list = `builder-${(count += 1)}`;
  const chosen = /** @type {HTMLInputElement} */ (element("input", { type: "hidden", value: ids[0] || "", "data-chosen": "" }));
  const picked = element("div", { class: "gx-picked", "data-picked": "" });
  const search = /** @type {HTMLInputElement} */ (element("input", {
    class: "form-control", type: "text", role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": list,
    autocomplete: "off", "data-search": "", "aria-label": t("Value"), placeholder: t("Type to search"),
    value: isList ? "" : titles[ids[0]] || ids[0] || "",
  }));
  const box = element("div", { class: "gx-combo", "data-combo": "", "data-target": field.target }, isList ? picked : chosen, search,
    element("ul", { class: "gx-combo-list", id: list, role: "listbox", "aria-label": t("Value"), hidden: "" }));
  if (isList) {
    box.dataset.many = "";
    for (const id of ids) picked.append(chip(id, titles[id] || id));
  }
  search.addEventListener("input", (event) => event.stopPropagation());
  box.addEventListener("change", () => {
    if (!isList) {
      titles[chosen.value] = search.value;
      return give([chosen.value]);
    }
    const chips = /** @type {HTMLElement[]} */ ([...picked.querySelectorAll("[data-value]")]);
    for (const each of chips) titles[each.dataset.value || ""] ??= each.childNodes[1]?.textContent || "";
    give(chips.map((each) => each.dataset.value || ""));
  });
  return box;
}

/** @param {string} id @param {string} title */
function chip(id, title) {
  const remove = element("button", { type: "button", "data-unpick": "", title: t("Remove") }, "×");
  remove.append(element("span", { class: "gx-visually-hidden" }, `${t("Remove")} ${title}`));
  return element("span", { class: "gx-chip", "data-value": id }, title, remove);
}

/** @param {string} text as an expression has it @returns {string} as a `datetime-local` control has it */
const local = (text) => (INSTANT.test(text) ? toLocal(text, storeZone()) : text);

/**
 * @param {string} label
 * @param {string[][]} options
 * @param {string} value
 */
export function choose(label, options, value) {
  const select = /** @type {HTMLSelectElement} */ (element("select", { class: "form-select", "aria-label": label }));
  for (const [each, text] of options) select.append(element("option", { value: each }, text));
  select.value = value;
  return select;
}
