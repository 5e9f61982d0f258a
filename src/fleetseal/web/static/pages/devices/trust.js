/** "Trust…": a person sees what devices show now, and accepts it. */

import { api } from '../../lib/api.js';
import { dialog } from '../../lib/dialog.js';
import { folding, h, isolated } from '../../lib/dom.js';
import { count, date } from '../../lib/format.js';
import { icon } from '../../lib/icons.js';
import { toast } from '../../lib/toast.js';
import { selection } from './asking.js';
import { named } from './dialogs.js';

/** @typedef {import('./filter.js').Device} Device */

/** @param {Device[]} devices */
export async function trustDevices(devices) {
  toast(`Looking at ${named(devices)}…`, 'info');
  /** @type {any[]} */
  const shown = await api.post('devices/shown', { selection: selection(devices) });
  const choices = shown.map((one) => {
    const possible = one.shows !== null || one.http;
    const tick = h('input', { type: 'checkbox', disabled: !possible, 'aria-label': `Accept ${one.mac ?? one.address}` });
    tick.checked = possible && one.change === null && one.shows !== null;
    return { one, tick };
  });
  const accepted = await dialog({
    title: `Trust ${named(devices)}`,
    wide: true,
    body: [
      h('p', null, 'Compare the fingerprint with what the device itself shows, or be sure of the network between. What you accept is believed from then on: logins are sent to it.'),
      ...choices.map(({ one, tick }) => choice(one, tick)),
    ],
    buttons: [
      { label: 'Cancel', value: null },
      {
        label: 'Accept what is ticked', kind: 'primary',
        submit: () => {
          const ticked = choices.filter(({ tick }) => tick.checked);
          if (ticked.length === 0) return false;
          return api.post('devices/trust', { accepted: ticked.map(({ one }) => ({ id: one.id, sha256: one.shows?.sha256 ?? null })) });
        },
      },
    ],
  });
  if (accepted !== null) toast(`${count(accepted.length, 'device')} accepted.`);
}

/**
 * @param {any} one
 * @param {HTMLInputElement} tick
 */
function choice(one, tick) {
  const facts = one.shows === null ? [] : [
    ['SHA-256', one.shows.sha256], ['Subject', one.shows.subject], ['Issuer', one.shows.issuer],
    ['Valid', `${date(one.shows.not_before)} to ${date(one.shows.not_after)}`], ['Hardware tells', one.shows.serial],
  ].filter(([, value]) => value);
  return h('section', { class: 'entry' },
    h('label', { class: 'entry-head' }, tick, h('strong', null, isolated(one.mac ?? `Device ${one.id}`)), isolated(one.address),
      h('span', { class: 'badge' }, `now: ${one.trust}`)),
    one.change !== null && h('p', { class: 'notice warn' }, icon('error'), h('span', null, one.change.reason)),
    one.message !== '' && h('p', { class: 'quiet-text' }, isolated(one.message)),
    one.shows === null && one.http && h('p', { class: 'notice warn' }, icon('error'),
      h('span', null, 'Accepting means plain HTTP: everything sent to it, logins too, can be read on the network.')),
    h('dl', { class: 'facts' }, ...facts.flatMap(([name, value]) => [
      h('dt', null, name), h('dd', { class: name === 'SHA-256' ? 'mono' : null }, name === 'SHA-256' ? folding(value) : isolated(value))])));
}
