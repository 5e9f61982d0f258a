/** Configuration: who may use this application, tokens for programs, open sessions, and one's own password. */

import { api } from '../../lib/api.js';
import { confirm, dialog } from '../../lib/dialog.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { field, form } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { toast } from '../../lib/toast.js';
import { action, actions, administers, alike, ask, frame, outcome, section, told } from './frame.js';
import { openSessions } from './sessions.js';

export const title = 'Users and tokens';

/** @typedef {{ id: number, name: string, role: string, created: string, last_seen: string | null }} User */
/** @typedef {{ id: number, name: string, scope: string, created: string, expires: string, last_used: string | null }} Token */

const ROLES = [
  { value: 'viewer', label: 'Viewer', help: 'Sees everything but secrets, and changes nothing.' },
  { value: 'operator', label: 'Operator', help: 'Also acts on devices: adds them, switches HTTPS on and off, installs certificates.' },
  { value: 'administrator', label: 'Administrator', help: 'Also the authority, settings, users, tokens, credentials and backups.' },
];
const LONGEST = 'At least 12 characters. A few words in a row are easy to remember and hard to guess.';
const MAX_DAYS = 825;

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const editable = administers(session);
  const content = frame(main, title, 'Each person has an account of their own, so that the audit log says who did what.');
  if (editable) {
    const [users, tokens] = [h('div', { class: 'stack' }), h('div', { class: 'stack' })];
    /** @type {[User[], Token[]]} */
    const [people, programs] = await Promise.all([api.get('users'), api.get('tokens')]);
    drawUsers(users, people, session.user?.id ?? null);
    drawTokens(tokens, programs);
    content.append(section('Users', users));
    content.append(section('Tokens',
      h('p', null, 'For programs, and for the command line on another computer. A token has one role, ends by itself, and is shown once. It can make neither users nor tokens.'), tokens));
  }
  content.append(await openSessions(editable), ownPassword());
}

/**
 * @param {HTMLElement} place
 * @param {User[]} users
 * @param {number | null} own
 */
function drawUsers(place, users, own) {
  const said = outcome();
  /** @param {Promise<unknown>} work @param {string} text */
  const then = async (work, text) => {
    if ((await work) === null) return;
    drawUsers(place, await api.get('users'), own);
    toast(text);
  };
  replace(
    place,
    table({
      caption: 'Users',
      empty: 'There is no user.',
      rows: users,
      columns: [
        { key: 'name', label: 'Name', render: (one) => h('span', null, isolated(one.name), one.id === own && ' (you)') },
        { key: 'role', label: 'Role', render: (one) => roleName(one.role) },
        { key: 'created', label: 'Since', render: (one) => format.date(one.created) },
        { key: 'last_seen', label: 'Last seen', render: (one) => format.ago(one.last_seen) },
        {
          key: 'actions', label: 'Actions',
          render: (one) => actions(
            action('Change…', said, () => then(change(one), `${one.name} is changed.`), { name: `Change ${one.name}` }),
            action('Unlock', said, () => then(api.post(`users/${one.id}/unlock`), `${one.name} may try again at once.`), { name: `Unlock ${one.name}` }),
            action('Remove…', said, () => then(remove(one), `${one.name} is removed.`), { name: `Remove ${one.name}` })),
        },
      ],
    }),
    actions(action('Add user…', said, () => then(add(), 'The user is added.'))),
    said.element,
  );
}

/** @param {string} role */
function roleName(role) {
  return ROLES.find((one) => one.value === role)?.label ?? role;
}

function add() {
  return ask({
    title: 'Add a user',
    label: 'Add',
    fields: [
      field({ label: 'Name', name: 'name', required: true, help: 'To sign in with: small letters, digits, and . _ @ -' }),
      roleField('viewer'),
      field({ label: 'Password', name: 'password', type: 'password', required: true, help: `${LONGEST} Tell it to the person, who changes it here.` }),
      field({ label: 'Password again', name: 'again', type: 'password', required: true }),
    ],
    submit: ({ name, role, password }) => api.post('users', { name, role, password }),
  });
}

/** @param {User} user */
function change(user) {
  return ask({
    title: 'Change a user',
    intro: 'Another role or password ends the sessions and tokens of this user at once.',
    label: 'Save',
    fields: [
      field({ label: 'Name', name: 'name', required: true, value: user.name }),
      roleField(user.role),
      field({ label: 'New password (optional)', name: 'password', type: 'password', help: LONGEST }),
      field({ label: 'New password again', name: 'again', type: 'password' }),
    ],
    submit: ({ name, role, password }) => {
      const changes = { ...(name !== user.name && { name }), ...(role !== user.role && { role }), ...(password !== '' && { password }) };
      return Object.keys(changes).length === 0 ? Promise.resolve(null) : api.patch(`users/${user.id}`, changes);
    },
  });
}

/** @param {string} value */
function roleField(value) {
  return field({ label: 'Role', name: 'role', type: 'radio', value, options: ROLES });
}

/** @param {User} user */
async function remove(user) {
  const agreed = await confirm({
    title: 'Remove this user?',
    text: h('p', null, isolated(user.name), ' is signed out at once and cannot sign in again. What they did stays in the audit log.'),
    action: 'Remove',
    danger: true,
  });
  if (!agreed) return null;
  await api.delete(`users/${user.id}`);
  return true;
}

/**
 * @param {HTMLElement} place
 * @param {Token[]} tokens
 */
function drawTokens(place, tokens) {
  const said = outcome();
  const again = async () => drawTokens(place, await api.get('tokens'));
  replace(
    place,
    table({
      caption: 'Tokens',
      empty: 'There is no token.',
      rows: tokens,
      columns: [
        { key: 'name', label: 'Name' },
        { key: 'scope', label: 'Role', render: (one) => roleName(one.scope) },
        { key: 'created', label: 'Since', render: (one) => format.date(one.created) },
        { key: 'expires', label: 'Ends', render: (one) => `${format.date(one.expires)} (${format.ago(one.expires)})` },
        { key: 'last_used', label: 'Last used', render: (one) => format.ago(one.last_used) },
        {
          key: 'actions', label: 'Actions',
          render: (one) => action('Remove…', said, async () => {
            if (!(await removeToken(one))) return;
            await again();
            toast(`The token ${one.name} is removed.`);
          }, { name: `Remove the token ${one.name}` }),
        },
      ],
    }),
    actions(action('Add token…', said, async () => {
      const made = await addToken();
      if (made === null) return;
      await showOnce(made);
      await again();
    })),
    said.element,
  );
}

function addToken() {
  return ask({
    title: 'Add a token',
    label: 'Add',
    fields: [
      field({ label: 'Name', name: 'name', required: true, help: 'After what will use it, for example backup-script: small letters, digits, and . _ @ -' }),
      field({ label: 'Role', name: 'scope', type: 'radio', value: 'viewer', options: ROLES }),
      field({ label: 'Days until it ends', name: 'days', type: 'number', value: 365, required: true, attributes: { min: 1, max: MAX_DAYS } }),
    ],
    submit: (values) => api.post('tokens', values),
  });
}

/** The only time that the token is seen. @param {{ name: string, token: string }} made */
async function showOnce(made) {
  const said = outcome();
  const text = h('input', { class: 'input mono', readonly: true, value: made.token, 'aria-label': 'Token', autocomplete: 'off', spellcheck: 'false' });
  await dialog({
    title: 'The new token',
    body: [
      h('p', null, 'Copy it now: it is not shown again. Whoever has it has its rights.'),
      h('div', { class: 'copy' }, text, action('Copy', said, async () => {
        text.select();
        try {
          await navigator.clipboard.writeText(made.token);
          said.say('Copied.', 'good');
        } catch {
          said.say('This browser does not let pages copy here. It is selected: press Ctrl+C.');
        }
      }, { kind: 'primary' })),
      h('p', { class: 'quiet-text' }, 'The command line reads it from a file: FLEETSEAL_TOKEN_FILE=token fleetseal --url … device list'),
      said.element,
    ],
    buttons: [{ label: 'Done', value: true }],
  });
  text.value = '';
}

/** @param {Token} token */
async function removeToken(token) {
  const agreed = await confirm({
    title: 'Remove this token?',
    text: h('p', null, 'Programs that use ', isolated(token.name), ' are refused at once.'),
    action: 'Remove',
    danger: true,
  });
  if (agreed) await api.delete(`tokens/${token.id}`);
  return agreed;
}

function ownPassword() {
  const said = outcome();
  const fields = [
    field({ label: 'Present password', name: 'old', type: 'password', required: true, autocomplete: 'current-password' }),
    field({ label: 'New password', name: 'password', type: 'password', required: true, help: LONGEST }),
    field({ label: 'New password again', name: 'again', type: 'password', required: true }),
  ];
  const element = form({
    fields,
    action: 'Change password',
    label: 'Your password',
    more: [said.element],
    submit: async () => {
      said.say('');
      if (!alike(fields)) return;
      try {
        await api.post('session/password', { old: fields[0]?.value(), new: fields[1]?.value() });
        for (const one of fields) if (one.input !== null) one.input.value = '';
        said.say('Your password is changed. Your other sessions, and your tokens, are ended.', 'good');
      } catch (error) {
        said.say(told(error), 'bad');
      }
    },
  });
  element.classList.add('narrow-form');
  return section('Your password', element);
}
