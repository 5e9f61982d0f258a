/**
 * The REST API. Each request ends with its JSON, or with a `Problem`. A lost connection is tried again for a minute;
 * an action keeps its key over these tries, so that it is done once.
 */

import { reached } from './connection.js';

const ROOT = '/api/v1/';
const PATIENCE_MS = 60_000;
const PAUSES_MS = [300, 1000, 2000, 4000];

/** What went wrong, in the server's words (RFC 9457). Status 0: the server did not answer. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} detail one or two sentences for people
   */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/**
 * What the application does for requests that need a person; `app.js` sets them.
 *
 * @type {{ signIn: () => void, confirmPassword: () => Promise<boolean> }}
 */
export const people = { signIn: () => {}, confirmPassword: async () => false };

export const api = {
  /** @param {string} path below `/api/v1/` */
  get: async (path) => (await send('GET', path)).body,
  /** @param {string} path @param {unknown} [body] */
  post: async (path, body) => (await send('POST', path, body ?? {})).body,
  /** @param {string} path @param {unknown} [body] */
  put: async (path, body) => (await send('PUT', path, body ?? {})).body,
  /** @param {string} path @param {unknown} [body] */
  patch: async (path, body) => (await send('PATCH', path, body ?? {})).body,
  /** @param {string} path */
  delete: async (path) => (await send('DELETE', path)).body,
  /**
   * A file that the server makes anew each time it is asked, with its name.
   *
   * @param {string} path @param {unknown} body
   * @returns {Promise<{ blob: Blob, name: string }>}
   */
  blob: async (path, body) => {
    const { body: blob, headers } = await send('POST', path, body, { take: (response) => response.blob(), once: false });
    return { blob, name: /filename="([^"]*)"/.exec(headers.get('Content-Disposition') ?? '')?.[1] ?? 'download' };
  },
};

/**
 * Every item of a long list, page by page; `progress` is told how many are there.
 *
 * @param {string} path
 * @param {(loaded: number, total: number) => void} [progress]
 * @returns {Promise<{ items: any[], position: string | null }>} with the position that `GET events` goes on from
 */
export async function all(path, progress) {
  /** @type {any[]} */
  const items = [];
  /** @type {string | null} */
  let position = null;
  /** @type {string | null} */
  let after = null;
  do {
    const query = new URLSearchParams({ limit: '5000', ...(after === null ? {} : { after }) });
    const { body, headers } = await send('GET', `${path}?${query}`);
    if (Array.isArray(body)) return { items: body, position: headers.get('X-Fleetseal-Position') };
    items.push(...body.items);
    position ??= headers.get('X-Fleetseal-Position');
    after = body.next;
    progress?.(items.length, body.total);
  } while (after !== null);
  return { items, position };
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {{ confirmed?: boolean, take?: (response: Response) => Promise<any>, once?: boolean }} [how] `confirmed`: the
 *   password has been asked for already; `take`: what is made of a good answer; `once`: tries are one action
 * @returns {Promise<{ body: any, headers: Headers }>}
 */
async function send(method, path, body, how = {}) {
  const { confirmed = false, take = read, once = true } = how;
  const response = await persist(method, path, body, once);
  if (response.ok) return { body: await take(response), headers: response.headers };
  const answer = await read(response);
  const problem = new Problem(
    response.status,
    typeof answer?.code === 'string' ? answer.code : 'unexpected-answer',
    typeof answer?.detail === 'string' ? answer.detail : `The server answered with status ${response.status}.`,
  );
  if (problem.code === 'confirm-password' && !confirmed && (await people.confirmPassword())) {
    return send(method, path, body, { ...how, confirmed: true });
  }
  if (problem.code === 'not-signed-in') people.signIn();
  throw problem;
}

/**
 * The answer, however often the connection is lost within the time.
 *
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 * @param {boolean} once
 */
async function persist(method, path, body, once) {
  /** @type {Record<string, string>} */
  const headers = { 'X-Fleetseal': '1', Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (once && method !== 'GET') headers['Idempotency-Key'] = crypto.randomUUID?.() ?? randomKey();
  /** @type {RequestInit} */
  const request = { method, headers, cache: 'no-store', credentials: 'same-origin', redirect: 'error' };
  if (body !== undefined) request.body = JSON.stringify(body);
  const until = performance.now() + PATIENCE_MS;
  for (let tries = 0; ; tries += 1) {
    try {
      const response = await fetch(ROOT + path, request);
      reached('requests', true);
      return response;
    } catch {
      reached('requests', false);
      if (performance.now() > until) throw new Problem(0, 'connection-lost', lostText(method));
      await new Promise((later) => setTimeout(later, PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)]));
    }
  }
}

/** @param {string} method */
function lostText(method) {
  const what = 'The server does not answer.';
  return method === 'GET' ? `${what} Try again.` : `${what} Whether this was done is not known: look before you try again.`;
}

/** `crypto.randomUUID` is there in secure contexts only. */
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param {Response} response */
async function read(response) {
  const text = await response.text();
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
