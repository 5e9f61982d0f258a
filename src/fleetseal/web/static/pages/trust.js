/** Trust on computers: what they must trust, as files, and what to type where. */

import { api, Problem } from '../lib/api.js';
import { h, isolated, replace } from '../lib/dom.js';
import { decoded, save } from '../lib/download.js';
import { date, fingerprint } from '../lib/format.js';
import { table } from '../lib/table.js';
import { toast } from '../lib/toast.js';

/**
 * @typedef {{ role: 'root' | 'intermediate', subject: string, not_after: string, sha256: string, pem: string }} Trusted
 * @typedef {{ name: string, content: string }} File `content`: base64
 * @typedef {{ text: string, command: string | null }} Step
 */

export const title = 'Trust on computers';

const PEM = 'application/x-pem-file';
/** @type {[string, string][]} */
const PLATFORMS = [
  ['windows', 'Windows'], ['macos', 'macOS'], ['debian', 'Debian, Ubuntu'],
  ['redhat', 'Red Hat, Fedora'], ['suse', 'SUSE'],
];

/** @param {HTMLElement} main */
export async function show(main) {
  const page = h('div', { class: 'page' }, h('header', { class: 'page-head' }, h('h1', null, title)));
  main.append(page);
  try {
    const trusted = await api.get('authorities/current/trust');
    page.append(
      h('p', { class: 'quiet-text' },
        'A browser or video management system believes your devices once it trusts these certificates. ' +
        'They are public: only their keys are secret, and those stay here.'),
      certificatesCard(trusted), stepsCard(),
    );
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    page.append(h('div', { class: 'empty' }, 'There is no certificate authority yet. ',
      h('a', { href: '/configuration/certificates' }, 'Generate or import one'), ' first.'));
  }
}

/** @param {{ name: string, certificates: Trusted[], message: string }} trusted */
function certificatesCard(trusted) {
  return h('section', { class: 'card' },
    h('h2', null, 'Certificates'),
    h('p', null, isolated(trusted.message)),
    h('div', { class: 'form-actions' },
      download('Root', () => exported('format=pem&root_only=true')),
      download('Bundle (PEM)', () => exported('format=pem')),
      download('Bundle for Windows (.p7b)', () => exported('format=p7b'))),
    table({
      caption: 'Certificates to trust',
      columns: [
        { key: 'role', label: 'Role', render: (one) => (one.role === 'root' ? 'Root' : 'Issuing CA') },
        { key: 'subject', label: 'Subject' },
        { key: 'not_after', label: 'Expires', render: (one) => date(one.not_after) },
        { key: 'sha256', label: 'SHA-256 fingerprint, to compare', render: (one) => h('code', { class: 'fingerprint' }, fingerprint(one.sha256)) },
        { key: 'pem', label: 'File', render: (one) => fileButton(one) },
      ],
      rows: trusted.certificates,
      empty: 'There is no certificate.',
    }));
}

/** @param {Trusted} one */
function fileButton(one) {
  const role = one.role === 'root' ? 'root' : 'issuing CA';
  return h('button', {
    type: 'button', class: 'button quiet', 'aria-label': `Download ${role} ${one.subject}`,
    onclick: () => save(`${one.role}-${one.sha256.slice(0, 16)}.crt`, one.pem, PEM),
  }, 'Download');
}

function stepsCard() {
  const platform = h('select', { id: 'platform', class: 'input' },
    ...PLATFORMS.map(([value, label]) => h('option', { value, selected: value === here() }, label)));
  const removal = h('input', { type: 'checkbox', id: 'removal' });
  const place = h('div', { 'aria-live': 'polite' });
  let asked = 0;
  const draw = async () => {
    const mine = (asked += 1);
    const told = await api.get(`authorities/current/trust/${platform.value}?remove=${removal.checked}`);
    if (mine === asked) replace(place, ...steps(told));
  };
  const redraw = () => draw().catch((error) => {
    if (!(error instanceof Problem)) throw error;
    replace(place, h('p', { class: 'problem' }, error.detail));
  });
  platform.addEventListener('change', redraw);
  removal.addEventListener('change', redraw);
  void redraw();
  return h('section', { class: 'card' },
    h('h2', null, 'Steps'),
    h('div', { class: 'trust-choice' },
      h('label', { for: 'platform' }, 'Computer'), platform,
      h('label', { class: 'radio', for: 'removal' }, removal, ' Remove the trust again')),
    place,
    h('p', { class: 'quiet-text' },
      'Firefox and Chromium on Linux have trust stores of their own. Where Fleetseal is installed, ',
      h('code', null, 'fleetseal trust install --store firefox'), ' or ', h('code', null, '--store chromium'),
      ' does it; in Firefox by hand: Settings, Privacy & Security, View Certificates, Authorities, Import.'));
}

/** @param {{ files: File[], steps: Step[] }} told */
function steps(told) {
  return [
    told.files.length > 0 && h('p', null,
      h('button', { type: 'button', class: 'button primary', onclick: () => saveAll(told.files) },
        told.files.length === 1 ? 'Download the file' : `Download the ${told.files.length} files`),
      h('span', { class: 'quiet-text' }, ' Take them to the computer, and type the steps in the directory that holds them.')),
    h('ol', { class: 'trust-steps' }, ...told.steps.map((step) => h('li', null,
      h('span', null, step.text),
      step.command !== null && h('div', { class: 'command' },
        h('code', { tabindex: '0' }, step.command),
        h('button', {
          type: 'button', class: 'button quiet', 'aria-label': `Copy: ${step.command}`,
          onclick: () => copy(step.command ?? ''),
        }, 'Copy'))))),
  ];
}

/**
 * @param {string} label
 * @param {() => Promise<File[]>} files
 */
function download(label, files) {
  const button = h('button', { type: 'button', class: 'button' }, label);
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      saveAll(await files());
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(error.detail, 'error');
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/** @param {string} query @returns {Promise<File[]>} */
async function exported(query) {
  return (await api.get(`authorities/current/export?${query}`)).files;
}

/** @param {File[]} files */
function saveAll(files) {
  for (const file of files) save(file.name, decoded(file.content));
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast('Copied.');
  } catch {
    toast('The browser does not allow to copy here: select the text.', 'error');
  }
}

/** The platform of this browser, as far as it tells. */
function here() {
  const told = navigator.userAgent;
  if (/Windows/.test(told)) return 'windows';
  if (/Macintosh|iPhone|iPad/.test(told)) return 'macos';
  if (/Fedora|Red Hat/.test(told)) return 'redhat';
  return /SUSE/.test(told) ? 'suse' : 'debian';
}
