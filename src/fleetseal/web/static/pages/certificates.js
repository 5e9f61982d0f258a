/** Every device certificate that was issued here: found, looked at, revoked; and the CRLs that tell of it. */

import { all, api, Problem } from '../lib/api.js';
import { dialog } from '../lib/dialog.js';
import { h, isolated, replace } from '../lib/dom.js';
import { decoded, save } from '../lib/download.js';
import { complete, field, values } from '../lib/form.js';
import { count, date, fingerprint, time } from '../lib/format.js';
import { Grid } from '../lib/grid.js';
import { table } from '../lib/table.js';
import { announce, toast } from '../lib/toast.js';

/**
 * @typedef {{
 *   id: string, serial: string, device: number | null, mac: string | null, subject: string, names: string[],
 *   not_before: string, not_after: string, state: string, issuer: string | null, key_origin: string | null, sha256: string,
 *   issued: string, installed: string | null, superseded: string | null, revoked: string | null, reason: string | null,
 *   task: number | null, alias: string | null,
 * }} Issued
 */

export const title = 'Certificates issued';

/** @type {Record<string, string>} */
const STATES = { installed: 'good', issued: 'busy', superseded: 'none', abandoned: 'none', revoked: 'bad' };
const REASONS = [
  ['unspecified', 'Not said'], ['keyCompromise', 'The key may be known to others'],
  ['affiliationChanged', 'The device belongs to somebody else now'], ['superseded', 'Another certificate is in its place'],
  ['cessationOfOperation', 'The device is out of use'], ['privilegeWithdrawn', 'It is not to be trusted any more'],
];

/**
 * @param {HTMLElement} main
 * @param {import('../lib/routes.js').Context} context
 * @returns {Promise<() => void>}
 */
export async function show(main, { session, query }) {
  const may = session.user?.role === 'administrator';
  const filter = h('input', { type: 'search', class: 'input', id: 'issued-filter', placeholder: 'Serial, device, name, state', value: query.get('filter') ?? '' });
  const counted = h('span', { class: 'quiet-text', role: 'status' });
  const grid = new Grid({
    label: title, columns: columns(), sort: { key: 'issued', descending: true }, announce,
    empty: ({ total }) => (total === 0 ? 'Nothing was issued yet: enable HTTPS on a device.' : 'No certificate has these words.'),
  });
  grid.onCount = ({ shown, total }) =>
    replace(counted, shown === total ? count(total, 'certificate') : `${shown} of ${count(total, 'certificate')}`);
  const load = async () => grid.setRows((await all('certificates/issued')).items.map((one) => ({ ...one, id: one.serial })));
  grid.onActivate = (row) => void details(/** @type {any} */ (row), may, load);
  const narrow = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    grid.filter(words.length === 0 ? null : (row) => words.every((word) => textOf(/** @type {any} */ (row)).includes(word)));
  };
  filter.addEventListener('input', narrow);
  const crls = h('div');
  main.append(h('div', { class: 'page' },
    h('header', { class: 'page-head' }, h('h1', null, title)),
    h('p', { class: 'quiet-text' }, 'What was signed here stays on record, also of devices that are gone. Double click or Enter shows one.'),
    h('div', { class: 'list-tools' }, h('label', { for: 'issued-filter' }, 'Filter'), filter, counted),
    h('div', { class: 'issued-grid' }, grid.element),
    h('section', { class: 'card' }, h('h2', null, 'Certificate revocation lists'), crls)));
  await Promise.all([load(), drawCrls(crls)]);
  narrow();
  return () => grid.destroy();
}

/** @returns {import('../lib/grid-columns.js').Column[]} */
function columns() {
  return [
    { key: 'state', label: 'State', width: 110, render: (row) => state(/** @type {any} */ (row).state) },
    { key: 'mac', label: 'MAC address', width: 140, kind: 'code', render: (row) => device(/** @type {any} */ (row)) },
    { key: 'subject', label: 'Subject', width: 220 },
    { key: 'names', label: 'Names', width: 220, value: (row) => /** @type {any} */ (row).names.join(', ') },
    { key: 'not_after', label: 'Expires', width: 110, kind: 'date', render: (row) => date(/** @type {any} */ (row).not_after) },
    { key: 'issuer', label: 'Issuer', width: 160 },
    { key: 'issued', label: 'Issued', width: 140, kind: 'date', render: (row) => time(/** @type {any} */ (row).issued) },
    { key: 'serial', label: 'Serial number', width: 300, kind: 'code' },
  ];
}

/** @param {string} word */
function state(word) {
  return h('span', { class: `state ${STATES[word] ?? 'none'}` }, word.charAt(0).toUpperCase() + word.slice(1));
}

/** @param {Issued} one */
function device({ device: id, mac }) {
  return id === null ? isolated(mac, 'forgotten') : h('a', { href: `/devices/${id}` }, isolated(mac, `device ${id}`));
}

/** @param {Issued} one */
function textOf(one) {
  return [one.serial, one.mac, one.subject, one.state, one.issuer, one.sha256, ...one.names].join(' ').toLowerCase();
}

/**
 * @param {Issued} one
 * @param {boolean} may revoke
 * @param {() => Promise<void>} changed
 */
async function details(one, may, changed) {
  const revocable = may && one.revoked === null && Date.parse(one.not_after) > Date.now();
  const pairs = [
    ['State', state(one.state)], ['Device', device(one)], ['Subject', isolated(one.subject)], ['Names', isolated(one.names.join(', '))],
    ['Valid', `${time(one.not_before)} to ${time(one.not_after)}`], ['Issuer', isolated(one.issuer)],
    ['Serial number', h('code', { class: 'fingerprint' }, one.serial)],
    ['SHA-256', h('code', { class: 'fingerprint' }, fingerprint(one.sha256))],
    ['Key made', one.key_origin === 'device' ? 'in the device' : isolated(one.key_origin)], ['Alias', isolated(one.alias)],
    ['Issued', time(one.issued)], ['Installed', time(one.installed)], ['Superseded', time(one.superseded)],
    ['Revoked', one.revoked && `${time(one.revoked)}, ${one.reason}`],
  ];
  const facts = h('dl', { class: 'facts' }, ...pairs.filter(([, value]) => value).flatMap(([name, value]) => [
    h('dt', null, /** @type {string} */ (name)), h('dd', null, value)]));
  const chosen = await dialog({
    title: 'Certificate', body: facts, wide: true,
    buttons: [...(revocable ? [{ label: 'Revoke…', kind: /** @type {const} */ ('danger'), value: 'revoke' }] : []), { label: 'Close', value: null }],
  });
  if (chosen === 'revoke') await revoke(one, changed);
}

/**
 * @param {Issued} one
 * @param {() => Promise<void>} changed
 */
async function revoke(one, changed) {
  const { locked } = await api.get('authorities/current/lock');
  const fields = [
    field({ label: 'Reason', name: 'reason', type: 'select', value: 'unspecified', options: REASONS.map(([value, label]) => ({ value: value ?? '', label: label ?? '' })) }),
    field({ label: `Type the last four digits of the serial number (${one.serial.slice(-4)})`, name: 'typed', required: true, autocomplete: 'off' }),
    ...(locked ? [field({ label: 'Passphrase of the CA', name: 'passphrase', type: 'password', autocomplete: 'off', help: 'The key is locked. Without it the CRL waits.' })] : []),
  ];
  const told = await dialog({
    title: 'Revoke a certificate',
    body: [h('p', null, 'Clients that look at the CRL do not believe it any more. This cannot be taken back; the device needs another certificate.'),
      ...fields.map((each) => each.row)],
    buttons: [{ label: 'Cancel', value: null }, {
      label: 'Revoke', kind: 'danger', submit: async () => {
        if (!complete(fields)) return false;
        const given = values(fields);
        if (given.typed.toLowerCase() !== one.serial.slice(-4).toLowerCase()) {
          fields[1]?.error('These are not its last four digits.');
          return false;
        }
        return api.post('certificates/revocation', { serial: one.serial, reason: given.reason, passphrase: given.passphrase || null });
      },
    }],
  });
  if (told === null) return;
  toast(told.message);
  await changed();
}

/** @param {HTMLElement} place */
async function drawCrls(place) {
  const crls = await api.get('crls');
  const download = h('button', { type: 'button', class: 'button' }, 'Download the CRLs');
  download.addEventListener('click', async () => {
    try {
      for (const file of await api.get('crls/files')) save(file.name, decoded(file.content));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(error.detail, 'error');
    }
  });
  replace(place, crls.length > 0 && download, table({
    caption: 'Certificate revocation lists',
    rows: crls,
    empty: 'There is no CA here yet, and so no CRL.',
    columns: [
      { key: 'name', label: 'CA', render: (one) => h('span', null, isolated(one.name), one.role === 'root' ? ' (root)' : ' (issuing CA)') }, { key: 'state', label: 'State', render: (one) => isolated(one.state) },
      { key: 'number', label: 'Number', numeric: true },
      { key: 'this_update', label: 'Made', render: (one) => time(one.this_update) },
      { key: 'next_update', label: 'Ends', render: (one) => time(one.next_update) },
      { key: 'revoked', label: 'Revoked', numeric: true },
    ],
  }));
}
