/** Short news. What went wrong is shown where it happened; a toast is for what succeeded, or happened elsewhere. */

import { h } from './dom.js';
import { icon } from './icons.js';

const SHOWN_MS = 6000;

/**
 * @param {string} text
 * @param {'done' | 'error' | 'info'} [kind]
 */
export function toast(text, kind = 'done') {
  const close = h('button', { type: 'button', class: 'button quiet', 'aria-label': 'Close this message' }, icon('close'));
  const shown = h(
    'div',
    { class: `toast toast-${kind}` },
    icon(kind === 'done' ? 'check' : kind),
    h('span', { class: 'toast-text' }, text),
    close,
  );
  const away = () => shown.remove();
  close.addEventListener('click', away);
  place('toasts').append(shown);
  announce(text);
  if (kind !== 'error') setTimeout(away, SHOWN_MS);
}

/**
 * Screen readers say `text` when they have finished what they are saying.
 *
 * @param {string} text
 */
export function announce(text) {
  const region = place('announcements');
  const line = h('p', null, text);
  region.append(line);
  while (region.childElementCount > 3) region.firstElementChild?.remove();
}

/** @param {string} id */
function place(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}
