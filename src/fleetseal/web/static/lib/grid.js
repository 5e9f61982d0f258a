/**
 * A grid of very many rows: only those in sight exist in the page.
 *
 * ```js
 * const grid = new Grid({
 *   label: 'Devices',
 *   columns: [
 *     {key: 'mac', label: 'MAC address', width: 130, kind: 'code', sticky: true},
 *     {key: 'address', label: 'Address', width: 140, kind: 'address', render: (row) => h('a', {href: …}, row.address)},
 *     {key: 'expires', label: 'Expires', width: 110, kind: 'date', value: (row) => row.certificate?.not_after, hidden: true},
 *   ],
 *   sort: {key: 'address', descending: false},
 *   empty: ({total}) => (total ? 'No device matches the filter.' : h('p', null, 'No devices yet.')),
 *   announce,                                         // from toast.js: what a screen reader is told
 * });
 * main.append(grid.element);                          // fills its parent: give that a height
 * grid.onSelection = (count) => …;                    // at most once a frame
 * grid.onActivate = (row) => …;                       // double click, Enter
 * grid.onContextMenu = ({ids, row, at}) => openMenu(at, …);   // at: {x, y}; the row clicked is selected by then
 * grid.onHeaderMenu = ({items, at}) => openMenu(at, items);   // items as lib/menu.js takes them
 * grid.onColumns = (state) => localStorage.setItem(…, JSON.stringify(state));
 * grid.onCount = ({shown, total}) => …;               // at most once a frame
 *
 * grid.setRows(rows);  grid.update(rows);  grid.remove(ids);  grid.get(id);
 * grid.filter((row) => …);  grid.filter(fn, {narrows: true});  grid.filter(null);
 * grid.sort('model', {descending: true});
 * grid.selection;  grid.selectedRows();  grid.selectAll();  grid.select(ids);
 * grid.rows;                                          // all of them, in no order
 * grid.matching();                                    // the rows that the filter lets through, as they are ordered
 * grid.columns;  grid.setColumns(state);              // order, widths and what is hidden
 * grid.reveal(id);  grid.focus();  grid.destroy();
 * ```
 *
 * What holds:
 * - A row is an object with `id` (a string). The grid keeps the object and never changes it: `update` wants a new one.
 * - `update` adds rows it does not know. Updates are drawn together in the next frame; `get` sees them at once.
 * - Selected are only rows that are shown: what the filter hides, or what is removed, leaves the selection, so that no
 *   action meets a device that nobody sees. "All that match" is `selectAll()` or Ctrl+A, drawn or not.
 * - Text becomes text nodes; `render` gives a string or a node, for rows in sight only.
 * - Sorting: empty values last in both directions; equal ones in the order in which they came.
 * - The keyboard focus is on `grid.focusable`, one element for good; the active cell is named by aria-activedescendant and
 *   is in the page even when it is scrolled out of sight, so updates, sorting and scrolling never lose it.
 * - Keys: arrows, Page Up/Down, Home/End (in the row), Ctrl+Home/End; Shift with them extends; Space selects, Ctrl+Space
 *   toggles (as a tap does), Ctrl+A selects all that match, Escape selects none; Enter follows the link of the active cell, else activates
 *   the row; Shift+F10 or the menu key opens the menu. On a header (arrow up from the first row): Enter or Space sorts,
 *   Alt+Left/Right moves the column, Shift+Left/Right makes it narrower or wider; the menu has the same.
 *
 * @module
 */

import {h} from './dom.js';
import {Columns} from './grid-columns.js';
import {Header} from './grid-header.js';
import {hint, listen} from './grid-input.js';
import {Stage} from './grid-stage.js';
import {explain, View} from './grid-view.js';

/** @typedef {import('./grid-order.js').Row} Row */
/** @typedef {import('./grid-columns.js').ColumnState} ColumnState */
/** @typedef {import('./grid-header.js').Item} Item */
/** @typedef {{key: string, descending: boolean}} Sort */
/**
 * @typedef {object} Options
 * @property {string} label what the rows are, for a screen reader
 * @property {readonly import('./grid-columns.js').Column[]} columns
 * @property {Sort} [sort]
 * @property {number} [rowHeight] in pixels
 * @property {(counts: {total: number}) => string | Node} [empty] stands where no row is shown, once there were any to set
 * @property {(text: string) => void} [announce]
 */

const QUIET = 300; // milliseconds without a change before it is told or tidied up
let grids = 0;

export class Grid {
  /** @type {(count: number) => void} */
  onSelection = () => {};
  /** @type {(row: Row) => void} */
  onActivate = () => {};
  /** @type {(what: {ids: string[], row: Row, at: {x: number, y: number}}) => void} */
  onContextMenu = () => {};
  /** @type {(what: {items: Item[], at: {x: number, y: number}}) => void} */
  onHeaderMenu = () => {};
  /** @type {(state: ColumnState[]) => void} */
  onColumns = () => {};
  /** @type {(counts: {shown: number, total: number}) => void} */
  onCount = () => {};

  /** Put this into the page. */
  element = h('div', {class: 'grid'});
  /** This has the keyboard focus. */
  focusable = h('div', {class: 'grid-scroll'});

  #columns;
  #header;
  #view;
  #stage;
  /** @type {Sort | null} */
  #sort;
  #options;
  #body = h('div', {class: 'grid-body'});
  #void = h('div', {class: 'grid-empty'});
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #quiet = undefined;
  #told = {version: 0, shown: -1, total: -1};
  #loading = true; // until rows are set
  #announced = '';
  #ending = new AbortController();
  #sizes = new ResizeObserver(() => this.#measure());

  /** @param {Options} options */
  constructor(options) {
    const {rowHeight = 28, columns, label} = options;
    const {focusable} = this;
    const name = `grid${(grids += 1)}`;
    this.#options = options;
    this.#sort = options.sort ?? null;
    this.#columns = new Columns(columns);
    this.#header = new Header(name, {
      sort: (key) => this.#turn(key),
      sortTo: (key, descending) => this.sort(key, {descending}),
      resize: (key, width) => this.#recolumn(() => this.#columns.resize(key, width)),
      move: (key, by) => this.#recolumn(() => this.#columns.move(key, by)),
      hide: (key, hidden) => this.#recolumn(() => this.#columns.hide(key, hidden)),
      widest: (place) => this.#view.widest(place),
    });
    this.#view = new View({scroller: focusable, body: this.#body, rowHeight, name});
    this.#stage = new Stage({focusable, view: this.#view, header: this.#header}, () => this.#tell());
    this.element.style.setProperty('--grid-row-height', `${rowHeight}px`);
    this.#assemble(label);
    this.#rebuild();
  }

  /**
   * These rows and no others. What was selected and is still there stays selected.
   * @param {Iterable<Row>} rows
   */
  setRows(rows) {
    const sort = this.#sort;
    if (this.#loading) this.#told.total = -1;
    this.#loading = false;
    this.#stage.reset(rows, () => {
      if (sort) this.#stage.order.sort(this.#columns.get(sort.key), sort.descending);
    });
  }

  /**
   * Changed and new rows.
   * @param {Iterable<Row>} rows
   */
  update(rows) {
    for (const row of rows) this.#stage.order.put(row);
    this.#stage.schedule();
  }

  /** @param {Iterable<string>} ids */
  remove(ids) {
    for (const id of ids) this.#stage.order.remove(id);
    this.#stage.schedule();
  }

  /** @returns {Row[]} all, shown or not, in no order */
  get rows() {
    return this.#stage.order.rows.filter((row) => row !== undefined);
  }

  /** @param {string} id */
  get(id) {
    return this.#stage.order.rows[this.#stage.order.slot(id)] ?? null;
  }

  /**
   * Shows the rows for which `filter` holds, all when it is null.
   * @param {((row: Row) => boolean) | null} filter
   * @param {{narrows?: boolean}} [options] narrows: it holds for no row for which the last filter did not
   */
  filter(filter, {narrows = false} = {}) {
    this.#stage.order.filter(filter, narrows);
    this.#stage.settled();
    this.#view.scrollTo(0);
    this.#later();
  }

  /**
   * @param {string} key of a column
   * @param {{descending?: boolean}} [options]
   */
  sort(key, {descending = false} = {}) {
    const column = this.#columns.get(key);
    if (!column) return;
    this.#sort = {key, descending};
    this.#stage.order.sort(column, descending);
    this.#header.mark(this.#sort);
    this.#stage.settled();
    this.#view.scrollTo(0);
    this.#options.announce?.(`Sorted by ${column.label}, ${descending ? 'descending' : 'ascending'}.`);
  }

  /** @returns {string[]} ids, as they are shown */
  get selection() {
    return this.selectedRows().map((row) => row.id);
  }

  /** @returns {Row[]} as they are shown */
  selectedRows() {
    return this.#stage.selected();
  }

  selectAll() {
    this.#stage.settle();
    this.#stage.selection.all();
    this.#selected();
  }

  /**
   * These and no others; those that are not shown are left out.
   * @param {Iterable<string>} ids
   */
  select(ids) {
    this.#stage.select(ids);
    this.#later();
  }

  /** @returns {Row[]} the rows that the filter lets through, as they are ordered */
  matching() {
    const {order} = this.#stage;
    this.#stage.settle();
    return Array.from(order.shown, (slot) => /** @type {Row} */ (order.rows[slot]));
  }

  /** What there is to choose from, for a menu of columns. */
  get columns() {
    return this.#columns.all.map(({key, label, width, hidden}) => ({key, label, width, hidden}));
  }

  /** @param {unknown} state what `onColumns` gave; anything else changes nothing */
  setColumns(state) {
    this.#recolumn(() => this.#columns.restore(state));
  }

  /**
   * Makes a row the active one and scrolls to it.
   * @param {string} id
   * @returns {boolean} whether it is shown
   */
  reveal(id) {
    const {order} = this.#stage;
    this.#stage.settle();
    const index = order.indexOf(order.slot(id));
    if (index >= 0) this.#stage.go(index, this.#stage.place);
    return index >= 0;
  }

  focus() {
    this.focusable.focus({preventScroll: true});
  }

  destroy() {
    this.#ending.abort();
    this.#sizes.disconnect();
    this.#stage.stop();
    clearTimeout(this.#quiet);
  }

  /** @param {string} label */
  #assemble(label) {
    const {focusable} = this;
    const head = h('div', {class: 'grid-heads'});
    head.setAttribute('role', 'rowgroup');
    this.#body.setAttribute('role', 'rowgroup');
    head.append(this.#header.element);
    focusable.append(head, this.#body);
    focusable.tabIndex = 0;
    focusable.setAttribute('role', 'grid');
    focusable.setAttribute('aria-label', label);
    focusable.setAttribute('aria-multiselectable', 'true');
    this.element.append(focusable, this.#void);
    const {signal} = this.#ending;
    focusable.addEventListener('scroll', () => {
      this.#stage.schedule();
      this.#later();
    }, {signal, passive: true});
    focusable.addEventListener('mouseover', (event) => explain(event.target), {signal});
    listen(focusable, this.#acts(), signal);
    hint(this.element, focusable, signal);
    this.#sizes.observe(focusable);
  }

  /** @returns {import('./grid-input.js').Acts} */
  #acts() {
    const view = this.#view;
    const key = (/** @type {number} */ place) => view.columns[place].key;
    return {
      stage: this.#stage,
      header: this.#header,
      view,
      selected: () => this.#selected(),
      all: () => this.selectAll(),
      none: () => {
        this.#stage.selection.none();
        this.#selected();
      },
      activate: (index) => this.#activate(index),
      follow: () => this.#follow(),
      contextMenu: (row, at) => this.onContextMenu({ids: this.selection, row, at}),
      headerMenu: (at) => {
        this.onHeaderMenu({items: this.#header.items(this.#stage.place, this.#columns.all), at});
      },
      sort: (place) => this.#turn(key(place)),
      move: (place, by) => this.#recolumn(() => this.#columns.move(key(place), by), key(place)),
      resize: (place, by) => this.#recolumn(() => this.#columns.resize(key(place), view.columns[place].width + by)),
    };
  }

  /**
   * Sorts by this column; asked again, the other way round.
   * @param {string} key
   */
  #turn(key) {
    this.sort(key, {descending: this.#sort?.key === key && !this.#sort.descending});
  }

  /** @param {number} index */
  #activate(index) {
    const row = this.#stage.row(index);
    if (row) this.onActivate(row);
  }

  #follow() {
    this.#stage.draw();
    const inside = this.#stage.marked?.querySelector('a[href], button');
    if (inside instanceof HTMLElement) inside.click();
    else this.#activate(this.#stage.index);
  }

  /**
   * @param {() => void} change
   * @param {string | null} [active] the column that is active afterwards
   */
  #recolumn(change, active = null) {
    const before = JSON.stringify(this.#columns.state);
    change();
    if (before === JSON.stringify(this.#columns.state)) return;
    const {visible} = this.#columns;
    const same = visible.length === this.#view.columns.length && visible.every((one, at) => one === this.#view.columns[at]);
    if (same) this.#columns.apply(this.element.style);
    else this.#rebuild();
    if (active) this.#stage.place = Math.max(0, visible.findIndex((column) => column.key === active));
    this.#stage.place = Math.min(this.#stage.place, visible.length - 1);
    this.onColumns(this.#columns.state);
  }

  #rebuild() {
    const {visible} = this.#columns;
    this.focusable.setAttribute('aria-colcount', String(visible.length));
    this.#columns.apply(this.element.style);
    this.#header.rebuild(visible, this.#sort);
    this.#view.rebuild(visible);
    this.#stage.schedule();
  }

  #measure() {
    this.#view.room = Math.max(0, this.focusable.clientHeight - this.#header.element.offsetHeight);
    this.#stage.draw();
  }

  #selected() {
    this.#stage.schedule();
    this.#later();
  }

  #tell() {
    const {order, selection} = this.#stage;
    const {version, count} = selection;
    const shown = order.shown.length;
    const {total} = order;
    const before = this.#told;
    this.#told = {version, shown, total};
    if (shown !== before.shown || total !== before.total) {
      this.focusable.setAttribute('aria-rowcount', String(shown + 1));
      this.#void.hidden = shown > 0;
      if (shown === 0) this.#void.replaceChildren(this.#loading ? 'Loading…' : this.#options.empty?.({total}) ?? '');
      this.onCount({shown, total});
    }
    if (version !== before.version) this.onSelection(count);
  }

  /** When a person pauses: tells a screen reader, and tidies up. */
  #later() {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      this.#view.tidy();
      const {shown, total} = this.#told;
      const {count} = this.#stage.selection;
      const text = `${shown === total ? total : `${shown} of ${total}`} rows shown, ${count} selected.`;
      if (text !== this.#announced) this.#options.announce?.(text);
      this.#announced = text;
    }, QUIET);
  }
}
