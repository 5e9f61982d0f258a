/** Configuration: how far devices are believed, and how careful changes to them are. */

import { api } from '../../lib/api.js';
import { h, replace } from '../../lib/dom.js';
import { administers, frame, section, state } from './frame.js';
import { settingFields, settings } from './settings.js';

export const title = 'Security';

/**
 * @param {HTMLElement} main
 * @param {import('./frame.js').Context} context
 */
export async function show(main, { session }) {
  const [known, counted] = await Promise.all([settings(), api.get('devices/unverified')]);
  const content = frame(main, title, 'Which devices may be contacted before they are verified, and how HTTPS is switched on.');
  const editable = administers(session);
  const debt = h('div', { class: 'debt' });
  drawDebt(debt, counted);
  content.append(
    section(
      'First contact',
      h('p', null,
        'A device that has no certificate of yours yet can often not be verified. While validation is ignored, such a device ' +
        'is still contacted, with a login that does not reveal the password. Once it has its own certificate it is always ' +
        'verified, whatever is set here.'),
      debt,
      settingFields(known, [
        ['security.ignore-certificate-validation', 'Ignore certificate validation'],
        ['devices.maker-roots', 'Additional maker\u2019s roots'],
      ], {
        editable,
        changed: async () => drawDebt(debt, await api.get('devices/unverified')),
      }),
    ),
    section(
      'Switching HTTPS on',
      settingFields(known, [
        ['https.policy', 'What devices shall accept'],
        ['https.escape-route', 'Way back'],
        ['https.verify-seconds', 'Time for the first verification, seconds'],
        ['https.soak-seconds', 'Time before the second look, seconds'],
      ], { editable }),
    ),
    section(
      'This application on the network',
      h('p', null, 'Other computers reach it by TLS only. What is set here holds from the next start of the server on.'),
      settingFields(known, [
        ['web.host', 'Served at'],
        ['web.port', 'Port'],
        ['web.certificate', 'Certificate file'],
        ['web.key', 'Key file'],
      ], { editable }),
    ),
    section(
      'Work',
      settingFields(known, [['jobs.concurrency', 'Devices worked on at once']], { editable }),
    ),
  );
}

/**
 * @param {HTMLElement} place
 * @param {{ unverified: number, devices: number, message: string }} counted
 */
function drawDebt(place, counted) {
  replace(
    place,
    counted.devices > 0 && state(counted.unverified === 0 ? 'All verified' : 'Not verified', counted.unverified === 0 ? 'good' : 'warn'),
    h('span', { class: 'debt-text' }, counted.message),
    counted.unverified > 0 && h('span', { class: 'debt-links' },
      h('a', { href: '/devices?filter=trust:first' }, 'Known from first use'), ' · ',
      h('a', { href: '/devices?filter=trust:plain' }, 'By plain HTTP')),
  );
}
