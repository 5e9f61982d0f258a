/**
 * Modal dialogs.
 *
 * @typedef {{
 *   label: string,
 *   kind?: 'primary' | 'danger' | 'plain',
 *   value?: unknown,
 *   submit?: () => unknown,
 * }} Button `submit` runs before the dialog closes, which then ends with what it returns: `false` keeps it open, and a
 *   `Problem` it throws is shown in it. Without it the dialog ends with `value`. Enter presses the first button that is
 *   `primary` or `danger`.
 */

import { Problem } from './api.js';
import { h, replace } from './dom.js';
import { icon } from './icons.js';

let made = 0;

/**
 * Ends with the value of the button, or `null` when the dialog was left. Focus returns to where it was.
 *
 * @param {{ title: string, body: Node | string | (Node | string)[], buttons: Button[], wide?: boolean }} what
 * @returns {Promise<any>}
 */
export function dialog({ title, body, buttons, wide = false }) {
  const before = document.activeElement;
  made += 1;
  const id = `dialog-${made}`;
  const problem = h('div', { class: 'problem', role: 'alert', hidden: true });
  const actions = h('div', { class: 'dialog-actions' });
  const close = h('button', { type: 'button', class: 'button quiet', 'aria-label': 'Close' }, icon('close'));
  const form = h(
    'form',
    { class: 'dialog-form', novalidate: true },
    h('header', { class: 'dialog-head' }, h('h2', { id }, title), close),
    h('div', { class: 'dialog-body' }, ...(Array.isArray(body) ? body : [body])),
    problem,
    actions,
  );
  const element = h('dialog', { class: wide ? 'dialog wide' : 'dialog', 'aria-labelledby': id }, form);

  return new Promise((resolve) => {
    /** @param {unknown} value */
    const end = (value) => {
      element.close();
      element.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(value);
    };
    const press = pressing(element, problem, end);
    const shown = buttons.map((button) => {
      const kind = button.kind ?? 'plain';
      return h('button', { type: 'button', class: `button ${kind}`, onclick: () => press(button) }, button.label);
    });
    actions.append(...shown);
    close.addEventListener('click', () => end(null));
    element.addEventListener('cancel', (event) => {
      event.preventDefault();
      if (!element.hasAttribute('aria-busy')) end(null);
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const main = buttons.find((button) => button.kind === 'primary' || button.kind === 'danger');
      if (main !== undefined) press(main);
    });
    form.append(h('button', { type: 'submit', class: 'visually-hidden', tabindex: '-1', 'aria-hidden': 'true' }));
    document.body.append(element);
    element.showModal();
    firstFocus(element)?.focus();
  });
}

/**
 * Whether the person agrees. `action` names what the button does: "Remove 3 devices".
 *
 * @param {{ title: string, text: string | Node, action: string, danger?: boolean }} what
 * @returns {Promise<boolean>}
 */
export async function confirm({ title, text, action, danger = false }) {
  const agreed = await dialog({
    title,
    body: typeof text === 'string' ? h('p', null, text) : text,
    buttons: [
      { label: 'Cancel', value: false },
      { label: action, kind: danger ? 'danger' : 'primary', value: true },
    ],
  });
  return agreed === true;
}

/** @param {{ title: string, text: string | Node }} what */
export async function message({ title, text }) {
  const body = typeof text === 'string' ? h('p', null, text) : text;
  await dialog({ title, body, buttons: [{ label: 'Close', kind: 'primary', value: null }] });
}

/**
 * What pressing a button does: one at a time, and what goes wrong is shown in the dialog.
 *
 * @param {HTMLDialogElement} element
 * @param {HTMLElement} problem
 * @param {(value: unknown) => void} end
 */
function pressing(element, problem, end) {
  return async (/** @type {Button} */ button) => {
    if (element.hasAttribute('aria-busy')) return;
    if (button.submit === undefined) {
      end(button.value ?? null);
      return;
    }
    element.setAttribute('aria-busy', 'true');
    problem.hidden = true;
    try {
      const value = await button.submit();
      element.removeAttribute('aria-busy');
      if (value !== false) end(value ?? button.value ?? true);
    } catch (error) {
      element.removeAttribute('aria-busy');
      if (!(error instanceof Problem)) throw error;
      if (error.code === 'not-signed-in') {
        end(null);
        return;
      }
      replace(problem, icon('error'), h('span', null, error.detail));
      problem.hidden = false;
    }
  };
}

/**
 * The first field, else the last button, which is the one that acts; for questions of danger that is Cancel.
 *
 * @param {HTMLElement} element
 * @returns {HTMLElement | null}
 */
function firstFocus(element) {
  const field = element.querySelector('.dialog-body :is(input, select, textarea):not([type=hidden], [disabled])');
  const safe = element.querySelector('.dialog-actions .danger')
    ? element.querySelector('.dialog-actions button')
    : element.querySelector('.dialog-actions button:last-child');
  return /** @type {HTMLElement | null} */ (field ?? safe);
}
