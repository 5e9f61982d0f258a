/**
 * Tables for short lists. Long ones use the grid.
 *
 * @typedef {{
 *   key: string,
 *   label: string,
 *   render?: (row: any) => import('./dom.js').Child,
 *   numeric?: boolean,
 * }} Column
 */

import { h, isolated } from './dom.js';

/**
 * A table that scrolls sideways where it must; where there are no rows, what to do next.
 *
 * @param {{ columns: Column[], rows: any[], empty: string | Node, caption: string }} what the caption is for screen readers
 */
export function table({ columns, rows, empty, caption }) {
  if (rows.length === 0) return h('div', { class: 'empty' }, empty);
  const head = columns.map((one) => h('th', { scope: 'col', class: one.numeric ? 'numeric' : null }, one.label));
  const body = rows.map((row) =>
    h('tr', null, ...columns.map((one) =>
      h('td', { class: one.numeric ? 'numeric' : null }, one.render ? one.render(row) : isolated(row[one.key])))));
  return h('div', { class: 'table-scroll', role: 'region', 'aria-label': caption, tabindex: '0' },
    h('table', { class: 'table' }, h('caption', { class: 'visually-hidden' }, caption),
      h('thead', null, h('tr', null, ...head)), h('tbody', null, ...body)));
}
