/** The columns of the list of devices, and how their values look. */

import { h, isolated } from '../../lib/dom.js';
import { ago, date, time } from '../../lib/format.js';

/** @typedef {import('./filter.js').Device} Device */

/**
 * Every status, the worst first, and the shape it is shown by (styles/components.css).
 *
 * @type {Record<string, 'good' | 'warn' | 'bad' | 'busy' | 'none'>}
 */
export const STATUSES = {
  'Identity changed': 'bad',
  Unreachable: 'bad',
  'Setup needed': 'warn',
  'Credentials needed': 'warn',
  'Wrong credentials': 'bad',
  'Certificate not trusted': 'bad',
  'Certificate has expired': 'bad',
  'Clock is wrong': 'warn',
  'Certificate about to expire': 'warn',
  Busy: 'busy',
  OK: 'good',
};

const SEVERITY = new Map(Object.keys(STATUSES).map((status, place) => [status, place]));

/** How far a device is trusted, the least first. @type {Record<string, 'good' | 'warn' | 'bad' | 'none'>} */
export const TRUST = { none: 'bad', plain: 'warn', 'first use': 'warn', pinned: 'good', factory: 'good', verified: 'good' };

const TRUSTED = Object.keys(TRUST);

/** @returns {import('../../lib/grid-columns.js').Column[]} */
export function columns() {
  return [
    { key: 'mac', label: 'MAC address', width: 156, kind: 'code', sticky: true, render: macLink },
    { key: 'status', label: 'Status', width: 180, kind: 'number', value: (one) => SEVERITY.get(one.status) ?? 0,
      render: (one) => state(one.status, STATUSES[one.status]) },
    { key: 'address', label: 'Address', width: 130, kind: 'address', render: addressLink },
    { key: 'model', label: 'Model', width: 140 },
    { key: 'firmware', label: 'Firmware', width: 110 },
    { key: 'server', label: 'Server', width: 84 },
    { key: 'https', label: 'HTTPS', width: 220, render: (one) => state(one.https, HTTPS[one.https] ?? 'none') },
    { key: 'expires', label: 'Expires', width: 110, kind: 'date', value: (one) => one.certificate?.not_after,
      render: (one) => date(one.certificate?.not_after) },
    { key: 'issuer', label: 'Issuer', width: 240, value: (one) => one.certificate?.issuer ?? '', hidden: true },
    { key: 'trust', label: 'Trust', width: 110, kind: 'number', value: (one) => TRUSTED.indexOf(one.trust),
      render: (one) => state(one.trust, TRUST[one.trust] ?? 'none'), hidden: true },
    { key: 'hostname', label: 'Host name', width: 180, hidden: true },
    { key: 'product_type', label: 'Product type', width: 140, hidden: true },
    { key: 'tags', label: 'Tags', width: 140, value: (one) => one.tags.join(', '), hidden: true },
    { key: 'https_port', label: 'HTTPS port', width: 90, kind: 'number', value: (one) => one.https_port, hidden: true },
    { key: 'http_port', label: 'HTTP port', width: 90, kind: 'number', value: (one) => one.http_port, hidden: true },
    { key: 'last_seen', label: 'Last seen', width: 140, kind: 'date', value: (one) => one.last_seen, hidden: true,
      render: (one) => h('span', { title: time(one.last_seen) }, ago(one.last_seen)) },
  ];
}

/** A state: its shape and its words. @param {string} text @param {string} [shape] */
export function state(text, shape = 'none') {
  return h('span', { class: `state ${shape}` }, isolated(text));
}

/** The device's own web page. @param {Device} device */
export function webAddress(device) {
  const secure = device.https === 'Enabled';
  const host = device.address.includes(':') ? `[${device.address}]` : device.address;
  const port = secure ? device.https_port : device.http_port;
  const usual = port === null || port === (secure ? 443 : 80);
  return `${secure ? 'https' : 'http'}://${host}${usual ? '' : `:${port}`}/`;
}

/** @type {Record<string, 'good' | 'warn'>} */
const HTTPS = { Enabled: 'good', Disabled: 'warn', 'Disabled (Missing server certificate)': 'warn' };

/** @param {Device} device */
function macLink(device) {
  return h('a', { href: `/devices/${device.id}`, class: 'mono' }, device.mac ?? `Device ${device.id}`);
}

/** What the device says its address is may be none. @param {Device} device */
export function addressLink(device) {
  const address = webAddress(device);
  if (!URL.canParse(address)) return isolated(device.address);
  return h('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, isolated(device.address));
}
