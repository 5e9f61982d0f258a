/** Disabling, editing and removing devices. */

import { api } from '../../lib/api.js';
import { dialog, message } from '../../lib/dialog.js';
import { h, isolated } from '../../lib/dom.js';
import { complete, field } from '../../lib/form.js';
import { count } from '../../lib/format.js';
import { icon } from '../../lib/icons.js';
import { toast } from '../../lib/toast.js';
import { begun, selection } from './asking.js';

/** @typedef {import('./filter.js').Device} Device */

/** One device by its name, more by their number. @param {Device[]} devices */
export function named(devices) {
  return devices.length === 1 ? String(devices[0]?.address) : count(devices.length, 'device');
}

/** @param {Device[]} devices */
export async function disableHttps(devices) {
  const task = await dialog({
    title: `Disable HTTPS on ${named(devices)}`,
    body: [
      h('p', null, 'Back to plain HTTP only. What is sent to and from the devices can then be read on the network; the video management system must speak HTTP to them.'),
      h('p', { class: 'quiet-text' }, 'It is refused on a device that would then take passwords only in clear. Certificates stay on the devices.'),
    ],
    buttons: [
      { label: 'Cancel', value: null },
      {
        label: 'Disable HTTPS', kind: 'danger',
        submit: () => api.post('tasks', { action: 'Disable HTTPS', selection: selection(devices) }),
      },
    ],
  });
  if (task !== null) begun(task);
}

/** @param {Device[]} devices */
export async function editDevices(devices) {
  const one = devices.length === 1 ? devices[0] : undefined;
  const address = field({ label: 'Address', name: 'address', value: one?.address ?? '' });
  const hostname = field({ label: 'Host name', name: 'hostname', value: one?.hostname ?? '', help: 'Full name, such as cam1.example.com. Empty takes it away.' });
  const http = field({ label: 'HTTP port', name: 'http_port', type: 'number', value: one?.http_port ?? '', attributes: { min: 1, max: 65535 } });
  const https = field({ label: 'HTTPS port', name: 'https_port', type: 'number', value: one?.https_port ?? '', attributes: { min: 1, max: 65535 } });
  const stays = one === undefined ? 'Empty leaves it as it is on each device.' : 'Empty leaves it as it is.';
  const username = field({ label: 'User name', name: 'username', help: stays });
  const password = field({ label: 'Password', name: 'password', type: 'password', help: stays });
  const site = field({ label: 'Server', name: 'site', value: one?.server ?? '', help: 'The site whose worker reaches the device.' });
  const tags = field({
    label: 'Tags', name: 'tags', value: one?.tags.join(', ') ?? '',
    help: one === undefined ? 'Separated by commas. Empty leaves them as they are on each device.' : 'Separated by commas.',
  });
  const tls = field({
    label: 'TLS', name: 'tls', type: 'select', value: '',
    options: [
      { value: '', label: 'As it is' },
      { value: 'normal', label: 'Normal: TLS 1.2 and newer' },
      { value: 'legacy', label: 'Legacy: TLS 1.0 and 1.1 too, for very old firmware' },
    ],
  });
  const fields = one === undefined ? [username, password, site, tags, tls] : [address, hostname, http, https, username, password, site, tags, tls];
  const submit = async () => {
    if (!complete(fields)) return false;
    const body = changes({ one, address, hostname, http, https, username, password, site, tags, tls });
    if (Object.keys(body).length === 0) return true;
    await api.patch('devices', { selection: selection(devices), ...body });
    toast(`${named(devices)}: changed. They are not asked now; Refresh does it.`);
    return true;
  };
  await dialog({
    title: `Edit ${named(devices)}`,
    body: h('div', { class: 'form two-columns' }, ...fields.map((each) => each.row)),
    wide: true,
    buttons: [{ label: 'Cancel', value: null }, { label: 'Save', kind: 'primary', submit }],
  });
}

/** The first administrator of a device in factory state. @param {Device[]} devices */
export async function setUp(devices) {
  const username = field({ label: 'User name', name: 'username', value: 'root', required: true });
  const password = field({ label: 'Password', name: 'password', type: 'password', required: true });
  const again = field({ label: 'Password again', name: 'again', type: 'password', required: true });
  const plain = field({
    label: 'Send it by plain HTTP if need be', name: 'plain_http', type: 'checkbox',
    help: 'For a device that has no HTTPS yet: the password can then be read on the network once.',
  });
  const done = await dialog({
    title: `Set up ${named(devices)}`,
    body: [h('p', null, 'In factory state a device has no administrator: this makes the first one.'), username.row, password.row, again.row, plain.row],
    buttons: [
      { label: 'Cancel', value: null },
      {
        label: 'Set up', kind: 'primary',
        submit: () => {
          if (!complete([username, password, again])) return false;
          if (password.value() !== again.value()) {
            again.error('The two passwords differ.');
            return false;
          }
          return api.post('devices/setup', {
            devices: devices.map((one) => String(one.id)), username: username.value(), password: password.value(), plain_http: plain.value(),
          });
        },
      },
    ],
  });
  if (done !== null) await outcome('Set up', done);
}

/** The clocks of devices are set to this server's time. @param {Device[]} devices */
export async function setClock(devices) {
  await outcome('Set the clock', await api.post('devices/clock', { selection: selection(devices), set: true }));
}

/** Whether they were removed. @param {Device[]} devices */
export async function removeDevices(devices) {
  const revoke = field({
    label: 'Revoke their certificates too', name: 'revoke', type: 'checkbox',
    help: 'For devices that leave the site: nobody is to believe them any more.',
  });
  const removed = await dialog({
    title: `Remove ${named(devices)}`,
    body: [
      h('p', null, `Fleetseal forgets ${devices.length === 1 ? 'this device' : 'these devices'}, and no longer renews their certificates. Nothing is changed on the devices. What was issued to them stays on record.`),
      devices.length > 1 && h('p', { class: 'notice warn' }, icon('error'), h('span', null, `${count(devices.length, 'device')} are selected.`)),
      revoke.row,
    ].filter((part) => part !== false),
    buttons: [
      { label: 'Cancel', value: false },
      {
        label: `Remove ${count(devices.length, 'device')}`, kind: 'danger',
        submit: () => api.post('devices/removal', { devices: devices.map((one) => String(one.id)), revoke: revoke.value() }),
      },
    ],
  });
  if (!removed) return false;
  toast(`${count(devices.length, 'device')} removed.`);
  return true;
}

/**
 * What differs from what is known: nothing else is sent.
 *
 * @param {{ one: Device | undefined } & Record<string, any>} form
 */
function changes({ one, address, hostname, http, https, username, password, site, tags, tls }) {
  /** @type {Record<string, unknown>} */
  const body = {};
  if (one !== undefined) {
    if (address.value() !== '' && address.value() !== one.address) body.address = address.value();
    if (hostname.value() !== (one.hostname ?? '')) body.hostname = hostname.value();
    if (http.value() !== null && http.value() !== one.http_port) body.http_port = http.value();
    if (https.value() !== null && https.value() !== one.https_port) body.https_port = https.value();
  }
  if (username.value() !== '') body.username = username.value();
  if (password.value() !== '') body.password = password.value();
  if (site.value() !== '' && site.value() !== one?.server) body.site = site.value();
  const words = tags.value().split(',').map((/** @type {string} */ word) => word.trim()).filter(Boolean);
  const same = one !== undefined && words.join() === one.tags.join();
  if (!same && (one !== undefined || words.length > 0)) body.tags = words;
  if (tls.value() !== '') body.tls = tls.value();
  return body;
}

/**
 * What was answered for each device: a word where all is well, a dialog where it is not.
 *
 * @param {string} what
 * @param {any[]} rows
 */
async function outcome(what, rows) {
  const told = rows.filter((one) => one.result === 'failed');
  if (told.length === 0) {
    toast(`${what}: done.`);
    return;
  }
  await message({ title: what, text: h('ul', { class: 'plain-list' }, ...told.map((one) => h('li', null, isolated(one.address), ': ', isolated(one.message)))) });
}
