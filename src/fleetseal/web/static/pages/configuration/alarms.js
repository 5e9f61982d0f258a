/** Configuration: where alarms go. */

import { api } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { field } from '../../lib/form.js';
import * as format from '../../lib/format.js';
import { toast } from '../../lib/toast.js';
import { action, actions, administers, ask, facts, frame, onlyLooking, outcome, section, state } from './frame.js';
import { address, parts } from './destinations.js';
import { settings } from './settings.js';

export const title = 'Alarm delivery';

/** @typedef {import('./destinations.js').Name} Name */
/** @typedef {Record<string, any>} Channel */
/** @typedef {import('../../lib/form.js').Field} Field */

/** @type {Record<Name, { title: string, intro: string, secret: string | null }>} */
const CHANNELS = {
  email: {
    title: 'E-mail', secret: 'Password of the mail server',
    intro: 'By your mail server, always over TLS. One message for each cause, whatever the number of devices.',
  },
  webhook: {
    title: 'Webhook', secret: 'Signing key',
    intro: 'A POST over HTTPS with JSON, signed by a key that both sides have.',
  },
  syslog: { title: 'Syslog', secret: null, intro: 'To a log server, RFC 5424, over TLS or TCP.' },
};

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const [known, channels] = await Promise.all([settings(), api.get('alarms/channels')]);
  const content = frame(main, title, 'Where alarms go besides the page of alarms. A dead server delays nothing: what waits is tried for 7 days.');
  const editable = administers(session);
  for (const name of /** @type {Name[]} */ (Object.keys(CHANNELS))) {
    const place = h('div', { class: 'stack' });
    const setting = known.get(`alarm.${name}`);
    const channel = channels.find((/** @type {Channel} */ one) => one.channel === name);
    if (setting === undefined || channel === undefined) throw new Error(`There is no channel ${name}.`);
    draw(place, name, channel, editable && setting.source !== 'environment');
    content.append(section(CHANNELS[name].title, h('p', null, CHANNELS[name].intro),
      setting.source === 'environment' && h('p', { class: 'quiet-text' }, 'Set by the environment of the server, and changed there.'), place));
  }
}

/**
 * @param {HTMLElement} place
 * @param {Name} name
 * @param {Channel} channel
 * @param {boolean} editable
 */
function draw(place, name, channel, editable) {
  const said = outcome();
  const secret = CHANNELS[name].secret;
  /** @param {Channel[] | null} all @param {string} text */
  const changed = (all, text) => {
    const now = all?.find((one) => one.channel === name);
    if (now === undefined) return;
    draw(place, name, now, editable);
    const lost = secret !== null && channel.secret && !now.secret && now.target !== null && now.target !== channel.target;
    toast(lost ? `${text} Its ${secret.toLowerCase()} was for the server before, and is forgotten: give it again.` : text);
  };
  const refreshed = async (/** @type {string} */ text) => changed(await api.get('alarms/channels'), text);
  replace(
    place,
    facts([
      ['Goes to', channel.target === null ? 'nowhere' : isolated(channel.target)],
      ['State', channel.target !== null && stateOf(channel)],
      [secret ?? '', secret !== null && (channel.secret ? 'is set, and never shown' : 'is not set')],
      ['Last taken', channel.last_sent && `${format.time(channel.last_sent)} (${format.ago(channel.last_sent)})`],
      ['Waiting', channel.waiting > 0 && format.count(channel.waiting, 'message')],
      ['Tried again', channel.next_try && format.time(channel.next_try)],
    ]),
    channel.error !== null && h('p', { class: 'problem' }, h('span', null, isolated(channel.error))),
    editable ? actions(
      action(channel.target === null ? 'Set up…' : 'Change…', said, async () => {
        if ((await setUp(name, channel)) !== null) await refreshed(`${CHANNELS[name].title} is saved.`);
      }, { name: `${channel.target === null ? 'Set up' : 'Change'} ${CHANNELS[name].title}` }),
      secret !== null && action('Secret…', said, async () => changed(await setSecret(name, secret), `The ${secret.toLowerCase()} is kept.`),
        { name: `Secret of ${CHANNELS[name].title}` }),
      secret !== null && channel.secret && action('Forget secret', said,
        async () => changed(await api.put(`alarms/channels/${name}/secret`, { secret: null }), `The ${secret.toLowerCase()} is forgotten.`),
        { name: `Forget secret of ${CHANNELS[name].title}` }),
      channel.target !== null && action('Test', said, () => test(name, said), { name: `Test ${CHANNELS[name].title}` }),
      channel.target !== null && action('Switch off', said, async () => {
        await api.put(`settings/alarm.${name}`, { value: '' });
        await refreshed(`${CHANNELS[name].title} is switched off.`);
      }, { name: `Switch off ${CHANNELS[name].title}` }),
    ) : onlyLooking(),
    said.element,
  );
}

/** @param {Channel} channel */
function stateOf(channel) {
  if (channel.failing_since !== null) return state(`Failing since ${format.time(channel.failing_since)}`, 'bad');
  return channel.last_sent === null ? state('Not used yet', 'none') : state('Works', 'good');
}

/**
 * A test message goes out; what the server said is told.
 *
 * @param {Name} name
 * @param {ReturnType<typeof outcome>} said
 */
async function test(name, said) {
  said.say('Sending…');
  const { target } = await api.post(`alarms/channels/${name}/test`);
  said.say(`The server took a test message: ${target}`, 'good');
}

/** @param {Name} name @param {string} label @returns {Promise<Channel[] | null>} */
function setSecret(name, label) {
  return ask({
    title: label,
    intro: 'It is kept sealed, and never shown again.',
    label: 'Keep',
    fields: [field({ label, name: 'secret', type: 'password', required: true })],
    submit: (given) => api.put(`alarms/channels/${name}/secret`, { secret: given.secret }),
  });
}

/** @param {Name} name @param {Channel} channel @returns {Promise<unknown>} null: nothing was changed */
function setUp(name, channel) {
  const fields = FIELDS[name](parts(name, channel.target ?? ''));
  const secret = CHANNELS[name].secret;
  return ask({
    title: CHANNELS[name].title,
    intro: secret !== null && channel.secret
      ? `The ${secret.toLowerCase()} is for the server and user that are given here: with others it is forgotten.` : null,
    label: 'Save',
    fields,
    submit: (given) => api.put(`settings/alarm.${name}`, { value: address(name, given) }),
  });
}

/** @type {Record<Name, (now: Record<string, string>) => Field[]>} */
const FIELDS = {
  email: (now) => [
    field({ label: 'Mail server', name: 'host', required: true, value: now.host ?? '' }),
    field({
      label: 'Protection', name: 'scheme', type: 'radio', value: now.scheme ?? 'smtps',
      options: [
        { value: 'smtps', label: 'TLS from the beginning (port 465)' },
        { value: 'smtp', label: 'STARTTLS (port 587)' },
      ],
    }),
    field({ label: 'Port (optional)', name: 'port', type: 'number', value: now.port ?? '', attributes: { min: 1, max: 65535 } }),
    field({ label: 'User name (optional)', name: 'username', value: now.username ?? '', help: 'Its password is set apart, by Secret…' }),
    field({ label: 'From', name: 'from', required: true, value: now.from ?? '' }),
    field({ label: 'To', name: 'to', required: true, value: now.to ?? '', help: 'Several, separated by commas; 20 at most.' }),
  ],
  webhook: (now) => [
    field({ label: 'Address', name: 'address', required: true, value: now.address ?? '', placeholder: 'https://', help: 'HTTPS, without a query: keys belong into the secret.' }),
  ],
  syslog: (now) => [
    field({ label: 'Log server', name: 'host', required: true, value: now.host ?? '' }),
    field({
      label: 'Protection', name: 'scheme', type: 'radio', value: now.scheme ?? 'tls',
      options: [{ value: 'tls', label: 'TLS (port 6514)' }, { value: 'tcp', label: 'None, TCP (port 601)' }],
    }),
    field({ label: 'Port (optional)', name: 'port', type: 'number', value: now.port ?? '', attributes: { min: 1, max: 65535 } }),
  ],
};
