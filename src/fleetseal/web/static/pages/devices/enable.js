/** "Enable HTTPS": what it would do is shown before it is done. */

import { api, Problem } from '../../lib/api.js';
import { dialog } from '../../lib/dialog.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { field } from '../../lib/form.js';
import { count } from '../../lib/format.js';
import { icon } from '../../lib/icons.js';
import { table } from '../../lib/table.js';
import { advice } from '../remedies.js';
import { begun, postSigning, selection } from './asking.js';
import { state } from './columns.js';

/** What devices shall accept, in words. @type {Record<string, string>} */
export const POLICIES = { keep: 'What they accept now, and HTTPS', both: 'HTTP and HTTPS', https: 'HTTPS only' };

const ASKED = 50; // devices that are asked without a word: for more, a person says so
const SHOWN = 200; // lines of the plan that are drawn

/** @typedef {import('./filter.js').Device} Device */
/** @typedef {{ id: number, mac: string, address: string, plan: 'Enable' | 'Unchanged' | 'Skipped' | 'Failed', description: string }} Line */

/** @type {Record<string, 'good' | 'warn' | 'bad' | 'none'>} */
const SHAPES = { Enable: 'good', Unchanged: 'none', Skipped: 'warn', Failed: 'bad' };

/** @param {Device[]} devices */
export async function enableHttps(devices) {
  const policy = field({
    label: 'The devices then accept', name: 'policy', type: 'radio', value: await usualPolicy(),
    options: Object.entries(POLICIES).map(([value, label]) => ({
      value, label, ...(value === 'https' ? { help: 'Plain HTTP is closed last, after HTTPS has been proved from outside.' } : {}),
    })),
  });
  const renew = field({ label: 'Issue new certificates, also where the present one is good', name: 'renew', type: 'checkbox' });
  const foreign = field({ label: 'Replace valid certificates of other issuers', name: 'replace_foreign', type: 'checkbox' });
  const clock = field({ label: 'Set wrong clocks to this server’s time first', name: 'set_clock', type: 'checkbox' });
  const warning = h('p', { class: 'notice warn' }, icon('error'), h('span', null,
    'Once HTTPS is proved, plain HTTP is closed: the video management system, and everything else that uses these devices, must speak HTTPS to them.'));
  const fields = devices.length > 1 ? [renew, foreign, clock] : [renew, clock];
  const wish = () => ({
    policy: policy.value(), renew: renew.value(), replace_foreign: foreign.value(), set_clock: clock.value(),
  });
  const preview = planning(devices, wish, () => {
    /** @type {HTMLInputElement} */ (renew.input).checked = true;
    preview.look();
  });
  const changed = () => {
    warning.hidden = policy.value() !== 'https';
    preview.outdated();
  };
  for (const one of [policy, ...fields]) one.row.addEventListener('change', changed);
  changed();
  const task = await dialog({
    title: `Enable HTTPS on ${devices.length === 1 ? devices[0]?.address : count(devices.length, 'device')}`,
    wide: true,
    body: [
      h('p', { class: 'quiet-text' }, 'Each device gets a certificate of your authority, HTTPS is switched on and proved from outside. What fails is put back.'),
      h('div', { class: 'enable-choices' }, policy.row, h('div', { class: 'form' }, ...fields.map((one) => one.row))),
      warning,
      preview.element,
    ],
    buttons: [
      { label: 'Cancel', value: null },
      {
        label: 'Enable HTTPS', kind: 'primary',
        submit: async () =>
          (await postSigning('tasks', { action: 'Enable HTTPS', selection: selection(devices), wish: wish() })) ?? false,
      },
    ],
  });
  preview.end();
  if (task !== null) begun(task);
}

/** The setting, which a viewer may read too. */
async function usualPolicy() {
  const { value } = await api.get('settings/https.policy');
  return value in POLICIES ? value : 'keep';
}

/**
 * What would be done to each device, asked of the devices; few are asked at once.
 *
 * @param {Device[]} devices
 * @param {() => Record<string, unknown>} wish
 * @param {() => void} renewAll
 */
function planning(devices, wish, renewAll) {
  const element = h('section', { class: 'plan', 'aria-label': 'What would be done', 'aria-live': 'polite' });
  let latest = 0;
  const look = async () => {
    latest += 1;
    const mine = latest;
    replace(element, h('p', { class: 'quiet-text' }, `Looking at ${count(devices.length, 'device')}…`));
    try {
      const lines = await api.post('tasks/plan', { selection: selection(devices), wish: wish() });
      if (mine === latest) replace(element, ...planned(lines, renewAll));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (mine === latest) replace(element, h('p', { class: 'problem' }, icon('error'), h('span', null, error.detail)));
    }
  };
  const outdated = () => {
    if (devices.length <= ASKED) {
      void look();
      return;
    }
    latest += 1;
    replace(element, known(devices),
      h('p', null, h('button', { type: 'button', class: 'button', onclick: () => void look() }, 'Show what would be done to each device')));
  };
  return { element, look: () => void look(), outdated, end: () => void (latest += 1) };
}

/**
 * What the list says by itself about very many devices.
 *
 * @param {Device[]} devices
 */
function known(devices) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const one of devices) {
    const shown = one.https.startsWith('Unsupported') ? `${one.https}: skipped` : one.status === 'OK' ? `HTTPS ${one.https.toLowerCase()}` : one.status;
    counts.set(shown, (counts.get(shown) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return h('ul', { class: 'plain-list' }, ...sorted.map(([what, many]) => h('li', null, `${count(many, 'device')}: ${what}`)));
}

/**
 * @param {Line[]} lines
 * @param {() => void} renewAll
 */
function planned(lines, renewAll) {
  /** @param {Line['plan']} plan */
  const many = (plan) => lines.filter((one) => one.plan === plan).length;
  const parts = [
    many('Enable') > 0 && `${count(many('Enable'), 'device')} will be changed`,
    many('Unchanged') > 0 && `${count(many('Unchanged'), 'device')} as wished already`,
    many('Skipped') > 0 && `${count(many('Skipped'), 'device')} skipped`,
    many('Failed') > 0 && `not possible on ${count(many('Failed'), 'device')}`,
  ].filter(Boolean);
  const shown = lines.slice(0, SHOWN);
  const done = lines.length > 0 && many('Unchanged') === lines.length;
  return [
    h('p', { class: 'plan-sum' }, `${parts.join(', ')}.`),
    done && h('p', { class: 'notice good' }, icon('check'), h('span', null, 'Everything is as wished. '),
      h('button', { type: 'button', class: 'button', onclick: renewAll }, 'Renew the certificates')),
    table({
      caption: 'What would be done to each device',
      columns: [
        { key: 'mac', label: 'MAC address', render: (one) => h('span', { class: 'mono nowrap' }, one.mac) },
        { key: 'address', label: 'Address' },
        { key: 'plan', label: 'Plan', render: (one) => state(one.plan, SHAPES[one.plan]) },
        { key: 'description', label: 'Description', render: (one) => (one.plan === 'Failed' ? advice(one.description, one.id) : isolated(one.description)) },
      ],
      rows: shown,
      empty: 'No device.',
    }),
    lines.length > shown.length && h('p', { class: 'quiet-text' }, `The first ${SHOWN} of ${count(lines.length, 'device')}.`),
  ];
}
