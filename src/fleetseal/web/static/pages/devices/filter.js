/**
 * Filters of the list of devices: the words of `device list --filter`, judged in the browser.
 *
 * @typedef {Record<string, any>} Device a member of `GET devices`
 * @typedef {(device: Device) => boolean} Test
 */

export const COLUMNS = [
  'id', 'mac', 'status', 'address', 'hostname', 'http_port', 'https_port', 'model', 'product_type', 'firmware', 'server',
  'https', 'trust', 'certificate', 'tags', 'last_seen',
];

/** @type {Record<string, string>} */
const MEANT = { name: 'hostname', host: 'hostname', tag: 'tags', site: 'server' };
/** @type {Record<string, (order: number) => boolean>} */
const COMPARISONS = { '<': (order) => order < 0, '<=': (order) => order <= 0, '>': (order) => order > 0, '>=': (order) => order >= 0 };

/** A filter that cannot be understood; `message` says why. */
export class FilterProblem extends Error {}

/**
 * Whether a device passes every word; null where there is none.
 *
 * @param {string} text
 * @returns {Test | null}
 * @throws {FilterProblem} for an unknown column
 */
export function compile(text) {
  const tests = words(text).map(test);
  if (tests.length === 0) return null;
  return (device) => tests.every((one) => one(device));
}

/**
 * Whether what passes `after` has passed `before` too: then only what is shown is looked at again.
 *
 * @param {string} before
 * @param {string} after
 */
export function narrows(before, after) {
  return after.startsWith(before) && !/[:"'\\]/.test(after) && words(after).every((word) => serial(word) === null);
}

/**
 * As a shell divides them; a quote that is still open ends at the end, because somebody is typing.
 *
 * @param {string} text
 */
export function words(text) {
  /** @type {string[]} */
  const found = [];
  for (const [word] of text.matchAll(/(?:[^\s"'\\]|\\[^]?|"(?:[^"\\]|\\[^])*(?:"|\\?$)|'[^']*(?:'|$))+/g)) found.push(plain(word));
  return found;
}

/** A word without its quotes and backslashes. @param {string} word */
function plain(word) {
  return word.replace(/\\([^]?)|"((?:[^"\\]|\\[^])*)(?:"|\\?$)|'([^']*)(?:'|$)/g, (_, escaped, double, single) =>
    escaped ?? double?.replace(/\\(["\\])/g, '$1') ?? single ?? '');
}

/**
 * The text of a column, as it is searched.
 *
 * @param {Device} device
 * @param {string} column
 */
export function textOf(device, column) {
  const value = device[column];
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.join(' ');
  if (typeof value === 'object') return [value.alias ?? '', value.subject, value.issuer, ...value.names].join(' ');
  return String(value);
}

/**
 * @param {string} word
 * @returns {Test}
 */
function test(word) {
  const colon = word.indexOf(':');
  const before = word.slice(0, Math.max(colon, 0)).toLowerCase();
  if (colon < 0 || /^[0-9a-f[.]*$/.test(before)) return anywhere(word); // addresses have colons too
  const column = MEANT[before] ?? before;
  if (!COLUMNS.includes(column)) {
    throw new FilterProblem(`There is no column “${before}”. The columns are: ${COLUMNS.join(', ')}.`);
  }
  const value = word.slice(colon + 1);
  const comparison = /^(<=|>=|<|>)([0-9.]+)$/.exec(value);
  if (column === 'firmware' && comparison !== null) {
    const holds = COMPARISONS[/** @type {string} */ (comparison[1])];
    const bound = version(/** @type {string} */ (comparison[2]));
    return (device) => Boolean(device.firmware) && holds !== undefined && holds(compare(version(device.firmware), bound));
  }
  const wanted = containing(value);
  return (device) => wanted.test(textOf(device, column));
}

/**
 * @param {string} word
 * @returns {Test}
 */
function anywhere(word) {
  const wanted = containing(word);
  const mac = serial(word);
  return (device) => COLUMNS.some((column) => wanted.test(textOf(device, column))) || (mac !== null && device.mac === mac);
}

/** A MAC address in any common spelling, as it is shown. @param {string} word */
function serial(word) {
  const digits = word.replace(/[:.\s-]/g, '').toUpperCase();
  return /^[0-9A-F]{12}$/.test(digits) ? (digits.match(/../g) ?? []).join(':') : null;
}

/** @param {string} text */
function containing(text) {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'iu');
}

/** The parts of a firmware version; what is no number counts as 0. @param {string} text */
function version(text) {
  return text.split('.', 6).map((part) => (/^[0-9]{1,9}$/.test(part) ? Number(part) : 0));
}

/** @param {number[]} one @param {number[]} other */
function compare(one, other) {
  for (const [place, part] of one.entries()) {
    const difference = part - (other[place] ?? -1);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}
