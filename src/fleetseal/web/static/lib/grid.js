/**
 * A grid of very many rows: only those in sight exist in the page.
 *
 * ```js
 * const grid = new Grid({
 *   label: 'Devices',
 *   columns: [
 *     {key: 'mac', label: 'MAC address', width: 130, kind: 'code', sticky: true},
 *     {key: 'address', label: 'Address', width: 140, kind: 'address', render: (row) => h('a', {href: …}, row.address)},
 *     {key: 'expires', label: 'Expires', width: 110, kind: 'date', value: (row) => row.certificate?.not_after, hidden: true},
 *   ],
 *   sort: {key: 'address', descending: false},
 *   empty: ({total}) => (total ? 'No device matches the filter.' : h('p', null, 'No devices yet.')),
 *   announce,                                         // from toast.js: what a screen reader is told
 * });
 * main.append(grid.element);                          // fills its parent: give that a height
 * grid.onSelection = (count) => …;                    // at most once a frame
 * grid.onActivate = (row) => …;                       // double click, Enter
 * grid.onContextMenu = ({ids, row, at}) => openMenu(at, …);   // at: {x, y}; the row clicked is selected by then
 * grid.onHeaderMenu = ({items, at}) => openMenu(at, items);   // items as lib/menu.js takes them
 * grid.onColumns = (state) => localStorage.setItem(…, JSON.stringify(state));
 * grid.onCount = ({shown, total}) => …;               // at most once a frame
 *
 * grid.setRows(rows);  grid.update(rows);  grid.remove(ids);  grid.get(id);
 * grid.filter((row) => …);  grid.filter(fn, {narrows: true});  grid.filter(null);
 * grid.sort('model', {descending: true});
 * grid.selection;  grid.selectedRows();  grid.selectAll();  grid.select(ids);  grid.clearSelection();
 * grid.matching();                                    // the rows that the filter lets through, as they are ordered
 * grid.columns;  grid.setColumns(state);              // order, widths and what is hidden
 * grid.reveal(id);  grid.focus();  grid.destroy();
 * ```
 *
 * What holds:
 * - A row is an object with `id` (a string). The grid keeps the object and never changes it: `update` wants a new one.
 * - `update` adds rows it does not know. Updates are drawn together in the next frame; `get` sees them at once.
 * - Selected are only rows that are shown: what the filter hides, or what is removed, leaves the selection, so that no
 *   action meets a device that nobody sees. "All that match" is `selectAll()` or Ctrl+A, drawn or not.
 * - Text becomes text nodes; `render` gives a string or a node and is called for rows in sight only.
 * - Sorting: empty values last in both directions; equal ones in the order in which they came.
 * - The keyboard focus is on `grid.focusable`, one element for good; the active cell is named by aria-activedescendant and
 *   is in the page even when it is scrolled out of sight, so updates, sorting and scrolling never lose it.
 * - Keys: arrows, Page Up/Down, Home/End (in the row), Ctrl+Home/End; Shift with them extends; Space selects, Ctrl+Space
 *   toggles, Ctrl+A selects all that match, Escape selects none; Enter follows the link of the active cell, else activates
 *   the row; Shift+F10 or the menu key opens the menu. On a header (arrow up from the first row): Enter or Space sorts,
 *   Alt+Left/Right moves the column, Shift+Left/Right makes it narrower or wider; the menu has the same.
 *
 * @module
 */
