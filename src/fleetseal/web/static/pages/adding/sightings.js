/**
 * What a search has found, and which of it is chosen.
 *
 * @typedef {{
 *   id: string, address: string, result: 'found' | 'known' | 'failed', mac: string | null, model: string | null,
 *   firmware: string | null, trust: string | null, message: string, http_port: number, https_port: number | null,
 *   hostname: string | null, sha256: string | null, needs_setup: boolean, also_at?: string[],
 * }} Sighting
 */

import { dialog } from '../../lib/dialog.js';
import { h, isolated } from '../../lib/dom.js';
import * as format from '../../lib/format.js';
import { Grid } from '../../lib/grid.js';
import { openMenu } from '../../lib/menu.js';
import { announce } from '../../lib/toast.js';
import { facts, state } from '../configuration/frame.js';
import { advice } from '../remedies.js';
import { explained, trust } from './trust.js';

const ROW = 28;
const HEADS = 50;
const TALLEST = 18;

/** @type {Record<string, ['good' | 'warn' | 'bad' | 'none', string]>} */
const RESULTS = { found: ['good', 'New'], known: ['none', 'In the inventory'], failed: ['bad', 'Cannot be added'] };

/** @type {import('../../lib/grid-columns.js').Column[]} */
const COLUMNS = [
  { key: 'address', label: 'Address', kind: 'address', width: 140, sticky: true, render: place },
  { key: 'result', label: 'Result', width: 140, render: (row) => state(RESULTS[/** @type {any} */ (row).result][1], RESULTS[/** @type {any} */ (row).result][0]) },
  { key: 'trust', label: 'Trust', width: 155, render: (row) => trust(/** @type {any} */ (row).trust) },
  { key: 'model', label: 'Model', width: 150 },
  { key: 'firmware', label: 'Firmware', width: 90 },
  { key: 'mac', label: 'MAC address', width: 145, kind: 'code' },
  { key: 'setup', label: 'State', width: 110, value: (row) => (/** @type {any} */ (row).needs_setup ? 'Factory state' : '') },
  { key: 'message', label: 'Remark', width: 330 },
  { key: 'sha256', label: 'Fingerprint (SHA-256)', kind: 'code', width: 640, value: (row) => format.fingerprint(/** @type {any} */ (row).sha256 ?? '') },
];

/** @param {any} row */
export function identified(row) {
  return { ...row, id: `${row.address} ${row.http_port} ${row.https_port}` };
}

export class Sightings {
  element = h('div', { class: 'sightings' });
  /** @type {(chosen: Sighting[]) => void} */
  onChoice = () => {};
  #grid;

  /** @param {string} empty what is said where there is nothing */
  constructor(empty) {
    this.#grid = new Grid({ label: 'Found on the network', columns: COLUMNS, announce, empty: () => empty });
    this.element.append(this.#grid.element);
    this.#grid.onSelection = () => this.onChoice(this.chosen);
    this.#grid.onActivate = (row) => void details(/** @type {any} */ (row));
    this.#grid.onHeaderMenu = ({ items, at }) => void openMenu(at, items);
    this.#grid.onContextMenu = ({ row, at }) => void openMenu(at, [{ label: 'Details\u2026', action: () => void details(/** @type {any} */ (row)) }]);
    this.#grid.onCount = ({ total }) => this.#fit(total);
  }

  /** Those that are selected and can be added. @returns {Sighting[]} */
  get chosen() {
    return /** @type {any[]} */ (this.#grid.selectedRows()).filter((row) => row.result === 'found');
  }

  /** @returns {Sighting[]} */
  get all() {
    return /** @type {any[]} */ (this.#grid.matching());
  }

  /** @param {any[]} rows */
  more(rows) {
    this.#grid.update(rows.map(identified));
  }

  /** These and no others; what was selected stays so. @param {any[]} rows */
  only(rows) {
    const before = this.#grid.selection;
    this.#grid.setRows(rows.map(identified));
    this.#grid.select(before);
  }

  /** All that are new and may be believed are selected. */
  choose() {
    this.#grid.select(this.all.filter((row) => row.result === 'found' && row.trust !== 'none').map((row) => row.id));
  }

  details() {
    const [row] = /** @type {any[]} */ (this.#grid.selectedRows());
    if (row !== undefined) void details(row);
  }

  destroy() {
    this.#grid.destroy();
  }

  /** @param {number} rows */
  #fit(rows) {
    this.element.style.setProperty('--sightings-height', `${HEADS + ROW * Math.min(Math.max(rows, 3), TALLEST)}px`);
  }
}

/** @param {any} row */
function place(row) {
  const https = row.https_port !== null && row.https_port !== 443 ? `:${row.https_port}` : '';
  const http = row.https_port === null ? `:${row.http_port}` : https;
  return isolated((row.hostname ?? row.address) + http);
}

/** @param {Sighting} row */
function details(row) {
  return dialog({
    title: `${row.model ?? 'Device'} at ${row.address}`,
    body: facts([
      ['Result', state(RESULTS[row.result][1], RESULTS[row.result][0])],
      ['Trust', row.trust !== null && h('div', { class: 'stack' }, trust(row.trust), explained(row.trust))],
      ['Fingerprint', row.sha256 !== null && h('code', { class: 'fingerprint' }, format.fingerprint(row.sha256))],
      ['MAC address', isolated(row.mac)],
      ['Firmware', row.firmware !== null && isolated(row.firmware)],
      ['Ports', row.https_port === null ? `${row.http_port}` : `HTTPS ${row.https_port}, HTTP ${row.http_port}`],
      ['Host name', row.hostname !== null && isolated(row.hostname)],
      ['Also at', (row.also_at ?? []).length > 0 && isolated((row.also_at ?? []).join(', '))],
      ['State', row.needs_setup && 'Factory state: it has no administrator yet.'],
      ['Remark', row.message !== '' && advice(row.message)],
    ]),
    buttons: [{ label: 'Close', kind: 'primary', value: null }],
  });
}
