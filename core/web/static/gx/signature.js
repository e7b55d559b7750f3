// A signature: drawn with any pointer, or a name typed by those who cannot draw.
import { element, t } from "./core.js";

const WIDTH = 600;
const HEIGHT = 200;

/**
 * Ask for a signature.
 * @returns {Promise<File | null>} a PNG picture; null when it was cancelled or stayed empty
 */
export function sign() {
  return new Promise((resolve) => {
    const canvas = /** @type {HTMLCanvasElement} */ (
      element("canvas", { class: "gx-sign", width: String(WIDTH), height: String(HEIGHT), role: "img", "aria-label": t("Sign here") })
    );
    const name = /** @type {HTMLInputElement} */ (
      element("input", { class: "form-control", type: "text", maxlength: "60", id: "gx-sign-name", autocomplete: "name" })
    );
    const clear = element("button", { type: "button", class: "btn" }, t("Clear"));
    // Not a submit button: Enter in the name would press the first of those.
    const no = element("button", { type: "button", class: "btn" }, t("Cancel"));
    const yes = element("button", { class: "btn btn-primary", value: "yes" }, t("Use this signature"));
    const body = element(
      "div", { class: "gx-dialog-body" }, element("h2", { id: "gx-sign-title" }, t("Sign here")),
      element("p", { class: "gx-muted" }, t("Draw with a finger, pen or mouse, or type your name.")), canvas,
      element("label", { class: "gx-label", for: "gx-sign-name" }, t("Your name")), name
    );
    const foot = element("div", { class: "gx-dialog-foot" }, clear, no, yes);
    const dialog = /** @type {HTMLDialogElement} */ (
      element("dialog", { class: "gx-dialog", "aria-labelledby": "gx-sign-title" }, element("form", { method: "dialog" }, body, foot))
    );
    const pad = new Pad(canvas);
    name.addEventListener("input", () => pad.write(name.value));
    clear.addEventListener("click", () => {
      name.value = "";
      pad.wipe();
    });
    no.addEventListener("click", () => dialog.close(""));
    // Inside the record's form the answers would bubble into it.
    dialog.addEventListener("submit", (event) => event.stopPropagation());
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue !== "yes" || pad.empty) resolve(null);
      else canvas.toBlob((made) => resolve(made && new File([made], "signature.png", { type: "image/png" })), "image/png");
    });
    document.body.append(dialog);
    dialog.showModal();
    name.focus();
  });
}

export class Pad {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.empty = true;
    this.wipe();
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      this.pen.beginPath();
      this.pen.moveTo(...this.at(event));
      this.line(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.line(event);
    });
  }

  /**
   * @param {PointerEvent} event
   * @returns {[number, number]} the point in the picture
   */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * WIDTH) / box.width, ((event.clientY - box.top) * HEIGHT) / box.height];
  }

  /** @param {PointerEvent} event */
  line(event) {
    const [x, y] = this.at(event);
    this.pen.lineTo(x, y + 0.01); // a tap leaves a dot
    this.pen.stroke();
    this.empty = false;
  }

  /** @param {string} text */
  write(text) {
    this.wipe();
    if (!text.trim()) return;
    let size = 72;
    do {
      this.pen.font = `italic ${size}px "KaiTi", "Kaiti SC", "Segoe Script", "Brush Script MT", cursive, serif`;
      size -= 4;
    } while (this.pen.measureText(text).width > WIDTH - 40 && size > 16);
    this.pen.fillStyle = "#10243e";
    this.pen.textBaseline = "middle";
    this.pen.textAlign = "center";
    this.pen.fillText(text, WIDTH / 2, HEIGHT / 2, WIDTH - 40);
    this.empty = false;
  }

  wipe() {
    this.pen.fillStyle = "#ffffff";
    this.pen.fillRect(0, 0, WIDTH, HEIGHT);
    this.pen.strokeStyle = "#10243e";
    this.pen.lineWidth = 3;
    this.pen.lineCap = "round";
    this.pen.lineJoin = "round";
    this.empty = true;
  }
}
