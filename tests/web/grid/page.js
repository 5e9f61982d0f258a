// A page with a grid of its own, for tests and measurements.
import {Grid} from '/static/lib/grid.js';

const STATUSES = ['OK', 'Unreachable', 'Wrong credentials', 'Certificate about to expire', 'Busy'];
const MODELS = ['AXIS P3245-V', 'AXIS M1065-L', 'AXIS Q6135-LE', 'AXIS A1001', 'AXIS C1310-E', 'AXIS P1448-LE'];
const FIRMWARES = ['11.11.73', '10.12.240', '9.80.3.1', '5.90.1', '12.1.64'];

/** A row as the API gives it, told by its number alone. */
export function device(number, more = {}) {
  const mixed = Math.imul(number + 1, 2654435761) >>> 0;
  const mac = `00408C${(mixed & 0xffffff).toString(16).padStart(6, '0').toUpperCase()}`;
  return {
    id: `device-${number}`,
    mac,
    status: STATUSES[mixed % STATUSES.length],
    address: `10.${(mixed >>> 20) & 15}.${(number >>> 8) & 255}.${number & 255}`,
    hostname: `camera-${mixed % 5000}.example.org`,
    http_port: 80,
    https_port: 443,
    model: MODELS[(mixed >>> 3) % MODELS.length],
    product_type: 'Network Camera',
    firmware: FIRMWARES[(mixed >>> 5) % FIRMWARES.length],
    server: 'Main',
    https: mixed % 3 ? 'Enabled' : 'Disabled',
    trust: 'verified',
    expires: mixed % 7 ? new Date(1.8e12 + (mixed % 400) * 864e5).toISOString() : null,
    tags: [],
    last_seen: '2026-11-23T12:00:00Z',
    ...more,
  };
}

export function devices(count) {
  return Array.from({length: count}, (_, number) => device(number));
}

function link(row) {
  const anchor = document.createElement('a');
  anchor.href = `#${row.id}`;
  anchor.textContent = row.address;
  return anchor;
}

export const COLUMNS = [
  {key: 'mac', label: 'MAC address', width: 130, kind: 'code', sticky: true},
  {key: 'status', label: 'Status', width: 170},
  {key: 'address', label: 'Address', width: 140, kind: 'address', render: link},
  {key: 'model', label: 'Model', width: 150},
  {key: 'firmware', label: 'Firmware', width: 100},
  {key: 'server', label: 'Server', width: 90},
  {key: 'https', label: 'HTTPS', width: 110},
  {key: 'hostname', label: 'Host name', width: 200},
  {key: 'expires', label: 'Expires', width: 180, kind: 'date'},
  {key: 'last_seen', label: 'Last seen', width: 180, kind: 'date', hidden: true},
];

/** The next moment at which what was done has been drawn. */
export const drawn = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));

const said = [];
export function make(options = {}) {
  window.grid?.destroy();
  const grid = new Grid({
    label: 'Devices',
    columns: COLUMNS,
    sort: {key: 'address', descending: false},
    empty: ({total}) => (total ? 'No device matches the filter.' : 'No devices yet.'),
    announce: (text) => said.push(text),
    ...options,
  });
  const events = [];
  grid.onSelection = (count) => events.push(['selection', count]);
  grid.onActivate = (row) => events.push(['activate', row.id]);
  grid.onContextMenu = ({ids, row, at}) => events.push(['menu', ids, row.id, at]);
  grid.onHeaderMenu = ({items, at}) => {
    window.items = items;
    events.push(['header', items.map((item) => item.label), at]);
  };
  grid.onColumns = (state) => events.push(['columns', state]);
  grid.onCount = (counts) => events.push(['count', counts]);
  const place = document.querySelector('#place');
  place.style.width = '';
  place.replaceChildren(grid.element);
  said.length = 0;
  Object.assign(window, {grid, events});
  return grid;
}

Object.assign(window, {device, devices, drawn, make, said, COLUMNS});
window.keys = await import('/static/lib/grid-keys.js');
window.orders = await import('/static/lib/grid-order.js');
window.ready = true;
