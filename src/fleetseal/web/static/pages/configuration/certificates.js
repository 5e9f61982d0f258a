/** Configuration: the certificate authority, its life, and what the certificates of devices are like. */

import { api } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { save } from '../../lib/download.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { toast } from '../../lib/toast.js';
import * as dialogs from './authority_dialogs.js';
import { action, actions, administers, facts, frame, onlyLooking, outcome, section, state } from './frame.js';
import { replacement } from './replacement.js';
import { settingFields, settings } from './settings.js';

export const title = 'Certificates';

/** @typedef {Record<string, any>} Authority */

/** @type {Record<string, ['good' | 'warn' | 'bad' | 'none', string]>} */
const STATES = {
  ready: ['good', 'Ready'],
  locked: ['warn', 'Locked'],
  resting: ['none', 'Locked'], // a root that only signs issuing CAs: as it should be
  expiring: ['warn', 'Expires soon'],
  expired: ['bad', 'Expired'],
  replaced: ['none', 'Replaced'],
  requested: ['none', 'Requested'],
};

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const known = await settings();
  const editable = administers(session);
  const content = frame(main, title,
    'The certificate authority that signs the certificates of your devices, and what these certificates are like.');
  const authority = h('div', { class: 'authority' });
  const redraw = async () => draw(authority, editable, redraw);
  await redraw();
  content.append(
    authority,
    section(
      'Certificates of devices',
      settingFields(known, [
        ['certificate.common-name', 'Common name'],
        ['certificate.validity-days', 'Validity, days'],
        ['certificate.warning-days', 'Warning before expiry, days'],
        ['certificate.key-type', 'Key'],
        ['certificate.key-origin', 'Where keys are made'],
        ['certificate.public-url', 'Public address of CRLs'],
        ['publish.listen', 'CRLs are served at'],
      ], { editable }),
    ),
  );
}

/**
 * @param {HTMLElement} place
 * @param {boolean} editable
 * @param {() => Promise<void>} redraw
 */
async function draw(place, editable, redraw) {
  /** @type {Authority[]} */
  const all = await api.get('authorities');
  const current = all.find(inUse) ?? null;
  const others = all.filter((one) => one !== current);
  const pending = others.some((one) => one.state === 'requested');
  replace(
    place,
    current === null ? none(editable, pending, redraw) : used(current, editable, redraw),
    others.length > 0 && otherAuthorities(others),
  );
}

/** @param {Authority} one */
function inUse(one) {
  const signs = !one.trust_only && !one.introduced && !one.retired;
  return signs && one.state !== 'requested' && one.state !== 'replaced';
}

/**
 * @param {boolean} editable
 * @param {boolean} pending a request waits for its certificate
 * @param {() => Promise<void>} redraw
 */
function none(editable, pending, redraw) {
  const place = outcome();
  return section(
    'Certificate authority',
    h('p', { class: 'lead' }, pending
      ? 'A request waits for its certificate. Import the signed certificate, with those above it, to complete it.'
      : 'There is no certificate authority yet. Devices cannot be given certificates before there is one.'),
    editable
      ? h('div', { class: 'choices' },
        choice('Generate', 'Make a new authority here. Right for most sites: devices and computers only need to trust it once.',
          action('Generate…', place, () => dialogs.generate().then(finished(redraw)), { kind: pending ? 'plain' : 'primary' })),
        choice('Request', 'Your organization has its own PKI: a key is made here, and your PKI signs the request.',
          action('Request…', place, () => dialogs.request().then(finished(redraw)))),
        choice('Import', 'Bring an authority with its key from a file, complete a request, or only trust another one.',
          action('Import…', place, () => dialogs.bring().then(finished(redraw)), { kind: pending ? 'primary' : 'plain' })))
      : onlyLooking(),
    place.element,
  );
}

/**
 * @param {string} name
 * @param {string} text
 * @param {HTMLElement} button
 */
function choice(name, text, button) {
  return h('div', { class: 'choice' }, h('h3', null, name), h('p', null, text), button);
}

/**
 * @param {Authority} authority
 * @param {boolean} editable
 * @param {() => Promise<void>} redraw
 */
function used(authority, editable, redraw) {
  const place = outcome();
  const done = finished(redraw);
  const underPassphrase = authority.key_sealed_by === 'passphrase';
  const lock = authority.key_open
    ? action('Lock', place, async () => {
      await api.post('authorities/current/lock');
      await redraw();
    })
    : action('Unlock…', place, () => dialogs.unlock().then(done), { kind: authority.state === 'locked' ? 'primary' : 'plain' });
  return section(
    'Certificate authority',
    h('div', { class: 'authorities' }, certificate(authority), ...authority.issuing.map(certificate)),
    authority.replacement !== null && replacement(authority.replacement, editable, done),
    editable
      ? actions(
        action('Save to file…', place, () => dialogs.saveToFile()),
        action('Renew…', place, () => dialogs.renew(authority).then(done)),
        underPassphrase && lock,
        action('Trust another authority…', place, () => dialogs.trustOther().then(done)))
      : actions(action('Save to file…', place, () => dialogs.saveToFile())),
    place.element,
  );
}

/**
 * What follows a dialog that did something: it is told, and the page is drawn anew.
 *
 * @param {() => Promise<void>} redraw
 * @returns {(told: { text: string } | null) => Promise<void>}
 */
function finished(redraw) {
  return async (told) => {
    if (told === null) return;
    await redraw();
    toast(told.text);
  };
}

/** @param {Authority} one */
function certificate(one) {
  const resting = one.state === 'ready' && one.key_sealed_by === 'passphrase' && !one.key_open;
  const [tone, word] = STATES[resting ? 'resting' : one.state] ?? ['none', one.state];
  return h('article', { class: 'authority-card' },
    h('header', { class: 'authority-head' },
      h('h3', null, one.role === 'root' ? 'Root' : 'Issuing CA', ': ', isolated(one.name)), state(word, tone)),
    facts([
      ['Subject', isolated(one.subject)],
      ['Issuer', one.issuer !== one.subject && isolated(one.issuer)],
      ['Valid', `${format.date(one.not_before)} to ${format.date(one.not_after)} (ends ${format.ago(one.not_after)})`],
      ['Key', one.key],
      ['Opens', opens(one)],
      ['May vouch for', one.constraints.length > 0 ? one.constraints.join(', ') : 'every host name and address'],
      ['Certificates', `${format.number(one.issued)} issued, ${format.number(one.valid)} valid`],
      ['SHA-256', fingerprint(one.sha256)],
    ]));
}

/** May be broken between bytes only. @param {string} hex */
function fingerprint(hex) {
  const bytes = format.fingerprint(hex).split(':');
  return h('code', { class: 'fingerprint' }, ...bytes.flatMap((one, at) => (at === 0 ? [one] : [':', h('wbr'), one])));
}

/** Who opens the key, and whether it is open now. @param {Authority} one */
function opens(one) {
  if (one.key_sealed_by === null) return null;
  if (one.key_sealed_by !== 'passphrase') return 'by itself: it signs unattended';
  const kept = one.passphrase_kept === null ? 'by its passphrase, which is kept nowhere' : `by itself: its passphrase is kept ${one.passphrase_kept}`;
  return one.key_open ? `${kept}. It is open now.` : `${kept}. It is locked now.`;
}

/** @param {Authority[]} others */
function otherAuthorities(others) {
  return section(
    'Other authorities',
    table({
      caption: 'Authorities that are not in use',
      empty: '',
      rows: others,
      columns: [
        { key: 'name', label: 'Name' },
        { key: 'state', label: 'State', render: stateOf },
        { key: 'subject', label: 'Subject' },
        { key: 'not_after', label: 'Valid until', render: (one) => format.date(one.not_after) },
        { key: 'valid', label: 'Valid certificates', numeric: true, render: (one) => format.number(one.valid) },
        { key: 'csr', label: 'File', render: requestFile },
      ],
    }),
  );
}

/** @param {Authority} one */
function stateOf(one) {
  if (one.trust_only) return state('Trusted only', 'none');
  if (one.introduced) return state('Being introduced', 'none');
  if (one.retired) return state('Retired', 'none');
  const [tone, word] = STATES[one.state] ?? ['none', one.state];
  return state(word, tone);
}

/** @param {Authority} one */
function requestFile(one) {
  return one.csr && h('button', {
    type: 'button', class: 'button', 'aria-label': `Save request of ${one.name}`,
    onclick: () => save(`${dialogs.stem(one.name)}.csr`, one.csr, 'application/pkcs10'),
  }, 'Save request');
}
