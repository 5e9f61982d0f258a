/** Certificates on devices: shown as the devices show them, installed from files, deleted. */

import { api } from '../../lib/api.js';
import { dialog } from '../../lib/dialog.js';
import { folding, h, isolated, replace } from '../../lib/dom.js';
import { encoded } from '../../lib/download.js';
import { complete, field } from '../../lib/form.js';
import { count, date } from '../../lib/format.js';
import { icon } from '../../lib/icons.js';
import { begun } from './asking.js';
import { named } from './dialogs.js';

/** @typedef {import('./filter.js').Device} Device */
/** @typedef {Record<string, any>} Entry a certificate of `GET certificates` */

/** @type {Record<string, string>} */
const SOURCES = {
  ours: 'Of our authority', factory: 'Maker’s device ID', default: 'Made by the device itself', other: 'Of another issuer',
};

/** @param {Device[]} devices */
export async function viewInstalled(devices) {
  const place = h('div', { class: 'installed', 'aria-live': 'polite' }, h('p', { class: 'quiet-text' }, 'Reading…'));
  const shown = dialog({
    title: `Certificates on ${named(devices)}`,
    body: place,
    wide: true,
    buttons: [{ label: 'Close', kind: 'primary', value: null }],
  });
  const found = await read(devices).catch((problem) => {
    replace(place, h('p', { class: 'problem', role: 'alert' }, icon('error'), h('span', null, problem.message)));
    return null;
  });
  if (found !== null) {
    replace(place, ...found.map((one) => h('section', { class: 'form' },
      devices.length > 1 && h('h3', null, isolated(one.mac), ' ', isolated(one.address)), ...entries(one))));
  }
  await shown;
}

/**
 * One entry of one device, of those that may go.
 *
 * @param {Device[]} devices
 */
export async function deleteCertificate(devices) {
  const device = devices[0];
  if (device === undefined) return;
  const [found] = await read([device]);
  const free = (found?.certificates ?? []).filter((/** @type {Entry} */ one) => one.use.length === 0 && one.source !== 'factory');
  const choice = field({
    label: 'Entry', name: 'alias', type: 'radio', required: true, value: free.length === 1 ? free[0].alias : '',
    options: free.map((/** @type {Entry} */ one) => ({
      value: one.alias, label: one.alias,
      help: [one.kind === 'ca' ? 'CA certificate' : 'Certificate with key', one.subject, one.not_after && `until ${date(one.not_after)}`].filter(Boolean).join(', '),
    })),
  });
  const none = found?.message || 'Nothing on this device may be deleted: what is there is in use, or the maker’s device ID.';
  const task = await dialog({
    title: `Delete a certificate on ${named(devices)}`,
    body: free.length === 0 ? h('p', null, none) : choice.row,
    buttons: free.length === 0 ? [{ label: 'Close', kind: 'primary', value: null }] : [
      { label: 'Cancel', value: null },
      {
        label: 'Delete', kind: 'danger',
        submit: () => complete([choice]) && api.post('certificates/deletion', { device: String(device.id), alias: choice.value() }),
      },
    ],
  });
  if (task !== null) begun(task);
}

/** @param {Device[]} devices */
export async function installCertificates(devices) {
  const one = devices.length === 1 ? devices[0] : undefined;
  const files = field({
    label: 'Files', name: 'files', type: 'file', required: true,
    help: 'PKCS#12 (.pfx, .p12), or PEM with certificate and key in one file or in two.',
    attributes: { multiple: true, accept: '.pfx,.p12,.pem,.crt,.cer,.key' },
  });
  const passphrase = field({ label: 'Passphrase of the files', name: 'passphrase', type: 'password', autocomplete: 'off', help: 'If they have one.' });
  const match = field({
    label: 'For', name: 'match', type: 'radio', value: 'names',
    options: [
      { value: 'names', label: 'The devices that the certificates name', help: 'By MAC address, address or host name in subject or alternative names.' },
      ...(one === undefined ? [] : [{ value: 'one', label: `This device, ${one.address}` }]),
    ],
  });
  const purpose = field({
    label: 'Then', name: 'purpose', type: 'radio', value: 'https',
    options: [
      { value: 'https', label: 'Use them for HTTPS', help: 'HTTPS is proved from outside, and put back where it does not work.' },
      { value: 'none', label: 'Only store them on the devices' },
    ],
  });
  const task = await dialog({
    title: 'Install certificates',
    body: [h('p', { class: 'quiet-text' }, 'Keys are sent over TLS only, and kept here, sealed, until their task has ended.'),
      files.row, passphrase.row, match.row, purpose.row],
    buttons: [
      { label: 'Cancel', value: null },
      {
        label: 'Install', kind: 'primary',
        submit: async () => {
          if (!complete([files])) return false;
          const given = passphrase.value() === '' ? null : passphrase.value();
          return api.post('certificates/installation', {
            files: await Promise.all(files.value().map(async (/** @type {File} */ file) =>
              ({ name: file.name, content: await encoded(file), passphrase: given }))),
            device: match.value() === 'one' && one !== undefined ? String(one.id) : null,
            purpose: purpose.value(),
          });
        },
      },
    ],
  });
  if (task === null) return;
  const { showResult } = await import('./result.js');
  await showResult(task.id);
}

/**
 * What a device holds, for people: first what is in use.
 *
 * @param {{ message: string, certificates: Entry[], hidden: number }} found
 */
export function entries({ message, certificates, hidden }) {
  if (message !== '') return [h('p', { class: 'problem' }, icon('error'), h('span', null, message))];
  const sorted = certificates.toSorted((one, other) => Number(one.kind === 'ca') - Number(other.kind === 'ca') || other.use.length - one.use.length);
  return [
    ...sorted.map(card),
    certificates.length === 0 && h('p', { class: 'quiet-text' }, 'It holds no certificate.'),
    hidden > 0 && h('p', { class: 'quiet-text' }, `${count(hidden, 'public root')} from the factory, unused, not shown.`),
  ];
}

/** @param {Entry} one */
function card(one) {
  const facts = [
    ['Subject', one.subject], ['Issuer', one.issuer], ['Names', one.names?.join(', ')],
    ['Valid', one.not_before && `${date(one.not_before)} to ${date(one.not_after)}`],
    ['Key', one.key], ['Serial number', one.serial], ['SHA-256', one.sha256],
  ].filter(([, value]) => value);
  return h('details', { class: 'entry', open: one.use.length > 0 },
    h('summary', null, h('strong', null, isolated(one.alias)), ' ',
      one.use.map((/** @type {string} */ use) => h('span', { class: 'badge accent' }, use)),
      h('span', { class: 'badge' }, one.kind === 'ca' ? 'CA' : 'With key'), h('span', { class: 'badge' }, SOURCES[one.source] ?? one.source)),
    h('dl', { class: 'facts' }, ...facts.flatMap(([name, value]) => [
      h('dt', null, name ?? ''), h('dd', { class: name === 'SHA-256' || name === 'Serial number' ? 'mono' : null }, name === 'SHA-256' ? folding(value) : isolated(value))])));
}

/** @param {Device[]} devices @returns {Promise<any[]>} */
function read(devices) {
  return api.get(`certificates?${new URLSearchParams(devices.map((one) => ['device', String(one.id)]))}`);
}
