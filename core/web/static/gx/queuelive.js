// The numbers of the boxes, never older than two seconds while somebody looks at them.
import { ask, element, t } from "./core.js";
import { reload } from "./queuepanel.js";
import { box, counts, queue, rows } from "./queuerows.js";

const EVERY = 2_000;
const SLOWER = 15_000;

const note = /** @type {HTMLButtonElement | null} */ (queue.querySelector("[data-new]"));
let known = Number(document.querySelector(`.gx-count[data-box="${box}"]`)?.textContent || rows().length);
let since = Date.now();
let timer = 0;
let isStale = false;

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  const answer = await ask("/tasks/counts").catch(() => ({ ok: false, status: 0, body: {} }));
  if (answer.ok) {
    since = Date.now();
    stale(false);
    tell(answer.body.counts);
  } else stale(true);
  timer = window.setTimeout(look, answer.ok ? EVERY : SLOWER);
}

/** @param {Record<string, number>} numbers */
function tell(numbers) {
  counts(numbers);
  const more = (numbers[box] ?? known) - known;
  // What I took out myself makes the number smaller: only more than I know of is news.
  if (more < 0) known = numbers[box] ?? known;
  if (note && box !== "done") {
    note.hidden = more <= 0;
    note.textContent = more > 0 ? t("{count} new", { count: more }) : "";
  }
}

/** @param {boolean} is */
function stale(is) {
  if (is === isStale) return;
  isStale = is;
  const old = document.querySelector("[data-stale]");
  old?.remove();
  if (!is) return;
  const time = new Date(since).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
  queue.before(element("div", { class: "gx-note", "data-tone": "warn", "data-stale": "", role: "status" }, element("div", {}, t("The list is from {time}; the server cannot be reached.", { time }))));
}

note?.addEventListener("click", async () => {
  if (!(await reload())) return;
  note.hidden = true;
  known = Number(document.querySelector(`.gx-count[data-box="${box}"]`)?.textContent || rows().length);
});

document.addEventListener("visibilitychange", look);
timer = window.setTimeout(look, EVERY);
