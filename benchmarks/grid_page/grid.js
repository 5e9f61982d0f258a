// What is measured, of the grid and of the plain list alike. Each act ends when what it did has been drawn.
import {addressKey} from '/static/lib/grid-keys.js';
import {keeping} from '/static/pages/devices/rows.js';
import {Plain} from '/more/plain.js';

const COUNT = 100_000;
// Fetched rows are strings and objects of their own, as these are.
const fetched = () => devices(COUNT).map((row) => JSON.parse(JSON.stringify(row)));

// As `GET devices` has them, of devices that serve a certificate of ours, each with texts of its own.
const hex = (seed, length) => Array.from({length}, (_, n) => ((Math.imul(seed + n * 7919, 2654435761) >>> 7) & 15).toString(16)).join('');
const secured = (number) => {
  const names = [device(number).address, `camera-${number}.example.org`];
  const certificate = {
    alias: `fleetseal-3f9a1c-${number}`, subject: `CN=${names[0]}`, issuer: 'CN=Site Issuing CA 1', names, serial: hex(number, 40),
    not_before: '2026-11-23T11:00:00Z', not_after: '2027-11-23T12:00:00Z', sha256: hex(number + 5, 64), key: 'EC P-256',
    issued_by_us: true, key_origin: 'device',
  };
  return device(number, {hostname: names[1], tags: ['gate'], certificate});
};

const OF = {address: (row) => addressKey(row.address)};
const columnKey = (key) => OF[key] ?? ((row) => row[key] ?? '');
const wanted = (row) => row.model.includes('P32') || row.hostname.includes('p32');
const changed = (key, value) => (
  Array.from({length: 1000}, (_, n) => device((n * 97) % COUNT, {[key]: value(n)}))
);
const MOVING = ['OK', 'Busy', 'Unreachable', 'Wrong credentials'];

let subject = null;
let round = 0;

const GRID = {
  start: (rows) => {
    make();
    subject = window.grid;
    subject.setRows(rows);
  },
  sort: (key) => subject.sort(key),
  filter: (filter) => subject.filter(filter),
  update: (rows) => subject.update(rows),
  scroller: () => subject.focusable,
};
const PLAIN = {
  start: (rows) => {
    window.grid?.destroy();
    subject = new Plain(COLUMNS);
    const place = document.querySelector('#place');
    place.replaceChildren(subject.element);
    subject.element.style.blockSize = '500px';
    subject.element.style.inset = 'auto';
    subject.element.style.position = 'relative';
    subject.setRows(rows);
    subject.sort(columnKey('address'), true);
  },
  sort: (key) => subject.sort(columnKey(key), key in OF),
  filter: (filter) => subject.filter(filter),
  update: (rows, resort) => subject.update(rows, resort),
  scroller: () => subject.element,
};

async function scroll(scroller) {
  const began = performance.now();
  let frames = 0;
  while (performance.now() - began < 1000) {
    scroller.scrollTop += 140;
    await new Promise(requestAnimationFrame);
    frames += 1;
  }
  return frames / ((performance.now() - began) / 1000);
}

// What an act needs that is not measured is made by `prepare`.
window.acts = {
  'first rows': {prepare: fetched, act: (list, rows) => list.start(rows)},
  'sort by model': {act: (list) => list.sort('model')},
  'sort by host name': {act: (list) => list.sort('hostname')},
  'sort by MAC address': {act: (list) => list.sort('mac')},
  'filter': {act: (list) => list.filter(wanted)},
  'filter off': {act: (list) => list.filter(null)},
  '1,000 updates': {
    prepare: () => changed('https', () => (round % 2 ? 'Enabled' : 'Disabled')),
    act: (list, rows) => list.update(rows, false),
  },
  'sort by status': {act: (list) => list.sort('status')},
  '1,000 updates that move': {
    prepare: () => changed('status', (n) => MOVING[(n + round) % 4]),
    act: (list, rows) => list.update(rows, true),
  },
};
let prepared;
window.prepare = (what) => {
  round += 1;
  prepared = window.acts[what].prepare?.();
};
window.run = async (what, which) => {
  window.acts[what].act(which === 'grid' ? GRID : PLAIN, prepared);
  await drawn();
};
window.scrolling = (which) => scroll((which === 'grid' ? GRID : PLAIN).scroller());
window.hold = async () => {
  const row = keeping();
  const page = (number) => JSON.parse(JSON.stringify(Array.from({length: 5000}, (_, n) => secured(number * 5000 + n))));
  GRID.start(Array.from({length: COUNT / 5000}, (_, number) => page(number).map(row)).flat());
  await drawn();
};
