/** Values as people read them. Instants are ISO 8601 texts; they are shown in the time zone of this browser. */

const DATE = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short' });
const MINUTE = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'short' });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const NUMBER = new Intl.NumberFormat('en');
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [['year', 31_557_600], ['month', 2_629_800], ['day', 86_400], ['hour', 3600], ['minute', 60]];

/** `2027-11-23`; a certificate without an end has one in the year 9999 (RFC 5280 4.1.2.5). @param {string | null | undefined} iso */
export function date(iso) {
  if (iso?.startsWith('9999-12-31')) return 'no end';
  return iso ? DATE.format(new Date(iso)) : '';
}

/** `2027-11-23 14:05`. @param {string | null | undefined} iso */
export function time(iso) {
  return iso ? MINUTE.format(new Date(iso)) : '';
}

/** `5 minutes ago`, `in 3 months`. @param {string | null | undefined} iso @param {number} [now] milliseconds */
export function ago(iso, now = Date.now()) {
  if (!iso) return 'never';
  const seconds = (Date.parse(iso) - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return RELATIVE.format(Math.trunc(seconds / length), unit);
  }
  return 'just now';
}

/** `AB:CD:…`. @param {string} hex */
export function fingerprint(hex) {
  return (hex.match(/../g) ?? []).join(':').toUpperCase();
}

/** `1 device`, `1,200 devices`. @param {number} many @param {string} noun @param {string} [plural] */
export function count(many, noun, plural = `${noun}s`) {
  return `${NUMBER.format(many)} ${many === 1 ? noun : plural}`;
}

/** `1,200`. @param {number} many */
export function number(many) {
  return NUMBER.format(many);
}
