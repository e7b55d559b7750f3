// Values of linked records that conditions read, fetched under the reader's own rights.
import { ask } from "./core.js";

/** What a condition reads is not known here, or not yet. */
export class Unknown extends Error {}

/**
 * Return the function that follows a link for expressions. A record that is not known yet is
 * asked for, and `ready` is called when it is there; what the reader may not see stays unknown.
 * @param {Record<string, string[]>} fields record type to the fields that conditions read
 * @param {() => void} ready
 */
export function follower(fields, ready) {
  /** @type {Map<string, Record<string, any> | null>} */
  const known = new Map();
  return (/** @type {string} */ type, /** @type {string} */ id) => {
    const key = `${type}/${id}`;
    if (!known.has(key)) {
      known.set(key, null);
      const query = new URLSearchParams({ fields: (fields[type] || []).join(",") });
      ask(`/api/v1/records/${encodeURIComponent(type)}/${encodeURIComponent(id)}?${query}`).then((answer) => {
        if (!answer.ok) return;
        known.set(key, answer.body);
        ready();
      });
    }
    const record = known.get(key);
    if (!record) throw new Unknown(key);
    return new Proxy(record, {
      get(target, name) {
        if (typeof name !== "string" || name in target) return Reflect.get(target, name);
        throw new Unknown(`${key} ${name}`);
      },
    });
  };
}
