/** What is around every page: navigation, who is signed in, light or dark. */

import { api } from './api.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { openMenu } from './menu.js';
import { navigate } from './router.js';
import { find, ROUTES } from './routes.js';
import { kept, keep } from './storage.js';

const ROLES = ['viewer', 'operator', 'administrator'];

/**
 * @param {import('./routes.js').Session} session
 * @param {() => void} left the person has signed out
 * @returns {{ element: HTMLElement, main: HTMLElement, arrived: (path: string) => void }} `main` is busy until a page is there
 */
export function shell(session, left) {
  const nav = h('nav', { id: 'navigation', 'aria-label': 'Pages' }, ...entries(session.user?.role ?? 'viewer'));
  const main = h('main', { id: 'main', class: 'main', tabindex: '-1', 'aria-busy': 'true' });
  const toggle = h('button', {
    type: 'button', class: 'button quiet nav-toggle', 'aria-label': 'Pages', 'aria-controls': 'navigation', 'aria-expanded': 'false',
  }, icon('menu'));
  const side = h('header', { class: 'side' },
    h('a', { class: 'brand', href: '/' }, h('img', { src: '/static/icon.svg', alt: '', width: '22', height: '22' }), 'Fleetseal'),
    toggle, nav, person(session, left));
  const open = (/** @type {boolean} */ yes) => {
    side.classList.toggle('open', yes);
    toggle.setAttribute('aria-expanded', String(yes));
  };
  toggle.addEventListener('click', () => open(!side.classList.contains('open')));
  nav.addEventListener('click', () => open(false));
  side.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !side.classList.contains('open')) return;
    open(false);
    toggle.focus();
  });
  const element = h('div', { class: 'shell' }, h('a', { class: 'skip', href: '#main', onclick: skip }, 'Skip to the page'), side, main);
  return {
    element,
    main,
    arrived: (path) => mark(nav, path),
  };
}

/** Light, dark, or as the computer says; kept in this browser. */
export function applyTheme() {
  const theme = kept('theme', /** @type {string} */ ('system'));
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

/** @param {import('./routes.js').User['role']} role */
function entries(role) {
  /** @type {HTMLElement[]} */
  const made = [];
  let group = '';
  for (const one of ROUTES) {
    if (one.label === undefined || ROLES.indexOf(role) < ROLES.indexOf(one.role ?? 'viewer')) continue;
    if (one.group !== undefined && one.group !== group) made.push(h('div', { class: 'nav-group' }, one.group));
    group = one.group ?? '';
    made.push(h('a', { href: one.path, class: one.group ? 'nav-link inner' : 'nav-link' }, one.icon && icon(one.icon),
      h('span', null, one.label), h('span', { class: 'nav-count', 'data-count-of': one.path, hidden: true })));
  }
  return made;
}

/**
 * @param {HTMLElement} nav
 * @param {string} path
 */
function mark(nav, path) {
  const here = find(path)?.route.path;
  for (const link of nav.querySelectorAll('a')) {
    if (link.pathname === here) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

/**
 * @param {import('./routes.js').Session} session
 * @param {() => void} left
 */
function person(session, left) {
  const user = session.user;
  const button = h('button', { type: 'button', class: 'person', 'aria-haspopup': 'menu', 'aria-expanded': 'false' },
    icon('user'), h('span', { class: 'person-name' }, h('bdi', null, user?.name ?? ''), h('small', null, user?.role ?? '')));
  const theme = (/** @type {string} */ value, /** @type {string} */ label) => ({
    label: kept('theme', 'system') === value ? `${label} (now)` : label,
    action: () => {
      keep('theme', value);
      applyTheme();
    },
  });
  button.addEventListener('click', () =>
    openMenu(button, [
      { label: 'Appearance', submenu: [theme('system', 'As the computer'), theme('light', 'Light'), theme('dark', 'Dark')] },
      { label: 'Password…', action: () => navigate('/configuration/users') },
      { label: `Version ${session.version}`, disabled: true },
      {
        label: 'Sign out',
        separator: true,
        action: async () => {
          await api.delete('session');
          left();
        },
      },
    ]));
  return button;
}

/** @param {MouseEvent} event */
function skip(event) {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
