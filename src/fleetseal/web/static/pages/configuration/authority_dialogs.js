/** The dialogs of the certificate authority. Each ends with a sentence on what was done, or null. */

import { api, Problem } from '../../lib/api.js';
import { dialog } from '../../lib/dialog.js';
import { h } from '../../lib/dom.js';
import { decoded, encoded, save } from '../../lib/download.js';
import { field } from '../../lib/form.js';
import { table } from '../../lib/table.js';
import { action, ask, outcome } from './frame.js';
import { followNow } from './replacement.js';

/** @typedef {{ text: string } | null} Told */

const KEYS = [
  { value: 'rsa', label: 'RSA', help: 'Every device and every client takes it.' },
  { value: 'ec', label: 'Elliptic curve', help: 'Smaller and faster; old devices and clients refuse it.' },
];

/** @returns {Promise<Told>} */
export async function generate() {
  const made = await ask({
    title: 'Generate a certificate authority',
    intro: 'It signs a certificate for each device. Computers that trust it once trust all of them.',
    label: 'Generate',
    wide: true,
    fields: [
      field({ label: 'Name', name: 'name', required: true, help: 'For example after the site. It is in every certificate.' }),
      field({ label: 'Organization (optional)', name: 'organization' }),
      field({
        label: 'Tiers', name: 'tiers', type: 'radio', value: '2',
        options: [
          {
            value: '2', label: 'Two: a root, and an issuing CA under it (recommended)',
            help: 'The issuing CA signs unattended. The root, which computers trust, stays locked under the passphrase, and can ' +
              'replace the issuing CA without anybody having to trust anything new.',
          },
          {
            value: '1', label: 'One: the root signs device certificates itself',
            help: 'Simpler for a few devices. It renews unattended only if the passphrase is remembered on this computer.',
          },
        ],
      }),
      field({ label: 'Kind of key', name: 'key_type', type: 'radio', value: 'rsa', options: KEYS }),
      field({ label: 'Life of the root, years (optional)', name: 'years', type: 'number', attributes: { min: 1, max: 20 }, help: '1 to 20. Left empty: 10, and not past 2035.' }),
      ...constraintFields(),
      ...newPassphrase('The passphrase seals the root key. It is asked again when the CA is renewed: keep it safe.'),
      remember(),
    ],
    submit: (values) => api.post('authorities', {
      name: values.name,
      organization: values.organization || null,
      tiers: Number(values.tiers),
      key_type: values.key_type,
      years: values.years,
      permit_domains: listed(values.domains),
      permit_networks: listed(values.networks),
      passphrase: values.passphrase,
      remember_passphrase: values.remember,
    }),
  });
  return made && { text: sentence(`The authority \u201c${made.name}\u201d is made.`, made.warnings) };
}

/** @returns {Promise<Told>} */
export async function request() {
  const made = await ask({
    title: 'Request a certificate authority',
    intro: 'A key is made here and stays here. Have the request signed as a CA certificate, then import the certificates.',
    label: 'Make request',
    fields: [
      field({ label: 'Name', name: 'name', required: true }),
      field({ label: 'Organization (optional)', name: 'organization' }),
      field({ label: 'Kind of key', name: 'key_type', type: 'radio', value: 'rsa', options: KEYS }),
    ],
    submit: (values) => api.post('authorities/request', {
      name: values.name, organization: values.organization || null, key_type: values.key_type,
    }),
  });
  if (made === null) return null;
  save(`${stem(made.name)}.csr`, made.csr, 'application/pkcs10');
  return { text: `The request for ${made.subject} is made and saved to a file. Have it signed as a CA certificate.` };
}

/** @returns {Promise<Told>} */
export async function bring() {
  const made = await ask({
    title: 'Import a certificate authority',
    intro: 'A PKCS#12 file, or PEM files with its certificate, its key and the certificates above it. For a request made here: ' +
      'the signed certificate and those above it.',
    label: 'Import',
    wide: true,
    fields: [
      files(),
      field({ label: 'Passphrase', name: 'passphrase', type: 'password', autocomplete: 'off', help: 'That of the file. The key is kept under it; a key that is not encrypted needs a new one here.' }),
      remember(),
      field({
        label: 'How it signs', name: 'tiers', type: 'radio', value: '',
        options: [
          { value: '', label: 'As it may (recommended)', help: 'If it may sign CAs, an issuing CA of ours is made under it; otherwise it signs itself.' },
          { value: '2', label: 'Through an issuing CA under it' },
          { value: '1', label: 'Itself' },
        ],
      }),
      field({ label: 'Name here (optional)', name: 'name' }),
    ],
    submit: async (values) => api.post('authorities/import', {
      files: await contents(values.files),
      passphrase: values.passphrase || null,
      remember_passphrase: values.remember,
      tiers: values.tiers === '' ? null : Number(values.tiers),
      name: values.name || null,
    }),
  });
  return made && { text: sentence(`The authority \u201c${made.name}\u201d is imported.`, made.warnings) };
}

/** @returns {Promise<Told>} */
export async function trustOther() {
  const anchors = await ask({
    title: 'Trust another authority',
    intro: 'Devices whose certificates chain to it are verified. Nothing is signed by it here.',
    label: 'Trust',
    fields: [files('Certificate', false)],
    submit: async (values) => api.post('authorities/anchors', { file: (await contents(values.files))[0] }),
  });
  return anchors && { text: `Trusted from now on: ${anchors.map((/** @type {any} */ one) => one.subject).join('; ')}.` };
}

/** @returns {Promise<Told>} */
export async function unlock() {
  const open = await ask({
    title: 'Unlock the authority',
    intro: 'Its key stays open until it is locked, or the server ends.',
    label: 'Unlock',
    fields: [field({ label: 'Passphrase', name: 'passphrase', type: 'password', required: true, autocomplete: 'off' })],
    submit: (values) => api.post('authorities/current/unlock', { passphrase: values.passphrase }),
  });
  return open && { text: 'The key is open until it is locked, or the server ends.' };
}

/** Each form in which the certificates can leave. @returns {Promise<void>} */
export async function saveToFile() {
  const exported = await api.get('authorities/current/export?directory=true');
  /** @type {Record<string, string>} */
  const uses = {
    pem: 'The bundle, PEM: for video management systems and clients that connect to old devices.',
    p7b: 'The bundle for Windows group policy.',
    crt: 'The root alone, DER: for Windows, macOS, phones and browsers.',
  };
  const place = outcome();
  await dialog({
    title: 'Save to file',
    wide: true,
    body: [
      h('p', null, 'What a computer must trust. These files hold certificates only: they are no secret.'),
      h('p', { class: 'quiet-text' }, exported.message),
      table({
        caption: 'Files',
        empty: '',
        rows: exported.files,
        columns: [
          { key: 'name', label: 'File' },
          { key: 'use', label: 'What for', render: (file) => uses[file.name.split('.').pop()] ?? '' },
          {
            key: 'save', label: 'Save',
            render: (file) => action('Save', place, async () => save(file.name, decoded(file.content)), { name: `Save ${file.name}` }),
          },
        ],
      }),
      place.element,
    ],
    buttons: [{ label: 'Close', kind: 'primary', value: null }],
  });
}

/** @param {Record<string, any>} authority @returns {Promise<Told>} */
export async function renew(authority) {
  const two = authority.tiers === 2;
  const how = await ask({
    title: 'Renew the authority',
    label: 'Continue',
    fields: [
      field({
        label: 'What is to be renewed', name: 'how', type: 'radio', value: two ? 'issuing' : 'root',
        options: [
          {
            value: 'issuing', label: 'The issuing CA', disabled: !two,
            help: 'A new one under the same root. Computers need nothing new; devices follow as they are renewed.',
          },
          {
            value: 'root', label: 'The root',
            help: 'A new root beside the old one, in three steps: devices and computers learn to trust it, it signs, the old one is retired. You may pause for months between them.',
          },
          { value: 'files', label: 'By an authority from your own PKI', help: 'As a new root, from files.' },
        ],
      }),
    ],
    submit: async (values) => values.how,
  });
  if (how === 'issuing') return renewIssuing(authority);
  if (how === 'root') return renewRoot();
  return how === 'files' ? renewFromFiles() : null;
}

/** @param {Record<string, any>} authority @returns {Promise<Told>} */
async function renewIssuing(authority) {
  const made = await ask({
    title: 'A new issuing CA',
    intro: 'The root signs it, and it signs from now on. The one before stays valid until its certificates are replaced.',
    label: 'Renew',
    fields: authority.key_open ? [] : [field({ label: 'Passphrase of the root', name: 'passphrase', type: 'password', required: true, autocomplete: 'off' })],
    submit: (values) => api.post('authorities/current/renew', { passphrase: values.passphrase ?? null }),
  });
  return made && { text: sentence('A new issuing CA signs. Devices follow in the night, or at once.', made.warnings) };
}

/** @returns {Promise<Told>} */
async function renewRoot() {
  const made = await ask({
    title: 'A new root',
    intro: 'Nothing is signed under it until you go on. First its certificates are put on every device.',
    label: 'Introduce',
    fields: [
      field({ label: 'Kind of key', name: 'key_type', type: 'radio', value: '', options: [{ value: '', label: 'As the old one' }, ...KEYS] }),
      field({ label: 'Life, years (optional)', name: 'years', type: 'number', attributes: { min: 1, max: 20 } }),
      ...newPassphrase('The passphrase of the new root.'),
      remember(),
    ],
    submit: (values) => api.post('authorities/current/renew', {
      root: true, key_type: values.key_type || null, years: values.years, passphrase: values.passphrase, remember_passphrase: values.remember,
    }),
  });
  return made && introduced(made);
}

/** @returns {Promise<Told>} */
async function renewFromFiles() {
  const made = await ask({
    title: 'An authority from your own PKI',
    intro: 'Nothing is signed under it until you go on. First its certificates are put on every device.',
    label: 'Introduce',
    fields: [files(), field({ label: 'Passphrase', name: 'passphrase', type: 'password', autocomplete: 'off' }), remember()],
    submit: async (values) => api.post('authorities/current/renew', {
      files: await contents(values.files), passphrase: values.passphrase || null, remember_passphrase: values.remember,
    }),
  });
  return made && introduced(made);
}

/** @param {Record<string, any>} made @returns {Promise<Told>} */
async function introduced(made) {
  const followed = await followNow();
  return { text: sentence(`The new root is introduced. ${followed?.text ?? ''}`.trim(), made.warnings) };
}

/** The name of a file made of that of an authority. @param {string} name */
export function stem(name) {
  return name.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '') || 'ca';
}

function constraintFields() {
  const why = 'An authority that may vouch only for your own names and networks does no harm elsewhere, even if its key is stolen. It cannot be widened later.';
  return [
    field({ label: 'Only host names under (optional)', name: 'domains', help: `Own domains, separated by commas. ${why}` }),
    field({ label: 'Only addresses in (optional)', name: 'networks', help: 'Networks such as 10.0.0.0/8, separated by commas. Every device must lie in one of them.' }),
  ];
}

/** @param {string} help */
export function newPassphrase(help) {
  return [
    field({ label: 'New passphrase', name: 'passphrase', type: 'password', required: true, help }),
    field({ label: 'New passphrase again', name: 'again', type: 'password', required: true }),
  ];
}

function remember() {
  return field({
    label: 'Remember the passphrase on this computer', name: 'remember', type: 'checkbox',
    help: 'The server then opens the key by itself. Whoever takes the whole data directory can sign as well.',
  });
}

/** @param {string} [label] @param {boolean} [multiple] */
function files(label = 'Files', multiple = true) {
  return field({
    label, name: 'files', type: 'file', required: true,
    attributes: { multiple, accept: '.p12,.pfx,.pem,.crt,.cer,.der,.key,.p7b' },
  });
}

/** @param {File[]} chosen */
async function contents(chosen) {
  try {
    return await Promise.all(chosen.map(encoded));
  } catch (error) {
    throw new Problem(0, 'unreadable-file', error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} text */
function listed(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** @param {string} first @param {string[] | undefined} more */
function sentence(first, more) {
  return [first, ...(more ?? [])].join(' ');
}
