/** Files that leave through the browser's own dialog. */

import { h } from './dom.js';

/** How long a browser may take to begin. */
const KEPT_MS = 60_000;

/**
 * The browser saves `content` as a file.
 *
 * @param {string} name
 * @param {Blob | string} content
 * @param {string} [type]
 */
export function save(name, content, type = 'application/octet-stream') {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h('a', { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}

/**
 * What base64 means, as a file's content.
 *
 * @param {string} text
 * @param {string} [type]
 */
export function decoded(text, type = 'application/octet-stream') {
  return new Blob([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], { type });
}

/**
 * The content of a chosen file in base64, as the API takes files.
 *
 * @param {File} file
 * @returns {Promise<string>}
 */
export function encoded(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(String(reader.result).replace(/^[^,]*,?/, '')));
    reader.addEventListener('error', () => reject(new Error(`The file ${file.name} cannot be read.`)));
    reader.readAsDataURL(file);
  });
}
