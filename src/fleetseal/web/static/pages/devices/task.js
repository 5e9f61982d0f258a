/**
 * A task: how it looks, and what can be done with it.
 *
 * @typedef {Record<string, any>} Task a member of `GET tasks`
 */

import { api } from '../../lib/api.js';
import { confirm } from '../../lib/dialog.js';
import { begun, postSigning } from './asking.js';

/** The states of tasks and their shapes. @type {Record<string, 'good' | 'warn' | 'bad' | 'busy' | 'none'>} */
export const STATES = {
  Queued: 'none', Running: 'busy', Waiting: 'busy', Suspended: 'warn', Finished: 'good', Failed: 'bad', Cancelled: 'none',
};

/** Outcomes on a device and their shapes. @type {Record<string, 'good' | 'warn' | 'bad' | 'busy' | 'none'>} */
export const OUTCOMES = {
  Waiting: 'none', Running: 'busy', Finished: 'good', Unchanged: 'good', Skipped: 'warn', Failed: 'bad', 'Rolled back': 'bad', Cancelled: 'none',
};

/** No new device is begun, after a question. @param {Task} task */
export async function cancel(task) {
  const agreed = await confirm({
    title: `Cancel task ${task.id}`,
    text: 'Devices in work are put back as they were, the others are not begun.',
    action: 'Cancel the task',
    danger: true,
  });
  if (agreed) await api.post(`tasks/${task.id}/cancel`);
}

/** A new task for what failed in this one. @param {Task} task */
export async function retry(task) {
  const again = await postSigning(`tasks/${task.id}/retry`, {});
  if (again !== null) begun(again);
  return again;
}

/** Whether devices of it failed, so that it can be tried again. @param {Task} task */
export function retriable(task) {
  return task.finished !== null && task.action !== 'Install certificate' && (task.failed > 0 || task.state === 'Cancelled');
}
