/**
 * Menus: role=menu, arrows, Home, End, letters; Escape returns the focus.
 *
 * @typedef {{
 *   label: string,
 *   action?: () => unknown,
 *   disabled?: boolean,
 *   reason?: string,
 *   checked?: boolean,
 *   submenu?: Item[],
 *   separator?: boolean,
 * }} Item `reason` says why it is disabled; `checked` makes it one that can be ticked, and stays open; `separator`: a line
 *   above it.
 */

import { h } from './dom.js';
import { icon } from './icons.js';

const EDGE = 8; // pixels kept free at the edges of the window

/** @type {(() => void) | null} */
let closeOpen = null;

/**
 * Opens a menu below `anchor`, or at a point of the window. A menu that is open already closes.
 *
 * @param {HTMLElement | { x: number, y: number }} anchor
 * @param {Item[]} items
 */
export function openMenu(anchor, items) {
  closeOpen?.();
  const before = document.activeElement;
  const layer = h('section', { class: 'menu-layer', 'aria-label': 'Menu' });
  const close = (giveBack = true) => {
    if (closeOpen !== end) return;
    closeOpen = null;
    layer.remove();
    document.removeEventListener('pointerdown', outside, true);
    window.removeEventListener('resize', end);
    if (anchor instanceof HTMLElement) anchor.setAttribute('aria-expanded', 'false');
    if (giveBack && before instanceof HTMLElement && before.isConnected) before.focus();
  };
  const end = () => close();
  /** @param {PointerEvent} event */
  const outside = (event) => {
    if (event.target instanceof Node && !layer.contains(event.target)) close(false);
  };
  closeOpen = end;
  if (anchor instanceof HTMLElement) anchor.setAttribute('aria-expanded', 'true');
  ([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body).append(layer); // outside an open dialog nothing can be used
  document.addEventListener('pointerdown', outside, true);
  window.addEventListener('resize', end);
  const menu = build(items, layer, end, null);
  layer.append(menu);
  if (anchor instanceof HTMLElement) {
    const box = anchor.getBoundingClientRect();
    place(menu, box.left, box.bottom + 4, box.top - 4);
  } else {
    place(menu, anchor.x, anchor.y, anchor.y);
  }
  focusItem(menu, 0);
}

/**
 * @param {Item[]} items
 * @param {HTMLElement} layer
 * @param {() => void} end
 * @param {HTMLElement | null} opener the item whose submenu this is
 */
function build(items, layer, end, opener) {
  const menu = h('div', { class: 'menu', role: 'menu', ...(opener ? { 'aria-label': opener.dataset.label } : {}) });
  for (const item of items) {
    if (item.separator) menu.append(h('div', { class: 'menu-separator', role: 'separator' }));
    menu.append(entry(item, layer, end));
  }
  menu.addEventListener('keydown', (event) => keys(event, menu, opener, end));
  return menu;
}

/**
 * @param {Item} item
 * @param {HTMLElement} layer
 * @param {() => void} end
 */
function entry(item, layer, end) {
  const tickable = item.checked !== undefined;
  const element = h(
    'div',
    {
      class: 'menu-item',
      role: tickable ? 'menuitemcheckbox' : 'menuitem',
      tabindex: '-1',
      'aria-disabled': item.disabled ? 'true' : null,
      'aria-haspopup': item.submenu ? 'menu' : null,
      'aria-expanded': item.submenu ? 'false' : null,
      'aria-checked': tickable ? String(item.checked) : null,
      'data-label': item.label,
    },
    tickable && h('span', { class: 'menu-tick' }, icon('check')),
    h('span', { class: 'menu-label' }, item.label, item.disabled && item.reason && h('small', null, item.reason)),
    item.submenu && icon('chevron'),
  );
  const act = () => {
    if (item.disabled) return;
    if (item.submenu) {
      showSubmenu(element, item.submenu, layer, end);
    } else if (tickable) {
      element.setAttribute('aria-checked', String(element.getAttribute('aria-checked') !== 'true'));
      item.action?.();
    } else {
      end();
      item.action?.();
    }
  };
  element.addEventListener('click', act);
  element.addEventListener('pointermove', () => {
    if (document.activeElement === element) return; // or a menu that opens below a pointer at rest would take its choice
    element.focus();
    hideSubmenus(element);
    if (item.submenu && !item.disabled) showSubmenu(element, item.submenu, layer, end, false);
  });
  return element;
}

/**
 * @param {HTMLElement} opener
 * @param {Item[]} items
 * @param {HTMLElement} layer
 * @param {() => void} end
 * @param {boolean} [enter] the focus goes into it
 */
function showSubmenu(opener, items, layer, end, enter = true) {
  if (opener.getAttribute('aria-expanded') !== 'true') {
    hideSubmenus(opener);
    const menu = build(items, layer, end, opener);
    menu.dataset.level = String(Number(opener.closest('.menu')?.getAttribute('data-level') ?? 0) + 1);
    layer.append(menu);
    opener.setAttribute('aria-expanded', 'true');
    const box = opener.getBoundingClientRect();
    const width = menu.offsetWidth;
    const left = box.right + width + EDGE > innerWidth ? Math.max(EDGE, box.left - width) : box.right;
    place(menu, left, box.top - 5, box.bottom + 5);
  }
  if (enter) focusItem(/** @type {HTMLElement} */ (layer.lastElementChild), 0);
}

/** Submenus of other items of the same menu close. @param {HTMLElement} item */
function hideSubmenus(item) {
  const menu = item.closest('.menu');
  const level = Number(menu?.getAttribute('data-level') ?? 0);
  for (const other of item.closest('.menu-layer')?.querySelectorAll('.menu') ?? []) {
    if (Number(other.getAttribute('data-level') ?? 0) > level) other.remove();
  }
  for (const one of menu?.querySelectorAll('[aria-expanded=true]') ?? []) one.setAttribute('aria-expanded', 'false');
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} menu
 * @param {HTMLElement | null} opener
 * @param {() => void} end
 */
function keys(event, menu, opener, end) {
  const items = itemsOf(menu);
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  /** @type {Record<string, () => void>} */
  const does = {
    ArrowDown: () => focusItem(menu, (at + 1) % items.length),
    ArrowUp: () => focusItem(menu, (at - 1 + items.length) % items.length),
    Home: () => focusItem(menu, 0),
    End: () => focusItem(menu, items.length - 1),
    Enter: () => items[at]?.click(),
    ' ': () => items[at]?.click(),
    ArrowRight: () => items[at]?.getAttribute('aria-haspopup') && items[at].click(),
    ArrowLeft: () => opener && back(opener),
    Escape: () => (opener ? back(opener) : end()),
    Tab: end,
  };
  const act = does[event.key] ?? (event.key.length === 1 ? () => letter(menu, items, at, event.key) : null);
  if (act === null) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

/** @param {HTMLElement} opener */
function back(opener) {
  opener.focus();
  hideSubmenus(opener);
}

/**
 * @param {HTMLElement} menu
 * @param {HTMLElement[]} items
 * @param {number} at
 * @param {string} key
 */
function letter(menu, items, at, key) {
  const turned = [...items.slice(at + 1), ...items.slice(0, at + 1)];
  const found = turned.find((item) => item.dataset.label?.toLowerCase().startsWith(key.toLowerCase()));
  if (found) focusItem(menu, items.indexOf(found));
}

/** @param {HTMLElement} menu @param {number} at */
function focusItem(menu, at) {
  itemsOf(menu)[at]?.focus();
}

/** @param {HTMLElement} menu @returns {HTMLElement[]} */
function itemsOf(menu) {
  return [...menu.children].filter((child) => child instanceof HTMLElement && child.classList.contains('menu-item'))
    .map((child) => /** @type {HTMLElement} */ (child));
}

/**
 * At (`left`, `top`), or, where there is no room below, ending at `bottom`.
 *
 * @param {HTMLElement} menu
 * @param {number} left
 * @param {number} top
 * @param {number} bottom
 */
function place(menu, left, top, bottom) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const room = top + height + EDGE <= innerHeight;
  menu.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - width - EDGE))}px`;
  menu.style.top = `${room ? top : Math.max(EDGE, Math.min(bottom, innerHeight - EDGE) - height)}px`;
}
