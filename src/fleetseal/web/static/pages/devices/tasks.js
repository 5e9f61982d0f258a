/** The pane of tasks below the list of devices: live. */

import { all } from '../../lib/api.js';
import { h } from '../../lib/dom.js';
import * as events from '../../lib/events.js';
import { count, number, time } from '../../lib/format.js';
import { Grid } from '../../lib/grid.js';
import { icon } from '../../lib/icons.js';
import { openMenu } from '../../lib/menu.js';
import { keep, kept } from '../../lib/storage.js';
import { announce } from '../../lib/toast.js';
import { guarded } from './asking.js';
import { state } from './columns.js';
import { showResult } from './result.js';
import { cancel, retriable, retry, STATES } from './task.js';

const KEPT_OPEN = 'tasks.open';

/** @typedef {import('./task.js').Task} Task */

/**
 * @param {import('../../lib/routes.js').Session} session
 * @returns {{ element: HTMLElement, load: () => Promise<void>, end: () => void }}
 */
export function taskPane(session) {
  const grid = new Grid({
    label: 'Tasks', columns: columns(), sort: { key: 'id', descending: true }, announce,
    empty: () => 'No tasks yet. What you ask for on devices appears here.',
  });
  const running = h('span', { class: 'quiet-text' });
  const open = h('button', { type: 'button', class: 'button quiet disclosure', 'aria-expanded': 'true', 'aria-controls': 'tasks' },
    icon('chevron'), h('span', null, 'Tasks'));
  const body = h('div', { id: 'tasks', class: 'tasks-grid' }, grid.element);
  const pane = h('section', { class: 'tasks', 'aria-label': 'Tasks' }, h('div', { class: 'tasks-head' }, h('h2', null, open), running), body);
  const unfold = (/** @type {boolean} */ yes) => {
    open.setAttribute('aria-expanded', String(yes));
    body.hidden = !yes;
  };
  unfold(kept(KEPT_OPEN, innerHeight > 600));
  open.addEventListener('click', () => {
    unfold(body.hidden !== false);
    keep(KEPT_OPEN, !body.hidden);
  });
  /** @type {Set<number>} */
  const active = new Set();
  const note = (/** @type {Task[]} */ tasks) => {
    for (const task of tasks) {
      if (task.finished === null) active.add(task.id);
      else if (active.delete(task.id)) announce(`Task ${task.id}, ${task.action}: ${task.state}.`);
    }
    running.textContent = active.size > 0 ? `${count(active.size, 'task')} at work` : '';
  };
  grid.onActivate = (task) => void guarded(() => showResult(Number(task.id)));
  grid.onHeaderMenu = ({ items, at }) => openMenu(at, items);
  grid.onContextMenu = ({ row, at }) => openMenu(at, menu(row, session));
  const load = async () => {
    const { items } = await all('tasks');
    grid.setRows(items);
    note(items);
  };
  const offs = [
    events.on('task', (tasks) => {
      grid.update(tasks);
      note(tasks);
    }),
    events.on('task-gone', (ids) => grid.remove(ids)),
    events.on('resync', () => void load().catch(() => {})), // the banner tells; the next resync tries again
  ];
  return {
    element: pane,
    load,
    end: () => {
      offs.forEach((off) => off());
      grid.destroy();
    },
  };
}

/** @returns {import('../../lib/grid-columns.js').Column[]} */
function columns() {
  return [
    { key: 'id', label: 'Task', width: 64, kind: 'number' },
    { key: 'action', label: 'Action', width: 170 },
    { key: 'state', label: 'State', width: 120, render: (task) => state(task.state, STATES[task.state]) },
    { key: 'done', label: 'Progress', width: 200, kind: 'number', value: (task) => (task.total > 0 ? task.done / task.total : 1), render: progress },
    { key: 'failed', label: 'Failed', width: 76, kind: 'number', render: (task) => (task.failed > 0 ? state(number(task.failed), 'bad') : '') },
    { key: 'actor', label: 'Asked by', width: 130, value: (task) => task.actor ?? '' },
    { key: 'requested', label: 'Asked', width: 140, kind: 'date', render: (task) => time(task.requested) },
    { key: 'finished', label: 'Ended', width: 140, kind: 'date', render: (task) => time(task.finished) },
  ];
}

/** @param {Task} task */
function progress(task) {
  const text = `${number(task.done)} of ${number(task.total)}`;
  if (task.finished !== null) return text;
  return h('span', { class: 'task-progress' }, h('progress', { max: task.total, value: task.done, 'aria-label': text }), text);
}

/**
 * @param {Task} task
 * @param {import('../../lib/routes.js').Session} session
 * @returns {import('../../lib/menu.js').Item[]}
 */
function menu(task, session) {
  const viewer = session.user?.role === 'viewer';
  return [
    { label: 'Show result', action: () => guarded(() => showResult(Number(task.id))) },
    { label: 'Retry failed', disabled: viewer || !retriable(task), action: () => guarded(() => retry(task)) },
    { label: 'Cancel…', disabled: viewer || task.finished !== null, action: () => guarded(() => cancel(task)), separator: true },
  ];
}
