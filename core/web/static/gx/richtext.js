// Formatted text: an editable area with a few buttons over the textarea that is submitted.
// The server cleans whatever arrives, so nothing here is about safety.
import { element, t } from "./core.js";

/** Button -> the browser's editing command, and what it makes of the line. */
const COMMANDS = /** @type {[string, () => string, string, string?][]} */ ([
  ["B", () => t("Bold"), "bold"], ["I", () => t("Italic"), "italic"], ["U", () => t("Underlined"), "underline"],
  ["H", () => t("Heading"), "formatBlock", "h3"], ["¶", () => t("Plain paragraph"), "formatBlock", "p"],
  ["❝", () => t("Quotation"), "formatBlock", "blockquote"], ["•", () => t("List"), "insertUnorderedList"],
  ["1.", () => t("Numbered list"), "insertOrderedList"], ["⌫", () => t("Remove formatting"), "removeFormat"],
]);

const serializer = new XMLSerializer();

/** @param {ParentNode} root */
export function richEditors(root) {
  for (const each of root.querySelectorAll("textarea[data-rich]:not([data-ready])")) {
    const input = /** @type {HTMLTextAreaElement} */ (each);
    input.dataset.ready = "";
    edit(input);
  }
}

/** @param {HTMLTextAreaElement} input */
function edit(input) {
  const label = document.querySelector(`label[for="${CSS.escape(input.id)}"]`)?.textContent?.replace("*", "").trim() || "";
  const area = element("div", {
    class: "form-control gx-rich gx-rich-area", contenteditable: "true", role: "textbox", "aria-multiline": "true", "aria-label": label,
    "aria-describedby": input.getAttribute("aria-describedby") || "",
  });
  const bar = element("div", { class: "gx-rich-bar", role: "toolbar", "aria-label": t("Formatting") });
  for (const [sign, name, command, value] of COMMANDS) {
    const button = element("button", { type: "button", class: "btn btn-sm gx-quiet", title: name(), "aria-label": name() }, sign);
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => {
      area.focus();
      document.execCommand(command, false, value);
      store();
    });
    bar.append(button);
  }
  /** The document is inert: nothing in it loads or runs. @param {string} markup */
  const show = (markup) => {
    const parsed = new DOMParser().parseFromString(markup, "text/html");
    area.replaceChildren(...document.importNode(parsed.body, true).childNodes);
  };
  const store = () => {
    const written = [...area.childNodes].map((each) => serializer.serializeToString(each)).join("");
    input.value = shown = area.textContent?.trim() ? written : "";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  let shown = input.value;
  show(shown);
  area.addEventListener("input", store);
  area.addEventListener("paste", (event) => {
    // As plain text: what other programs paste brings styles that the server takes out again.
    event.preventDefault();
    document.execCommand("insertText", false, event.clipboardData?.getData("text/plain") || "");
  });
  input.addEventListener("focus", () => area.focus());
  // Somebody else's value was taken over.
  input.form?.addEventListener("change", () => input.value !== shown && show((shown = input.value)));
  input.hidden = true;
  input.before(bar, area);
  document.execCommand("defaultParagraphSeparator", false, "p");
}
