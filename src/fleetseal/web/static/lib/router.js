/** Paths and pages: links inside the application change the page without loading it anew. */

import { Problem } from './api.js';
import { h, replace } from './dom.js';
import { icon } from './icons.js';
import { find } from './routes.js';
import { announce } from './toast.js';

/** @type {unknown} */
let ending;
let visit = 0;
/** @type {((path: string) => void) | null} */
let show = null;

/**
 * Shows the page of the address now, and of each address from now on. Ends when the function that is returned is called.
 *
 * @param {HTMLElement} main
 * @param {import('./routes.js').Session} session
 * @param {(path: string) => void} arrived told each path
 */
export function route(main, session, arrived) {
  const go = async () => {
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.dispatchEvent(new Event('cancel'));
    visit += 1;
    const mine = visit;
    if (typeof ending === 'function') ending();
    ending = null;
    arrived(location.pathname);
    const ended = await fill(main, session, () => mine === visit);
    if (mine === visit) ending = ended;
    else if (typeof ended === 'function') ended();
  };
  /** @param {MouseEvent} event */
  const click = (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (!(link instanceof HTMLAnchorElement) || link.target !== '' || link.hasAttribute('download')) return;
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.pathname.startsWith('/api/')) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  };
  show = (path) => {
    history.pushState(null, '', path);
    void go();
  };
  addEventListener('popstate', go);
  document.addEventListener('click', click);
  void go();
  return () => {
    visit += 1;
    removeEventListener('popstate', go);
    document.removeEventListener('click', click);
    if (typeof ending === 'function') ending();
    ending = null;
    show = null;
  };
}

/** Goes to a page of the application. @param {string} path with its query */
export function navigate(path) {
  show?.(path);
}

/**
 * @param {HTMLElement} main
 * @param {import('./routes.js').Session} session
 * @param {() => boolean} current nobody has gone on meanwhile
 */
async function fill(main, session, current) {
  const path = location.pathname.replace(/\/+$/, '') || '/';
  const found = find(path);
  main.setAttribute('aria-busy', 'true');
  try {
    if (found === null) throw new Problem(404, 'not-found', 'There is no such page.');
    const page = await found.route.load();
    if (!current()) return null;
    document.title = `${page.title} – Fleetseal`;
    replace(main);
    const query = new URLSearchParams(location.search);
    const ended = await page.show(main, { path, parts: found.parts, query, session });
    if (current()) arrive(main, page.title);
    return ended;
  } catch (error) {
    if (!current()) return null;
    if (error instanceof Problem && error.code === 'not-signed-in') return null;
    broken(main, error);
    if (!(error instanceof Problem)) throw error;
    return null;
  } finally {
    if (current()) main.removeAttribute('aria-busy');
  }
}

/**
 * Screen readers hear where they are; the keyboard begins at the page.
 *
 * @param {HTMLElement} main
 * @param {string} title
 */
function arrive(main, title) {
  if (document.querySelector('dialog[open]') !== null) return;
  if (!main.contains(document.activeElement)) main.focus({ preventScroll: true });
  announce(title);
}

/**
 * @param {HTMLElement} main
 * @param {unknown} error
 */
function broken(main, error) {
  const known = error instanceof Problem;
  document.title = 'Not shown – Fleetseal';
  replace(
    main,
    h('div', { class: 'page narrow' },
      h('h1', null, known && error.status === 404 ? 'Not found' : 'This page cannot be shown'),
      h('p', { class: 'problem', role: 'alert' }, icon('error'),
        h('span', null, known ? error.detail : 'A defect of this page. Load it again; if it stays, the browser\u2019s console says more.')),
      h('p', null, h('button', { type: 'button', class: 'button', onclick: () => location.reload() }, 'Try again'))),
  );
}
