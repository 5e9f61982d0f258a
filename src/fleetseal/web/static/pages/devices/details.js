/** One device: what is wrong and what to do, what it is, its certificates with their chain, its history. */

import { api, Problem } from '../../lib/api.js';
import { h, isolated, replace } from '../../lib/dom.js';
import * as events from '../../lib/events.js';
import { icon } from '../../lib/icons.js';
import { openMenu } from '../../lib/menu.js';
import { navigate } from '../../lib/router.js';
import { advice } from '../remedies.js';
import { enable, menu, refresh } from './actions.js';
import { guarded } from './asking.js';
import { deleteCertificate, entries, installCertificates } from './certificates.js';
import { addressLink, state, STATUSES } from './columns.js';
import { certificateCard, factsCard } from './facts.js';
import { historyCard } from './history.js';
import { editDevices, setClock, setUp } from './dialogs.js';
import { enableHttps } from './enable.js';
import { trustDevices } from './trust.js';

/** @typedef {import('./filter.js').Device} Device */

/** What an address may ask for: each is a dialog, so that a link alone does nothing. @type {Record<string, (devices: Device[]) => unknown>} */
const ASKED = {
  enable: enableHttps, edit: editDevices, trust: trustDevices, setup: setUp, install: installCertificates, delete: deleteCertificate,
};

/**
 * @param {HTMLElement} main
 * @param {import('../../lib/routes.js').Context} context
 * @param {string} reference
 * @returns {Promise<() => void>}
 */
export async function details(main, { session, query }, reference) {
  let device = await api.get(`devices/${encodeURIComponent(reference)}`);
  const authorities = await api.get('authorities');
  const top = h('div', { class: 'details-top' });
  const left = h('div', { class: 'details-column' });
  const history = h('section', { class: 'card', 'aria-label': 'History' });
  const read = reading(() => device);
  const draw = () => {
    document.title = `${device.mac ?? device.address} – Fleetseal`;
    replace(top, head(device, session), todo(device, session));
    replace(left, certificateCard(device, authorities, read.element), factsCard(device));
  };
  main.append(h('div', { class: 'page details' }, h('a', { href: '/devices', class: 'back' }, icon('chevron'), 'Devices'), top,
    h('div', { class: 'details-columns' }, left, h('div', { class: 'details-column' }, history))));
  draw();
  await historyCard(history, device, session);
  const asked = ASKED[query.get('do') ?? ''];
  if (asked !== undefined) {
    window.history.replaceState(null, '', `/devices/${device.id}`);
    if (session.user?.role !== 'viewer') void guarded(() => asked([device]));
  }
  let latest = 0;
  const again = async () => {
    latest += 1;
    const mine = latest;
    try {
      const now = await api.get(`devices/${device.id}`);
      if (mine !== latest) return;
      device = now;
      draw();
      await historyCard(history, device, session);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 404) navigate('/devices');
    }
  };
  const offs = [
    events.on('device', (rows) => {
      if (rows.some((/** @type {Device} */ one) => one.id === device.id)) void again();
    }),
    events.on('device-gone', (ids) => {
      if (ids.includes(device.id)) navigate('/devices');
    }),
    events.on('resync', () => void again()),
  ];
  return () => {
    latest += 1;
    offs.forEach((off) => off());
  };
}

/**
 * @param {Device} device
 * @param {import('../../lib/routes.js').Session} session
 */
function head(device, session) {
  const may = session.user?.role !== 'viewer';
  const more = h('button', { type: 'button', class: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false' }, 'Actions', icon('more'));
  more.addEventListener('click', () => openMenu(more, menu([device], session, { gone: () => navigate('/devices') })));
  return h('header', { class: 'page-head' },
    h('h1', null, isolated(device.model, 'Device'), ' ', h('span', { class: 'mono details-mac' }, isolated(device.mac))),
    h('div', { class: 'details-line' }, state(device.status, STATUSES[device.status]), addressLink(device)),
    h('div', { class: 'toolbar' },
      may && h('button', { type: 'button', class: 'button primary', onclick: () => enable([device]) }, 'Enable HTTPS…'),
      may && h('button', { type: 'button', class: 'button', onclick: () => refresh([device]) }, 'Refresh'),
      more));
}

/**
 * Every status that holds, with its reason and the way out.
 *
 * @param {Device} device
 * @param {import('../../lib/routes.js').Session} session
 */
function todo(device, session) {
  /** @type {{ what: string, reason: string, shape: string }[]} */
  const found = [
    ...device.statuses.filter((/** @type {any} */ one) => one.status !== 'OK')
      .map((/** @type {any} */ one) => ({ what: one.status, reason: one.reason, shape: STATUSES[one.status] ?? 'warn' })),
    ...device.findings.map((/** @type {any} */ one) => ({ what: one.finding, reason: one.reason, shape: 'warn' })),
  ];
  if (device.https.startsWith('Disabled')) {
    found.push({ what: `HTTPS is ${device.https.toLowerCase()}`, reason: 'What is sent to and from it can be read on the network.', shape: 'warn' });
  } else if (device.https.startsWith('Unsupported')) {
    found.push({ what: device.https, reason: device.support_reason, shape: 'none' });
  }
  if (found.length === 0) return h('p', { class: 'notice good' }, icon('check'), h('span', null, 'Nothing to do: this device is as it should be.'));
  const ways = waysOut(device);
  return h('section', { class: 'card', 'aria-label': 'What to do' }, h('h2', null, 'What to do'),
    h('ul', { class: 'todo' }, ...found.map(({ what, reason, shape }) => {
      const way = ways.find((one) => one.fits(what));
      const allowed = way !== undefined && session.user?.role !== 'viewer' && (!way.administrator || session.user?.role === 'administrator');
      return h('li', null, h('div', null, h('strong', null, state(what, shape)), h('p', null, allowed ? isolated(reason) : advice(reason, device.id))),
        allowed && h('button', { type: 'button', class: 'button', onclick: () => void guarded(way.act) }, way.label));
    })));
}

/**
 * What mends what.
 *
 * @param {Device} device
 * @returns {{ fits: (what: string) => boolean, label: string, act: () => unknown, administrator?: boolean }[]}
 */
function waysOut(device) {
  const one = [device];
  const is = (/** @type {string[]} */ ...names) => (/** @type {string} */ what) => names.includes(what);
  return [
    { fits: is('Identity changed', 'Certificate not trusted'), label: 'Trust…', act: () => trustDevices(one), administrator: true },
    { fits: is('Wrong credentials', 'Credentials needed'), label: 'Edit…', act: () => editDevices(one) },
    { fits: is('Setup needed'), label: 'Set up…', act: () => setUp(one) },
    { fits: is('Clock is wrong'), label: 'Set the clock', act: () => setClock(one) },
    { fits: is('Unreachable'), label: 'Look again', act: () => refresh(one) },
    {
      fits: (what) => what.startsWith('HTTPS is') || is('Certificate has expired', 'Certificate about to expire', 'Names no longer fit')(what),
      label: 'Enable HTTPS…',
      act: () => enable(one),
    },
  ];
}

/**
 * Everything in the device's store, read from it when a person asks.
 *
 * @param {() => Device} device
 */
function reading(device) {
  const place = h('div', { class: 'form', 'aria-live': 'polite' });
  const button = h('button', { type: 'button', class: 'button' }, 'Read all entries from the device');
  button.addEventListener('click', () => void guarded(async () => {
    replace(place, h('p', { class: 'quiet-text' }, 'Reading…'));
    try {
      const found = await api.get(`certificates?device=${device().id}`);
      replace(place, ...found.flatMap(entries));
    } catch (error) {
      replace(place);
      throw error;
    }
  }));
  return { element: h('div', { class: 'form' }, h('div', null, button), place) };
}
