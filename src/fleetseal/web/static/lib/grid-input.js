/**
 * Mouse and keyboard of a grid: what a person does becomes a call.
 *
 * @module
 */

import {STEP} from './grid-header.js';

/** @typedef {{x: number, y: number}} Point */
/**
 * What the input works on. Places are those of columns among the ones shown.
 * @typedef {object} Acts
 * @property {import('./grid-stage.js').Stage} stage
 * @property {import('./grid-view.js').View} view
 * @property {import('./grid-header.js').Header} header
 * @property {() => void} selected is called after the selection has changed
 * @property {() => void} all
 * @property {() => void} none
 * @property {(index: number) => void} activate
 * @property {() => void} follow what the active cell holds, or activates its row
 * @property {(row: import('./grid-order.js').Row, at: Point) => void} contextMenu
 * @property {(at: Point) => void} headerMenu
 * @property {(place: number) => void} sort
 * @property {(place: number, by: number) => void} move
 * @property {(place: number, by: number) => void} resize
 */

/**
 * @param {HTMLElement} element that has the focus
 * @param {Acts} acts
 * @param {AbortSignal} signal ends it
 */
export function listen(element, acts, signal) {
  element.addEventListener('keydown', (event) => {
    if (event.target !== element) return;
    acts.stage.settle();
    const done = (acts.stage.index < 0 && headerKey(event, acts)) || rowKey(event, acts) || moveKey(event, acts);
    if (done) event.preventDefault();
  }, {signal});
  element.addEventListener('mousedown', (event) => {
    // A double click, or a click with Shift, selects rows and no text.
    if (event.button === 0 && (event.shiftKey || event.detail > 1)) event.preventDefault();
  }, {signal});
  element.addEventListener('click', (event) => click(event, acts), {signal});
  element.addEventListener('dblclick', (event) => {
    const at = acts.view.at(event.target);
    if (at && !interactive(event.target)) acts.activate(at.index);
  }, {signal});
  element.addEventListener('contextmenu', (event) => {
    const place = acts.header.placeOf(event.target);
    const at = place < 0 ? acts.view.at(event.target) : {index: -1, place};
    if (!at) return;
    event.preventDefault();
    element.focus({preventScroll: true});
    acts.stage.go(at.index, Math.max(0, at.place));
    menu(acts, {x: event.clientX, y: event.clientY});
  }, {signal});
}

/**
 * `grid` is marked while columns are out of sight to the right.
 *
 * @param {HTMLElement} grid
 * @param {HTMLElement} scroller
 * @param {AbortSignal} signal ends it
 */
export function hint(grid, scroller, signal) {
  const look = () => {
    const {scrollLeft, clientWidth, scrollWidth} = scroller;
    grid.classList.toggle('grid-more', scrollLeft + clientWidth < scrollWidth - 1);
  };
  const sizes = new ResizeObserver(look);
  for (const part of [scroller, ...scroller.children]) sizes.observe(part); // those are as wide as all columns
  scroller.addEventListener('scroll', look, {signal, passive: true});
  signal.addEventListener('abort', () => sizes.disconnect());
}

/**
 * @param {MouseEvent} event
 * @param {Acts} acts
 */
function click(event, {stage, view, selected}) {
  const at = view.at(event.target);
  if (!at || interactive(event.target)) return;
  if (event.shiftKey) stage.selection.extend(at.index, Math.max(0, stage.index));
  else if (event.ctrlKey || event.metaKey || touched(event)) stage.selection.toggle(at.index);
  else stage.selection.only(at.index);
  selected();
  stage.go(at.index, Math.max(0, at.place));
}

/**
 * A finger has no Ctrl key: each tap selects one more, or one less.
 * @param {MouseEvent} event
 */
function touched(event) {
  return event instanceof PointerEvent && event.pointerType === 'touch';
}

/**
 * A link or button in a cell does its own.
 * @param {EventTarget | null} target
 */
function interactive(target) {
  return target instanceof Element && target.closest('a[href], button, input, select') !== null;
}

/**
 * Opens the menu of what is active; a row that is not selected is selected alone first.
 * @param {Acts} acts
 * @param {Point | null} at below the active cell if nothing is said
 */
function menu({stage, view, selected, contextMenu, headerMenu}, at) {
  const meant = stage.row(stage.index);
  if (!at && meant) view.revealRow(stage.index);
  stage.draw();
  const {index, marked} = stage;
  const box = marked?.getBoundingClientRect();
  const point = at ?? {x: (box?.left ?? 0) + 8, y: box?.bottom ?? 0};
  const row = stage.row(index);
  if (index < 0) headerMenu(point);
  else if (row && row.id === meant?.id) { // else it has just gone, and the menu would be about its neighbour
    if (!stage.selection.has(stage.order.slot(row.id))) stage.selection.only(index);
    selected();
    contextMenu(row, point);
  }
}

/**
 * @param {KeyboardEvent} event
 * @param {Acts} acts
 */
function headerKey(event, {stage, sort, move, resize}) {
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (event.key === 'Enter' || event.key === ' ') sort(stage.place);
  else if (by && event.altKey) move(stage.place, by);
  else if (by && event.shiftKey) resize(stage.place, by * STEP);
  else return false;
  return true;
}

/**
 * @param {KeyboardEvent} event
 * @param {Acts} acts
 */
function rowKey(event, acts) {
  const {selection, index} = acts.stage;
  const control = event.ctrlKey || event.metaKey;
  if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) menu(acts, null);
  else if (control && !event.altKey && event.key.toLowerCase() === 'a') acts.all();
  else if (event.key === 'Escape' && selection.count) acts.none();
  else if (index < 0) return false;
  else if (event.key === 'Enter') acts.follow();
  else if (event.key === ' ') {
    if (control) selection.toggle(index);
    else if (event.shiftKey) selection.extend(index, index);
    else selection.only(index);
    acts.selected();
  } else return false;
  return true;
}

/**
 * Moves the active cell; with Shift what is selected follows.
 * @param {KeyboardEvent} event
 * @param {Acts} acts
 */
function moveKey(event, {stage, view, selected}) {
  if (event.altKey) return false;
  const {index, place} = stage;
  const control = event.ctrlKey || event.metaKey;
  const last = stage.order.shown.length - 1;
  const right = view.columns.length - 1;
  /** @type {Record<string, [number, number]>} */
  const goals = {
    ArrowDown: [control ? last : index + 1, place],
    ArrowUp: [control ? Math.min(0, index) : index - 1, place],
    PageDown: [index + view.page, place],
    PageUp: [index < 0 ? -1 : Math.max(0, index - view.page), place],
    ArrowLeft: [index, control ? 0 : place - 1],
    ArrowRight: [index, control ? right : place + 1],
    Home: [control ? 0 : index, 0],
    End: [control ? last : index, right],
  };
  const goal = goals[event.key];
  if (!goal) return false;
  const row = Math.min(last, Math.max(event.shiftKey && index >= 0 ? 0 : -1, goal[0]));
  if (event.shiftKey && row >= 0 && row !== index) {
    stage.selection.extend(row, Math.max(0, index));
    selected();
  }
  stage.go(row, Math.max(0, Math.min(right, goal[1])));
  return true;
}
