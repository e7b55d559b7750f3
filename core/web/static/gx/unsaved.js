// Keeps what is typed on the server, so that it is there after a crash and on another device.
import { ask, csrf, failure, t } from "./core.js";

/** Typing is sent when it rests for so long, in milliseconds. */
const PAUSE = 1200;

export class Keeper {
  /**
   * @param {HTMLFormElement} form
   * @param {() => string} snapshot what is typed now, as one text
   * @param {(text: string) => void} tell says how it stands
   */
  constructor(form, snapshot, tell) {
    this.form = form;
    this.snapshot = snapshot;
    this.tell = tell;
    this.id = form.dataset.unsaved || "";
    this.kept = "";
    this.timer = 0;
    this.stopped = false;
    /** @type {Promise<void> | null} */
    this.sending = null;
  }

  /** Something was typed. */
  later() {
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.send(), PAUSE);
  }

  /** @returns {boolean} whether the server has everything that is typed */
  isSafe() {
    return this.kept !== "" && this.kept === this.snapshot();
  }

  async send() {
    if (this.stopped) return;
    if (this.sending) return this.later();
    this.sending = this.post();
    await this.sending;
    this.sending = null;
  }

  async post() {
    const now = this.snapshot();
    const place = new URLSearchParams({ record: this.form.dataset.record || "", unsaved: this.id });
    const url = `/records/${this.form.dataset.type}/unsaved?${place}`;
    const body = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) if (typeof value === "string") body.append(name, value);
    const answer = await ask(url, { method: "POST", body });
    if (answer.ok) {
      this.name(answer.body.id);
      this.kept = now;
      this.tell(t("Kept, not saved yet."));
    } else if (answer.status) {
      this.tell(failure(answer));
    }
  }

  /**
   * The form goes on under this id.
   * @param {string} id
   */
  name(id) {
    if (!id) return;
    this.id = id;
    const action = new URL(this.form.action);
    action.searchParams.set("unsaved", id);
    this.form.action = action.href;
  }

  /** The form is about to be saved: nothing may be kept behind its back. */
  async stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    if (this.sending) await this.sending;
  }

  /** It was not saved after all. */
  go() {
    this.stopped = false;
    this.send();
  }

  /** What was typed is not wanted. */
  discard() {
    this.stopped = true;
    clearTimeout(this.timer);
    if (!this.id) return;
    const body = new URLSearchParams({ csrf_token: csrf() });
    fetch(`/unsaved/${this.id}/discard`, { method: "POST", body, keepalive: true, credentials: "same-origin", headers: { Accept: "application/json", "X-CSRFToken": csrf() } });
  }
}
