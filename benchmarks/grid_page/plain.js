// The least that shows very many rows: what the grid is measured against. It draws the same cells for the rows in sight,
// and does nothing else: no selection, no keyboard, no roles, no columns to change, and no natural order of text.

const ROW = 28;
const BEYOND = 8;

export class Plain {
  element = Object.assign(document.createElement('div'), {className: 'grid-scroll'});
  #body = Object.assign(document.createElement('div'), {className: 'grid-body'});
  #lines = [];
  #byId = new Map();
  #rows = [];
  #shown = [];
  #columns;
  #compare = null;
  #filter = null;
  #changed = new Set();
  #resort = false;
  #frame = 0;

  constructor(columns) {
    this.#columns = columns.filter((column) => !column.hidden);
    this.element.append(this.#body);
    this.element.style.setProperty('--grid-columns', this.#columns.map((column) => `${column.width}px`).join(' '));
    this.element.style.setProperty('--grid-width', `${this.#columns.reduce((sum, column) => sum + column.width, 0)}px`);
    this.element.style.setProperty('--grid-row-height', `${ROW}px`);
    this.element.addEventListener('scroll', () => this.#schedule(), {passive: true});
  }

  setRows(rows) {
    this.#byId = new Map(rows.map((row) => [row.id, row]));
    this.#arrange();
  }

  /** What is costly to compare is made once for each row. */
  sort(keyOf, costly) {
    const made = costly && new Map([...this.#byId.values()].map((row) => [row.id, keyOf(row)]));
    const key = costly ? (row) => made.get(row.id) : keyOf;
    this.#compare = (a, b) => {
      const left = key(a);
      const right = key(b);
      return left < right ? -1 : left > right ? 1 : 0;
    };
    this.#arrange();
  }

  filter(filter) {
    this.#filter = filter;
    this.#show();
  }

  /** With `resort` false the rows are known to keep their places. */
  update(rows, resort) {
    for (const row of rows) this.#changed.add(Object.assign(this.#byId.get(row.id), row));
    this.#resort ||= resort;
    this.#schedule();
  }

  #arrange() {
    this.#rows = [...this.#byId.values()];
    if (this.#compare) this.#rows.sort(this.#compare);
    this.#show();
  }

  #show() {
    this.#shown = this.#filter ? this.#rows.filter(this.#filter) : this.#rows;
    this.#body.style.height = `${this.#shown.length * ROW}px`;
    this.#schedule();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    if (this.#resort) this.#arrange();
    this.#resort = false;
    const size = Math.min(this.#shown.length, Math.ceil(this.element.clientHeight / ROW) + 1 + 2 * BEYOND);
    const wanted = Math.floor(this.element.scrollTop / ROW) - BEYOND;
    const first = Math.max(0, Math.min(wanted, this.#shown.length - size));
    while (this.#lines.length > size) this.#lines.pop().element.remove();
    while (this.#lines.length < size) this.#lines.push(this.#line());
    for (let index = first; index < first + size; index += 1) this.#fill(this.#lines[index % size], index);
    this.#changed.clear();
  }

  #line() {
    const element = Object.assign(document.createElement('div'), {className: 'grid-row'});
    const cells = this.#columns.map(() => Object.assign(document.createElement('div'), {className: 'grid-cell'}));
    element.append(...cells);
    this.#body.append(element);
    return {element, cells, row: null};
  }

  #fill(line, index) {
    const row = this.#shown[index];
    line.element.style.transform = `translateY(${index * ROW}px)`;
    if (line.row === row && !this.#changed.has(row)) return;
    line.row = row;
    this.#columns.forEach((column, place) => {
      line.cells[place].replaceChildren(column.render ? column.render(row) : String(row[column.key] ?? ''));
    });
  }
}
