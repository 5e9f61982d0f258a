/** One authority takes the place of another: how far devices are, and the next step. */

import { api } from '../../lib/api.js';
import { confirm } from '../../lib/dialog.js';
import { h } from '../../lib/dom.js';
import * as format from '../../lib/format.js';
import { field } from '../../lib/form.js';
import { action, actions, ask, outcome } from './frame.js';

/**
 * @typedef {{ what: string, phase: 'trust' | 'reissue' | 'remove', devices: number, left: number, coverage: number }} Under
 * @typedef {(told: { text: string } | null) => Promise<void>} Done
 */

/**
 * @param {Under} under
 * @param {boolean} editable
 * @param {Done} done
 */
export function replacement(under, editable, done) {
  const place = outcome();
  const id = 'replacement-progress';
  return h('div', { class: 'replacement' },
    h('h3', { id }, heading(under)),
    h('div', { class: 'replacement-bar' },
      h('progress', { value: under.devices - under.left, max: Math.max(1, under.devices), 'aria-labelledby': id }),
      h('span', null, `${format.number(under.devices - under.left)} of ${format.count(under.devices, 'device')} (${under.coverage} %)`)),
    h('p', null, next(under)),
    editable && actions(...steps(under, place, done)),
    place.element);
}

/** @param {Under} under */
function heading(under) {
  if (under.phase === 'trust') return 'A new root is being introduced';
  if (under.phase === 'remove') return 'The old root is retired';
  return under.what === 'root' ? 'The new root signs, devices follow' : 'The new issuing CA signs, devices follow';
}

/** What remains to be done, and by whom. @param {Under} under */
function next(under) {
  if (under.phase === 'trust') {
    return 'Its certificates are being put on every device. Meanwhile give them to every computer (Save to file…, or Trust on ' +
      'computers). When both are done, go on: then devices are given certificates of the new root.';
  }
  if (under.phase === 'remove') return 'Its certificates go from the remaining devices in the night, or at once.';
  if (under.left > 0) return 'The others are given new certificates in the night, in waves, or at once.';
  return 'No device serves a certificate of the old one. When no computer needs it any more, retire it.';
}

/**
 * @param {Under} under
 * @param {ReturnType<typeof outcome>} place
 * @param {Done} done
 */
function steps(under, place, done) {
  const follow = (/** @type {string} */ label) => action(label, place, () => followNow().then(done));
  if (under.phase === 'trust') {
    return [under.left > 0 && follow('Put them on devices now'), action('Go on…', place, () => goOn(under).then(done), { kind: 'primary' })];
  }
  if (under.phase === 'remove') return [follow('Remove now')];
  if (under.left > 0) return [follow('Follow now')];
  return [action('Retire the old root…', place, () => retire().then(done), { kind: 'danger' })];
}

/** The devices that are left are at work on it. @param {string | null} [passphrase] @returns {Promise<{ text: string } | null>} */
export async function followNow(passphrase = null) {
  let given = passphrase;
  if (given === null && (await api.get('authorities/current/lock')).locked) {
    given = await ask({
      title: 'The authority is locked',
      intro: 'Devices are given certificates now, so its key has to be opened. It is closed again afterwards.',
      fields: [field({ label: 'Passphrase', name: 'passphrase', type: 'password', required: true, autocomplete: 'off' })],
      label: 'Follow now',
      submit: async (values) => values.passphrase,
    });
    if (given === null) return null;
  }
  const { task } = await api.post('authorities/current/follow', { passphrase: given });
  return { text: task === null ? 'No device is left that could follow now.' : `Task ${task} is begun: it is in the list below the devices.` };
}

/** @param {Under} under */
async function goOn(under) {
  const lacking = under.left === 0 ? '' : `${format.count(under.left, 'device')} of ${format.number(under.devices)} do not have its certificates yet. `;
  const agreed = await confirm({
    title: 'Sign under the new root?',
    text: `${lacking}From now on devices are given certificates of the new root: every computer must trust it already.`,
    action: 'Go on',
    danger: under.left > 0,
  });
  if (!agreed) return null;
  await api.post('authorities/current/continue', { incomplete: under.left > 0 });
  return (await followNow()) ?? { text: 'The new root signs from now on. Devices follow in the night.' };
}

async function retire() {
  const agreed = await confirm({
    title: 'Retire the old root?',
    text: 'It is trusted no more, here and on devices. A computer that still connects to a device with an old certificate will warn.',
    action: 'Retire',
    danger: true,
  });
  if (!agreed) return null;
  await api.post('authorities/current/retire');
  return (await followNow()) ?? { text: 'The old root is retired.' };
}
