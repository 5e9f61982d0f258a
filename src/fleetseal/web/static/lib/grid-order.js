/**
 * The rows of a grid, which of them are shown, and in which order: no page in it.
 *
 * Every row has a slot, a small number that is its own as long as it exists. Orders are typed arrays of slots, so that
 * 100,000 of them are copied in well under a millisecond. What changes is marked, and put into its place by `settle`, all
 * together: the rest is not compared again.
 *
 * @module
 */

import {compareKeys, keyMaker, ranks} from './grid-keys.js';

/** @typedef {import('./grid-keys.js').Key} Key */
/** @typedef {import('./grid-keys.js').Kind} Kind */
/** @typedef {{id: string, [field: string]: any}} Row */
/** @typedef {{key: string, kind: Kind, value: (row: Row) => unknown}} Sortable */
/** @typedef {{keys: Key[] | null, value: (row: Row) => unknown, make: (value: unknown) => Key}} Cached */

const PLACED = 1;
const MATCHES = 2;
const DROP = 4;

export class Order {
  /** @type {(Row | undefined)[]} by slot */
  rows = [];
  /** Slots of the rows that the filter lets through, as they are ordered. */
  shown = new Uint32Array(0);
  /** @type {Map<string, number>} */
  #slots = new Map();
  #order = new Uint32Array(0);
  #flags = new Uint8Array(64);
  /** Slots, with the row that was there before. @type {Map<number, Row | undefined>} */
  #changed = new Map();
  /** @type {number[]} */
  #free = [];
  /** @type {((row: Row) => boolean) | null} */
  #filter = null;
  /** @type {Map<string, Cached>} keys of each column that was sorted by */
  #cache = new Map();
  /** @type {Key[] | null} */
  #keys = null;
  #sign = 1;

  /** How many rows there are, shown or not. */
  get total() {
    return this.#slots.size;
  }

  /** Slots are less than this. */
  get capacity() {
    return this.rows.length;
  }

  /** @param {string} id */
  slot(id) {
    return this.#slots.get(id) ?? -1;
  }

  /**
   * Where the row of this slot is shown; -1 if it is not.
   * @param {number} slot
   */
  indexOf(slot) {
    return slot < 0 ? -1 : this.shown.indexOf(slot);
  }

  /**
   * These rows and no others.
   * @param {Iterable<Row>} rows
   */
  reset(rows) {
    this.rows = [];
    this.#slots.clear();
    this.#free = [];
    this.#changed.clear();
    for (const row of rows) {
      const slot = this.#slots.get(row.id);
      if (slot === undefined) {
        this.#slots.set(row.id, this.rows.length);
        this.rows.push(row);
      } else this.rows[slot] = row;
    }
    this.#flags = new Uint8Array(Math.max(64, this.rows.length));
    for (const cached of this.#cache.values()) cached.keys = null;
    this.#keys = null;
    this.#order = this.#everySlot();
    this.#match(this.#order);
    this.#show();
  }

  /**
   * Marks the row as changed, or as new.
   * @param {Row} row
   */
  put(row) {
    let slot = this.#slots.get(row.id);
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.rows.length;
      this.#slots.set(row.id, slot);
      if (slot >= this.#flags.length) this.#grow();
    }
    if (!this.#changed.has(slot)) this.#changed.set(slot, this.rows[slot]);
    this.rows[slot] = row;
  }

  /** @param {string} id */
  remove(id) {
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    this.#slots.delete(id);
    if (!this.#changed.has(slot)) this.#changed.set(slot, this.rows[slot]);
    this.rows[slot] = undefined;
  }

  /**
   * Puts what has changed into its place.
   * @returns {Set<number> | null} the slots that were put elsewhere; null when what is shown and its order are as before
   */
  settle() {
    if (this.#changed.size === 0) return null;
    /** @type {number[]} */
    const moved = [];
    let gone = false;
    let matching = false;
    for (const [slot, old] of this.#changed) {
      const row = this.rows[slot];
      const before = this.#flags[slot];
      if (row === undefined) {
        gone ||= (before & PLACED) !== 0;
        this.#flags[slot] = before & PLACED ? DROP : 0;
        this.#free.push(slot);
        continue;
      }
      const matches = this.#filter === null || this.#filter(row) ? MATCHES : 0;
      matching ||= matches !== (before & MATCHES);
      const other = this.#rekey(slot, old, row) || !(before & PLACED);
      if (other) moved.push(slot);
      gone ||= other && (before & PLACED) !== 0;
      this.#flags[slot] = PLACED | matches | (other && before & PLACED ? DROP : 0);
    }
    this.#changed.clear();
    if (!gone && moved.length === 0 && !matching) return null;
    const kept = gone ? this.#withoutDropped() : this.#order;
    this.#order = moved.length ? this.#merged(kept, moved) : kept;
    this.#show();
    return new Set(moved);
  }

  /**
   * Orders by a column, or as the rows came when there is none.
   * @param {Sortable | null} column
   * @param {boolean} descending
   */
  sort(column, descending) {
    this.settle();
    this.#sign = descending ? -1 : 1;
    this.#keys = column && this.#keysOf(column);
    const slots = this.#everySlot();
    this.#order = this.#keys ? sorted(slots, ranks(this.#keys, slots), descending, this.capacity) : slots;
    this.#show();
  }

  /**
   * Shows the rows for which `filter` holds; all when it is null.
   * @param {((row: Row) => boolean) | null} filter
   * @param {boolean} narrows it holds for no row for which the last did not: only those shown are asked
   */
  filter(filter, narrows) {
    this.settle();
    this.#filter = filter;
    this.#match(narrows ? this.shown : this.#order);
    this.#show();
  }

  #grow() {
    const flags = new Uint8Array(this.#flags.length * 2);
    flags.set(this.#flags);
    this.#flags = flags;
  }

  #everySlot() {
    const slots = new Uint32Array(this.total);
    let count = 0;
    for (let slot = 0; slot < this.rows.length; slot += 1) if (this.rows[slot]) slots[count++] = slot;
    return slots;
  }

  /** @param {Uint32Array} slots */
  #match(slots) {
    const filter = this.#filter;
    for (const slot of slots) {
      const matches = filter === null || filter(/** @type {Row} */ (this.rows[slot]));
      this.#flags[slot] = matches ? PLACED | MATCHES : PLACED;
    }
  }

  #show() {
    if (this.#filter === null) {
      this.shown = this.#order;
      return;
    }
    const shown = new Uint32Array(this.#order.length);
    let count = 0;
    for (const slot of this.#order) if (this.#flags[slot] & MATCHES) shown[count++] = slot;
    this.shown = shown.slice(0, count);
  }

  /** @param {Sortable} column */
  #keysOf(column) {
    let cached = this.#cache.get(column.key);
    if (!cached) {
      cached = {keys: null, value: column.value, make: keyMaker(column.kind)};
      this.#cache.set(column.key, cached);
    }
    const {make, value} = cached;
    cached.keys ??= this.rows.map((row) => (row ? make(value(row)) : null));
    return cached.keys;
  }

  /**
   * New keys for a changed row.
   * @param {number} slot
   * @param {Row | undefined} old
   * @param {Row} row
   * @returns {boolean} whether its place may be another
   */
  #rekey(slot, old, row) {
    let other = false;
    for (const {keys, value, make} of this.#cache.values()) {
      const given = value(row);
      if (keys === null || (old && value(old) === given)) continue;
      const key = make(given);
      other ||= keys === this.#keys && key !== keys[slot];
      while (keys.length < slot) keys.push(null);
      keys[slot] = key;
    }
    return other;
  }

  #withoutDropped() {
    const kept = new Uint32Array(this.#order.length);
    let count = 0;
    for (const slot of this.#order) {
      if (this.#flags[slot] & DROP) this.#flags[slot] &= ~DROP;
      else kept[count++] = slot;
    }
    return kept.subarray(0, count);
  }

  /**
   * @param {Uint32Array} kept
   * @param {number[]} moved
   */
  #merged(kept, moved) {
    moved.sort(this.#compare);
    const all = new Uint32Array(kept.length + moved.length);
    let from = 0;
    let to = 0;
    for (const slot of moved) {
      const at = this.#place(kept, slot, from);
      all.set(kept.subarray(from, at), to);
      to += at - from;
      all[to++] = slot;
      from = at;
    }
    all.set(kept.subarray(from), to);
    return all;
  }

  /**
   * @param {Uint32Array} slots
   * @param {number} slot
   * @param {number} low
   */
  #place(slots, slot, low) {
    let high = slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(slots[middle], slot) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @type {(a: number, b: number) => number} */
  #compare = (a, b) => {
    const [left, right] = this.#keys ? [this.#keys[a], this.#keys[b]] : [null, null];
    if (left === right) return a - b;
    if (left === null) return 1;
    if (right === null) return -1;
    return this.#sign * compareKeys(left, right);
  };
}

/**
 * The slots by their ranks, equal ones as they came; without a rank (-1) last, whichever the direction. Rank and slot
 * are packed into one number each, which typed arrays sort without asking back.
 * @param {Uint32Array} slots
 * @param {Float64Array} ranked
 * @param {boolean} descending
 * @param {number} capacity slots are less than this
 */
function sorted(slots, ranked, descending, capacity) {
  const last = slots.length;
  const packed = new Float64Array(last);
  for (let i = 0; i < last; i += 1) {
    const rank = ranked[i] < 0 ? last : descending ? last - 1 - ranked[i] : ranked[i];
    packed[i] = rank * capacity + slots[i];
  }
  packed.sort();
  const order = new Uint32Array(last);
  for (let i = 0; i < last; i += 1) order[i] = packed[i] % capacity;
  return order;
}
