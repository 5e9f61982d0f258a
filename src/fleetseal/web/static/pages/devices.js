/** Devices: the list with the tasks below it, and, at `/devices/ID`, one of them. */

import { details } from './devices/details.js';
import { list } from './devices/list.js';

export const title = 'Devices';

/**
 * @param {HTMLElement} main
 * @param {import('../lib/routes.js').Context} context
 * @returns {Promise<() => void>}
 */
export function show(main, context) {
  const id = context.parts[0];
  return id === undefined ? list(main, context) : details(main, context, id);
}
