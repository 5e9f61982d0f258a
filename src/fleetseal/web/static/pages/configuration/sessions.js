/** Where people are signed in: one's own sessions, and for administrators those of everybody. */

import { api } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { toast } from '../../lib/toast.js';
import { action, actions, outcome, section } from './frame.js';

/**
 * @typedef {{ id: number, user: string, address: string | null, created: string, last_seen: string, own: boolean,
 *   current: boolean }} Session
 */

/** @param {boolean} everybody those of others are shown too */
export async function openSessions(everybody) {
  const place = h('div', { class: 'stack' });
  draw(place, await api.get('sessions'), everybody);
  return section(everybody ? 'Sessions' : 'Your sessions', h('p', null,
    'A session ends when its browser signs out, after 30 minutes without use, and after 12 hours. One that you do not know: end it, and change the password.'), place);
}

/**
 * @param {HTMLElement} place
 * @param {Session[]} sessions
 * @param {boolean} everybody
 */
function draw(place, sessions, everybody) {
  const said = outcome();
  /** @param {string} path @param {string} text */
  const end = async (path, text) => {
    draw(place, await api.delete(path), everybody);
    toast(text);
  };
  replace(
    place,
    table({
      caption: 'Sessions',
      empty: 'Nobody is signed in.',
      rows: sessions,
      columns: [
        { key: 'user', label: 'User', render: (one) => h('span', null, isolated(one.user), one.current && ' (this browser)') },
        { key: 'address', label: 'From', render: (one) => one.address === null ? 'not known' : isolated(one.address) },
        { key: 'created', label: 'Since', render: (one) => format.time(one.created) },
        { key: 'last_seen', label: 'Last seen', render: (one) => format.ago(one.last_seen) },
        {
          key: 'actions', label: 'Actions',
          render: (one) => !one.current && action('End', said, () => end(`sessions/${one.id}`, 'The session is ended.'),
            { name: `End the session of ${one.user} from ${one.address ?? 'an unknown address'}` }),
        },
      ],
    }),
    sessions.some((one) => one.own && !one.current) && actions(
      action('End my other sessions', said, () => end('sessions', 'Your other sessions are ended.'))),
    said.element,
  );
}
