/** Texts of the server name commands; here each leads to the page, or the dialog, that does the same. */

import { h, isolated } from '../lib/dom.js';

/**
 * By the beginning of a command, the longest first where two fit: what it leads to, and where that is. `device`: below
 * the device's page.
 *
 * @type {[string, string, string, 'device'?][]}
 */
const WAYS = [
  ['https enable', 'Enable HTTPS…', '?do=enable', 'device'],
  ['device set', 'Edit the device…', '?do=edit', 'device'],
  ['device trust', 'Trust…', '?do=trust', 'device'],
  ['device setup', 'Set it up…', '?do=setup', 'device'],
  ['certificate install', 'Install a certificate…', '?do=install', 'device'],
  ['certificate delete', 'Delete a certificate…', '?do=delete', 'device'],
  ['certificate list', 'The device', '', 'device'],
  ['certificate', 'Certificates issued', '/certificates'],
  ['device add', 'Add devices', '/add/address'],
  ['device', 'The device', '', 'device'],
  ['https', 'The device', '', 'device'],
  ['settings set https', 'Switching HTTPS on', '/configuration/security'],
  ['settings set discovery', 'Names', '/configuration/discovery'],
  ['settings set certificate', 'Certificates', '/configuration/certificates'],
  ['settings set renewal', 'Renewal', '/configuration/renewal'],
  ['settings set alarm', 'Alarm delivery', '/configuration/alarms'],
  ['settings', 'Security', '/configuration/security'],
  ['credential', 'Credentials', '/configuration/discovery'],
  ['ca export', 'Trust on computers', '/trust'],
  ['trust', 'Trust on computers', '/trust'],
  ['crl', 'Revocation lists', '/certificates'],
  ['ca', 'Certificate authority', '/configuration/certificates'],
  ['nightly', 'Renewal', '/configuration/renewal'],
  ['task', 'Tasks', '/devices'],
  ['alarm secret', 'Alarm delivery', '/configuration/alarms'],
  ['alarm', 'Alarms', '/alarms'],
  ['audit', 'Audit log', '/configuration/audit'],
  ['backup', 'Backup', '/configuration/backup'],
];

/**
 * A text, and below it where what it advises is done.
 *
 * @param {string | null | undefined} text
 * @param {string | number | null} [device] what it is about: its id, MAC address or address
 */
export function advice(text, device = null) {
  const ways = new Map(commands(text ?? '').flatMap((command) => {
    const way = WAYS.find(([beginning]) => `${command} `.startsWith(`${beginning} `) || command.startsWith(`${beginning}.`));
    return way === undefined ? [] : [[place(way, device), way[1]]];
  }));
  return h('span', { class: 'advice' }, isolated(text),
    ...[...ways].map(([href, label]) => h('a', { href, class: 'advice-way' }, href === '/devices' ? 'Devices' : label)));
}

/** @param {string} text @returns {string[]} without the name of the program */
function commands(text) {
  return [...text.matchAll(/\bfleetseal ([a-z]+(?: [a-z.-]+)*)/g)].map(([, command = '']) => command);
}

/** @param {typeof WAYS[number]} way @param {string | number | null} device */
function place([, , where, below], device) {
  if (below === undefined) return where;
  return device === null ? '/devices' : `/devices/${encodeURIComponent(device)}${where}`;
}
