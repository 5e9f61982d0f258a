/** What this browser keeps for a person: how things are shown, never what they are. */

const PREFIX = 'fleetseal.';

/**
 * @template T
 * @param {string} name
 * @param {T} otherwise also where something else was kept, or nothing can be
 * @returns {T}
 */
export function kept(name, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    const value = text === null ? otherwise : JSON.parse(text);
    const alike = typeof value === typeof otherwise && Array.isArray(value) === Array.isArray(otherwise);
    return alike && value !== null ? value : otherwise;
  } catch {
    return otherwise;
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
export function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing shows the next page as the first.
  }
}
