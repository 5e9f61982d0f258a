/** Devices from a file: looked at line by line before anything is stored. */

import { api } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { save } from '../../lib/download.js';
import { field, form } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { action, actions, outcome, section, state, told } from '../configuration/frame.js';

const SHOWN = 500;
const COLUMNS = 'address, http_port, https_port, hostname, mac, username, password, site, tags, tls';

/** @type {Record<string, ['good' | 'warn' | 'bad' | 'none', string]>} */
const RESULTS = {
  new: ['good', 'New'], added: ['good', 'Added'], known: ['none', 'In the inventory'], failed: ['bad', 'Wrong'], skipped: ['warn', 'Left out'],
};

/** The whole of the page for files. */
export function fileImport() {
  const said = outcome();
  const found = h('section', { class: 'card', hidden: true });
  const file = field({
    label: 'File', name: 'file', type: 'file', required: true, attributes: { accept: '.csv,.json,text/csv,application/json' },
    help: 'CSV with a first line of column names, or JSON (an array of objects).',
  });
  const username = field({ label: 'User name (optional)', name: 'username', help: 'For lines without a login of their own.' });
  const password = field({ label: 'Password (optional)', name: 'password', type: 'password', autocomplete: 'off' });
  file.row.addEventListener('change', () => {
    found.hidden = true;
    said.say('');
  });
  const body = async () => {
    const [chosen] = file.value();
    const login = username.value() === '' && password.value() === '' ? {} : { username: username.value(), password: password.value() };
    return { form: /\.json$/i.test(chosen.name) ? 'json' : 'csv', content: await chosen.text(), ...login };
  };
  const check = async () => {
    said.say('');
    found.hidden = true;
    try {
      const asked = await body();
      preview(found, await api.post('devices/import', { ...asked, preview: true }), asked);
      found.hidden = false;
    } catch (error) {
      said.say(told(error), 'bad');
    }
  };
  const exported = async () => save('devices.csv', (await api.post('devices/export', { form: 'csv' })).content, 'text/csv');
  return h('div', { class: 'stack' },
    section(
      'A list of devices',
      h('p', null, 'Columns: ', h('code', null, COLUMNS), '. Only ', h('code', null, 'address'), ' is needed. No device is contacted by the import itself.'),
      form({ fields: [file, username, password], action: 'Check the file', label: 'A list of devices', submit: check }),
      said.element,
      actions(action('Export the inventory as CSV', said, exported)),
    ),
    found);
}

/**
 * @param {HTMLElement} place
 * @param {any[]} rows
 * @param {Record<string, any>} asked
 */
function preview(place, rows, asked) {
  const said = outcome();
  const fresh = rows.filter((one) => one.result === 'new').length;
  const wrong = rows.filter((one) => one.result === 'failed').length;
  const list = h('div', null, lines(rows));
  const buttons = actions();
  const work = async () => {
    const done = await api.post('devices/import', asked);
    replace(list, lines(done));
    const added = done.filter((/** @type {any} */ one) => one.result === 'added').length;
    said.say(added > 0 ? `${format.count(added, 'device')} added. Look at them now to see who they are.` : 'Nothing was added.', added > 0 ? 'good' : 'bad');
    const ids = done.flatMap((/** @type {any} */ one) => (one.id === null ? [] : [String(one.id)]));
    if (added > 0) replace(buttons, action('Look at them now', said, () => refresh(ids, said), { kind: 'primary' }), h('a', { class: 'button', href: '/devices' }, 'Devices'));
  };
  if (wrong > 0) said.say(`${format.count(wrong, 'line')} cannot be used, so nothing of the file is imported. Correct the file and check it again.`, 'bad');
  else if (fresh === 0) said.say('There is nothing new in this file.');
  replace(buttons, fresh > 0 && action(`Import ${format.count(fresh, 'device')}`, said, work, { kind: 'primary' }));
  replace(place, h('h2', null, 'In the file'), said.element, buttons, list);
}

/** @param {any[]} rows */
function lines(rows) {
  const order = [...rows.filter((one) => one.result === 'failed'), ...rows.filter((one) => one.result !== 'failed')];
  return h('div', { class: 'stack' },
    table({
      caption: 'Lines of the file',
      empty: 'The file has no lines.',
      rows: order.slice(0, SHOWN),
      columns: [
        { key: 'row', label: 'Line', numeric: true },
        { key: 'address', label: 'Address' },
        { key: 'mac', label: 'MAC address' },
        { key: 'result', label: 'Result', render: ({ result }) => state(RESULTS[result]?.[1] ?? result, RESULTS[result]?.[0] ?? 'none') },
        { key: 'message', label: 'Remark', render: ({ message }) => isolated(message) },
      ],
    }),
    rows.length > SHOWN && h('p', { class: 'quiet-text' }, `The first ${format.number(SHOWN)} of ${format.number(rows.length)} are shown, wrong ones first.`));
}

/**
 * @param {string[]} devices
 * @param {ReturnType<typeof outcome>} said
 */
async function refresh(devices, said) {
  const task = await api.post('tasks', { action: 'Refresh', selection: { devices, listed: true } });
  said.say(`Task ${task.id} looks at them now: it is in the list below the devices.`, 'good');
}
