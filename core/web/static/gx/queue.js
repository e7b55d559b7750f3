// The audit queue: read the difference, decide, and be at the next task at once.
import { failure, t, toast } from "./core.js";
import "./queuebulk.js";
import "./queueclaim.js";
import "./queueforms.js";
import "./queuekeys.js";
import "./queuelive.js";
import { allClear, close, open, post, shown, tell } from "./queuepanel.js";
import { counts, current, detail, queue, rowOf, rows, shownTask, takeOut, tellLeft } from "./queuerows.js";

queue.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const link = /** @type {HTMLAnchorElement | null} */ (target?.closest("a[data-task]") ?? null);
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link) {
    event.preventDefault();
    open(link, { focus: true });
  } else if (target?.closest("[data-back]")) {
    event.preventDefault();
    close();
  }
});

addEventListener("popstate", () => {
  const id = /\/tasks\/([0-9a-f-]{36})/.exec(location.pathname)?.[1];
  const link = id ? rowOf(id) : null;
  if (link) open(link, { push: false });
  else location.reload();
});

// A list that is narrowed is narrowed at once; without this script the button does it.
const filter = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-filter]"));
filter?.addEventListener("change", () => filter.requestSubmit());

detail.addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.matches("form[data-note]")) {
    event.preventDefault();
    const text = String(new FormData(form).get("note") || "").trim();
    if (!text) return toast(t("Write something first."), "bad");
    const answer = await post(shownTask(), { note: text }, "notes");
    if (!answer.ok) return void tell(failure(answer));
    toast(t("Noted."), "good");
    const link = current();
    if (link) open(link, { push: false, focus: true });
  } else if (form.matches("[data-snooze]")) {
    event.preventDefault();
    const answer = await post(shownTask(), { until: String(new FormData(form).get("until") || "") }, "snooze");
    if (!answer.ok) return void tell(failure(answer));
    toast(t("Put aside."), "good");
    counts(answer.body.counts || {});
    const link = current();
    const next = link ? takeOut(link, false) : null;
    tellLeft(answer.body.counts?.todo ?? rows().length);
    if (next) open(next, { focus: true });
    else allClear();
  }
});

queue.addEventListener("click", async (event) => {
  const more = event.target instanceof Element ? event.target.closest("[data-more]") : null;
  if (!(more instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  const query = new URL(more.href).search;
  const answer = await fetch(`/tasks/rows${query}`, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) return toast(t("This cannot be loaded now. Please try again."), "bad");
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  queue.querySelector("[data-tasks]")?.append(...parsed.querySelectorAll("[data-tasks] > li"));
  const foot = parsed.querySelector("[data-more]");
  if (foot) more.href = /** @type {HTMLAnchorElement} */ (foot).href;
  else more.parentElement?.remove();
});

if (detail.querySelector("[data-detail]")) shown(false);
