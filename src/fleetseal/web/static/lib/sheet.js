/** Files for spreadsheets (RFC 4180). */

/** As `core/text.py`: how a cell begins that a spreadsheet would calculate. */
const FORMULA = /^(?:[\t\r\n]|\s*[=+\-@'＝＋－＠])/u;

/**
 * @param {string[]} head
 * @param {(string | number | null | undefined)[][]} rows
 */
export function sheet(head, rows) {
  return [head, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

/** @param {string | number | null | undefined} value */
function cell(value) {
  const text = String(value ?? '');
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
