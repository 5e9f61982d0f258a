/**
 * What changes on the server, as it happens: one stream for the whole page.
 *
 * `device`, `task` and `alarm` bring rows exactly as in `GET devices`, `GET tasks`, `GET alarms`; `…-gone` bring
 * ids. `resync` brings nothing: lists are loaded anew. It also comes when the stream cannot be
 * had, now and then, so that a page is never older than some seconds.
 *
 * @typedef {'device' | 'device-gone' | 'task' | 'task-gone' | 'alarm' | 'alarm-gone' | 'resync'} Kind
 */

import { api, people } from './api.js';
import { reached } from './connection.js';

const RETRY_MS = 10_000; // a server with too many streams refuses one
const PATIENCE_MS = 1500;
/** @type {Kind[]} */
const KINDS = ['device', 'device-gone', 'task', 'task-gone', 'alarm', 'alarm-gone', 'resync'];

/** @type {Map<Kind, Set<(data: any) => void>>} */
const handlers = new Map(KINDS.map((kind) => [kind, new Set()]));

/** @type {EventSource | null} */
let source = null;
/** @type {number | undefined} */
let retry;
let everOpen = false;

/**
 * `handler` is called with each batch of `kind` until the function that is returned is called.
 *
 * @param {Kind} kind
 * @param {(data: any) => void} handler
 */
export function on(kind, handler) {
  handlers.get(kind)?.add(handler);
  return () => void handlers.get(kind)?.delete(handler);
}

/** The stream is open, or cannot be had at once: what is loaded from now on misses no change. */
export function start() {
  stop();
  everOpen = false;
  return new Promise((ready) => {
    setTimeout(ready, PATIENCE_MS);
    connect(() => ready(undefined));
  });
}

/** Nothing is told any more. */
export function stop() {
  clearTimeout(retry);
  source?.close();
  source = null;
  reached('events', true);
}

/** @param {() => void} ready */
function connect(ready) {
  const stream = new EventSource('/api/v1/events');
  let identified = false;
  source = stream;
  stream.addEventListener('open', () => {
    reached('events', true);
    if (everOpen && !identified) tell('resync', null); // nothing to resume from: something may have been missed
    everOpen = true;
    ready();
  });
  stream.addEventListener('error', () => {
    if (stream !== source) return;
    if (stream.readyState === EventSource.CONNECTING) {
      reached('events', false);
      return;
    }
    ready();
    stream.close();
    tell('resync', null);
    void stillSignedIn();
    retry = setTimeout(() => connect(() => {}), RETRY_MS);
  });
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      identified ||= event.lastEventId !== '';
      tell(kind, event.data === '' ? null : JSON.parse(event.data));
    });
  }
}

/** The stream was refused: perhaps because the session has ended, on a page that asks for nothing by itself. */
async function stillSignedIn() {
  const session = await api.get('session').catch(() => null);
  if (session !== null && session.state !== 'open') people.signIn();
}

/**
 * @param {Kind} kind
 * @param {any} data
 */
function tell(kind, data) {
  for (const handler of handlers.get(kind) ?? []) handler(data);
}
