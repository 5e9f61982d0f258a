/** How far a device can be believed, in words. */

import { state } from '../configuration/frame.js';

/** @type {Record<string, ['good' | 'warn' | 'bad', string, string]>} shape, short and long, by the API's trust level */
const LEVELS = {
  verified: ['good', 'Verified', 'Its certificate leads to a certificate authority that is trusted here, and names this address.'],
  factory: ['good', 'Factory certificate', 'Its maker vouches for it: the certificate is genuine and for this very serial number.'],
  pinned: ['good', 'Accepted by a person', 'It shows the certificate that a person has accepted.'],
  'first use': ['warn', 'First use',
    'Nothing proves who it is. The certificate that it shows now is kept, and compared from then on. Compare its fingerprint with the device if you can.'],
  plain: ['warn', 'Plain HTTP',
    'It offers no HTTPS. Nothing proves who it is, and others on the network can read along. Only logins that do not reveal the password are used.'],
  none: ['bad', 'Not trusted', 'It cannot be believed in any way that is allowed here. It can be added, but no login is sent to it.'],
};

/** Levels of devices that prove who they are. */
export const PROVED = ['verified', 'factory', 'pinned'];

/** @param {string | null} level */
export function trust(level) {
  const known = level === null ? undefined : LEVELS[level];
  return known === undefined ? '' : state(known[1], known[0]);
}

/** @param {string | null} level */
export function explained(level) {
  return (level === null ? undefined : LEVELS[level])?.[2] ?? 'It was not looked at.';
}
