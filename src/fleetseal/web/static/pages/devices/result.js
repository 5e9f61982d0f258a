/** "Task Result": what became of each device of a task, with its steps; live until the task has ended. */

import { api, Problem } from '../../lib/api.js';
import { dialog } from '../../lib/dialog.js';
import { h, isolated, replace } from '../../lib/dom.js';
import { save } from '../../lib/download.js';
import * as events from '../../lib/events.js';
import { count, time } from '../../lib/format.js';
import { Grid } from '../../lib/grid.js';
import { icon } from '../../lib/icons.js';
import { sheet } from '../../lib/sheet.js';
import { announce } from '../../lib/toast.js';
import { advice } from '../remedies.js';
import { guarded } from './asking.js';
import { state } from './columns.js';
import { cancel, OUTCOMES, retriable, retry, STATES } from './task.js';

const SHORTEST_PAUSE_MS = 700;
const MOST_PIXELS = 300; // of the list of devices; more of them scroll

/**
 * Opens the result of a task that is named in a text.
 *
 * @param {number} id
 * @param {string} [text]
 */
export function taskLink(id, text = `Task ${id}`) {
  return h('button', { type: 'button', class: 'link', onclick: () => void guarded(() => showResult(id)) }, text);
}

/**
 * @param {number} id
 * @returns {Promise<void>} when the dialog is closed
 */
export async function showResult(id) {
  let task = await api.get(`tasks/${id}`);
  const grid = new Grid({ label: 'Devices of the task', columns: columns(task), sort: { key: 'order', descending: false }, announce });
  const heading = h('p', { class: 'result-heading', role: 'status' });
  const toolbar = h('div', { class: 'toolbar' });
  const steps = h('section', { class: 'steps', 'aria-label': 'Steps', 'aria-live': 'polite' });
  const unmatched = h('div');
  /** @type {string | null} */
  let shown = null;
  const draw = () => {
    replace(heading, state(task.state, STATES[task.state]), h('span', { class: 'result-text' }, task.finished === null ? soFar(task) : task.heading));
    const now = tools(task);
    if (now.length !== toolbar.childElementCount || task.finished !== null) replace(toolbar, ...now);
    replace(unmatched, ...(task.unmatched ?? []).map((/** @type {any} */ one) =>
      h('p', { class: 'notice warn' }, icon('error'), h('span', null, isolated(one.file), ': ', isolated(one.reason)))));
    grid.setRows(task.devices.map((/** @type {any} */ one, /** @type {number} */ order) => ({ ...one, id: String(order), order })));
    replace(steps, ...stepsOf(shown === null ? null : task.devices[Number(shown)]));
  };
  const select = (/** @type {any} */ row) => {
    shown = row.id;
    draw();
  };
  grid.onActivate = select;
  grid.onSelection = () => {
    const row = grid.selectedRows()[0];
    if (row !== undefined && row.id !== shown) select(row);
  };
  const first = task.devices.findIndex((/** @type {any} */ one) => ['Failed', 'Rolled back'].includes(one.status));
  if (task.devices.length > 0) shown = String(Math.max(first, 0));
  grid.element.style.height = `${Math.min(34 + 28 * task.devices.length, MOST_PIXELS)}px`;
  draw();
  const live = following(id, async () => {
    task = await api.get(`tasks/${id}`);
    draw();
    return task.finished === null;
  });
  await dialog({
    title: `Task Result - ${task.action}`,
    wide: true,
    body: [h('div', { class: 'result-head' }, heading, toolbar), unmatched, h('div', { class: 'result-grid' }, grid.element), steps],
    buttons: [{ label: 'Close', kind: 'primary', value: null }],
  });
  live.end();
  grid.destroy();
}

/**
 * What can be done with the task, as far as it can be done now.
 *
 * @param {any} task
 */
function tools(task) {
  const failed = task.devices.filter((/** @type {any} */ one) => ['Failed', 'Rolled back'].includes(one.status)).length;
  const button = (/** @type {string} */ label, /** @type {() => unknown} */ action) =>
    h('button', { type: 'button', class: 'button', onclick: () => void guarded(action) }, label);
  const csv = () => {
    const rows = task.devices.map((/** @type {any} */ one) => [one.mac, one.address, one.status, one.description, one.error]);
    save(`task-${task.id}.csv`, sheet(['MAC Address', 'Address', 'Status', 'Description', 'Error'], rows), 'text/csv;charset=utf-8');
  };
  return [
    task.finished === null && button('Cancel…', () => cancel(task)),
    retriable({ ...task, failed }) && button('Retry failed', () => retry(task)),
    button('Export CSV', csv),
  ];
}

/**
 * Reads again when something happened to the task, but for no more than a tenth of the time: a result may be long.
 *
 * @param {number} id
 * @param {() => Promise<boolean>} again whether it may change still
 */
function following(id, again) {
  let wanted = false;
  let busy = false;
  let over = false;
  const read = async () => {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted && !over) {
      wanted = false;
      const begun = performance.now();
      try {
        if (!(await again())) over = true;
      } catch (error) {
        if (!(error instanceof Problem)) throw error; // the connection is lost: the next event tries again
      }
      const pause = Math.max(SHORTEST_PAUSE_MS, 9 * (performance.now() - begun));
      await new Promise((later) => setTimeout(later, pause));
    }
    busy = false;
  };
  const offs = [
    events.on('task', (tasks) => {
      if (tasks.some((/** @type {any} */ one) => one.id === id)) void read();
    }),
    events.on('resync', () => void read()),
  ];
  return {
    end: () => {
      over = true;
      offs.forEach((off) => off());
    },
  };
}

/** @param {any} task @returns {import('../../lib/grid-columns.js').Column[]} */
function columns(task) {
  return [
    { key: 'order', label: 'No.', width: 60, kind: 'number', render: (one) => String(one.order + 1) },
    { key: 'mac', label: 'MAC address', width: 150, kind: 'code' },
    { key: 'address', label: 'Address', width: 130, kind: 'address' },
    ...(task.action === 'Install certificate' ? [{ key: 'file', label: 'File', width: 150 }] : []),
    { key: 'status', label: 'Status', width: 120, render: (one) => state(one.status, OUTCOMES[one.status]) },
    { key: 'description', label: 'Description', width: 480 },
  ];
}

/** @param {any} task */
function soFar(task) {
  const done = task.devices.filter((/** @type {any} */ one) => !['Waiting', 'Running'].includes(one.status)).length;
  return `${done} of ${count(task.devices.length, 'device')} done`;
}

/** @param {any} device */
function stepsOf(device) {
  if (!device) return [h('p', { class: 'quiet-text' }, 'Select a device to see its steps.')];
  return [
    h('h3', null, isolated(device.mac), ' ', isolated(device.address)),
    h('p', null, advice(device.description, device.mac ?? device.address)),
    h('ol', { class: 'step-list' }, ...device.steps.map((/** @type {any} */ step) =>
      h('li', null, h('span', { class: 'step-name' }, step.name), h('span', { class: 'badge' }, step.state),
        h('span', { class: 'quiet-text' }, time(step.at)), isolated(step.detail)))),
    device.steps.length === 0 && h('p', { class: 'quiet-text' }, 'No step was needed.'),
  ];
}
