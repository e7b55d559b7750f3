// Signing a decision: the pad in the panel, and the words that the pressed button says.
import { Pad } from "./signature.js";

/** @param {HTMLElement} box */
function prepare(box) {
  if (box.dataset.ready) return;
  box.dataset.ready = "1";
  const form = /** @type {HTMLFormElement | null} */ (box.closest("form"));
  const words = /** @type {HTMLElement | null} */ (box.querySelector("[data-meaning]"));
  /** @type {Record<string, string>} */
  const meanings = JSON.parse(box.dataset.meanings || "{}");
  /** @param {Event} event */
  const say = (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[name=verb]") : null;
    if (!(button instanceof HTMLButtonElement) || !words) return;
    // Better no words than those of another verb.
    const said = meanings[button.value] ?? "";
    if (words.textContent !== said) words.textContent = said;
  };
  for (const name of ["focusin", "pointerover", "gx:armed"]) form?.addEventListener(name, say);
  const canvas = /** @type {HTMLCanvasElement | null} */ (box.querySelector("[data-pad]"));
  if (canvas) draw(box, canvas);
}

/**
 * @param {HTMLElement} box
 * @param {HTMLCanvasElement} canvas
 */
function draw(box, canvas) {
  const pad = new Pad(canvas);
  const image = /** @type {HTMLInputElement} */ (box.querySelector("[data-pad-image]"));
  const pointer = /** @type {HTMLInputElement} */ (box.querySelector("[data-pad-pointer]"));
  const name = /** @type {HTMLInputElement} */ (box.querySelector("[data-pad-name]"));
  /** @param {string} how */
  const keep = (how) => {
    image.value = pad.empty ? "" : canvas.toDataURL("image/png");
    pointer.value = pad.empty ? "" : how;
  };
  // After the pad's own listener, so that the last stroke is on the picture.
  canvas.addEventListener("pointerup", (event) => keep(event.pointerType || "mouse"));
  name.addEventListener("input", () => {
    pad.write(name.value);
    keep("keyboard");
  });
  // Enter in the name must not decide.
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  box.querySelector("[data-pad-clear]")?.addEventListener("click", () => {
    name.value = "";
    pad.wipe();
    keep("");
  });
}

/** Panels are put in while the page lives. */
function prepareAll() {
  for (const box of document.querySelectorAll("[data-signing]")) prepare(/** @type {HTMLElement} */ (box));
}

prepareAll();
new MutationObserver(prepareAll).observe(document.body, { childList: true, subtree: true });
