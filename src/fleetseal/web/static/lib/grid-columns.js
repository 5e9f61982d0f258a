/**
 * The columns of a grid: their order, widths, and which are hidden.
 *
 * @module
 */

/** @typedef {import('./grid-order.js').Row} Row */
/** @typedef {import('./grid-keys.js').Kind} Kind */
/**
 * @typedef {object} Column
 * @property {string} key of the row's field, unless `value` is given
 * @property {string} label
 * @property {number} [width] in pixels
 * @property {Kind} [kind] how it is sorted: `text` if nothing is said
 * @property {(row: Row) => unknown} [value] what it is sorted by, and shown as without `render`
 * @property {(row: Row) => string | Node} [render]
 * @property {boolean} [sticky] stays in sight when the grid is scrolled sideways; such columns stand first
 * @property {boolean} [hidden] until a person chooses it
 */
/** @typedef {{key: string, width: number, hidden: boolean}} ColumnState */
/** @typedef {Required<Omit<Column, 'render'>> & {render: ((row: Row) => string | Node) | null}} Whole */

export const NARROWEST = 40;
export const WIDEST = 1200;
const USUAL = 140;

export class Columns {
  /** @type {Whole[]} in their order, hidden ones too */
  all;

  /** @param {readonly Column[]} columns */
  constructor(columns) {
    this.all = columns.map(whole);
    this.#stickyFirst();
  }

  /** Those that are shown. */
  get visible() {
    return this.all.filter((column) => !column.hidden);
  }

  /** @param {string} key */
  get(key) {
    return this.all.find((column) => column.key === key) ?? null;
  }

  /** @returns {ColumnState[]} what `restore` takes */
  get state() {
    return this.all.map(({key, width, hidden}) => ({key, width, hidden}));
  }

  /**
   * Puts the columns as they were; what does not fit any more, or is no such state at all, is passed over.
   * @param {unknown} state
   */
  restore(state) {
    const known = (Array.isArray(state) ? state : []).filter((entry) => entry && this.get(entry.key));
    const places = new Map(known.map((entry, place) => [entry.key, place]));
    for (const {key, width} of known) {
      this.resize(key, Number(width));
      this.hide(key, false);
    }
    for (const {key, hidden} of known) this.hide(key, hidden === true);
    const place = (/** @type {Whole} */ column, /** @type {number} */ own) => places.get(column.key) ?? own;
    this.all = this.all
      .map((column, own) => ({column, at: place(column, own)}))
      .sort((a, b) => a.at - b.at)
      .map(({column}) => column);
    this.#stickyFirst();
  }

  /**
   * @param {string} key
   * @param {number} width in pixels
   */
  resize(key, width) {
    const column = this.get(key);
    if (column && Number.isFinite(width)) column.width = Math.round(Math.min(WIDEST, Math.max(NARROWEST, width)));
  }

  /**
   * Hides a column or shows it; the last one that is shown stays.
   * @param {string} key
   * @param {boolean} hidden
   */
  hide(key, hidden) {
    const column = this.get(key);
    if (column && !(hidden && this.visible.length === 1)) column.hidden = hidden;
  }

  /**
   * Moves a column by so many places among those shown.
   * @param {string} key
   * @param {number} by
   */
  move(key, by) {
    const {visible} = this;
    const from = visible.findIndex((column) => column.key === key);
    const to = Math.min(visible.length - 1, Math.max(0, from + by));
    if (from < 0 || from === to || visible[from].sticky !== visible[to].sticky) return;
    const [column] = this.all.splice(this.all.indexOf(visible[from]), 1);
    this.all.splice(this.all.indexOf(visible[to]) + (to > from ? 1 : 0), 0, column);
  }

  /**
   * Writes widths where the style sheet reads them: `--grid-columns`, `--grid-width`, `--grid-left-N`.
   * @param {CSSStyleDeclaration} style
   */
  apply(style) {
    const widths = this.visible.map((column) => column.width);
    style.setProperty('--grid-columns', widths.map((width) => `${width}px`).join(' '));
    style.setProperty('--grid-width', `${widths.reduce((sum, width) => sum + width, 0)}px`);
    let left = 0;
    this.visible.forEach((column, place) => {
      if (column.sticky) style.setProperty(`--grid-left-${place}`, `${left}px`);
      left += column.width;
    });
  }

  #stickyFirst() {
    this.all = [...this.all.filter((column) => column.sticky), ...this.all.filter((column) => !column.sticky)];
  }
}

/**
 * @param {Column} column
 * @returns {Whole}
 */
function whole(column) {
  const {key} = column;
  return {
    width: USUAL, kind: 'text', sticky: false, hidden: false,
    value: (row) => row[key],
    ...column,
    render: column.render ?? null,
  };
}
