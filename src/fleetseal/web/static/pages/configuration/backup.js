/** Configuration: the whole system, or the authority alone, as files to keep elsewhere. */

import { api } from '../../lib/api.js';
import { h, replace } from '../../lib/dom.js';
import { decoded, save } from '../../lib/download.js';
import { field, form } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { action, administers, alike, frame, onlyLooking, outcome, section, told } from './frame.js';
import { newPassphrase, stem } from './authority_dialogs.js';

export const title = 'Backup';

/** @typedef {import('../../lib/form.js').Field} Field */

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const content = frame(main, title, 'Certificates can only be renewed by who has the keys. Keep a backup, and its passphrase apart from it.');
  if (!administers(session)) {
    content.append(section('Backup', onlyLooking()));
    return;
  }
  content.append(whole(), authority(), restoring());
}

function whole() {
  return section(
    'The whole system',
    h('p', null, 'Records, settings, the keys of the authority and the passwords of devices, as they are at one moment, in one encrypted file. Work goes on meanwhile.'),
    passphraseForm({
      fields: newPassphrase('It seals the file. Whoever has both has the whole system.'),
      action: 'Download backup',
      label: 'Backup of the whole system',
      submit: async (passphrase) => {
        const { blob, name } = await api.blob('backups/download', { passphrase });
        save(name, blob);
        return `The backup is saved as ${name} (${size(blob.size)}).`;
      },
    }),
  );
}

function authority() {
  const own = field({
    label: 'Passphrase of the authority (optional)', name: 'own', type: 'password', autocomplete: 'off',
    help: 'Only where its key is under another passphrase than the new one.',
  });
  const files = h('div', { class: 'stack' });
  return section(
    'The authority alone',
    h('p', null, 'Each authority with its key, as PKCS#12: other programs open it too. Two tiers are two files.'),
    passphraseForm({
      fields: [...newPassphrase('It seals the files. It is easier to try than that of a backup: make it longer.'), own],
      action: 'Make files',
      label: 'Backup of the authority',
      submit: async (passphrase) => {
        const made = await api.post('authorities/current/backup', { passphrase, own: own.value() || null });
        drawFiles(files, made.files);
        return made.message;
      },
    }),
    files,
  );
}

/**
 * @param {HTMLElement} place
 * @param {{ name: string, role: string, content: string }[]} files
 */
function drawFiles(place, files) {
  const said = outcome();
  replace(place, table({
    caption: 'Files of the authority',
    empty: '',
    rows: files.map((one) => ({ ...one, file: `${stem(one.name)}-${one.role === 'root' ? 'root' : 'issuing'}.p12` })),
    columns: [
      { key: 'file', label: 'File' },
      { key: 'role', label: 'Role', render: (one) => (one.role === 'root' ? 'Root' : 'Issuing CA') },
      {
        key: 'save', label: 'Save',
        render: (one) => action('Save', said, async () => save(one.file, decoded(one.content, 'application/x-pkcs12')), { name: `Save ${one.file}` }),
      },
    ],
  }), said.element);
}

function restoring() {
  return section(
    'Restoring',
    h('p', null, 'A backup is put into an empty data directory, so no running server can do it. On the computer that is to take over, with the old one switched off:'),
    h('pre', { class: 'commands', tabindex: '0', 'aria-label': 'Commands' },
      'fleetseal restore site.backup\nfleetseal device refresh --all\nfleetseal serve'),
    h('p', null, 'The first command asks for the passphrase. A wrong passphrase or a damaged file changes nothing. The second looks at every device: what was ' +
      'signed after the backup comes into the records.'),
  );
}

/**
 * @param {{ fields: Field[], action: string, label: string, submit: (passphrase: string) => Promise<string> }} what
 *   `submit` ends with what was done
 */
function passphraseForm({ fields, action: name, label, submit }) {
  const said = outcome();
  const element = form({
    fields,
    action: name,
    label,
    more: [said.element],
    submit: async () => {
      if (!alike(fields)) return;
      said.say('Working…');
      try {
        said.say(await submit(fields[0]?.value()), 'good');
        for (const one of fields) if (one.input !== null) one.input.value = '';
      } catch (error) {
        said.say(told(error), 'bad');
      }
    },
  });
  element.classList.add('narrow-form');
  return element;
}

/** `3.4 MB`. @param {number} bytes */
function size(bytes) {
  if (bytes < 1000) return format.count(bytes, 'byte');
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
