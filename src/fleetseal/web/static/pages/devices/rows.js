/**
 * Rows of devices as a list of very many keeps them.
 *
 * @typedef {import('./filter.js').Device} Device
 */

const SHARED = ['status', 'model', 'product_type', 'firmware', 'server', 'https', 'trust', 'last_seen'];
const MOST = 10_000; // texts remembered: new ones come with the time

/**
 * What makes such a row of a member of `GET devices`: a text that many devices have is there once, and of the certificate
 * there is only what the list shows and is searched for. 100,000 devices then take half of the memory.
 *
 * @returns {(device: Device) => import('../../lib/grid-order.js').Row}
 */
export function keeping() {
  /** @type {Map<unknown, any>} */
  const texts = new Map();
  const once = (/** @type {unknown} */ text) => {
    if (!texts.has(text)) {
      if (texts.size >= MOST) texts.clear();
      texts.set(text, text);
    }
    return texts.get(text);
  };
  return (device) => {
    /** @type {Record<string, any>} */
    const shared = { tags: device.tags.map(once) };
    for (const column of SHARED) shared[column] = once(device[column]);
    if (device.certificate) {
      const { alias, subject, issuer, names, not_after: end } = device.certificate;
      const own = new Map([device.address, device.hostname].map((name) => [name, name]));
      const named = names.map((/** @type {string} */ name) => own.get(name) ?? name);
      shared.certificate = { alias, subject, issuer: once(issuer), names: named, not_after: once(end) };
    }
    return /** @type {any} */ ({ ...device, ...shared });
  };
}
