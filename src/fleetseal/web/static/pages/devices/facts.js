/** The facts of a device, and the certificate it serves with what stands above it. */

import { folding, h, isolated } from '../../lib/dom.js';
import { ago, date, time } from '../../lib/format.js';
import { addressLink, state, TRUST } from './columns.js';

/** @typedef {import('./filter.js').Device} Device */
/** @typedef {{ subject: string, role: string, notAfter: string | null, state: string | null }} Link */

/** @type {Record<string, string>} */
const POLICIES = { http: 'HTTP only', both: 'HTTP and HTTPS', https: 'HTTPS only' };

/** @type {Record<string, string>} */
const TRUST_TEXT = {
  none: 'Not at all: nothing is sent to log in.',
  plain: 'By plain HTTP, which proves nothing.',
  'first use': 'Its certificate was kept at first contact.',
  pinned: 'A person accepted its certificate.',
  factory: 'By the maker’s certificate in it.',
  verified: 'By a certificate of your authority.',
};

/** @param {Device} device */
export function factsCard(device) {
  /** @type {[string, import('../../lib/dom.js').Child][]} */
  const facts = [
    ['Address', addressLink(device)],
    ['Host name', isolated(device.hostname, '–')],
    ['Model', isolated(device.model, '–')],
    ['Product type', isolated(device.product_type, '–')],
    ['Firmware', isolated(device.firmware, '–')],
    ['Server', isolated(device.server)],
    ['Trust', h('span', null, state(device.trust, TRUST[device.trust]), h('br'), h('span', { class: 'quiet-text' }, TRUST_TEXT[device.trust] ?? ''))],
    ['Accepts', POLICIES[device.policy] ?? 'Unknown'],
    ['Ports', `HTTP ${device.http_port}, HTTPS ${device.https_port ?? '–'}`],
    ['TLS', device.tls === 'legacy' ? 'Legacy: TLS 1.0 and 1.1 too' : 'Normal'],
    ['User name', isolated(device.username, 'None stored')],
    ['Clock', clock(device.clock_offset)],
    ['Tags', device.tags.length > 0 ? h('span', null, ...device.tags.map((/** @type {string} */ tag) => h('span', { class: 'badge' }, isolated(tag)))) : '–'],
    ['Last seen', h('span', { title: time(device.last_seen) }, ago(device.last_seen))],
    ['Added', date(device.added)],
  ];
  return h('section', { class: 'card', 'aria-label': 'Facts' }, h('h2', null, 'Facts'),
    h('dl', { class: 'facts' }, ...facts.flatMap(([name, value]) => [h('dt', null, name), h('dd', null, value)])));
}

/**
 * @param {Device} device
 * @param {any[]} authorities
 * @param {HTMLElement} more
 */
export function certificateCard(device, authorities, more) {
  const served = device.certificate;
  const card = h('section', { class: 'card', 'aria-label': 'Certificate' }, h('h2', null, 'Certificate that it serves'));
  if (served === null) {
    card.append(h('p', { class: 'quiet-text' }, 'It serves none that was seen.'), more);
    return card;
  }
  /** @type {[string, string | Node, string?][]} */
  const facts = [
    ['Valid', `${date(served.not_before)} to ${date(served.not_after)} (${date(served.not_after) === 'no end' ? 'as the maker’s do' : `ends ${ago(served.not_after)}`})`],
    ['Names', served.names.join(', ')],
    ['Key', `${served.key}${served.key_origin ? `, made by the ${served.key_origin}` : ''}`],
    ['Entry', served.alias ?? '–'],
    ['Serial number', served.serial, 'mono'],
    ['SHA-256', folding(served.sha256), 'mono'],
  ];
  card.append(
    chain(links(served, authorities)),
    ...(device.chain_sent === false ? [h('p', { class: 'quiet-text' }, 'It sends its own certificate alone, so its clients need the issuing CA too: give them the bundle.')] : []),
    h('dl', { class: 'facts' }, ...facts.flatMap(([name, value, style]) => [h('dt', null, name), h('dd', { class: style ?? null }, typeof value === 'string' ? isolated(value) : value)])),
    more,
  );
  return card;
}

/**
 * The certificate and what stands above it, as far as it is known here, the root first.
 *
 * @param {any} served
 * @param {any[]} authorities
 * @returns {Link[]}
 */
function links(served, authorities) {
  const known = authorities.flatMap((one) => [one, ...(one.issuing ?? [])]);
  /** @type {Link[]} */
  const found = [{ subject: served.subject, role: 'Device', notAfter: served.not_after, state: null }];
  let { subject, issuer } = served;
  while (issuer !== subject && found.length < 6) {
    const above = known.find((/** @type {any} */ one) => one.subject === issuer);
    if (above === undefined) {
      found.unshift({ subject: issuer, role: 'Issuer, not known here', notAfter: null, state: null });
      break;
    }
    found.unshift({
      subject: above.subject, role: above.subject === above.issuer ? 'Root' : 'Issuing CA', notAfter: above.not_after, state: above.state,
    });
    ({ subject, issuer } = above);
  }
  return found;
}

/** @param {Link[]} found */
function chain(found) {
  return h('ol', { class: 'chain', 'aria-label': 'Chain' }, ...found.map((one) =>
    h('li', null, h('span', { class: 'badge' }, one.role), isolated(one.subject, 'No subject'),
      one.notAfter !== null && h('span', { class: 'quiet-text' }, `until ${date(one.notAfter)}`),
      one.state !== null && one.state !== 'ready' && h('span', { class: 'badge' }, one.state))));
}

/** @param {number | null} offset seconds */
function clock(offset) {
  if (offset === null) return 'Not known';
  const seconds = Math.round(Math.abs(offset));
  return seconds < 2 ? 'Right' : `${seconds} s ${offset > 0 ? 'ahead' : 'behind'}`;
}
