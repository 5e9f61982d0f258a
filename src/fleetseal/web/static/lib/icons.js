/** Our own drawings, 16 by 16, in the colour of the text beside them. */

const SPACE = 'http://www.w3.org/2000/svg';

/** @type {Record<string, string>} */
const PATHS = {
  add: 'M8 3v10M3 8h10',
  alarm: 'M8 2a4 4 0 0 1 4 4v3l1.500 2.500h-11L4 9V6a4 4 0 0 1 4-4ZM6.500 13.500h3',
  certificate: 'M2.500 3h11v7h-3M2.500 3v7h3M5 5.500h6M8 12.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM7 12.500V15l1-.700 1 .700v-2.500',
  check: 'M3 8.500 6.500 12 13 4.500',
  chevron: 'm6 4 4 4-4 4',
  close: 'm4 4 8 8M12 4l-8 8',
  columns: 'M2.500 3h11v10h-11ZM6.200 3v10M9.800 3v10',
  configuration: 'M2 4.500h6M11 4.500h3M2 11.500h3M8 11.500h6M8 2.500h3v4H8ZM5 9.500h3v4H5Z',
  dashboard: 'M2.500 13.500v-5h3v5ZM6.500 13.500v-11h3v11ZM10.500 13.500v-8h3v8Z',
  device: 'M2 5h9v5H2ZM11 6.500 14 5v5l-3-1.500M5 10v3h-2.500',
  error: 'M8 2 14.500 13.500h-13ZM8 6.500v3M8 11.300v.400',
  filter: 'M2 3.500h12L9.500 8.800V13l-3-1.500V8.800Z',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 7.500v3.500M8 4.900v.400',
  lock: 'M4 7.500h8v6H4ZM5.500 7.500V5a2.500 2.500 0 0 1 5 0v2.500',
  menu: 'M2 4h12M2 8h12M2 12h12',
  more: 'M3.500 8h.100M8 8h.100M12.500 8h.100',
  refresh: 'M13 8a5 5 0 1 1-1.500-3.600M13 2v3h-3',
  search: 'M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9ZM10.500 10.500 14 14',
  trust: 'M8 1.800 3 3.700v3.800c0 3.200 2 5.500 5 6.700 3-1.200 5-3.500 5-6.700V3.700ZM5.800 8l1.600 1.600L10.400 6.500',
  user: 'M8 8a2.700 2.700 0 1 0 0-5.400A2.700 2.700 0 0 0 8 8ZM2.800 14c.500-2.800 2.500-4.200 5.200-4.200s4.700 1.400 5.200 4.200',
};

/**
 * A drawing without meaning of its own: there is text beside it, or a label on what holds it.
 *
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SPACE, 'svg');
  for (const [key, value] of [['viewBox', '0 0 16 16'], ['class', 'icon'], ['aria-hidden', 'true']]) {
    svg.setAttribute(/** @type {string} */ (key), /** @type {string} */ (value));
  }
  const path = document.createElementNS(SPACE, 'path');
  path.setAttribute('d', PATHS[name] ?? '');
  svg.append(path);
  return svg;
}
