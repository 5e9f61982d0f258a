/** The devices of the inventory. */

import { all } from '../lib/api.js';
import { h } from '../lib/dom.js';
import * as events from '../lib/events.js';
import { table } from '../lib/table.js';

export const title = 'Devices';

/**
 * @param {HTMLElement} main
 * @returns {Promise<() => void>}
 */
export async function show(main) {
  const place = h('div');
  const load = async () => {
    const { items } = await all('devices');
    place.replaceChildren(table({
      caption: 'Devices',
      columns: [
        { key: 'mac', label: 'MAC address' }, { key: 'status', label: 'Status' }, { key: 'address', label: 'Address' },
        { key: 'model', label: 'Model' }, { key: 'firmware', label: 'Firmware' }, { key: 'server', label: 'Server' },
        { key: 'https', label: 'HTTPS' },
      ],
      rows: items,
      empty: 'There are no devices yet.',
    }));
  };
  main.append(h('div', { class: 'page' }, h('header', { class: 'page-head' }, h('h1', null, title)), place));
  await load();
  return events.on('resync', () => void load());
}
