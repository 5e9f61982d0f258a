/**
 * Fields of forms: a label, a control, a help text and a place for what is wrong with it.
 *
 * @typedef {'text' | 'password' | 'number' | 'select' | 'checkbox' | 'radio' | 'textarea' | 'file'} Type
 * @typedef {{ value: string, label: string, help?: string, disabled?: boolean }} Option
 * @typedef {{
 *   label: string,
 *   name: string,
 *   type?: Type,
 *   value?: string | number | boolean,
 *   help?: string | Node,
 *   options?: Option[],
 *   required?: boolean,
 *   autocomplete?: string,
 *   placeholder?: string,
 *   attributes?: import('./dom.js').Attributes,
 * }} Description `options` are those of `select` and `radio`; `attributes` go to the control.
 * @typedef {{
 *   name: string,
 *   row: HTMLElement,
 *   input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement | null,
 *   value: () => any,
 *   error: (text: string | null) => void,
 *   check: () => boolean,
 * }} Field `input` is null for `radio`; `value` is a boolean for `checkbox`, a number or null for `number`, a list of
 *   `File` for `file`, else a text; `check` says whether a required value is there, and says so in the field.
 */

import { h, replace } from './dom.js';

let made = 0;

/**
 * @param {Description} what
 * @returns {Field}
 */
export function field(what) {
  made += 1;
  const id = `field-${made}`;
  const wrong = h('p', { class: 'field-error', id: `${id}-error`, hidden: true });
  const help = what.help === undefined ? null : h('p', { class: 'field-help', id: `${id}-help` }, what.help);
  const described = [help && `${id}-help`, `${id}-error`].filter(Boolean).join(' ');
  const type = what.type ?? 'text';
  const control = type === 'radio' ? radios(what, id, described) : single(what, type, id, described);
  /** @type {HTMLElement} */
  let row;
  if (type === 'checkbox') {
    row = h('div', { class: 'field check' }, h('label', { for: id }, control.element, h('span', null, what.label)), help, wrong);
  } else if (type === 'radio') {
    row = h('fieldset', { class: 'field' }, h('legend', null, what.label), control.element, help, wrong);
  } else {
    row = h('div', { class: 'field' }, h('label', { for: id }, what.label), control.element, help, wrong);
  }
  /** @param {string | null} text */
  const error = (text) => {
    replace(wrong, text ?? '');
    wrong.hidden = text === null;
    control.input?.setAttribute('aria-invalid', String(text !== null));
  };
  const check = () => {
    const value = control.value();
    const empty = value === '' || value === null || (Array.isArray(value) && value.length === 0);
    const bad = Boolean(what.required) && empty;
    const number = control.input instanceof HTMLInputElement && !control.input.validity.valid && type === 'number';
    error(bad ? (type === 'file' ? 'Choose a file.' : `${what.label} is needed.`) : number ? `${what.label}: this is not a number that is possible here.` : null);
    return !bad && !number;
  };
  control.element.addEventListener('input', () => error(null));
  return { name: what.name, row, input: control.input, value: control.value, error, check };
}

/**
 * What the fields hold, by name.
 *
 * @param {Field[]} fields
 * @returns {Record<string, any>}
 */
export function values(fields) {
  return Object.fromEntries(fields.map((one) => [one.name, one.value()]));
}

/**
 * Whether all that is required is there; the focus goes to the first field where it is not.
 *
 * @param {Field[]} fields
 */
export function complete(fields) {
  const wrong = fields.filter((one) => !one.check());
  (wrong[0]?.input ?? wrong[0]?.row.querySelector('input'))?.focus();
  return wrong.length === 0;
}

/**
 * A form that calls `submit` when all that is required is there. While it runs nothing can be sent again.
 *
 * @param {{ fields: Field[], action: string, submit: () => unknown, more?: Node[], label?: string }} what
 */
export function form({ fields, action, submit, more = [], label }) {
  const button = h('button', { type: 'submit', class: 'button primary' }, action);
  const element = h(
    'form',
    { class: 'form', novalidate: true, 'aria-label': label },
    ...fields.map((one) => one.row),
    ...more,
    h('div', { class: 'form-actions' }, button),
  );
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.getAttribute('aria-disabled') === 'true' || !complete(fields)) return;
    button.setAttribute('aria-disabled', 'true');
    try {
      await submit();
    } finally {
      button.removeAttribute('aria-disabled');
    }
  });
  return element;
}

/**
 * @param {Description} what
 * @param {Type} type
 * @param {string} id
 * @param {string} described
 * @returns {{ element: HTMLElement, input: Field['input'], value: () => any }}
 */
function single(what, type, id, described) {
  const common = {
    id,
    name: what.name,
    'aria-describedby': described,
    'aria-required': what.required ? 'true' : null,
    autocomplete: what.autocomplete ?? (type === 'password' ? 'new-password' : 'off'),
    placeholder: what.placeholder,
    ...what.attributes,
  };
  if (type === 'select') {
    const select = h('select', common, ...(what.options ?? []).map((one) =>
      h('option', { value: one.value, disabled: one.disabled, selected: one.value === what.value }, one.label)));
    return { element: select, input: select, value: () => select.value };
  }
  if (type === 'textarea') {
    const area = h('textarea', { rows: 4, spellcheck: 'false', ...common }, String(what.value ?? ''));
    return { element: area, input: area, value: () => area.value };
  }
  const plain = type !== 'checkbox' && type !== 'file';
  const input = h('input', { type, spellcheck: 'false', ...common, value: plain ? String(what.value ?? '') : null });
  if (type === 'checkbox') input.checked = what.value === true;
  /** @type {Partial<Record<Type, () => any>>} */
  const read = {
    checkbox: () => input.checked,
    number: () => (input.value === '' ? null : Number(input.value)),
    file: () => [...(input.files ?? [])],
    password: () => input.value,
  };
  return { element: input, input, value: read[type] ?? (() => input.value.trim()) };
}

/**
 * @param {Description} what
 * @param {string} id
 * @param {string} described
 * @returns {{ element: HTMLElement, input: null, value: () => string }}
 */
function radios(what, id, described) {
  const group = h('div', { class: 'radios' });
  for (const [index, one] of (what.options ?? []).entries()) {
    const own = `${id}-${index}`;
    const input = h('input', {
      type: 'radio', id: own, name: `${id}-${what.name}`, value: one.value, disabled: one.disabled,
      'aria-describedby': one.help ? `${own}-help` : described,
    });
    input.checked = one.value === what.value;
    group.append(h('div', { class: 'radio' }, h('label', { for: own }, input, h('span', null, one.label)),
      one.help && h('p', { class: 'field-help', id: `${own}-help` }, one.help)));
  }
  const value = () => /** @type {HTMLInputElement | null} */ (group.querySelector('input:checked'))?.value ?? '';
  return { element: group, input: null, value };
}
