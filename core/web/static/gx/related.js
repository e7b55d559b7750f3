// Lists of related records on a record's page: another order or page without leaving it.
import { t, toast } from "./core.js";

document.addEventListener("click", async (event) => {
  const link = event.target instanceof Element ? /** @type {HTMLAnchorElement | null} */ (event.target.closest("[data-related] a[data-turn]")) : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const section = /** @type {HTMLElement} */ (link.closest("[data-related]"));
  event.preventDefault();
  if (section.hasAttribute("aria-busy")) return;
  section.setAttribute("aria-busy", "true");
  const fresh = await fetched(link.href, section.dataset.related || "");
  section.removeAttribute("aria-busy");
  if (!fresh) return toast(t("The server cannot be reached."), "bad");
  section.replaceWith(fresh);
  const turn = link.dataset.turn || "";
  const again = fresh.querySelector(`[data-turn="${CSS.escape(turn)}"]`) || fresh.querySelector(".gx-table-wrap");
  /** @type {HTMLElement | null} */ (again)?.focus();
});

/**
 * @param {string} address
 * @param {string} name
 * @returns {Promise<HTMLElement | null>} the same list as that page shows it
 */
async function fetched(address, name) {
  try {
    const answer = await fetch(address, { credentials: "same-origin", headers: { Accept: "text/html" } });
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(`[data-related="${CSS.escape(name)}"]`);
    return found && document.adoptNode(/** @type {HTMLElement} */ (found));
  } catch {
    return null; // a broken line; what is shown stays
  }
}
