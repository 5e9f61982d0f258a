/**
 * Sort keys: what is compared instead of the values, made once for each row and column.
 *
 * A key is a number or a string, or null for an empty value. Numbers come before strings, strings compare by their code
 * units. That costs a hundredth of comparing values by `Intl.Collator`, which asks its tables about every pair anew.
 *
 * @module
 */

/** @typedef {number | string | null} Key */
/** @typedef {'text' | 'code' | 'number' | 'date' | 'address'} Kind */

/** Numbers of more digits than this are compared as text. */
const COUNTED = 40;

/** @type {Record<Kind, (value: unknown) => Key>} */
const KEYS = {text: textKey, code: codeKey, number: numberKey, date: dateKey, address: addressKey};

/**
 * The function that makes the keys of one kind; it remembers the values it has seen while it lives, because most columns
 * repeat a few values in very many rows.
 * @param {Kind} kind
 * @returns {(value: unknown) => Key}
 */
export function keyMaker(kind) {
  const make = KEYS[kind];
  if (kind === 'number' || kind === 'date') return make;
  /** @type {Map<unknown, Key>} */
  const seen = new Map();
  return (value) => {
    let key = seen.get(value);
    if (key === undefined) {
      key = value === null || value === undefined || value === '' ? null : make(value);
      if (seen.size < 4096) seen.set(value, key);
    }
    return key;
  };
}

/**
 * As people order text: letters regardless of case and accents, numbers in it by their size (`cam 9` before `cam 10`).
 * @param {unknown} value
 * @returns {Key}
 */
export function textKey(value) {
  const text = String(value ?? '');
  if (text === '') return null;
  const plain = /^[\x00-\x7f]*$/.test(text) ? text : text.normalize('NFKD').replace(/\p{M}+/gu, '');
  return plain.toLowerCase().replace(/\d+/g, counted);
}

/**
 * Before a number stands a character that tells how many digits it has, so that code units order it by size; all of them
 * come before the letters.
 * @param {string} digits
 */
function counted(digits) {
  const number = digits.replace(/^0+(?=\d)/, '');
  return String.fromCharCode(48 + Math.min(number.length, COUNTED)) + number;
}

/**
 * By code units, regardless of case: serials, hexadecimal.
 * @param {unknown} value
 * @returns {Key}
 */
export function codeKey(value) {
  return String(value ?? '').toUpperCase() || null;
}

/**
 * @param {unknown} value
 * @returns {Key}
 */
export function numberKey(value) {
  if (value === null || value === undefined || value === '') return null;
  const number = Number(value);
  return Number.isNaN(number) ? null : number;
}

/**
 * An ISO 8601 instant in milliseconds.
 * @param {unknown} value
 * @returns {Key}
 */
export function dateKey(value) {
  const instant = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(instant) ? null : instant;
}

/**
 * IPv4 addresses by their 32 bits, then IPv6 by their 128, then host names; a port after it decides among equal ones.
 * @param {unknown} value
 * @returns {Key}
 */
export function addressKey(value) {
  const text = String(value ?? '').toLowerCase();
  if (text === '') return null;
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?::(\d{1,5}))?$/.exec(text);
  if (four) {
    const [a, b, c, d, port] = four.slice(1).map(Number);
    return (((a * 256 + b) * 256 + c) * 256 + d) * 65536 + (port || 0);
  }
  const six = /^\[?([0-9a-f:]*:[0-9a-f:.]*)(?:%[^\]]*)?(?:\](?::(\d{1,5}))?)?$/.exec(text);
  if (six) return `6${groups(six[1])}:${(six[2] ?? '').padStart(5, '0')}`;
  return `7${textKey(text)}`;
}

/**
 * The 32 hexadecimal digits of an IPv6 address.
 * @param {string} address
 */
function groups(address) {
  const [head, tail] = address.split('::', 2).map((part) => part.split(':').filter(Boolean).map(padded));
  const missing = Math.max(0, 8 - head.length - (tail?.length ?? 0));
  return [...head, ...Array(tail ? missing : 0).fill('0000'), ...(tail ?? [])].join('');
}

/** @param {string} group */
function padded(group) {
  return group.padStart(4, '0');
}

/**
 * Less than 0, 0 or more than 0; null is not expected here.
 * @param {Key} a
 * @param {Key} b
 */
export function compareKeys(a, b) {
  if (a === b) return 0;
  if (typeof a === typeof b) return /** @type {string} */ (a) < /** @type {string} */ (b) ? -1 : 1;
  return typeof a === 'number' ? -1 : 1;
}

/**
 * For each slot of `slots` the rank of its key among all of them: equal keys have equal ranks, null has -1.
 * @param {readonly Key[]} keys by slot
 * @param {Uint32Array} slots
 * @returns {Float64Array} as long as `slots`
 */
export function ranks(keys, slots) {
  const ranked = new Float64Array(slots.length);
  const numbers = new Float64Array(slots.length);
  /** @type {Map<string, number>} */
  const strings = new Map();
  let counted = 0;
  for (let i = 0; i < slots.length; i += 1) {
    const key = keys[slots[i]];
    if (typeof key === 'number') numbers[counted++] = key;
    else if (key !== null) strings.set(key, 0);
  }
  const sorted = numbers.subarray(0, counted).sort();
  [...strings.keys()].sort(compareKeys).forEach((key, rank) => strings.set(key, counted + rank));
  for (let i = 0; i < slots.length; i += 1) {
    const key = keys[slots[i]];
    if (typeof key === 'number') ranked[i] = firstAtLeast(sorted, key);
    else ranked[i] = key === null ? -1 : /** @type {number} */ (strings.get(key));
  }
  return ranked;
}

/**
 * @param {Float64Array} sorted
 * @param {number} key
 */
function firstAtLeast(sorted, key) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
