/** A chart of bars, with the same numbers as a table for those who do not see it. */

import { h } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const STEP = 48;
const BAR = 28;
const HEIGHT = 96;
const BELOW = 20;
const ABOVE = 18;

/**
 * @param {{
 *   caption: string,
 *   heads: [string, string],
 *   items: { label: string, name: string, value: number }[],
 * }} what `label` is written below a bar, `name` is the whole of it
 */
export function bars({ caption, heads, items }) {
  const most = Math.max(1, ...items.map((one) => one.value));
  const width = items.length * STEP;
  const drawing = svg('svg', {
    viewBox: `0 0 ${width} ${ABOVE + HEIGHT + BELOW}`, class: 'bars', 'aria-hidden': 'true', focusable: 'false',
  });
  items.forEach((one, index) => {
    const middle = index * STEP + STEP / 2;
    const height = one.value === 0 ? 1 : Math.max(3, Math.round((one.value / most) * HEIGHT));
    const top = ABOVE + HEIGHT - height;
    drawing.append(
      svg('rect', { x: middle - BAR / 2, y: top, width: BAR, height, rx: Math.min(2, height / 2), class: one.value === 0 ? 'bar bar-none' : 'bar' }),
      svg('text', { x: middle, y: ABOVE + HEIGHT + BELOW - 5, class: 'bar-label' }, one.label),
    );
    if (one.value > 0) drawing.append(svg('text', { x: middle, y: top - 5, class: 'bar-value' }, String(one.value)));
  });
  return h('figure', { class: 'bars-figure' }, drawing,
    h('div', { class: 'visually-hidden' }, h('table', null, h('caption', null, caption),
      h('thead', null, h('tr', null, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
      h('tbody', null, ...items.map((one) =>
        h('tr', null, h('th', { scope: 'row' }, one.name), h('td', null, String(one.value))))))));
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function svg(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}
