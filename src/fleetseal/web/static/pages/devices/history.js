/** What happened to a device: certificates that were issued to it, and the audit log about it. */

import { api, Problem } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { date, time } from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { state } from './columns.js';
import { taskLink } from './result.js';

const RECORDS = 30;

/** @type {Record<string, 'good' | 'warn' | 'bad' | 'none'>} */
const SHAPES = { installed: 'good', issued: 'warn', superseded: 'none', revoked: 'bad', abandoned: 'none' };

/**
 * @param {HTMLElement} card
 * @param {import('./filter.js').Device} device
 * @param {import('../../lib/routes.js').Session} session
 */
export async function historyCard(card, device, session) {
  const issued = await unless404(api.get(`certificates/issued?device=${device.id}`));
  const records = session.user?.role === 'administrator' && device.mac
    ? (await api.get(`audit?${new URLSearchParams({ filter: `object:"${device.mac}"`, limit: String(RECORDS) })}`)).items
    : [];
  replace(
    card,
    h('h2', null, 'History'),
    h('h3', null, 'Certificates issued to it'),
    table({
      caption: 'Certificates issued to it', rows: issued.toReversed(), empty: 'None yet.',
      columns: [
        { key: 'state', label: 'State', render: (one) => state(one.state, SHAPES[one.state]) },
        { key: 'names', label: 'Names', render: (one) => isolated(one.names.join(', ')) },
        { key: 'not_after', label: 'Valid', render: (one) => h('span', { class: 'nowrap' }, `${date(one.issued)} to ${date(one.not_after)}`) },
        { key: 'task', label: 'Task', render: (one) => one.task !== null && taskLink(one.task) },
      ],
    }),
    records.length > 0 && h('h3', null, 'Audit log'),
    records.length > 0 && table({
      caption: 'Audit log', rows: records, empty: '',
      columns: [
        { key: 'at', label: 'When', render: (one) => h('span', { class: 'nowrap' }, time(one.at)) },
        { key: 'actor', label: 'Who' },
        { key: 'action', label: 'What' },
      ],
    }),
  );
}

/** @param {Promise<any[]>} answer */
async function unless404(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return [];
    throw error;
  }
}
