// The import: how far the upload is, and that the server is at work on it.
import { askBeforeSending, csrf, t, toast } from "./core.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("import-form"));
const place = /** @type {HTMLElement} */ (form.querySelector("[data-progress]"));
const bar = /** @type {HTMLProgressElement} */ (place.querySelector("progress"));
const words = /** @type {HTMLElement} */ (place.querySelector("[data-progress-text]"));

askBeforeSending();

form.addEventListener("submit", (event) => {
  const file = /** @type {HTMLInputElement} */ (form.elements.namedItem("file")).files?.[0];
  if (!file) return;
  event.preventDefault();
  place.hidden = false;
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button.btn-primary"));
  button.disabled = true;
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("X-CSRFToken", csrf());
  request.upload.addEventListener("progress", (progress) => {
    bar.value = progress.lengthComputable ? (progress.loaded / progress.total) * 100 : 0;
    words.textContent = `${Math.round(bar.value)} %`;
  });
  request.upload.addEventListener("load", () => {
    bar.removeAttribute("value");
    words.textContent = t("Reading the file …");
  });
  request.addEventListener("load", () => {
    const parsed = new DOMParser().parseFromString(request.responseText, "text/html");
    const main = parsed.getElementById("main");
    const mine = document.getElementById("main");
    const fresh = main?.querySelector(".gx-record > div > section, .gx-record > div > .gx-note");
    if (!main || !mine || !fresh) return failed(button);
    for (const old of mine.querySelectorAll(".gx-record > div > section, .gx-record > div > .gx-note")) old.remove();
    form.before(document.adoptNode(fresh));
    place.hidden = true;
    button.disabled = false;
    form.previousElementSibling?.scrollIntoView({ block: "nearest" });
  });
  request.addEventListener("error", () => failed(button));
  request.send(new FormData(form));
});

/** @param {HTMLButtonElement} button */
function failed(button) {
  place.hidden = true;
  button.disabled = false;
  toast(t("Something went wrong. Nothing was saved; what you typed is still here."), "bad");
}

