// Values of linked records that conditions read, fetched under the reader's own rights.
import { ask } from "./core.js";

/** Records asked for at once; an expression has room for so many ids. */
const MOST = 40;

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
  /** @type {Map<string, Set<string>>} */
  const wanted = new Map();

  /** @param {string} type what rows link to is asked for together */
  async function fetchAll(type) {
    const ids = [...(wanted.get(type) || [])];
    wanted.delete(type);
    let found = false;
    for (let start = 0; start < ids.length; start += MOST) {
      const some = ids.slice(start, start + MOST);
      const filter = `id in [${some.map((each) => `'${each}'`).join(", ")}]`;
      const query = new URLSearchParams({ filter, fields: ["id", ...(fields[type] || [])].join(","), limit: String(MOST) });
      const answer = await ask(`/api/v1/records/${encodeURIComponent(type)}?${query}`);
      for (const each of answer.ok ? answer.body.items : []) {
        known.set(`${type}/${each.id}`, each);
        found = true;
      }
    }
    if (found) ready();
  }

  return (/** @type {string} */ type, /** @type {string} */ id) => {
    const key = `${type}/${id}`;
    if (!known.has(key) && /^[\w-]+$/.test(id)) {
      known.set(key, null);
      const ids = wanted.get(type) || new Set();
      if (!ids.size) queueMicrotask(() => fetchAll(type));
      wanted.set(type, ids.add(id));
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
