/** The first page: what is wrong, what ends soon, what the night did; on a new installation, what to do next. */

import { api, Problem } from '../lib/api.js';
import { h, isolated, replace } from '../lib/dom.js';
import * as events from '../lib/events.js';
import { ago, count, number, time } from '../lib/format.js';
import { bars } from '../lib/bars.js';
import { keep, kept } from '../lib/storage.js';
import { taskLink } from './devices/result.js';

/**
 * @typedef {{ value: string, count: number }} Counted
 * @typedef {{ id: number, cause: string, severity: string, object: string, message: string, since: string }} Alarm
 * @typedef {{ id: number, action: string, state: string, done: number, total: number, failed: number, finished: string | null }} Task
 * @typedef {{ id: number, state: string, begun: string, finished: string | null }} Night
 * @typedef {{
 *   authority: boolean,
 *   devices: { total: number, status: Counted[], https: Counted[], trust: Counted[] },
 *   expiring: { expired: number, days: { days: number, count: number }[], months: { month: string, count: number }[] },
 *   alarms: Alarm[],
 *   tasks: Task[],
 *   failed: Task | null,
 *   night: { automatic: boolean, window: string, next: string | null, last: Night | null, waits: string | null },
 * }} Overview
 */

export const title = 'Dashboard';

const KEPT_TRUST = 'dashboard.trusted'; // nobody can see from here whether computers trust the authority
const PAUSE_MS = 1500;
const ALARMS_SHOWN = 5;
const MONTH = new Intl.DateTimeFormat('en', { month: 'short', timeZone: 'UTC' });
const MONTH_AND_YEAR = new Intl.DateTimeFormat('en', { month: 'long', year: 'numeric', timeZone: 'UTC' });

/**
 * @param {HTMLElement} main
 * @returns {Promise<() => void>}
 */
export async function show(main) {
  const place = h('div', { class: 'dashboard' }, h('p', { class: 'quiet-text' }, 'Loading…'));
  main.append(h('div', { class: 'page' }, h('header', { class: 'page-head' }, h('h1', null, title)), place));
  let shown = '';
  const load = async () => {
    const overview = await api.get('overview');
    const night = overview.night.last === null ? null : await api.get(`nightly/${overview.night.last.id}`);
    const now = JSON.stringify([overview, night]);
    const draw = () => replace(place, ...cards(overview, night, draw));
    if (now !== shown) draw();
    shown = now;
  };
  await load();
  return refreshed(load);
}

/**
 * `load` runs again soon after something has changed.
 *
 * @param {() => Promise<void>} load
 */
function refreshed(load) {
  /** @type {number | undefined} */
  let waiting;
  const soon = () => {
    waiting ??= setTimeout(async () => {
      waiting = undefined;
      try {
        await load();
      } catch (error) {
        if (!(error instanceof Problem)) throw error; // the next change tries again
      }
    }, PAUSE_MS);
  };
  /** @type {import('../lib/events.js').Kind[]} */
  const kinds = ['device', 'device-gone', 'task', 'task-gone', 'alarm', 'alarm-gone', 'resync'];
  const offs = kinds.map((kind) => events.on(kind, soon));
  return () => {
    clearTimeout(waiting);
    for (const off of offs) off();
  };
}

/**
 * @param {Overview} overview
 * @param {any} night the last nightly run
 * @param {() => void} redraw
 */
function cards(overview, night, redraw) {
  const { devices } = overview;
  const enabled = of(devices.https, 'Enabled');
  return [
    firstSteps(overview, enabled, redraw),
    devices.total > 0 && h('div', { class: 'tiles' }, ...tiles(overview, enabled)),
    devices.total > 0 && attention(devices.status),
    alarmsCard(overview.alarms),
    nightCard(overview.night, night),
    (overview.tasks.length > 0 || overview.failed !== null) && tasksCard(overview.tasks, overview.failed),
    devices.total > 0 && ends(overview.expiring),
  ];
}

/**
 * @param {Overview} overview
 * What is to be done before all is well, until it is done; nothing then.
 *
 * @param {number} enabled devices that speak HTTPS
 * @param {() => void} redraw
 */
function firstSteps(overview, enabled, redraw) {
  const steps = [
    { done: overview.authority, label: 'Generate or import a certificate authority', href: '/configuration/certificates', text: 'It signs the certificates of your devices. Two minutes, and its key stays here.' },
    { done: overview.devices.total > 0, label: 'Add devices', href: '/add', text: 'Search the network, give a range of addresses, or import a list.' },
    { done: enabled > 0, label: 'Enable HTTPS', href: '/devices', text: 'Each device makes its own key and gets its own certificate. What fails is put back.' },
    { done: kept(KEPT_TRUST, false), label: 'Trust the authority on computers', href: '/trust', text: 'Then browsers and the video management system believe your devices.' },
  ];
  const next = steps.findIndex((step) => !step.done);
  if (next < 0) return null;
  const trusted = () => {
    keep(KEPT_TRUST, true);
    redraw();
  };
  return h('section', { class: 'card wide' }, h('h2', null, 'What to do next'),
    h('ol', { class: 'first-steps' }, ...steps.map((step, index) =>
      h('li', { class: step.done ? 'done' : index === next ? 'next' : null, 'aria-current': index === next ? 'step' : null },
        h('span', { class: `state ${step.done ? 'good' : 'none'}` }, step.done ? 'Done' : `Step ${index + 1}`),
        h('div', null, h('a', { href: step.href }, step.label), h('p', { class: 'quiet-text' }, step.text)),
        index === next && index === steps.length - 1 && h('button', { type: 'button', class: 'button', onclick: trusted }, 'Mark as done')))));
}

/**
 * @param {Overview} overview
 * @param {number} enabled
 */
function tiles({ devices, expiring, alarms }, enabled) {
  const verified = of(devices.trust, 'verified');
  const unverified = devices.total - verified;
  const soon = expiring.days.find((one) => one.days === 30)?.count ?? 0;
  return [
    tile('Devices', devices.total, '/devices', `${number(enabled)} with HTTPS`),
    tile('Verified', verified, '/devices?filter=trust:verified', unverified === 0 ? 'all of them' : `${number(unverified)} not`),
    tile('Expiring in 30 days', soon, '/devices', expiring.expired > 0 ? `${number(expiring.expired)} have expired` : 'none has expired'),
    tile('Open alarms', alarms.length, '/alarms', alarms.some((one) => one.severity === 'critical') ? 'some are critical' : 'none is critical'),
  ];
}

/** @param {string} label @param {number} value @param {string} href @param {string} text */
function tile(label, value, href, text) {
  return h('a', { class: 'tile', href }, h('span', { class: 'tile-label' }, label),
    h('span', { class: 'tile-value' }, number(value)), h('span', { class: 'tile-text' }, text));
}

/** @param {Counted[]} statuses */
function attention(statuses) {
  const wrong = statuses.filter((one) => one.value !== 'OK' && one.value !== 'Busy');
  return h('section', { class: 'card' }, h('h2', null, 'Needs attention'),
    wrong.length === 0
      ? h('p', null, h('span', { class: 'state good' }, 'OK'), ' Nothing is wrong with any device.')
      : h('ul', { class: 'counts' }, ...wrong.map((one) => h('li', null,
        h('a', { href: `/devices?${new URLSearchParams({ filter: `status:"${one.value}"` })}` },
          h('span', { class: 'count' }, number(one.count)), ' ', isolated(one.value))))));
}

/** @param {Overview['expiring']} expiring */
function ends(expiring) {
  const facts = expiring.days.map((one) => [`In ${one.days} days`, number(one.count)]);
  const any = expiring.months.some((one) => one.count > 0);
  return h('section', { class: 'card wide' }, h('h2', null, 'Certificates that expire'), h('div', { class: 'ends' },
    h('dl', { class: 'facts' }, ...[['Expired', number(expiring.expired)], ...facts].flatMap(([label, value]) => [
      h('dt', null, label), h('dd', null, value)])),
    !any ? h('p', { class: 'quiet-text' }, 'None ends within the next 12 months.') : bars({
      caption: 'Certificates that expire, by month',
      heads: ['Month', 'Certificates'],
      items: expiring.months.map(({ month, count: many }) => {
        const first = new Date(`${month}-01T00:00:00Z`);
        return { label: MONTH.format(first), name: MONTH_AND_YEAR.format(first), value: many };
      }),
    })));
}

/** @param {Alarm[]} alarms */
function alarmsCard(alarms) {
  const newest = [...alarms].reverse().slice(0, ALARMS_SHOWN);
  return h('section', { class: 'card' }, h('h2', null, 'Open alarms'),
    alarms.length === 0
      ? h('p', null, h('span', { class: 'state good' }, 'None'))
      : h('ul', { class: 'news' }, ...newest.map((one) => h('li', null,
        h('span', { class: `state ${one.severity === 'critical' ? 'bad' : 'warn'}` }, one.severity === 'critical' ? 'Critical' : 'Warning'),
        ' ', isolated(one.message), h('span', { class: 'quiet-text' }, ` ${ago(one.since)}`)))),
    alarms.length > ALARMS_SHOWN && h('p', null, h('a', { href: '/alarms' }, `All ${number(alarms.length)} alarms`)));
}

/**
 * @param {Overview['night']} plan
 * @param {any} night
 */
function nightCard(plan, night) {
  const report = night?.report;
  return h('section', { class: 'card' }, h('h2', null, 'Last night'),
    night === null
      ? h('p', null, 'There was no nightly run yet.')
      : h('p', null, h('span', { class: `state ${{ succeeded: 'good', running: 'busy' }[/** @type {string} */ (night.state)] ?? 'bad'}` }, sentence(night.state)),
        ` ${time(night.begun)}`,
        report && `: ${count(report.renewed.length, 'certificate')} renewed, ${number(report.failed.length)} failed, ${number(report.skipped.length)} skipped.`),
    plan.waits !== null && h('p', { class: 'notice warn' }, plan.waits),
    h('p', { class: 'quiet-text' },
      !plan.automatic ? 'Renewal by itself is switched off. '
        : plan.next === null ? `No server runs in the window ${plan.window}. ` : `The next run begins ${time(plan.next)}. `,
      h('a', { href: '/configuration/renewal' }, 'Renewal')));
}

/** @param {Task[]} tasks @param {Task | null} failed */
function tasksCard(tasks, failed) {
  return h('section', { class: 'card' }, h('h2', null, 'Tasks'),
    h('ul', { class: 'news' },
      ...tasks.map((one) => h('li', null, h('span', { class: 'state busy' }, one.state), ' ', taskLink(one.id, one.action),
        ` ${number(one.done)} of ${count(one.total, 'device')}`)),
      failed !== null && h('li', null, h('span', { class: 'state bad' }, 'Failed'), ' ', taskLink(failed.id, failed.action),
        ` on ${number(failed.failed)} of ${count(failed.total, 'device')}, ${ago(failed.finished)}`)));
}

/** @param {Counted[]} counted @param {string} value */
function of(counted, value) {
  return counted.find((one) => one.value === value)?.count ?? 0;
}

/** @param {string} word */
function sentence(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
