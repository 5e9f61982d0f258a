/** Add devices: found on the network, in a range, at addresses, or listed in a file. */

import { api } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { field, form, values } from '../lib/form.js';
import { fileImport } from './adding/file.js';
import { Hunt } from './adding/hunt.js';
import { outcome, section, told } from './configuration/frame.js';

export const title = 'Add devices';

/** @typedef {import('../lib/form.js').Field} Field */
/** @typedef {{ fields: () => Field[], intro: string, action: string, asked: (given: Record<string, any>) => Record<string, any> }} Way */

const PORTS = ['https_port', 'http_port'];

/** @type {[string, string][]} the paths below `/add`, and what they are called */
const WAYS = [['', 'Search the network'], ['range', 'Address range'], ['address', 'By address'], ['file', 'From a file']];

/** @type {Record<string, Way>} */
const SEARCHES = {
  '': {
    intro: 'Devices on the networks of the server are asked to announce themselves (mDNS, SSDP, WS-Discovery).',
    action: 'Search',
    fields: () => [
      field({
        label: 'Interface (optional)', name: 'interface',
        help: 'A network interface of the server, by name or address. Empty: all of them.',
      }),
    ],
    asked: ({ interface: name }) => ({ interfaces: name === '' ? [] : [name] }),
  },
  range: {
    intro: 'Every address is tried, at most 65,536 (a /16) in all.',
    action: 'Search',
    fields: () => [
      field({
        label: 'Ranges', name: 'ranges', required: true, placeholder: '10.0.0.10-10.0.0.99',
        help: 'From-to, or like 10.0.0.0/24; several are separated by spaces or commas.',
      }),
      ...ports(),
    ],
    asked: ({ ranges, ...rest }) => ({ ranges: list(ranges), ...rest }),
  },
  address: {
    intro: 'What answers there is looked at, before any login is sent.',
    action: 'Look',
    fields: () => [
      field({
        label: 'Addresses or host names', name: 'targets', type: 'textarea', required: true,
        placeholder: '10.0.0.10\ncamera.example.com:8443',
        help: 'One a line. A port behind a colon may be that of HTTPS or of plain HTTP.',
      }),
      ...ports(),
    ],
    asked: ({ targets, ...rest }) => ({ targets: list(targets), ...rest }),
  },
};

/**
 * @param {HTMLElement} main
 * @param {import('../lib/routes.js').Context} context
 */
export async function show(main, { parts, session }) {
  const [way = ''] = parts;
  const page = h('div', { class: 'page adding' }, h('h1', null, title));
  main.append(page);
  if (session.user?.role === 'viewer') {
    page.append(h('p', { class: 'quiet-text' }, 'Only an operator or an administrator adds devices.'));
    return null;
  }
  page.append(ways(way));
  if (way === 'file') {
    page.append(fileImport());
    return null;
  }
  const search = SEARCHES[way] ?? SEARCHES[''];
  const hunt = new Hunt(session);
  page.append(asking(search, hunt), hunt.element);
  await hunt.resume();
  return () => hunt.leave();
}

/** @param {string} chosen */
function ways(chosen) {
  return h('nav', { class: 'ways', 'aria-label': 'Ways to add devices' }, ...WAYS.map(([part, label]) =>
    h('a', { class: 'way', href: part === '' ? '/add' : `/add/${part}`, 'aria-current': part === chosen ? 'page' : null }, label)));
}

/**
 * @param {Way} way
 * @param {Hunt} hunt
 */
function asking({ fields, intro, action, asked }, hunt) {
  const asks = fields();
  const said = outcome();
  return section(
    'Where to look',
    h('p', null, intro),
    form({
      fields: asks.filter((one) => !PORTS.includes(one.name)),
      more: usual(asks.filter((one) => PORTS.includes(one.name))),
      action,
      label: 'Where to look',
      submit: async () => {
        said.say('');
        try {
          hunt.follow(await api.post('discovery/search', asked(values(asks))));
        } catch (error) {
          said.say(told(error), 'bad');
        }
      },
    }),
    said.element,
  );
}

/** Ports side by side. @param {Field[]} fields */
function usual(fields) {
  return fields.length === 0 ? [] : [h('div', { class: 'ports' }, ...fields.map((one) => one.row))];
}

/** @returns {Field[]} */
function ports() {
  const attributes = { min: '1', max: '65535', inputmode: 'numeric' };
  return [
    field({ label: 'HTTPS port (optional)', name: 'https_port', type: 'number', placeholder: '443', attributes }),
    field({ label: 'HTTP port (optional)', name: 'http_port', type: 'number', placeholder: '80', attributes }),
  ];
}

/** @param {string} text */
function list(text) {
  return text.split(/[\s,;]+/).filter(Boolean);
}
