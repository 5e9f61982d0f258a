/**
 * What a person sees of a grid now: rows, selection and the active cell, drawn at most once a frame.
 *
 * @module
 */

import {Order} from './grid-order.js';
import {Selection} from './grid-selection.js';

/** @typedef {import('./grid-order.js').Row} Row */
/** @typedef {import('./grid-header.js').Header} Header */
/** @typedef {import('./grid-view.js').View} View */

export class Stage {
  order = new Order();
  selection = new Selection(this.order);
  /** The column of the active cell, among those shown. */
  place = 0;
  /** The element of the active cell. @type {HTMLElement | null} */
  marked = null;
  /** Slot of the active row; null for the header, and until a person has chosen one. @type {number | null} */
  #active = null;
  #activeIndex = 0;
  #frame = 0;
  #focusable;
  #view;
  #header;
  #drawn;

  /**
   * @param {{focusable: HTMLElement, view: View, header: Header}} parts
   * @param {() => void} drawn is called after each drawing
   */
  constructor({focusable, view, header}, drawn) {
    this.#focusable = focusable;
    this.#view = view;
    this.#header = header;
    this.#drawn = drawn;
  }

  /** Index of the active row; -1 for the header, and when there are no rows. */
  get index() {
    return Math.min(this.#activeIndex, this.order.shown.length - 1);
  }

  /** @param {number} index */
  row(index) {
    return this.order.rows[this.order.shown[index]] ?? null;
  }

  /** @returns {Row[]} as they are shown */
  selected() {
    this.settle();
    return this.selection.slots().map((slot) => /** @type {Row} */ (this.order.rows[slot]));
  }

  /**
   * Makes a cell the active one, and scrolls to it.
   * @param {number} index of the row, -1 for the header
   * @param {number} place of the column
   */
  go(index, place) {
    this.#activeIndex = index;
    this.#active = this.order.shown[index] ?? null;
    this.place = place;
    if (index >= 0) this.#view.revealRow(index);
    this.#view.revealColumn(place);
    this.schedule();
  }

  /**
   * These rows and no others; selected and active stay those that are still there.
   * @param {Iterable<Row>} rows
   * @param {() => void} sort
   */
  reset(rows, sort) {
    const selected = this.selected().map((row) => row.id);
    const active = this.#active === null ? undefined : this.order.rows[this.#active]?.id;
    this.selection.none();
    this.order.reset(rows);
    sort();
    this.#active = active === undefined ? null : this.order.slot(active);
    this.settled();
    this.select(selected);
  }

  /**
   * These rows and no others are selected; those that are not shown are left out.
   * @param {Iterable<string>} ids
   */
  select(ids) {
    this.settle();
    this.selection.set([...ids].map((id) => this.order.slot(id)).filter((slot) => slot >= 0));
    this.selection.settle();
    this.schedule();
  }

  /** Puts into place what has come; the rows in sight stay where they are. */
  settle() {
    const {shown} = this.order;
    const {first, offset, page} = this.#view;
    const moved = this.order.settle();
    if (!moved) return;
    this.settled();
    if (offset === 0) return;
    const seen = shown.subarray(first, first + page);
    const stays = seen.findIndex((slot) => !moved.has(slot) && this.order.indexOf(slot) >= 0);
    if (stays >= 0) this.#view.shift(this.order.indexOf(seen[stays]) - first - stays);
  }

  /** After what is shown, or its order, has become another. */
  settled() {
    const {shown} = this.order;
    this.selection.settle();
    this.#view.resize(shown.length);
    if (this.#active !== null) {
      const index = this.order.indexOf(this.#active);
      this.#activeIndex = index < 0 ? Math.max(0, this.index) : index;
      this.#active = shown[this.#activeIndex] ?? null;
    }
    this.schedule();
  }

  schedule() {
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.settle();
    this.stop();
    const {order, selection, index} = this;
    this.#view.draw({shown: order.shown, rows: order.rows, selected: (slot) => selection.has(slot), active: index});
    this.#mark();
    this.#drawn();
  }

  /** Draws no more until something happens. */
  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #mark() {
    const cell = (this.index < 0 ? this.#header.cells[this.place] : this.#view.cell(this.index, this.place)) ?? null;
    if (cell !== this.marked) {
      this.marked?.classList.remove('grid-active');
      cell?.classList.add('grid-active');
      this.marked = cell;
    }
    if (cell && this.#focusable.getAttribute('aria-activedescendant') !== cell.id) {
      this.#focusable.setAttribute('aria-activedescendant', cell.id);
    }
  }
}
