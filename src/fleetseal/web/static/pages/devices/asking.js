/** Tasks are asked for: where the key that signs is locked, its passphrase is asked. */

import { api, Problem } from '../../lib/api.js';
import { dialog, message } from '../../lib/dialog.js';
import { h } from '../../lib/dom.js';
import { complete, field } from '../../lib/form.js';
import { toast } from '../../lib/toast.js';
import { advice } from '../remedies.js';

const LOCKED = 423;

/** @typedef {import('./filter.js').Device} Device */

/**
 * These devices, for requests. What one person marked in a list was met there: where something is not possible on one
 * of many it is skipped, and a valid certificate of another issuer stays; a single device is meant by itself.
 *
 * @param {Device[]} devices
 */
export function selection(devices) {
  return { devices: devices.map((one) => String(one.id)), listed: devices.length > 1 };
}

/**
 * The answer, with the passphrase if it is needed; null when nobody gives one.
 *
 * @param {string} path
 * @param {Record<string, unknown>} body
 */
export async function postSigning(path, body) {
  try {
    return await api.post(path, body);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== LOCKED) throw error;
    const { user } = await api.get('session');
    if (user?.role !== 'administrator') {
      throw new Problem(LOCKED, error.code, 'The key that signs is locked. An administrator unlocks it, on the page Certificates of the configuration, or gives its passphrase where this is asked for.');
    }
    return askPassphrase(error.detail, (passphrase) => api.post(path, { ...body, passphrase }));
  }
}

/** What goes wrong outside a dialog is told in one. @param {() => unknown} action */
export async function guarded(action) {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code !== 'not-signed-in') await message({ title: 'This was not done', text: h('p', null, advice(error.detail)) });
  }
}

/** What was begun, for whoever began it. @param {any} task */
export function begun(task) {
  const many = task.devices.length;
  toast(`Task ${task.id} is begun: ${task.action} on ${many === 1 ? '1 device' : `${many} devices`}.`, 'info');
}

/**
 * @param {string} why
 * @param {(passphrase: string) => Promise<any>} again
 */
function askPassphrase(why, again) {
  const passphrase = field({
    label: 'Passphrase of the certificate authority', name: 'passphrase', type: 'password', required: true, autocomplete: 'off',
  });
  return dialog({
    title: 'The key that signs is locked',
    body: [h('p', null, why), passphrase.row],
    buttons: [
      { label: 'Cancel', value: null },
      { label: 'Unlock and go on', kind: 'primary', submit: () => (complete([passphrase]) ? again(passphrase.value()) : false) },
    ],
  });
}
