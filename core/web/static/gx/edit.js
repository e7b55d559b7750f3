// A bulk edit under way: how far it is, until there are results to show.
import { ask, t } from "./core.js";

const place = /** @type {HTMLElement | null} */ (document.querySelector("[data-edit]"));
const text = document.querySelector("[data-edit-progress]");
const bar = /** @type {HTMLProgressElement | null} */ (document.querySelector("progress"));

async function look() {
  const answer = await ask(`/api/v1/edits/${place?.dataset.edit}`);
  if (answer.ok && !["checking", "applying"].includes(answer.body.state)) {
    location.reload();
    return;
  }
  if (answer.ok && text && bar) {
    const { total, counts } = answer.body;
    text.textContent = t("{done} of {total}", { done: total - counts.open, total });
    bar.value = total - counts.open;
  }
  setTimeout(look, 700);
}

if (place && ["checking", "applying"].includes(place.dataset.state || "")) look();
