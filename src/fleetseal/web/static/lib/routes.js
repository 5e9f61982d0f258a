/**
 * Which page is at which path, in the order of the navigation. A new page is one line here and its file.
 *
 * A page's module has `title` and `show(main, context)`, which may return a function that ends it.
 *
 * @typedef {{ id: number, name: string, role: 'viewer' | 'operator' | 'administrator' }} User
 * @typedef {{ state: 'setup' | 'login' | 'open', user: User | null, confirmed_until: string | null, version: string }} Session
 * @typedef {{ path: string, parts: string[], query: URLSearchParams, session: Session }} Context `parts`: what the path
 *   has beyond the route's own.
 * @typedef {{ title: string, show: (main: HTMLElement, context: Context) => unknown }} Page
 * @typedef {{
 *   path: string,
 *   load: () => Promise<Page>,
 *   label?: string,
 *   icon?: string,
 *   group?: string,
 *   role?: User['role'],
 * }} Route `label`: shown in the navigation; `group`: below this heading; `role`: the least that has use for the page; the page of a path has also what is below the
 *   path, unless a longer one has it.
 */

/** @type {Route[]} */
export const ROUTES = [
  { path: '/', label: 'Dashboard', icon: 'dashboard', load: () => import('../pages/dashboard.js') },
  { path: '/devices', label: 'Devices', icon: 'device', load: () => import('../pages/devices.js') },
  { path: '/add', label: 'Add devices', icon: 'add', role: 'operator', load: () => import('../pages/adding.js') },
  { path: '/alarms', label: 'Alarms', icon: 'alarm', load: () => import('../pages/alarms.js') },
  { path: '/certificates', label: 'Certificates issued', icon: 'certificate', load: () => import('../pages/certificates.js') },
  { path: '/trust', label: 'Trust', icon: 'trust', load: () => import('../pages/trust.js') },
  { path: '/configuration/certificates', label: 'Certificates', group: 'Configuration', load: () => import('../pages/configuration/certificates.js') },
  { path: '/configuration/security', label: 'Security', group: 'Configuration', load: () => import('../pages/configuration/security.js') },
  { path: '/configuration/discovery', label: 'Discovery', group: 'Configuration', role: 'administrator', load: () => import('../pages/configuration/discovery.js') },
  { path: '/configuration/renewal', label: 'Renewal', group: 'Configuration', load: () => import('../pages/configuration/renewal.js') },
  { path: '/configuration/alarms', label: 'Alarm delivery', group: 'Configuration', role: 'administrator', load: () => import('../pages/configuration/alarms.js') },
  { path: '/configuration/users', label: 'Users and tokens', group: 'Configuration', role: 'administrator', load: () => import('../pages/configuration/users.js') },
  { path: '/configuration/audit', label: 'Audit log', group: 'Configuration', role: 'administrator', load: () => import('../pages/configuration/audit.js') },
  { path: '/configuration/backup', label: 'Backup', group: 'Configuration', role: 'administrator', load: () => import('../pages/configuration/backup.js') },
];

/**
 * The route of a path, and what the path has beyond it.
 *
 * @param {string} path
 * @returns {{ route: Route, parts: string[] } | null}
 */
export function find(path) {
  const fits = ROUTES.filter((one) => path === one.path || (one.path !== '/' && path.startsWith(`${one.path}/`)));
  const route = fits.sort((a, b) => b.path.length - a.path.length)[0];
  if (route === undefined) return null;
  const parts = path.slice(route.path.length).split('/').filter(Boolean);
  try {
    return { route, parts: parts.map(decodeURIComponent) };
  } catch {
    return null; // not UTF-8
  }
}
