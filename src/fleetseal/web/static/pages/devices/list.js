/** The list of devices: filter, facets, selection, actions; everything is in the browser and live. */

import { all } from '../../lib/api.js';
import { h, replace } from '../../lib/dom.js';
import * as events from '../../lib/events.js';
import { count, number } from '../../lib/format.js';
import { Grid } from '../../lib/grid.js';
import { icon } from '../../lib/icons.js';
import { openMenu } from '../../lib/menu.js';
import { navigate } from '../../lib/router.js';
import { keep, kept } from '../../lib/storage.js';
import { announce } from '../../lib/toast.js';
import { enable, menu, refresh } from './actions.js';
import { columns } from './columns.js';
import { facetBar, passes, wantedOf } from './facets.js';
import { compile, FilterProblem, narrows } from './filter.js';
import { keeping } from './rows.js';
import { taskPane } from './tasks.js';

const KEPT_COLUMNS = 'devices.columns';

/**
 * @param {HTMLElement} main
 * @param {import('../../lib/routes.js').Context} context
 * @returns {Promise<() => void>}
 */
export async function list(main, { query, session }) {
  const grid = new Grid({
    label: 'Devices',
    columns: columns(),
    sort: { key: 'address', descending: false },
    empty: ({ total }) => (total > 0 ? 'No device matches the filter.' : empty(session)),
    announce,
  });
  const row = keeping();
  grid.setColumns(kept(KEPT_COLUMNS, /** @type {unknown[]} */ ([])));
  grid.onColumns = (state) => keep(KEPT_COLUMNS, state);
  const head = heading(grid, session);
  const search = searching(grid, query);
  const tasks = taskPane(session);
  main.append(
    h('div', { class: 'page full devices' }, head.element, search.element, h('div', { class: 'devices-grid' }, grid.element), tasks.element),
  );
  grid.onActivate = (row) => navigate(`/devices/${row.id}`);
  grid.onContextMenu = ({ at }) => openMenu(at, menu(grid.selectedRows(), session));
  grid.onHeaderMenu = ({ items, at }) => openMenu(at, items);
  grid.onSelection = head.mark;
  grid.onCount = head.counted;

  const load = async () => {
    const { items } = await all('devices', head.loading);
    grid.setRows(items.map(row));
    head.counted({ shown: grid.matching().length, total: items.length });
  };
  const live = following(grid, row, load);
  await Promise.all([load(), tasks.load()]);
  live.begin();
  select(grid, query.get('select'));
  return () => {
    live.end();
    tasks.end();
    grid.destroy();
  };
}

/**
 * Devices that another page has named are selected, as far as they are there.
 *
 * @param {Grid} grid
 * @param {string | null} named ids and runs of them: `7,12-40`
 */
function select(grid, named) {
  if (named === null) return;
  const runs = named.split(',').map((one) => one.split('-').map(Number));
  const ids = grid.matching().map((row) => row.id)
    .filter((id) => runs.some(([first, last = first]) => Number(id) >= Number(first) && Number(id) <= Number(last)));
  if (ids.length === 0) return;
  grid.select(ids);
  grid.reveal(/** @type {string} */ (ids[0]));
  grid.focus();
}

/**
 * Changes as they happen; those that come while the list is loaded wait for its end.
 *
 * @param {Grid} grid
 * @param {(device: any) => import('../../lib/grid-order.js').Row} row
 * @param {() => Promise<void>} load
 */
function following(grid, row, load) {
  /** @type {(() => void)[] | null} */
  let waiting = [];
  const soon = (/** @type {() => void} */ change) => {
    if (waiting === null) change();
    else waiting.push(change);
  };
  const begin = () => {
    for (const change of waiting ?? []) change();
    waiting = null;
  };
  const again = async () => {
    if (waiting !== null) return; // it is being loaded
    waiting = [];
    try {
      await load();
    } catch {
      // The banner says that the connection is lost; the next attempt is the next resync.
    }
    begin();
  };
  const offs = [
    events.on('device', (changed) => soon(() => grid.update(changed.map(row)))),
    events.on('device-gone', (ids) => soon(() => grid.remove(ids))),
    events.on('resync', () => void again()),
  ];
  return { begin, end: () => offs.forEach((off) => off()) };
}

/**
 * The head of the page: how many, and what can be done with those that are selected.
 *
 * @param {Grid} grid
 * @param {import('../../lib/routes.js').Session} session
 */
function heading(grid, session) {
  const counts = h('span', { class: 'quiet-text devices-count' }, 'Loading…');
  const everything = h('button', { type: 'button', class: 'button quiet', hidden: true, onclick: () => grid.selectAll() });
  const button = (/** @type {string} */ label, /** @type {string} */ kind, /** @type {() => void} */ onclick) =>
    h('button', { type: 'button', class: `button ${kind}`, onclick }, label);
  const secure = button('Enable HTTPS…', 'primary', () => act(() => enable(grid.selectedRows())));
  const again = button('Refresh', '', () => act(() => refresh(grid.selectedRows())));
  const more = h('button', { type: 'button', class: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false' }, 'Actions', icon('more'));
  more.addEventListener('click', () => openMenu(more, menu(grid.selectedRows(), session)));
  const chosen = h('button', {
    type: 'button', class: 'button quiet', 'aria-haspopup': 'menu', 'aria-expanded': 'false', 'aria-label': 'Columns', title: 'Columns',
  }, icon('columns'));
  chosen.addEventListener('click', () => openMenu(chosen, columnItems(grid)));
  const mayAct = session.user?.role !== 'viewer';
  const shown = { matching: 0, total: 0, selected: 0 };
  const act = (/** @type {() => unknown} */ what) => {
    if (shown.selected === 0) announce('Select devices first.');
    else if (mayAct) void what();
  };
  const draw = () => {
    const some = shown.selected > 0;
    const told = shown.matching === shown.total ? count(shown.total, 'device') : `${number(shown.matching)} of ${count(shown.total, 'device')}`;
    counts.textContent = some ? `${told}, ${number(shown.selected)} selected` : told;
    everything.hidden = !some || shown.selected >= shown.matching;
    everything.textContent = `Select all ${number(shown.matching)}${shown.matching < shown.total ? ' that match' : ''}`;
    for (const one of [secure, again]) {
      one.setAttribute('aria-disabled', String(!some || !mayAct));
      one.title = !mayAct ? 'Needs the role operator' : some ? '' : 'Select devices first';
    }
  };
  draw();
  counts.textContent = 'Loading…';
  return {
    element: h('header', { class: 'page-head' }, h('h1', null, 'Devices'), counts, everything,
      h('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Selected devices' }, secure, again, more, chosen)),
    mark: (/** @type {number} */ selected) => {
      shown.selected = selected;
      draw();
    },
    counted: (/** @type {{ shown: number, total: number }} */ now) => {
      shown.matching = now.shown;
      shown.total = now.total;
      draw();
    },
    loading: (/** @type {number} */ done, /** @type {number} */ total) => {
      counts.textContent = `Loading ${number(done)} of ${count(total, 'device')}…`;
    },
  };
}

/**
 * @param {Grid} grid
 * @returns {import('../../lib/menu.js').Item[]}
 */
function columnItems(grid) {
  return grid.columns.map((one) => ({
    label: one.label,
    checked: !one.hidden,
    disabled: one.key === 'mac',
    action: () => grid.setColumns(grid.columns.map((now) => (now.key === one.key ? { ...now, hidden: !now.hidden } : now))),
  }));
}

/**
 * Filter and facets, which are also in the address of the page: it can be kept, sent, and gone back to.
 *
 * @param {Grid} grid
 * @param {URLSearchParams} query
 */
function searching(grid, query) {
  const wanted = wantedOf(query);
  const input = h('input', {
    type: 'search', class: 'input', 'aria-label': 'Filter', autocomplete: 'off', spellcheck: 'false', enterkeyhint: 'search',
    placeholder: 'Filter: words, or column:value', 'aria-describedby': 'filter-problem', value: query.getAll('filter').join(' '),
  });
  const problem = h('p', { id: 'filter-problem', class: 'field-error', hidden: true });
  const clear = h('button', { type: 'button', class: 'button quiet', hidden: true }, 'Show all');
  let before = '';
  const apply = (/** @type {boolean} */ facetsChanged) => {
    try {
      const test = compile(input.value);
      const pass = passes(wanted);
      const both = test === null ? pass : pass === null ? test : (/** @type {any} */ one) => pass(one) && test(one);
      grid.filter(both, { narrows: !facetsChanged && before !== '' && narrows(before, input.value) });
      before = input.value;
      replace(problem);
      problem.hidden = true;
    } catch (error) {
      if (!(error instanceof FilterProblem)) throw error;
      replace(problem, error.message);
      problem.hidden = false;
    }
    clear.hidden = input.value === '' && wanted.size === 0;
    const address = new URLSearchParams(input.value === '' ? [] : [['filter', input.value]]);
    for (const [column, values] of wanted) for (const value of values) address.append(column, value);
    history.replaceState(null, '', `/devices${address.size > 0 ? `?${address}` : ''}`);
  };
  const facets = facetBar({
    rows: () => rowsPassing(grid.rows, input.value),
    wanted,
    changed: () => {
      facets.mark();
      apply(true);
    },
  });
  input.addEventListener('input', () => apply(false));
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'Enter') {
      event.preventDefault();
      grid.focus();
    }
  });
  clear.addEventListener('click', () => {
    input.value = '';
    wanted.clear();
    facets.mark();
    apply(true);
    input.focus();
  });
  if (input.value !== '' || wanted.size > 0) apply(true);
  return { element: h('div', { class: 'devices-search' }, h('div', { class: 'search' }, icon('search'), input), facets.element, clear, problem) };
}

/**
 * The devices that the words let through, whatever the facets say.
 *
 * @param {import('../../lib/grid-order.js').Row[]} rows
 * @param {string} text
 */
function rowsPassing(rows, text) {
  try {
    const test = compile(text);
    return test === null ? rows : rows.filter(test);
  } catch (error) {
    if (!(error instanceof FilterProblem)) throw error;
    return rows;
  }
}

/** @param {import('../../lib/routes.js').Session} session */
function empty(session) {
  return h('div', { class: 'empty' },
    h('p', null, 'There are no devices yet.'),
    h('p', null, 'Fleetseal finds the cameras of your network, or takes their addresses.'),
    session.user?.role !== 'viewer' && h('a', { class: 'button primary', href: '/add' }, icon('add'), 'Add devices'));
}
