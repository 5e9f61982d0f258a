/**
 * The header of a grid: sorting, widths, order, and the menu that does the same.
 *
 * @module
 */

/** @typedef {import('./grid-columns.js').Whole} Whole */
/** @typedef {{label: string, action?: () => void, disabled?: boolean, separator?: boolean}} Item as in menu.js */
/**
 * What the header asks of its grid.
 * @typedef {object} Orders
 * @property {(key: string) => void} sort asked again, the other way round
 * @property {(key: string, descending: boolean) => void} sortTo
 * @property {(key: string, width: number) => void} resize
 * @property {(key: string, by: number) => void} move
 * @property {(key: string, hidden: boolean) => void} hide
 * @property {(place: number) => number} widest
 */

/** By how many pixels the keyboard changes a width. */
export const STEP = 16;
/** A press that moves farther than this many pixels is no click. */
const STILL = 5;

export class Header {
  /** @type {HTMLElement[]} */
  cells = [];
  element;
  #name;
  #orders;
  /** @type {Whole[]} */
  #columns = [];
  /** The click that ends a drag is none. */
  #dragged = false;

  /**
   * @param {string} name
   * @param {Orders} orders
   */
  constructor(name, orders) {
    this.#name = name;
    this.#orders = orders;
    this.element = document.createElement('div');
    this.element.className = 'grid-head';
    this.element.setAttribute('role', 'row');
    this.element.setAttribute('aria-rowindex', '1');
    this.element.addEventListener('pointerdown', (event) => this.#press(event));
    this.element.addEventListener('click', (event) => this.#click(event));
    this.element.addEventListener('dblclick', (event) => this.#fit(event));
  }

  /**
   * @param {Whole[]} columns
   * @param {{key: string, descending: boolean} | null} sort
   */
  rebuild(columns, sort) {
    this.#columns = columns;
    this.cells = columns.map((column, place) => headerCell(column, place, `${this.#name}-head-${place}`));
    this.element.replaceChildren(...this.cells);
    this.mark(sort);
  }

  /**
   * Shows by which column the rows are sorted.
   * @param {{key: string, descending: boolean} | null} sort
   */
  mark(sort) {
    this.cells.forEach((cell, place) => {
      if (this.#columns[place].key !== sort?.key) cell.removeAttribute('aria-sort');
      else cell.setAttribute('aria-sort', sort.descending ? 'descending' : 'ascending');
    });
  }

  /**
   * The column to which an element of the header belongs; -1 for none.
   * @param {EventTarget | null} target
   */
  placeOf(target) {
    return target instanceof Node ? this.cells.findIndex((cell) => cell.contains(target)) : -1;
  }

  /**
   * The menu of a column.
   * @param {number} place
   * @param {Whole[]} all columns, hidden ones too
   * @returns {Item[]}
   */
  items(place, all) {
    const {key, sticky} = this.#columns[place];
    const {sortTo, move, resize, hide, widest} = this.#orders;
    const neighbour = (/** @type {number} */ by) => this.#columns[place + by]?.sticky !== sticky;
    return [
      {label: 'Sort ascending', action: () => sortTo(key, false)},
      {label: 'Sort descending', action: () => sortTo(key, true)},
      {label: 'Move left', separator: true, action: () => move(key, -1), disabled: neighbour(-1)},
      {label: 'Move right', action: () => move(key, 1), disabled: neighbour(1)},
      {label: 'Fit width to content', action: () => resize(key, widest(place))},
      {label: 'Hide column', action: () => hide(key, true), disabled: this.#columns.length === 1},
      ...all.filter((column) => column.hidden).map((column, nth) => (
        {label: `Show ${column.label}`, separator: nth === 0, action: () => hide(column.key, false)}
      )),
    ];
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const place = this.placeOf(event.target);
    if (place < 0 || event.button !== 0 || !(event.target instanceof Element)) return;
    this.#dragged = false;
    const column = this.#columns[place];
    const start = event.clientX;
    if (event.target.classList.contains('grid-handle')) {
      const {width} = column;
      this.#drag(event, (moved) => this.#orders.resize(column.key, width + moved.clientX - start), () => {});
      return;
    }
    let over = place;
    const follow = (/** @type {PointerEvent} */ moved) => {
      if (!this.#dragged) return;
      over = this.#under(moved.clientX, place);
      this.cells.forEach((cell, at) => cell.classList.toggle('grid-drop', at === over && over !== place));
    };
    this.#drag(event, follow, () => {
      for (const cell of this.cells) cell.classList.remove('grid-drop');
      if (this.#dragged && over !== place) this.#orders.move(column.key, over - place);
    });
  }

  /**
   * @param {number} x
   * @param {number} otherwise
   */
  #under(x, otherwise) {
    const place = this.cells.findIndex((cell) => {
      const {left, right} = cell.getBoundingClientRect();
      return x >= left && x < right;
    });
    return place < 0 ? otherwise : place;
  }

  /**
   * Until the pointer is let go. Nothing is done at the end when the browser takes the pointer away.
   * @param {PointerEvent} event
   * @param {(moved: PointerEvent) => void} follow
   * @param {() => void} end
   */
  #drag(event, follow, end) {
    const over = new AbortController();
    const {signal} = over;
    const {element} = this;
    const {pointerId} = event;
    element.addEventListener('pointermove', (moved) => {
      if (!this.#dragged && Math.abs(moved.clientX - event.clientX) <= STILL) return;
      if (!this.#dragged) element.setPointerCapture(pointerId);
      this.#dragged = true;
      follow(moved);
    }, {signal});
    element.addEventListener('pointerup', () => {
      over.abort();
      end();
    }, {signal});
    element.addEventListener('pointercancel', () => over.abort(), {signal});
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const place = this.placeOf(event.target);
    const handle = event.target instanceof Element && event.target.classList.contains('grid-handle');
    if (place >= 0 && !handle && !this.#dragged) this.#orders.sort(this.#columns[place].key);
    this.#dragged = false;
  }

  /** @param {MouseEvent} event */
  #fit(event) {
    const place = this.placeOf(event.target);
    if (place < 0 || !(event.target instanceof Element) || !event.target.classList.contains('grid-handle')) return;
    this.#orders.resize(this.#columns[place].key, this.#orders.widest(place));
  }
}

/**
 * @param {Whole} column
 * @param {number} place
 * @param {string} id
 */
function headerCell(column, place, id) {
  const cell = document.createElement('div');
  cell.id = id;
  cell.className = column.sticky ? 'grid-header grid-sticky' : 'grid-header';
  cell.setAttribute('role', 'columnheader');
  cell.setAttribute('aria-colindex', String(place + 1));
  if (column.sticky) cell.style.left = `var(--grid-left-${place})`;
  const label = document.createElement('span');
  label.className = 'grid-label';
  label.append(column.label);
  const handle = document.createElement('span');
  handle.className = 'grid-handle';
  cell.append(label, handle);
  return cell;
}
