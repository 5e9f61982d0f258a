/** Configuration: how devices are found and named, and the logins that are tried on them. */

import { api } from '../../lib/api.js';
import { confirm } from '../../lib/dialog.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { field } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { toast } from '../../lib/toast.js';
import { action, actions, administers, ask, frame, onlyLooking, outcome, section } from './frame.js';
import { settingFields, settings } from './settings.js';

export const title = 'Discovery';

/** @typedef {{ name: string, username: string, added: string }} Credential */

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const editable = administers(session);
  const [known, credentials] = await Promise.all([settings(), editable ? api.get('credentials') : []]);
  const content = frame(main, title, 'How devices are addressed, which host names are yours, and the logins that are tried on new devices.');
  const list = h('div', { class: 'stack' });
  if (editable) drawCredentials(list, credentials);
  else list.append(onlyLooking());
  content.append(
    section(
      'Names',
      settingFields(known, [
        ['discovery.use-hostname', 'Use host name when possible'],
        ['certificate.domains', 'Own domains'],
      ], { editable }),
    ),
    section(
      'Credentials',
      h('p', null,
        'They are tried in this order on devices of the inventory that have no login yet, at most once a day on each device, so ' +
        'that none is locked out. Passwords are kept sealed and never shown.'),
      list,
    ),
  );
}

/**
 * @param {HTMLElement} place
 * @param {Credential[]} credentials
 */
function drawCredentials(place, credentials) {
  const said = outcome();
  /** @param {Credential[] | null} now @param {string} text */
  const changed = (now, text) => {
    if (now === null) return;
    drawCredentials(place, now);
    toast(text);
  };
  replace(
    place,
    table({
      caption: 'Credentials',
      empty: 'There is no credential. Devices are then logged in to with what is typed when they are added.',
      rows: credentials,
      columns: [
        { key: 'name', label: 'Name' },
        { key: 'username', label: 'User name' },
        { key: 'added', label: 'Added', render: (one) => format.date(one.added) },
        {
          key: 'remove',
          label: 'Action',
          render: (/** @type {Credential} */ one) => action('Remove…', said,
            async () => changed(await remove(one), `The credential ${one.name} is removed.`), { name: `Remove the credential ${one.name}` }),
        },
      ],
    }),
    actions(action('Add…', said, async () => changed(await add(), 'The credential is added.'))),
    said.element,
  );
}

/** @returns {Promise<Credential[] | null>} all, or nothing was added */
function add() {
  return ask({
    title: 'Add a credential',
    label: 'Add',
    fields: [
      field({ label: 'Name', name: 'name', required: true, help: 'What it is called here, for example "Lobby cameras".' }),
      field({ label: 'User name on the devices', name: 'username', required: true }),
      field({ label: 'Password', name: 'password', type: 'password', required: true }),
    ],
    submit: (values) => api.post('credentials', values),
  });
}

/** @param {Credential} one @returns {Promise<Credential[] | null>} */
async function remove(one) {
  const agreed = await confirm({
    title: 'Remove this credential?',
    text: h('p', null, isolated(one.name), ' is tried no more. Devices that took it keep their login.'),
    action: 'Remove',
    danger: true,
  });
  return agreed ? api.post('credentials/removal', { name: one.name }) : null;
}
