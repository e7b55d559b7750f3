// Files in a form: chosen, dropped or pasted, sent at once with progress, bound when it is saved.
import { csrf, element, t, toast } from "./core.js";
import { sign } from "./signature.js";

/** @type {Set<XMLHttpRequest>} */
const running = new Set();

/**
 * Make every file field of a form work, those of rows added later too.
 * @param {HTMLFormElement} form
 */
export function uploads(form) {
  form.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    const box = button ? place(button) : null;
    if (!button || !box) return;
    if (button.hasAttribute("data-remove-file")) remove(box, /** @type {HTMLElement} */ (button.closest("[data-file]")));
    else if (button.hasAttribute("data-choose") && box.dataset.kind === "signature") {
      const drawn = await sign();
      if (drawn) send(box, [drawn]);
      button.focus();
    } else if (button.hasAttribute("data-choose")) {
      /** @type {HTMLInputElement | null} */ (box.querySelector("[data-input]"))?.click();
    }
  });
  form.addEventListener("change", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.dataset.input === undefined) return;
    const box = place(input);
    if (box) send(box, [...(input.files || [])]);
    input.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    form.addEventListener(kind, (event) => {
      const box = taker(event);
      if (!box || !(event instanceof DragEvent) || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      box.toggleAttribute("data-over", true);
    });
  }
  form.addEventListener("dragleave", (event) => taker(event)?.removeAttribute("data-over"));
  form.addEventListener("drop", (event) => {
    const box = taker(event);
    if (!box || !event.dataTransfer?.files.length) return;
    event.preventDefault();
    box.removeAttribute("data-over");
    send(box, [...event.dataTransfer.files]);
  });
  form.addEventListener("paste", (event) => {
    const box = taker(event);
    if (!box || !event.clipboardData?.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    send(box, [...event.clipboardData.files]);
  });
  form.addEventListener("gx-put", (event) => {
    const box = event.target instanceof HTMLElement ? event.target : null;
    if (!box || !(event instanceof CustomEvent)) return;
    box.querySelectorAll("[data-file]").forEach((each) => each.remove());
    for (const id of [event.detail].flat()) if (id) show(box, { id, name: id, has_thumbnail: false });
  }, true);
  // What is still on its way would be missing from the record.
  form.addEventListener("submit", (event) => {
    if (!running.size) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    toast(t("Please wait until the files are uploaded."), "bad");
  }, true);
}

/** @param {Element} node */
function place(node) {
  return /** @type {HTMLElement | null} */ (node.closest("[data-upload]"));
}

/**
 * Return the field under a drag or a paste, unless it takes signatures only.
 * @param {Event} event
 */
function taker(event) {
  const box = event.target instanceof Element ? place(event.target) : null;
  return box && box.dataset.kind !== "signature" ? box : null;
}

/**
 * Say before sending why a file would be refused; the server looks again, at its content.
 * @param {HTMLElement} box
 * @param {File} file
 */
function refusal(box, file) {
  if (file.size > Number(box.dataset.bytes)) return t("At most {limit} fit here.", { limit: box.dataset.size || "" });
  const accept = (box.dataset.accept || "").split(",").filter(Boolean);
  const family = `${file.type.split("/")[0]}/*`;
  const known = !file.type || !accept.length || accept.includes(file.type) || accept.includes(family);
  return known ? "" : t("This takes {accept}.", { accept: accept.join(", ") });
}

/**
 * @param {HTMLElement} box
 * @param {File[]} files
 */
function send(box, files) {
  const most = Number(box.dataset.most) || 1;
  const there = box.querySelectorAll("[data-file], [data-sending]").length;
  const room = most === 1 ? 1 : most - there;
  if (files.length > room) toast(t("At most {max} files.", { max: most }), "bad");
  for (const file of files.slice(0, Math.max(0, room))) {
    const reason = refusal(box, file);
    if (reason) toast(t("{name} was not uploaded: {reason}", { name: file.name, reason }), "bad");
    else transfer(box, file);
  }
}

/**
 * @param {HTMLElement} box
 * @param {File} file
 */
function transfer(box, file) {
  const request = new XMLHttpRequest(); // fetch cannot tell how much has gone
  const bar = /** @type {HTMLProgressElement} */ (element("progress", { max: "100", value: "0", "aria-label": file.name }));
  const stop = element("button", { type: "button", class: "btn gx-quiet btn-sm", title: t("Cancel the upload") }, t("Cancel"));
  const line = element("div", { class: "gx-sending", "data-sending": "" }, element("span", {}, file.name), bar, stop);
  box.querySelector("[data-progress]")?.append(line);
  stop.addEventListener("click", () => request.abort());
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = Math.round((100 * event.loaded) / event.total);
  });
  request.addEventListener("loadend", () => {
    running.delete(request);
    line.remove();
    /** @type {any} */
    let body = {};
    try {
      body = JSON.parse(request.responseText || "{}");
    } catch (error) {
      console.warn("an upload was answered with something that is no JSON", error);
    }
    if (request.status === 201) {
      if (Number(box.dataset.most) === 1) box.querySelectorAll("[data-file]").forEach((each) => each.remove());
      show(box, body);
      say(box, t("{name} is there.", { name: body.name }));
      changed(box);
    } else if (!stopped) {
      const reason = body.message || t("The server cannot be reached. Nothing was saved; what you typed is still here.");
      toast(t("{name} was not uploaded: {reason}", { name: file.name, reason }), "bad");
    }
  });
  let stopped = false;
  request.addEventListener("abort", () => (stopped = true));
  const data = new FormData();
  data.append("file", file);
  request.open("POST", "/api/v1/files");
  request.setRequestHeader("X-CSRFToken", csrf());
  request.setRequestHeader("Accept", "application/json");
  running.add(request);
  request.send(data);
}

/**
 * @param {HTMLElement} box
 * @param {{id: string, name: string, has_thumbnail: boolean}} file
 */
function show(box, file) {
  const isPicture = file.has_thumbnail && box.dataset.kind !== "files" && box.dataset.kind !== "file";
  const inside = isPicture
    ? element("img", { class: "gx-thumb", src: `/files/${file.id}/thumbnail`, alt: file.name })
    : file.name;
  const link = element("a", { href: `/files/${file.id}`, target: "_blank", rel: "noopener", class: isPicture ? "" : "gx-file-name" }, inside);
  const taken = element("input", { type: "hidden", name: box.dataset.path || "", value: file.id });
  const away = element(
    "button", { type: "button", class: "btn gx-quiet gx-square btn-sm", "data-remove-file": "", title: t("Remove") }, "×",
    element("span", { class: "gx-visually-hidden" }, `${t("Remove")} ${file.name}`)
  );
  box.querySelector("[data-files]")?.append(element("li", { "data-file": file.id, "data-name": file.name }, taken, link, away));
}

/**
 * @param {HTMLElement} box
 * @param {HTMLElement | null} line
 */
function remove(box, line) {
  if (!line) return;
  const name = line.dataset.name || line.querySelector("a")?.textContent || line.querySelector("img")?.alt || "";
  line.remove();
  say(box, t("{name} was removed.", { name }));
  /** @type {HTMLElement | null} */ (box.querySelector("[data-choose]"))?.focus();
  changed(box);
}

/**
 * Tell those who do not see the list of files what became of one.
 * @param {HTMLElement} box
 * @param {string} text
 */
function say(box, text) {
  const place = box.querySelector("[data-said]");
  if (place) place.textContent = text;
}

/** @param {HTMLElement} box */
function changed(box) {
  box.dispatchEvent(new Event("change", { bubbles: true }));
}
