/** Configuration: renewal without a person, the next night and the last one. */

import { api } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { field } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { table } from '../../lib/table.js';
import { taskLink } from '../devices/result.js';
import { action, actions, administers, ask, facts, frame, outcome, section, state, told } from './frame.js';
import { settingFields, settings } from './settings.js';

export const title = 'Renewal';

const LOOK_MS = 1500;

/** @typedef {Record<string, any>} Row */

/** @type {Record<string, [string, 'good' | 'warn' | 'bad' | 'none']>} */
const STATES = {
  running: ['Running', 'none'],
  succeeded: ['Succeeded', 'good'],
  failed: ['Failed', 'bad'],
  interrupted: ['Interrupted', 'warn'],
};

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const visit = { left: false };
  const [known, night] = await Promise.all([settings(), nights()]);
  const content = frame(main, title, 'Certificates of yours are renewed in the night, before any warning would show. Nobody has to be there.');
  const [next, last] = [h('div', { class: 'stack' }), h('div', { class: 'stack' })];
  const redraw = async () => drawNights(next, last, await nights());
  drawNights(next, last, night);
  const said = outcome();
  const work = () => run(said, visit, redraw);
  if (night.status.last?.state === 'running') {
    follow(night.status.last.id, said, visit, redraw).catch((error) => said.say(told(error), 'bad'));
  }
  content.append(
    section(
      'When',
      settingFields(known, [
        ['renewal.automatic', 'Renew by itself'],
        ['renewal.window', 'Window, local time of the server'],
      ], { editable: administers(session), changed: () => void redraw() }),
    ),
    section('Next night', next),
    section('Last night', last, administers(session) && actions(action('Run now', said, work)), said.element),
  );
  return () => {
    visit.left = true;
  };
}

/** What is known of the last night and the next. @returns {Promise<{ status: Row, plan: Row, last: Row | null }>} */
async function nights() {
  const [status, plan] = await Promise.all([api.get('nightly'), api.get('nightly/plan')]);
  return { status, plan, last: status.last === null ? null : await api.get(`nightly/${status.last.id}`) };
}

/**
 * @param {HTMLElement} next
 * @param {HTMLElement} last
 * @param {{ status: Row, plan: Row, last: Row | null }} night
 */
function drawNights(next, last, { status, plan, last: run }) {
  const obstacle = status.waits ?? plan.obstacle;
  replace(
    next,
    facts([
      ['Window', `${format.time(plan.begins)} to ${format.time(plan.ends)}, in the time zone of this browser`],
      ['Would be renewed', format.count(plan.renewed, 'device')],
      ['Would be left', plan.skipped > 0 && format.count(plan.skipped, 'device')],
      ['Last success', status.last_success === null ? 'never' : `${format.time(status.last_success)} (${format.ago(status.last_success)})`],
    ]),
    obstacle !== null && h('p', { class: 'notice warn' }, h('span', null, obstacle)),
    plan.compares_clocks && h('p', { class: 'notice' }, h('span', null,
      'So many are due at once that the clocks of devices are compared with the server\u2019s first.')),
    table({
      caption: 'What the next night would do',
      empty: 'No certificate is due.',
      rows: plan.devices,
      columns: [
        { key: 'mac', label: 'MAC address' },
        { key: 'address', label: 'Address' },
        { key: 'renewed', label: 'Plan', render: planned },
        { key: 'not_after', label: 'Valid until', render: (one) => format.date(one.not_after) },
        { key: 'reason', label: 'Why' },
      ],
    }),
    plan.devices.length < plan.renewed + plan.skipped
      && h('p', { class: 'quiet-text' }, `The first ${format.number(plan.devices.length)} are shown.`),
  );
  replace(last, run === null ? h('div', { class: 'empty' }, 'There was no night yet.') : report(run));
}

/** @param {Row} one */
function planned(one) {
  if (one.renewed) return state('Renewed', 'good');
  return one.needs_person ? state('Needs a person', 'bad') : state('Waits', 'warn');
}

/** @param {Row} run */
function report(run) {
  const [word, tone] = STATES[run.state] ?? [run.state, 'none'];
  const what = run.report;
  return h('div', { class: 'stack' },
    facts([
      ['Outcome', state(word, tone)],
      ['Begun', format.time(run.begun)],
      ['Ended', format.time(run.finished)],
      ['Task', run.task !== null && taskLink(run.task)],
      ['Renewed', what && format.number(what.renewed.length)],
      ['Failed', what && format.number(what.failed.length)],
      ['Skipped', what && format.number(what.skipped.length)],
      ['Alarms', what && (what.alarms > 0 ? h('a', { href: '/alarms' }, format.count(what.alarms, 'open alarm')) : 'none open')],
    ]),
    what && what.problems.map((/** @type {Row} */ one) =>
      h('p', { class: 'problem' }, h('span', null, `The part \u201c${one.part}\u201d could not be done: `, isolated(one.reason)))),
    what && outcomes(what));
}

/** @param {Row} what */
function outcomes(what) {
  /** @type {Row[]} */
  const rows = [
    ...what.failed.map((/** @type {Row} */ one) => ({ ...one, shown: state('Failed', 'bad') })),
    ...what.skipped.map((/** @type {Row} */ one) => ({
      ...one, description: one.reason, shown: one.needs_person ? state('Needs a person', 'bad') : state('Skipped', 'warn'),
    })),
    ...what.renewed.map((/** @type {Row} */ one) => ({ ...one, shown: state('Renewed', 'good') })),
  ];
  return rows.length > 0 && table({
    caption: 'What became of devices',
    empty: '',
    rows,
    columns: [
      { key: 'mac', label: 'MAC address' },
      { key: 'address', label: 'Address' },
      { key: 'shown', label: 'Outcome', render: (one) => one.shown },
      { key: 'description', label: 'Description' },
    ],
  });
}

/**
 * A night, now.
 *
 * @param {ReturnType<typeof outcome>} said
 * @param {{ left: boolean }} visit
 * @param {() => Promise<void>} redraw
 */
async function run(said, visit, redraw) {
  /** @type {string | null} */
  let passphrase = null;
  if (await locked()) {
    passphrase = await ask({
      title: 'The authority is locked',
      intro: 'Renewal signs certificates, so the key has to be opened. It is closed again afterwards.',
      fields: [field({ label: 'Passphrase', name: 'passphrase', type: 'password', required: true, autocomplete: 'off' })],
      label: 'Run now',
      submit: async (values) => values.passphrase,
    });
    if (passphrase === null) return;
  }
  const begun = await api.post('nightly', { passphrase });
  await follow(begun.id, said, visit, redraw);
}

async function locked() {
  return (await api.get('authorities/current/lock')).locked;
}

/**
 * Ends when the run has, or the page was left.
 *
 * @param {number} id
 * @param {ReturnType<typeof outcome>} said
 * @param {{ left: boolean }} visit
 * @param {() => Promise<void>} redraw
 */
async function follow(id, said, visit, redraw) {
  said.say('The nightly run is at work. You may leave this page.');
  for (;;) {
    const now = await api.get(`nightly/${id}`);
    if (visit.left) return;
    if (now.finished !== null) break;
    await new Promise((later) => setTimeout(later, LOOK_MS));
  }
  await redraw();
  said.say('The nightly run has ended.', 'good');
}
