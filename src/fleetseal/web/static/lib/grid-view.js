/**
 * The elements of a grid: a few rows that are moved to where the person looks and filled anew.
 *
 * @module
 */

/** @typedef {import('./grid-order.js').Row} Row */
/** @typedef {import('./grid-columns.js').Whole} Whole */
/** @typedef {{element: HTMLElement, cells: HTMLElement[], texts: (string | null)[], index: number, y: number,
 *   row: Row | null, selected: boolean}} Line */
/** @typedef {{shown: Uint32Array, rows: (Row | undefined)[], selected: (slot: number) => boolean, active: number}} Scene */

/** Rows drawn beyond each edge, so that scrolling meets no blank. */
const BEYOND = 8;
/** Browsers limit how high an element is, Firefox to 17.8 million pixels: more rows share this height. */
const HIGHEST = 8_000_000;

export class View {
  /** @type {Whole[]} */
  columns = [];
  /** Pixels of the rows' part that are in sight. */
  room = 0;
  #lines = /** @type {Line[]} */ ([]);
  /** The line of the active row while it is out of sight. @type {Line | null} */
  #kept = null;
  #count = 0;
  /** Where a scroll position stands for more than one row: what it stood for when we set it. */
  #exact = {top: -1, offset: 0};
  #scroller;
  #body;
  #rowHeight;
  #name;

  /**
   * @param {{scroller: HTMLElement, body: HTMLElement, rowHeight: number, name: string}} parts
   */
  constructor({scroller, body, rowHeight, name}) {
    this.#scroller = scroller;
    this.#body = body;
    this.#rowHeight = rowHeight;
    this.#name = name;
  }

  /**
   * Begins anew with these columns.
   * @param {Whole[]} columns
   */
  rebuild(columns) {
    this.columns = columns;
    this.#lines = [];
    this.#kept = null;
    this.#body.replaceChildren();
  }

  /** How many whole rows are in sight. */
  get page() {
    return Math.max(1, Math.floor(this.room / this.#rowHeight));
  }

  /** Pixels of the rows above what is in sight. */
  get offset() {
    const top = this.#scroller.scrollTop;
    if (top === this.#exact.top) return this.#exact.offset;
    return top * this.#stretch;
  }

  /** The first row in sight. */
  get first() {
    return Math.min(Math.max(0, this.#count - 1), Math.max(0, Math.floor(this.offset / this.#rowHeight)));
  }

  get #whole() {
    return this.#count * this.#rowHeight;
  }

  /** Pixels of rows for one pixel of scrolling: 1 unless there are more rows than fit into an element. */
  get #stretch() {
    return this.#whole > HIGHEST ? (this.#whole - this.room) / (HIGHEST - this.room) : 1;
  }

  /**
   * How many rows there are to scroll through.
   * @param {number} count
   */
  resize(count) {
    if (count === this.#count) return;
    this.#count = count;
    this.#exact.top = -1;
    this.#body.style.height = `${Math.min(HIGHEST, this.#whole)}px`;
  }

  /**
   * Scrolls so that this many pixels of rows are above what is in sight.
   * @param {number} offset
   */
  scrollTo(offset) {
    this.#scroller.scrollTop = offset / this.#stretch;
    this.#exact = this.#stretch === 1 ? {top: -1, offset: 0} : {top: this.#scroller.scrollTop, offset};
  }

  /**
   * Scrolls by so many rows.
   * @param {number} rows
   */
  shift(rows) {
    if (rows !== 0) this.scrollTo(this.offset + rows * this.#rowHeight);
  }

  /**
   * Scrolls as little as brings this row into sight.
   * @param {number} index
   */
  revealRow(index) {
    const {offset} = this;
    const top = index * this.#rowHeight;
    if (top < offset) this.scrollTo(top);
    else if (top + this.#rowHeight > offset + this.room) this.scrollTo(top + this.#rowHeight - this.room);
  }

  /**
   * @param {number} place of a column among those shown
   */
  revealColumn(place) {
    const column = this.columns[place];
    if (!column || column.sticky) return;
    const width = (/** @type {Whole[]} */ columns) => columns.reduce((sum, one) => sum + one.width, 0);
    const left = width(this.columns.slice(0, place));
    const pinned = width(this.columns.filter((one) => one.sticky));
    const {scrollLeft, clientWidth} = this.#scroller;
    if (left - pinned < scrollLeft) this.#scroller.scrollLeft = left - pinned;
    else if (left + column.width > scrollLeft + clientWidth) {
      this.#scroller.scrollLeft = Math.min(left - pinned, left + column.width - clientWidth);
    }
  }

  /** @param {Scene} scene */
  draw(scene) {
    const {shown} = scene;
    const wanted = Math.min(shown.length, Math.ceil(this.room / this.#rowHeight) + 1 + 2 * BEYOND);
    this.#provide(wanted);
    const size = this.#lines.length;
    const first = Math.max(0, Math.min(this.first - BEYOND, shown.length - size));
    const shift = this.#stretch === 1 ? 0 : this.#scroller.scrollTop - this.offset;
    for (let index = first; index < first + size; index += 1) {
      this.#fill(this.#lines[index % size], index, scene, shift);
    }
    const apart = scene.active >= 0 && (scene.active < first || scene.active >= first + size);
    if (apart) {
      this.#kept ??= this.#line('kept');
      this.#fill(this.#kept, scene.active, scene, shift);
    } else if (this.#kept) {
      this.#kept.element.remove();
      this.#kept = null;
    }
  }

  /**
   * The element of a cell that is drawn.
   * @param {number} index of the row
   * @param {number} place of the column
   */
  cell(index, place) {
    const size = this.#lines.length;
    const line = [this.#lines[size ? index % size : 0], this.#kept].find((one) => one?.index === index);
    return line?.cells[place] ?? null;
  }

  /**
   * Where an element of ours belongs to.
   * @param {EventTarget | null} target
   * @returns {{index: number, place: number} | null}
   */
  at(target) {
    if (!(target instanceof Node)) return null;
    const line = [...this.#lines, this.#kept].find((one) => one?.element.contains(target));
    return line ? {index: line.index, place: line.cells.findIndex((cell) => cell.contains(target))} : null;
  }

  /**
   * The widest that a column's cells in sight would be, in pixels.
   * @param {number} place
   */
  widest(place) {
    return Math.max(0, ...this.#lines.map((line) => contentWidth(line.cells[place])));
  }

  /** Puts the elements into the order in which they are seen, for those who read the page without looking. */
  tidy() {
    const lines = this.#kept ? [...this.#lines, this.#kept] : [...this.#lines];
    lines.sort((a, b) => a.index - b.index);
    lines.forEach(({element}, place) => {
      const there = this.#body.children[place];
      if (there !== element) this.#body.insertBefore(element, there ?? null);
    });
  }

  /** @param {number} size */
  #provide(size) {
    if (size === this.#lines.length) return;
    for (const line of this.#lines.splice(size)) line.element.remove();
    while (this.#lines.length < size) this.#lines.push(this.#line(String(this.#lines.length)));
  }

  /**
   * @param {string} name
   * @returns {Line}
   */
  #line(name) {
    const element = document.createElement('div');
    element.className = 'grid-row';
    element.setAttribute('role', 'row');
    element.setAttribute('aria-selected', 'false');
    const cells = this.columns.map((column, place) => cellElement(column, place, `${this.#name}-${name}-${place}`));
    element.append(...cells);
    this.#body.append(element);
    return {element, cells, texts: cells.map(() => ''), index: -1, y: -1, row: null, selected: false};
  }

  /**
   * @param {Line} line
   * @param {number} index
   * @param {Scene} scene
   * @param {number} shift
   */
  #fill(line, index, scene, shift) {
    const slot = scene.shown[index];
    const row = /** @type {Row} */ (scene.rows[slot]);
    const y = index * this.#rowHeight + shift;
    if (line.y !== y) line.element.style.transform = `translateY(${y}px)`;
    line.y = y;
    if (line.index !== index) {
      line.element.setAttribute('aria-rowindex', String(index + 2)); // the header is the first
      line.index = index;
    }
    const selected = scene.selected(slot);
    if (line.selected !== selected) line.element.setAttribute('aria-selected', String(selected));
    line.selected = selected;
    if (line.row !== row) {
      line.row = row;
      for (let place = 0; place < this.columns.length; place += 1) show(line, place, this.columns[place], row);
    }
  }
}

/**
 * @param {Whole} column
 * @param {number} place
 * @param {string} id
 */
function cellElement(column, place, id) {
  const cell = document.createElement('div');
  cell.id = id;
  cell.className = column.sticky ? 'grid-cell grid-sticky' : 'grid-cell';
  cell.setAttribute('role', place === 0 ? 'rowheader' : 'gridcell');
  cell.setAttribute('aria-colindex', String(place + 1));
  if (column.sticky) cell.style.left = `var(--grid-left-${place})`;
  cell.append('');
  return cell;
}

/**
 * Writes a cell; text that is there already is left alone.
 * @param {Line} line
 * @param {number} place
 * @param {Whole} column
 * @param {Row} row
 */
function show(line, place, column, row) {
  const content = column.render ? column.render(row) : String(column.value(row) ?? '');
  const cell = line.cells[place];
  if (typeof content !== 'string') {
    cell.replaceChildren(content);
    for (const inside of cell.querySelectorAll('a, button')) inside.setAttribute('tabindex', '-1'); // Enter reaches them
    line.texts[place] = null;
  } else if (line.texts[place] === null) {
    cell.replaceChildren(content);
    line.texts[place] = content;
  } else if (line.texts[place] !== content) {
    /** @type {Text} */ (cell.firstChild).data = content;
    line.texts[place] = content;
  }
}

/**
 * @param {HTMLElement} cell
 */
function contentWidth(cell) {
  const range = document.createRange();
  range.selectNodeContents(cell);
  const {paddingLeft, paddingRight} = getComputedStyle(cell);
  return Math.ceil(range.getBoundingClientRect().width + parseFloat(paddingLeft) + parseFloat(paddingRight)) + 1;
}

/**
 * Text that does not fit into its cell is shown whole while the pointer rests on it.
 * @param {EventTarget | null} target
 */
export function explain(target) {
  const cell = target instanceof Element ? target.closest('.grid-cell, .grid-header') : null;
  if (!(cell instanceof HTMLElement)) return;
  const text = cell.scrollWidth > cell.clientWidth ? (cell.textContent ?? '') : '';
  if (cell.title !== text) cell.title = text;
}
