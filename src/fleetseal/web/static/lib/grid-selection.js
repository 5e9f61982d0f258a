/**
 * Which rows are selected: a mark by slot, so that all of 100,000 are selected at once, drawn or not.
 *
 * @module
 */

/** @typedef {import('./grid-order.js').Order} Order */

export class Selection {
  /** How many are selected. */
  count = 0;
  /** Another with each change. */
  version = 0;
  /** The slot from which Shift extends. */
  #anchor = -1;
  #marks = new Uint8Array(0);
  #order;

  /** @param {Order} order */
  constructor(order) {
    this.#order = order;
  }

  /** @param {number} slot */
  has(slot) {
    return this.#marks[slot] === 1;
  }

  /** The slots selected, as they are shown. */
  slots() {
    return this.count ? Array.from(this.#order.shown.filter((slot) => this.#marks[slot] === 1)) : [];
  }

  /** @param {number} index of a row shown */
  only(index) {
    this.range(index, index);
    this.#anchor = this.#order.shown[index];
  }

  /** @param {number} index */
  toggle(index) {
    const slot = this.#order.shown[index];
    this.#fit();
    this.version += 1;
    this.#marks[slot] ^= 1;
    this.count += this.#marks[slot] ? 1 : -1;
    this.#anchor = slot;
  }

  /**
   * From the row where the last selection began to this one, and no others.
   * @param {number} index
   * @param {number} otherwise where it begins when that row is not shown any more
   */
  extend(index, otherwise) {
    const anchor = this.#order.indexOf(this.#anchor);
    if (anchor < 0) this.#anchor = this.#order.shown[otherwise];
    this.range(anchor < 0 ? otherwise : anchor, index);
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  range(from, to) {
    this.set(this.#order.shown.subarray(Math.min(from, to), Math.max(from, to) + 1));
  }

  all() {
    this.set(this.#order.shown);
  }

  none() {
    this.set([]);
    this.#anchor = -1;
  }

  /**
   * These and no others.
   * @param {Iterable<number>} slots each of a row shown
   */
  set(slots) {
    this.#marks = new Uint8Array(this.#order.capacity);
    this.version += 1;
    this.count = 0;
    for (const slot of slots) {
      this.count += 1 - this.#marks[slot];
      this.#marks[slot] = 1;
    }
  }

  /** Drops what is not shown any more. */
  settle() {
    const stay = this.slots();
    if (stay.length < this.count) this.set(stay);
    if (this.#order.indexOf(this.#anchor) < 0) this.#anchor = -1;
  }

  #fit() {
    if (this.#marks.length >= this.#order.capacity) return;
    const marks = new Uint8Array(this.#order.capacity);
    marks.set(this.#marks);
    this.#marks = marks;
  }
}
