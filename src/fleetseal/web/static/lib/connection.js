/** Whether the server answers: one banner, whoever noticed. */

import { announce } from './toast.js';

const LOST = 'Connection lost. Trying again…';

/** @type {Set<string>} */
const missed = new Set();

/**
 * @param {string} what each channel by itself: `requests`, `events`
 * @param {boolean} there
 */
export function reached(what, there) {
  const before = missed.size > 0;
  if (there) missed.delete(what);
  else missed.add(what);
  const lost = missed.size > 0;
  if (lost === before) return;
  const banner = document.getElementById('connection');
  if (banner !== null) {
    banner.hidden = !lost;
    banner.textContent = lost ? LOST : '';
  }
  if (!lost) announce('Connected again.');
}
