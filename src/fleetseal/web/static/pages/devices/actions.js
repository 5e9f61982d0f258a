/** What can be done with devices: the same menu for the mouse, the keyboard and the toolbar. */

import { api } from '../../lib/api.js';
import { begun, guarded, selection } from './asking.js';
import { deleteCertificate, installCertificates, viewInstalled } from './certificates.js';
import { disableHttps, editDevices, removeDevices } from './dialogs.js';
import { enableHttps } from './enable.js';
import { trustDevices } from './trust.js';

/** @typedef {import('./filter.js').Device} Device */
/** @typedef {import('../../lib/menu.js').Item} Item */

const SHOWN = 20; // devices whose certificates are shown at once: each is asked

/**
 * @param {Device[]} devices
 * @param {import('../../lib/routes.js').Session} session
 * @param {{ gone?: () => void }} [around] told when the devices were removed
 * @returns {Item[]}
 */
export function menu(devices, session, { gone } = {}) {
  const role = session.user?.role ?? 'viewer';
  /** @param {string} label @param {() => unknown} action @param {string | null} why it is not possible */
  const item = (label, action, why = null) => {
    const reason = devices.length === 0 ? 'Select devices first.' : why;
    return { label, action: () => guarded(action), disabled: reason !== null, ...(reason === null ? {} : { reason }) };
  };
  const operator = role === 'viewer' ? 'Needs the role operator.' : null;
  const administrator = role === 'administrator' ? null : 'Needs the role administrator.';
  const one = devices.length === 1 ? null : 'Select one device.';
  const few = devices.length <= SHOWN ? null : `Select ${SHOWN} devices at most.`;
  return [
    {
      label: 'Security',
      submenu: [
        {
          label: 'HTTPS',
          submenu: [
            item('Enable/Update', () => enableHttps(devices), operator),
            item('Disable', () => disableHttps(devices), operator),
          ],
        },
        {
          label: 'Certificates',
          submenu: [
            item('View installed', () => viewInstalled(devices), few),
            item('Install…', () => installCertificates(devices), operator),
            item('Delete…', () => deleteCertificate(devices), operator ?? one),
          ],
        },
        item('Trust…', () => trustDevices(devices), administrator),
      ],
    },
    { ...item('Refresh', () => refresh(devices), operator), separator: true },
    item('Edit…', () => editDevices(devices), operator),
    { ...item('Remove', async () => (await removeDevices(devices)) && gone?.(), operator), separator: true },
  ];
}

/** HTTPS is enabled or updated, after a look at what that would do. @param {Device[]} devices */
export function enable(devices) {
  return guarded(() => enableHttps(devices));
}

/** The devices are looked at again. @param {Device[]} devices */
export function refresh(devices) {
  return guarded(async () => begun(await api.post('tasks', { action: 'Refresh', selection: selection(devices) })));
}
