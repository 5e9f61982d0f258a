/** Settings as fields: each is drawn by the form that the API tells, and saved by itself. */

import { api } from '../../lib/api.js';
import { h, replace } from '../../lib/dom.js';
import { icon } from '../../lib/icons.js';
import { toast } from '../../lib/toast.js';
import { POLICIES } from '../devices/enable.js';
import { told } from './frame.js';

/**
 * @typedef {object} Setting
 * @property {string} key
 * @property {string | number | boolean | string[]} value
 * @property {string | number | boolean | string[]} default
 * @property {'environment' | 'database' | 'file' | 'default'} source
 * @property {string} allowed
 * @property {string} help
 * @property {string | null} warning what this value risks
 * @property {'choice' | 'number' | 'switch' | 'window' | 'list' | 'text'} type
 * @property {string[] | null} choices
 * @property {number | null} minimum
 * @property {number | null} maximum
 */

/**
 * @typedef {{ inputs: (HTMLInputElement | HTMLSelectElement)[], shown: Node[], text: () => string }} Control
 * @typedef {{ editable: boolean, changed?: ((setting: Setting) => void) | undefined }} Options `changed`: after a value
 *   was saved
 */

/** What choices are called here, by setting. @type {Record<string, Record<string, string>>} */
const CHOICES = {
  'certificate.common-name': { address: 'Address', hostname: 'Host name' },
  'certificate.key-type': {
    auto: 'RSA 2048, or EC P-256 where device and authority are EC', 'ec-p256': 'EC P-256', 'rsa-2048': 'RSA 2048', 'rsa-3072': 'RSA 3072',
  },
  'certificate.key-origin': { auto: 'On the device, or here if it cannot', device: 'On the device only' },
  'https.policy': POLICIES,
  'https.escape-route': { reopen: 'Plain HTTP is opened before the certificate changes', none: 'None' },
};

/** All settings, by key. @returns {Promise<Map<string, Setting>>} */
export async function settings() {
  /** @type {Setting[]} */
  const listed = await api.get('settings');
  return new Map(listed.map((one) => [one.key, one]));
}

/**
 * A field for each of these settings.
 *
 * @param {Map<string, Setting>} known
 * @param {[string, string][]} wanted keys, and what they are called here
 * @param {Options} options
 */
export function settingFields(known, wanted, options) {
  const forms = wanted.map(([key, label]) => {
    const setting = known.get(key);
    if (setting === undefined) throw new Error(`There is no setting ${key}.`);
    const form = h('form', { class: 'setting', novalidate: true, 'data-key': key });
    draw(form, setting, label, options);
    return form;
  });
  return h('div', { class: 'settings' }, ...forms);
}

/**
 * `form` shows the setting as it is now.
 *
 * @param {HTMLFormElement} form
 * @param {Setting} setting
 * @param {string} label
 * @param {Options} options
 */
function draw(form, setting, label, options) {
  const id = `setting-${setting.key.replaceAll('.', '-')}`;
  const fixed = setting.source === 'environment' || !options.editable;
  const control = controlOf(setting, id, label);
  const before = control.text();
  const problem = h('p', { class: 'field-error', id: `${id}-problem`, role: 'alert' });
  const save = h('button', { type: 'submit', class: 'button primary', hidden: true, 'aria-label': `Save ${label}` }, 'Save');
  for (const input of control.inputs) {
    input.disabled = fixed;
    input.setAttribute('aria-describedby', `${id}-help ${id}-problem`);
    input.addEventListener('input', () => {
      save.hidden = control.text() === before;
      problem.textContent = '';
      input.removeAttribute('aria-invalid');
    });
  }
  /** @param {() => Promise<Setting>} change @param {string} done */
  const apply = async (change, done) => {
    if (form.getAttribute('aria-busy') === 'true') return;
    form.setAttribute('aria-busy', 'true');
    try {
      const now = await change();
      draw(form, now, label, options);
      /** @type {HTMLElement | null} */ (form.querySelector('input, select'))?.focus();
      toast(now.source === 'environment' ? `${label} is kept, but the environment of the server goes before it.` : done);
      options.changed?.(now);
    } catch (error) {
      problem.textContent = told(error);
      for (const input of control.inputs) input.setAttribute('aria-invalid', 'true');
    } finally {
      form.removeAttribute('aria-busy');
    }
  };
  const path = `settings/${encodeURIComponent(setting.key)}`;
  form.onsubmit = (event) => {
    event.preventDefault();
    if (control.text() !== before) void apply(() => api.put(path, { value: control.text() }), `${label} is saved.`);
  };
  const reset = setting.source === 'database' && !fixed && h('button', {
    type: 'button', class: 'button quiet', 'aria-label': `Use default: ${label}`,
    onclick: () => void apply(() => api.delete(path), `${label} is as by default.`),
  }, 'Use default');
  const heading = setting.type === 'window' ? h('span', { id: `${id}-label` }, label) : h('label', { for: id }, label);
  replace(
    form,
    h('div', { class: 'setting-label' }, heading),
    h('div', { class: 'setting-control' }, ...control.shown, save, reset),
    h('p', { class: 'field-help', id: `${id}-help` }, explained(setting)),
    setting.warning !== null && h('p', { class: 'notice warn' }, icon('error'), h('span', null, setting.warning)),
    problem,
  );
}

/**
 * @param {Setting} setting
 * @param {string} id
 * @param {string} label
 * @returns {Control}
 */
function controlOf(setting, id, label) {
  const value = asText(setting.value);
  if (setting.type === 'switch') {
    const box = h('input', { type: 'checkbox', id, checked: value === 'true' });
    return { inputs: [box], shown: [box], text: () => String(box.checked) };
  }
  if (setting.type === 'choice') {
    const options = (setting.choices ?? []).map((one) => h('option', { value: one, selected: one === value }, called(setting, one)));
    const select = h('select', { id }, ...options);
    return { inputs: [select], shown: [select], text: () => select.value };
  }
  if (setting.type === 'window') {
    const [from = '', to = ''] = value.split('-');
    const first = h('input', { type: 'time', id, value: from, 'aria-label': `${label}, from` });
    const last = h('input', { type: 'time', value: to, 'aria-label': `${label}, until` });
    return { inputs: [first, last], shown: [first, h('span', null, 'until'), last], text: () => `${first.value}-${last.value}` };
  }
  const type = setting.type === 'number' ? 'number' : 'text';
  const bounds = { min: setting.minimum, max: setting.maximum };
  const input = h('input', { type, id, value, ...bounds, spellcheck: 'false', autocomplete: 'off' });
  return { inputs: [input], shown: [input], text: () => input.value };
}

/** A value in words, where it has any. @param {Setting} setting @param {string} value */
function called({ key }, value) {
  return CHOICES[key]?.[value] ?? value;
}

/** As a person types it. @param {Setting['value']} value */
function asText(value) {
  return Array.isArray(value) ? value.join(', ') : String(value);
}

const PLACES = {
  environment: ' Set by the environment of the server, and changed there.',
  file: ' Set by the settings file of the server; what is saved here goes before it.',
  database: '',
  default: '',
};

/** What it means, what may be in it, and where the value is from. @param {Setting} setting */
function explained(setting) {
  const whole = setting.help.charAt(0).toUpperCase() + setting.help.slice(1).replaceAll('`', '');
  const help = setting.key in CHOICES ? whole.replace(/;.*/, '') : whole; // what follows explains the choices
  const allowed = ['switch', 'choice'].includes(setting.type) ? '' : ` Allowed: ${setting.allowed}.`;
  const usual = asText(setting.default);
  const shown = setting.type === 'switch' ? (usual === 'true' ? 'on' : 'off') : called(setting, usual) || 'empty';
  return `${help}${help.endsWith('.') ? '' : '.'}${allowed} Default: ${shown}.${PLACES[setting.source]}`;
}
