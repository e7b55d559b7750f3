// What every island uses: texts in the reader's language, requests, short messages.

/** @type {Record<string, string>} */
const texts = JSON.parse(document.getElementById("gx-texts")?.textContent || "{}");
// A page with an island of its own brings that island's texts along.
for (const own of document.querySelectorAll("script[data-texts]")) Object.assign(texts, JSON.parse(own.textContent || "{}"));

/**
 * Return a text in the reader's language with its placeholders filled in.
 * @param {string} source
 * @param {Record<string, string | number>} [params]
 * @returns {string}
 */
export function t(source, params = {}) {
  const text = texts[source] ?? source;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(params[name] ?? whole));
}

/** @returns {string} the zone that times are shown and typed in, whatever the browser's clock says */
export const storeZone = () => document.documentElement.dataset.zone || "UTC";

/**
 * Make an element; text is always text, never markup.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Show a short message, read out by screen readers.
 * @param {string} text
 * @param {"good" | "bad" | ""} [tone]
 */
export function toast(text, tone = "") {
  const place = document.getElementById("gx-toasts");
  if (!place) return;
  const made = element("div", { class: "gx-toast", "data-tone": tone }, text);
  place.append(made);
  setTimeout(() => made.remove(), tone === "bad" ? 9000 : 4000);
}

/** @returns {string} the token that every request with our cookie must carry */
export function csrf() {
  const input = document.querySelector('input[name="csrf_token"]');
  return input instanceof HTMLInputElement ? input.value : "";
}

/**
 * @typedef {{path: string, code: string, message: string, anchor?: string, label?: string}} Problem
 * @typedef {{ok: boolean, status: number, body: any}} Answer
 */

/**
 * Send a request that is answered with JSON; a broken line is answer 0.
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<Answer>}
 */
export async function ask(url, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("Accept", "application/json");
  if (options.method && options.method !== "GET") headers.set("X-CSRFToken", csrf());
  try {
    const response = await fetch(url, { ...options, headers, credentials: "same-origin" });
    const isJson = (response.headers.get("Content-Type") || "").includes("json");
    return { ok: response.ok, status: response.status, body: isJson ? await response.json() : {} };
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    return { ok: false, status: 0, body: {} };
  }
}

/**
 * Say what a failed answer means.
 * @param {Answer} answer
 * @returns {string}
 */
export function failure(answer) {
  if (answer.body.message) return answer.body.message + (answer.body.hint ? " " + answer.body.hint : "");
  return answer.status === 0
    ? t("The server cannot be reached. Nothing was saved; what you typed is still here.")
    : t("Something went wrong. Nothing was saved; what you typed is still here.");
}

/**
 * Ask a question in a dialog; the answer is the text typed, or "" / "yes" without an input.
 * @param {{title: string, text?: string, confirm: string, danger?: boolean, reason?: string}} what `reason` is the label of a text that must be given
 * @returns {Promise<string | null>} null when it was cancelled
 */
export function confirmed(what) {
  return new Promise((resolve) => {
    const dialog = /** @type {HTMLDialogElement} */ (
      element("dialog", { class: "gx-dialog", "aria-labelledby": "gx-dialog-title" })
    );
    const body = element("div", { class: "gx-dialog-body" }, element("h2", { id: "gx-dialog-title" }, what.title));
    if (what.text) body.append(element("p", {}, what.text));
    const yes = element("button", { class: `btn ${what.danger ? "btn-danger" : "btn-primary"}`, value: "yes" }, what.confirm);
    const no = element("button", { class: "btn", value: "", formnovalidate: "" }, t("Cancel"));
    const reason = /** @type {HTMLTextAreaElement} */ (element("textarea", { class: "form-control", id: "gx-dialog-reason", rows: "3", maxlength: "2000", required: "" }));
    if (what.reason) body.append(element("label", { class: "gx-label", for: "gx-dialog-reason" }, what.reason), reason);
    const form = element("form", { method: "dialog" }, body, element("div", { class: "gx-dialog-foot" }, no, yes));
    dialog.append(form);
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? (what.reason ? reason.value : "yes") : null);
    });
    dialog.showModal();
    (what.reason ? reason : yes).focus();
  });
}

/**
 * Return a fraction paid as people say it: 9折, 10% off.
 * @param {string} text
 * @returns {string}
 */
export function rateText(text) {
  if (!/^\d*\.?\d+$/.test(text.trim())) return "";
  const [whole, part = ""] = text.trim().split(".");
  const digits = (part + "0000000000").slice(0, 10);
  const value = BigInt(whole || "0") * 10n ** 10n + BigInt(digits);
  if (value <= 0n || value > 10n ** 10n) return "";
  if (value === 10n ** 10n) return t("no discount");
  // Chinese names what is paid (9折), other languages what is taken off (10%).
  const told = document.documentElement.lang.startsWith("zh") ? shifted(value, 9) : shifted(10n ** 10n - value, 8);
  return t("{amount}% off", { amount: told });
}

/**
 * @param {bigint} value
 * @param {number} places
 * @returns {string}
 */
function shifted(value, places) {
  const text = value.toString().padStart(places + 1, "0");
  return `${text.slice(0, -places)}.${text.slice(-places)}`.replace(/\.?0+$/, "");
}

/**
 * Have every form with `data-confirm` ask before it is sent.
 * @param {() => void} [before] called once it is certain
 */
export function askBeforeSending(before) {
  for (const each of document.querySelectorAll("form[data-confirm]")) {
    const form = /** @type {HTMLFormElement} */ (each);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const yes = await confirmed({
        title: form.dataset.confirm || t("Are you sure?"),
        text: form.dataset.confirmText || "",
        confirm: form.dataset.confirmYes || t("Please go on"),
        danger: "danger" in form.dataset,
        reason: form.dataset.confirmReason,
      });
      if (yes === null) return;
      const kept = /** @type {HTMLInputElement | null} */ (form.querySelector("input[name=reason]"));
      if (kept) kept.value = yes;
      before?.();
      form.submit();
    });
  }
}
