/** What became of each device that was added, and what comes next. */

import { api } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { field } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { actions, action, ask, outcome, state, told } from '../configuration/frame.js';
import { advice } from '../remedies.js';
import { identified } from './sightings.js';
import { trust } from './trust.js';

const AT_ONCE = 25;

/** @typedef {import('./sightings.js').Sighting} Sighting */
/** @typedef {{ id: string, row: any, message: string, tone: 'good' | 'warn' | 'bad', word: string }} Result */

export class Results {
  element = h('section', { class: 'card', hidden: true });
  #said = outcome();
  #list = h('div', { class: 'stack' });
  #next = actions();
  /** @type {Map<string, Result>} */
  #results = new Map();

  constructor() {
    this.element.append(h('h2', null, 'Added'), this.#said.element, this.#next, this.#list);
  }

  clear() {
    this.#results.clear();
    this.element.hidden = true;
  }

  /** Whether this one is in the inventory since. @param {Sighting} sighting */
  has(sighting) {
    return Boolean(this.#results.get(sighting.id)?.row.device);
  }

  /**
   * @param {Sighting[]} chosen
   * @param {import('./adopt.js').Login} login
   */
  async add(chosen, login) {
    this.element.hidden = false;
    this.element.scrollIntoView({ block: 'nearest' });
    try {
      for (let begin = 0; begin < chosen.length; begin += AT_ONCE) {
        const part = chosen.slice(begin, begin + AT_ONCE);
        this.#said.say(`Adding: ${format.number(begin)} of ${format.number(chosen.length)} done.`);
        const rows = await api.post('discovery/adoption', { devices: part.map(wanted), ...login });
        for (const [index, row] of rows.entries()) this.#put(part[index], row);
        this.#draw();
      }
    } catch (error) {
      this.#draw();
      this.#said.say(`${told(error)} ${format.count(this.#results.size, 'device')} had been dealt with.`, 'bad');
      return;
    }
    const failed = [...this.#results.values()].filter((one) => one.tone === 'bad').length;
    const text = failed === 0 ? 'All devices were added.' : `${format.count(failed, 'device')} could not be added.`;
    this.#said.say(text, failed === 0 ? 'good' : 'bad');
  }

  /** @param {Sighting} sighting @param {any} row as of `device add` */
  #put(sighting, row) {
    const { id } = identified(sighting);
    const fine = row.device?.status === 'OK';
    const word = row.result === 'failed' ? 'Failed' : row.result === 'known' ? 'Known already' : row.device?.status ?? 'Added';
    this.#results.set(id, { id, row, message: row.message ?? '', tone: row.result === 'failed' ? 'bad' : fine ? 'good' : 'warn', word });
  }

  #draw() {
    const rows = [...this.#results.values()];
    replace(this.#list, table({
      caption: 'What became of each device',
      empty: 'Nothing was added.',
      rows,
      columns: [
        { key: 'address', label: 'Address', render: ({ row }) => isolated(row.address) },
        { key: 'word', label: 'Result', render: ({ word, tone }) => state(word, tone) },
        { key: 'model', label: 'Model', render: ({ row }) => isolated(row.model) },
        { key: 'mac', label: 'MAC address', render: ({ row }) => isolated(row.mac) },
        { key: 'trust', label: 'Trust', render: ({ row }) => trust(row.trust) },
        { key: 'message', label: 'Remark', render: ({ message, row }) => advice(message, row.device?.id) },
      ],
    }));
    const fresh = rows.filter(({ row }) => row.device?.status === 'Setup needed');
    const ready = rows.filter(({ row }) => row.device && row.device.status !== 'Setup needed').map(({ row }) => row.device.id);
    replace(
      this.#next,
      fresh.length > 0 && action(`Set up ${format.count(fresh.length, 'device')}\u2026`, this.#said, () => this.#setUp(fresh), { kind: 'primary' }),
      ready.length > 0 && h('a', { class: 'button', href: `/devices?select=${runs(ready)}` }, `Enable HTTPS on ${ready.length === 1 ? 'it' : 'these'}`),
    );
  }

  /** @param {Result[]} fresh */
  async #setUp(fresh) {
    const bare = fresh.some(({ row }) => row.trust === 'plain');
    const fields = [
      field({ label: 'User name', name: 'username', required: true, value: 'root', help: 'Devices before AXIS OS 11.5 take only root.' }),
      field({ label: 'Password', name: 'password', type: 'password', required: true }),
      field({ label: 'Password again', name: 'again', type: 'password', required: true }),
      ...(bare ? [field({
        label: 'Send the new password over plain HTTP where there is no HTTPS', name: 'plain_http', type: 'checkbox',
        help: 'Everyone on the way can read it. Do this only on a network of your own.',
      })] : []),
    ];
    const outcomes = await ask({
      title: `First administrator of ${format.count(fresh.length, 'device')}`,
      intro: 'They are in factory state. The account is made on each of them, proved by a login, and kept here sealed.',
      fields,
      label: 'Set up',
      submit: ({ username, password, plain_http: plain = false }) =>
        api.post('devices/setup', { devices: fresh.map(({ row }) => String(row.device.id)), username, password, plain_http: plain }),
    });
    if (outcomes === null) return;
    for (const one of outcomes) this.#wasSetUp(fresh, one, await api.get(`devices/${one.id}`));
    this.#draw();
    const failed = outcomes.filter((/** @type {any} */ one) => one.result === 'failed').length;
    this.#said.say(failed === 0 ? 'All have an administrator now.' : `${format.count(failed, 'device')} could not be set up.`, failed === 0 ? 'good' : 'bad');
  }

  /** @param {Result[]} fresh @param {any} outcome as of `device setup` @param {any} device */
  #wasSetUp(fresh, outcome, device) {
    const found = fresh.find(({ row }) => row.device.id === outcome.id);
    if (found === undefined) return;
    const done = outcome.result !== 'failed';
    this.#results.set(found.id, {
      ...found, message: outcome.message, word: done ? device.status : 'Setup failed', tone: done && device.status === 'OK' ? 'good' : done ? 'warn' : 'bad',
      row: { ...found.row, ...device, device },
    });
  }
}

/** @param {Sighting} one */
function wanted({ address, http_port, https_port, mac, hostname }) {
  return { address, http_port, https_port, mac, hostname };
}

/** Ids as a short text: `7,12-40`. @param {number[]} ids */
function runs(ids) {
  /** @type {[number, number][]} */
  const found = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last !== undefined && id === last[1] + 1) last[1] = id;
    else found.push([id, id]);
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
