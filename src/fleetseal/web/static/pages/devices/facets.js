/**
 * Facets: which values a column has, how often, and which of them are wanted.
 *
 * @typedef {import('./filter.js').Device} Device
 */

import { h } from '../../lib/dom.js';
import { number } from '../../lib/format.js';
import { icon } from '../../lib/icons.js';
import { openMenu } from '../../lib/menu.js';

/** @type {Record<string, string>} */
export const FACETS = { status: 'Status', https: 'HTTPS', model: 'Model', firmware: 'Firmware', trust: 'Trust', tags: 'Tags' };

const EMPTY = '(none)';
const MOST = 60; // values in one menu: more are found by typing

/** @typedef {Map<string, Set<string>>} Wanted by column */

/**
 * What an address says is wanted.
 *
 * @param {URLSearchParams} query
 * @returns {Wanted}
 */
export function wantedOf(query) {
  /** @type {Wanted} */
  const wanted = new Map();
  for (const column of Object.keys(FACETS)) {
    const values = query.getAll(column);
    if (values.length > 0) wanted.set(column, new Set(values));
  }
  return wanted;
}

/**
 * Whether a device has a wanted value in each column where any is wanted; null where none is.
 *
 * @param {Wanted} wanted
 * @returns {((device: Device) => boolean) | null}
 */
export function passes(wanted) {
  if (wanted.size === 0) return null;
  const tests = [...wanted];
  return (device) => tests.every(([column, values]) => valuesOf(device, column).some((value) => values.has(value)));
}

/**
 * The buttons that open the menus of values.
 *
 * @param {{ rows: () => Iterable<Device>, wanted: Wanted, changed: () => void }} what
 * @returns {{ element: HTMLElement, mark: () => void }}
 */
export function facetBar({ rows, wanted, changed }) {
  const buttons = Object.entries(FACETS).map(([column, label]) => {
    const button = h('button', { type: 'button', class: 'button facet', 'aria-haspopup': 'menu', 'aria-expanded': 'false' });
    button.addEventListener('click', () => openMenu(button, items(column, rows(), wanted, changed)));
    return { column, label, button };
  });
  const mark = () => {
    for (const { column, label, button } of buttons) {
      const values = wanted.get(column);
      const shown = values === undefined ? '' : values.size === 1 ? [...values][0] : number(values.size);
      button.classList.toggle('active', values !== undefined);
      button.replaceChildren(h('span', null, label), ...(shown ? [h('bdi', { class: 'facet-value' }, shown)] : []), icon('chevron'));
    }
  };
  mark();
  return { element: h('div', { class: 'facets', role: 'group', 'aria-label': 'Show only' }, ...buttons.map((one) => one.button)), mark };
}

/**
 * @param {string} column
 * @param {Iterable<Device>} rows
 * @param {Wanted} wanted
 * @param {() => void} changed
 * @returns {import('../../lib/menu.js').Item[]}
 */
function items(column, rows, wanted, changed) {
  const others = new Map([...wanted].filter(([name]) => name !== column));
  const others_pass = passes(others);
  /** @type {Map<string, number>} */
  const counts = new Map([...(wanted.get(column) ?? [])].map((value) => [value, 0]));
  for (const row of rows) {
    if (others_pass !== null && !others_pass(row)) continue;
    for (const value of valuesOf(row, column)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, many], [b, more]) => more - many || a.localeCompare(b, 'en', { numeric: true }));
  const clear = () => {
    wanted.delete(column);
    changed();
  };
  const shown = sorted.slice(0, MOST).map(([value, many]) => ({
    label: `${value} · ${number(many)}`,
    checked: wanted.get(column)?.has(value) ?? false,
    action: () => {
      toggle(wanted, column, value);
      changed();
    },
  }));
  const more = sorted.length - shown.length;
  return [
    ...shown,
    ...(more > 0 ? [{ label: `${number(more)} more: type ${column}: and its beginning into the filter`, disabled: true }] : []),
    ...(shown.length === 0 ? [{ label: 'No values', disabled: true }] : []),
    { label: 'Show all', separator: true, disabled: !wanted.has(column), action: clear },
  ];
}

/**
 * @param {Wanted} wanted
 * @param {string} column
 * @param {string} value
 */
function toggle(wanted, column, value) {
  const values = wanted.get(column) ?? new Set();
  if (!values.delete(value)) values.add(value);
  if (values.size === 0) wanted.delete(column);
  else wanted.set(column, values);
}

/**
 * @param {Device} device
 * @param {string} column
 * @returns {string[]}
 */
function valuesOf(device, column) {
  const value = device[column];
  if (Array.isArray(value)) return value.length > 0 ? value : [EMPTY];
  return [value === null || value === undefined || value === '' ? EMPTY : String(value)];
}
