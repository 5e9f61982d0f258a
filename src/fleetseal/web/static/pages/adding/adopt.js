/** Before devices are added: how far they can be trusted, then the login. */

import { api } from '../../lib/api.js';
import { dialog } from '../../lib/dialog.js';
import { h } from '../../lib/dom.js';
import { complete, field } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { icon } from '../../lib/icons.js';
import { PROVED } from './trust.js';

/** @typedef {import('./sightings.js').Sighting} Sighting */
/** @typedef {{ username: string, password: string } | {}} Login nothing: stored credentials are tried */

/**
 * The login for these devices; null when the person left.
 *
 * @param {Sighting[]} chosen
 * @param {import('../../lib/routes.js').Session} session
 * @returns {Promise<Login | null>}
 */
export async function adopt(chosen, session) {
  const stored = session.user?.role === 'administrator' ? await api.get('credentials') : null;
  const names = (stored ?? []).map((/** @type {{ name: string }} */ one) => one.name).join(', ');
  const none = stored !== null && stored.length === 0;
  const way = field({
    label: 'Login',
    name: 'way',
    type: 'radio',
    value: none ? 'typed' : 'stored',
    options: [
      {
        value: 'stored',
        label: none ? 'None for now' : 'Stored credentials',
        help: none
          ? 'The devices are listed as \u201cCredentials needed\u201d. Credentials can be stored under Configuration > Discovery.'
          : `Tried in their order, at most once a day on each device${names === '' ? '.' : `: ${names}.`}`,
      },
      { value: 'typed', label: 'This one, for all of them' },
    ],
  });
  const username = field({ label: 'User name', name: 'username', required: true });
  const password = field({ label: 'Password', name: 'password', type: 'password', required: true, autocomplete: 'off' });
  const typed = h('div', { class: 'stack' }, username.row, password.row);
  const shown = () => {
    typed.hidden = way.value() !== 'typed';
  };
  way.row.addEventListener('change', shown);
  shown();
  return dialog({
    title: `Add ${format.count(chosen.length, 'device')}`,
    body: [...cautions(chosen), way.row, typed],
    buttons: [
      { label: 'Cancel', value: null },
      {
        label: 'Add',
        kind: 'primary',
        submit: () => {
          if (way.value() === 'stored') return {};
          return complete([username, password]) ? { username: username.value(), password: password.value() } : false;
        },
      },
    ],
  });
}

/** What a person should know before a login is sent. @param {Sighting[]} chosen */
function cautions(chosen) {
  const many = (/** @type {(one: Sighting) => boolean} */ fits) => chosen.filter(fits).length;
  const proved = many((one) => PROVED.includes(one.trust ?? ''));
  const believed = many((one) => one.trust === 'first use' || one.trust === 'plain');
  const refused = many((one) => one.trust === 'none' || one.trust === null);
  const fresh = many((one) => one.needs_setup);
  return [
    proved > 0 && h('p', { class: 'notice good' }, icon('check'), h('span', null, `${verb(proved, 'proves', 'prove')} who ${proved === 1 ? 'it is' : 'they are'}.`)),
    believed > 0 && h('p', { class: 'notice warn' }, icon('error'), h('span', null,
      `${verb(believed, 'does', 'do')} not: certificate validation is ignored (Configuration > Security). The login is used ` +
      'there in ways that do not reveal the password, but whoever answers could be somebody else.')),
    refused > 0 && h('p', { class: 'notice warn' }, icon('error'), h('span', null,
      `${verb(refused, 'is', 'are')} not trusted: added without a login being sent, until you accept the certificate.`)),
    fresh > 0 && h('p', { class: 'notice' }, icon('info'), h('span', null,
      `${verb(fresh, 'is', 'are')} in factory state: the first administrator is made in the next step.`)),
  ].filter((one) => one !== false);
}

/** @param {number} many @param {string} one @param {string} several */
function verb(many, one, several) {
  return `${format.count(many, 'device')} ${many === 1 ? one : several}`;
}
