/** Configuration: the audit log. */

import { api } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { save } from '../../lib/download.js';
import { field, form } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { action, actions, administers, frame, outcome, section, told } from './frame.js';
import { settingFields, settings } from './settings.js';

export const title = 'Audit log';

const PAGE = 100;
const AT_ONCE = 1000;

/** @typedef {{ number: number, at: string, actor: string, action: string, object: string, detail: Record<string, any> }} Entry */

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const content = frame(main, title,
    'Who did what: every signature, use of a secret, and change of authority, setting, device and trust. Records are chained, so ' +
    'that none can be changed or taken away unseen.');
  if (!administers(session)) {
    content.append(section('Records', h('p', { class: 'quiet-text' }, 'Only administrators read it.')));
    return;
  }
  const known = await settings();
  content.parentElement?.classList.add('wide');
  const list = h('div', { class: 'stack records' });
  const said = outcome();
  const wanted = { query: new URLSearchParams() };
  const load = async () => drawRecords(list, wanted.query, await page(wanted.query, null));
  await load();
  replace(
    content,
    section('Records', search(wanted, load, said), said.element, list,
      actions(action('Export…', said, () => exportAll(wanted.query, said)))),
    proof(),
    section('Anchors', h('p', null,
      'An anchor, kept on another machine, proves that no record was cut off at the end.'),
    settingFields(known, [['audit.anchor-file', 'File of anchors'], ['audit.anchor-syslog', 'Log server of anchors']], { editable: true })),
  );
}

/**
 * @param {{ query: URLSearchParams }} wanted
 * @param {() => Promise<void>} load
 * @param {ReturnType<typeof outcome>} said
 */
function search(wanted, load, said) {
  const words = field({ label: 'Words', name: 'words', placeholder: 'actor:anna action:certificate', help: 'Parts of words; number:, at:, actor:, action:, object: and detail: restrict.' });
  const since = field({ label: 'From', name: 'since', placeholder: '2026-11-23' });
  const until = field({ label: 'Until', name: 'until', placeholder: '2026-11-23' });
  const element = form({
    fields: [words, since, until],
    action: 'Search',
    label: 'Search the log',
    submit: async () => {
      said.say('');
      const before = wanted.query;
      wanted.query = new URLSearchParams();
      for (const [name, one] of /** @type {const} */ ([['filter', words], ['since', since], ['until', until]])) {
        if (one.value() !== '') wanted.query.set(name, one.value());
      }
      try {
        await load();
      } catch (error) {
        wanted.query = before;
        said.say(told(error), 'bad');
      }
    },
  });
  element.classList.add('search-form');
  return element;
}

/**
 * The newest records, or those after a page.
 *
 * @param {URLSearchParams} query
 * @param {string | null} after `next` of that page
 * @returns {Promise<{ items: Entry[], next: string | null }>}
 */
function page(query, after) {
  const asked = new URLSearchParams(query);
  asked.set('limit', String(PAGE));
  if (after !== null) asked.set('after', after);
  return api.get(`audit?${asked}`);
}

/**
 * @param {HTMLElement} place
 * @param {URLSearchParams} query
 * @param {{ items: Entry[], next: string | null }} shown
 */
function drawRecords(place, query, { items, next }) {
  const said = outcome();
  replace(
    place,
    table({
      caption: 'Records',
      empty: 'There is no such record.',
      rows: items,
      columns: [
        { key: 'number', label: 'Number', numeric: true },
        { key: 'at', label: 'At', render: (one) => h('time', { datetime: one.at }, format.time(one.at)) },
        { key: 'actor', label: 'Actor' },
        { key: 'action', label: 'Action' },
        { key: 'object', label: 'Object' },
        { key: 'detail', label: 'Detail', render: (one) => isolated(details(one.detail)) },
      ],
    }),
    next !== null && actions(action('Show older', said, async () => {
      const more = await page(query, next);
      drawRecords(place, query, { ...more, items: [...items, ...more.items] });
    })),
    said.element,
  );
}

/** @param {Record<string, any>} detail */
function details(detail) {
  const there = Object.entries(detail).filter(([, value]) => value !== null && value !== '' && !(Array.isArray(value) && value.length === 0));
  return there.map(([name, value]) => `${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(', ');
}

/** Whether the log is as it was written. */
function proof() {
  const said = outcome();
  return section(
    'Proof',
    h('p', null, 'Every record is compared with its hash, its place in the chain, and with the anchors that are set.'),
    actions(action('Verify', said, async () => {
      said.say('Verifying…');
      const verdict = await api.post('audit/verification', { anchors: null });
      said.say(verdict.message, verdict.ok ? 'good' : 'bad');
    })),
    said.element,
  );
}

/**
 * Every record that was searched for, the oldest first, one JSON object a line.
 *
 * @param {URLSearchParams} query
 * @param {ReturnType<typeof outcome>} said
 */
async function exportAll(query, said) {
  /** @type {string[]} */
  const lines = [];
  for (let after = 0; ;) {
    const asked = new URLSearchParams(query);
    asked.set('after', String(after));
    asked.set('limit', String(AT_ONCE));
    /** @type {Entry[]} */
    const some = await api.get(`audit/export?${asked}`);
    lines.push(...some.map((one) => `${JSON.stringify(one)}\n`));
    after = some.at(-1)?.number ?? after;
    if (some.length < AT_ONCE) break;
    said.say(`${format.count(lines.length, 'record')} so far…`);
  }
  save('fleetseal-audit.jsonl', new Blob(lines, { type: 'application/jsonl' }));
  said.say(`${format.count(lines.length, 'record')} saved, with the hashes.`, 'good');
}
