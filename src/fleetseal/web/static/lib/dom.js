/**
 * Elements. Text enters a page as text nodes only; there is no way here to give HTML.
 *
 * @typedef {Node | string | number | false | null | undefined} Child
 * @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => unknown)>} Attributes
 */

const SAFE_TARGET = /^(?:https?:\/\/|\/(?!\/)|#|blob:)/;

/**
 * An element. Attributes named `on…` are functions; `true` is an attribute without a value; `false`, `null` and
 * `undefined` leave it out. A link leads to this site or to http(s), or is none: an address may come from a device.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  element.append(...nodes(children.flat()));
  return element;
}

/**
 * Everything in `element` is replaced by `children`.
 *
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function replace(element, ...children) {
  element.replaceChildren(...nodes(children.flat()));
}

/**
 * A text from a device or a person, kept apart from the writing direction of what surrounds it.
 *
 * @param {string | number | null | undefined} text
 * @param {string} [otherwise] shown where there is none
 */
export function isolated(text, otherwise = '') {
  return h('bdi', null, text === null || text === undefined || text === '' ? otherwise : String(text));
}

/**
 * A fingerprint, `AB:CD:…`, that folds between its bytes and is copied without blanks.
 *
 * @param {string} hex
 */
export function folding(hex) {
  const bytes = hex.toUpperCase().match(/../g) ?? [];
  return h('bdi', { class: 'folding' }, ...bytes.flatMap((byte, place) => (place === 0 ? [byte] : [':', h('wbr'), byte])));
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {Attributes[string]} value
 */
function set(element, name, value) {
  if (value === false || value === null || value === undefined) return;
  if (name.startsWith('on')) {
    if (typeof value !== 'function') throw new TypeError(`${name} wants a function`);
    element.addEventListener(name.slice(2), value);
  } else if (typeof value === 'function') {
    throw new TypeError(`${name} cannot be a function`);
  } else if (name === 'href' && !SAFE_TARGET.test(String(value))) {
    element.setAttribute('aria-disabled', 'true');
  } else {
    element.setAttribute(name, value === true ? '' : String(value));
  }
}

/**
 * @param {Child[]} children
 * @returns {Node[]}
 */
function nodes(children) {
  /** @type {Node[]} */
  const found = [];
  for (const child of children) {
    if (child === false || child === null || child === undefined) continue;
    found.push(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return found;
}
