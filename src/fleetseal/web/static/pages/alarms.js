/** The conditions that hold now: acknowledged by people, ended by themselves when their cause is gone. */

import { api, Problem } from '../lib/api.js';
import { h, isolated, replace } from '../lib/dom.js';
import * as events from '../lib/events.js';
import { ago, count, time } from '../lib/format.js';
import { table } from '../lib/table.js';
import { toast } from '../lib/toast.js';
import { advice } from './remedies.js';

/**
 * @typedef {{
 *   id: number, cause: string, severity: string, object: string, message: string, since: string, acknowledged: string | null,
 * }} Alarm
 */

export const title = 'Alarms';

/**
 * @param {HTMLElement} main
 * @param {import('../lib/routes.js').Context} context
 * @returns {Promise<() => void>}
 */
export async function show(main, { session }) {
  const may = session.user !== null && session.user.role !== 'viewer';
  const place = h('div', null, h('p', { class: 'quiet-text' }, 'Loading…'));
  const filter = h('input', { type: 'search', class: 'input', id: 'alarm-filter', placeholder: 'Words of an alarm' });
  const counted = h('span', { class: 'quiet-text', role: 'status' });
  /** @type {Map<number, Alarm>} */
  let alarms = new Map();
  const draw = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fit = [...alarms.values()].filter((one) => words.every((word) => textOf(one).includes(word))).sort(byUrgency);
    replace(counted, fit.length === alarms.size ? count(alarms.size, 'open alarm') : `${fit.length} of ${count(alarms.size, 'open alarm')}`);
    replace(place, listed(fit, alarms.size === 0, may, acknowledge));
  };
  const load = async () => {
    alarms = new Map((await api.get('alarms')).map((/** @type {Alarm} */ one) => [one.id, one]));
    draw();
  };
  /** @param {Alarm} alarm */
  const acknowledge = async (alarm) => {
    const rows = await api.post(`alarms/${alarm.id}/acknowledge`);
    alarms = new Map(rows.map((/** @type {Alarm} */ one) => [one.id, one]));
    draw();
    filter.focus();
    toast('Acknowledged. The alarm ends when its cause is gone.');
  };
  filter.addEventListener('input', draw);
  main.append(h('div', { class: 'page' },
    h('header', { class: 'page-head' }, h('h1', null, title)),
    h('p', { class: 'quiet-text' }, 'An alarm ends by itself when its cause is gone. ',
      h('a', { href: '/configuration/alarms' }, 'Where alarms are sent')),
    h('div', { class: 'list-tools' }, h('label', { for: 'alarm-filter' }, 'Filter'), filter, counted), place));
  await load();
  return changes(load, (rows) => {
    for (const one of rows) alarms.set(one.id, one);
    draw();
  }, (ids) => {
    for (const id of ids) alarms.delete(id);
    draw();
  });
}

/**
 * @param {() => Promise<void>} load
 * @param {(rows: Alarm[]) => void} came
 * @param {(ids: number[]) => void} went
 */
function changes(load, came, went) {
  const again = () => void load().catch((error) => {
    if (!(error instanceof Problem)) throw error; // the banner tells of a lost connection
  });
  const offs = [events.on('alarm', came), events.on('alarm-gone', went), events.on('resync', again)];
  return () => offs.forEach((off) => off());
}

/**
 * @param {Alarm[]} rows
 * @param {boolean} none there is none at all
 * @param {boolean} may this person may acknowledge
 * @param {(alarm: Alarm) => Promise<void>} acknowledge
 */
function listed(rows, none, may, acknowledge) {
  return table({
    caption: 'Open alarms',
    empty: none ? 'No alarm is open: nothing needs you now.' : 'No alarm has these words.',
    rows,
    columns: [
      { key: 'severity', label: 'Severity', render: severity },
      { key: 'cause', label: 'Cause', render: (one) => sentence(one.cause) },
      { key: 'object', label: 'About', render: (one) => about(one) },
      { key: 'message', label: 'What happened, and what to do', render: (one) => advice(one.message, deviceOf(one)) },
      { key: 'since', label: 'Since', render: (one) => h('time', { datetime: one.since, title: time(one.since) }, ago(one.since)) },
      {
        key: 'acknowledged', label: 'Acknowledged',
        render: (one) => one.acknowledged !== null ? time(one.acknowledged) : may && acknowledgement(one, acknowledge),
      },
    ],
  });
}

/** @param {Alarm} alarm */
function severity({ severity: level }) {
  return h('span', { class: `state ${level === 'critical' ? 'bad' : 'warn'}` }, sentence(level));
}

/** A device leads to its page. @param {Alarm} alarm */
function about(alarm) {
  const device = deviceOf(alarm);
  return device === null ? isolated(alarm.object) : h('a', { href: `/devices/${encodeURIComponent(device)}` }, isolated(alarm.object));
}

/** The device that it is about, as an address of its page names it. @param {Alarm} alarm */
function deviceOf({ object }) {
  return /^(?:device )?(\d+|[0-9A-Fa-f]{12}|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})$/.exec(object)?.[1] ?? null;
}

/**
 * @param {Alarm} alarm
 * @param {(alarm: Alarm) => Promise<void>} acknowledge
 */
function acknowledgement(alarm, acknowledge) {
  const button = h('button', { type: 'button', class: 'button', 'aria-label': `Acknowledge: ${alarm.message}` }, 'Acknowledge');
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await acknowledge(alarm);
    } catch (error) {
      button.disabled = false;
      if (!(error instanceof Problem)) throw error;
      toast(error.detail, 'error');
    }
  });
  return button;
}

/** Critical ones first, then the newest. @param {Alarm} a @param {Alarm} b */
function byUrgency(a, b) {
  return Number(b.severity === 'critical') - Number(a.severity === 'critical') || b.since.localeCompare(a.since) || b.id - a.id;
}

/** @param {Alarm} alarm */
function textOf({ cause, severity: level, object, message }) {
  return [cause, sentence(cause), level, object, message].join(' ').toLowerCase();
}

/** `ca-expired` as `Ca expired` would be; the field's short words stay capitals. @param {string} word */
function sentence(word) {
  const words = word.replaceAll('-', ' ').replace(/\b(?:ca|crl|https)\b/g, (short) => short.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}
