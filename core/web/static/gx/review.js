// What plugins find in a document is asked for once its page is there: it may take seconds.
import { element, t } from "./core.js";

/**
 * Fill every place below `root` that waits for it, each once.
 * @param {ParentNode} root
 */
export function showReviews(root) {
  for (const place of root.querySelectorAll("[data-review]")) {
    const address = place.getAttribute("data-review") || "";
    place.removeAttribute("data-review");
    fill(/** @type {HTMLElement} */ (place), address);
  }
}

/**
 * @param {HTMLElement} place
 * @param {string} address
 */
async function fill(place, address) {
  const body = place.lastElementChild;
  const answer = await fetch(address, { credentials: "same-origin" }).catch(() => null);
  if (!place.isConnected || !body) return;
  place.removeAttribute("aria-busy");
  if (!answer?.ok) {
    const again = element("button", { class: "btn btn-sm", type: "button" }, t("Try again"));
    again.addEventListener("click", () => {
      body.replaceChildren(t("Checking…"));
      place.setAttribute("aria-busy", "true");
      fill(place, address);
    });
    body.replaceChildren(t("This could not be checked."), " ", again);
    return;
  }
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  body.classList.remove("gx-muted");
  body.replaceChildren(...parsed.body.childNodes);
}

showReviews(document);
