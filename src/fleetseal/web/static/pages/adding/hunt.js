/** A search that runs on the server: followed, stopped, and what it found is added. */

import { api } from '../../lib/api.js';
import { h, replace } from '../../lib/dom.js';
import * as format from '../../lib/format.js';
import { announce } from '../../lib/toast.js';
import { action, outcome, told } from '../configuration/frame.js';
import { adopt } from './adopt.js';
import { Results } from './results.js';
import { Sightings } from './sightings.js';

const LOOK_MS = 500;

/** @type {Record<string, string>} */
const STAGES = { Listen: 'Listening to announcements', Scan: 'Trying addresses', Identify: 'Looking at what answered' };

/** @typedef {{ state: string, begun: string, progress: Record<string, any> | null, count: number, devices: any[], next: number | null, others: number, problem: string | null }} Search */

export class Hunt {
  element = h('div', { class: 'stack' });
  #session;
  #status = h('p');
  #bar = h('progress', { max: '1', 'aria-label': 'Progress of the search' });
  #said = outcome();
  #sightings = new Sightings('No device was found.');
  #results = new Results();
  #left = false;
  #following = false;
  #stop;
  #add;
  #card;

  /** @param {import('../../lib/routes.js').Session} session */
  constructor(session) {
    this.#session = session;
    this.#stop = action('Stop', this.#said, async () => this.#draw(await whole(await api.post('discovery/search/stop'))));
    this.#add = action('Add\u2026', this.#said, () => this.#adopt(), { kind: 'primary' });
    const details = action('Details\u2026', this.#said, async () => this.#sightings.details());
    const choose = action('Select all new', this.#said, async () => this.#sightings.choose());
    this.#sightings.onChoice = (chosen) => this.#label(chosen.length);
    this.#card = h('section', { class: 'card', hidden: true },
      h('div', { class: 'card-head' }, h('h2', null, 'Found'), this.#stop, choose, details, this.#add),
      this.#status, this.#bar, this.#said.element, this.#sightings.element);
    this.element.append(this.#card, this.#results.element);
    this.#label(0);
  }

  /** Goes on with a search that runs. */
  async resume() {
    const search = await api.get('discovery/search');
    if (search?.state === 'running') this.follow(search);
  }

  /** Shows this search from its beginning, until it ends. @param {Search} search */
  follow(search) {
    this.#card.hidden = false;
    this.#said.say('');
    this.#results.clear();
    this.#sightings.only([]);
    this.#draw(search);
    if (search.state === 'running' && !this.#following) void this.#look();
  }

  leave() {
    this.#left = true;
    this.#sightings.destroy();
  }

  async #look() {
    this.#following = true;
    try {
      for (let after = 0, running = true; running && !this.#left;) {
        await new Promise((later) => setTimeout(later, LOOK_MS));
        const search = await api.get(`discovery/search?after=${after}`);
        if (this.#left) return;
        running = search.state === 'running';
        after += search.devices.length;
        this.#draw(await whole(search));
      }
    } catch (error) {
      if (!this.#left) this.#said.say(told(error), 'bad');
    } finally {
      this.#following = false;
    }
  }

  /** @param {Search} search */
  #draw(search) {
    const running = search.state === 'running';
    const { progress } = search;
    this.#stop.hidden = !running;
    this.#bar.hidden = !running;
    if (progress !== null && progress.total > 0) this.#bar.value = progress.done / progress.total;
    else this.#bar.removeAttribute('value');
    if (running) {
      this.#sightings.more(search.devices);
      replace(this.#status, progress === null ? 'Beginning' : underWay(progress));
      return;
    }
    const began = this.#sightings.all.length === 0 || this.#sightings.chosen.length === 0;
    this.#sightings.only(search.devices);
    if (began) this.#sightings.choose();
    replace(this.#status, summary(search));
    announce(summary(search));
    if (search.problem !== null) this.#said.say(search.problem, 'bad');
  }

  async #adopt() {
    const chosen = this.#sightings.chosen;
    if (chosen.length === 0) {
      this.#said.say('Select new devices first.', 'bad');
      return;
    }
    const login = await adopt(chosen, this.#session);
    if (login !== null) await this.#results.add(chosen, login);
    this.#sightings.only(this.#sightings.all.map((row) => this.#results.has(row) ? { ...row, result: 'known', message: 'It is in the inventory now.' } : row));
  }

  /** @param {number} many */
  #label(many) {
    replace(this.#add, many === 0 ? 'Add\u2026' : `Add ${format.count(many, 'device')}\u2026`);
  }
}

/** A search that has ended, with all that it found. @param {Search} search @returns {Promise<Search>} */
async function whole(search) {
  if (search.state === 'running') return search;
  /** @type {any[]} */
  const devices = [];
  for (let after = /** @type {number | null} */ (0); after !== null;) {
    const part = await api.get(`discovery/search?after=${after}`);
    devices.push(...part.devices);
    after = part.next;
  }
  return { ...search, devices };
}

/** @param {Record<string, any>} progress */
function underWay({ stage, total, done, found, seconds_left: left }) {
  const far = total > 0 ? `: ${format.number(done)} of ${format.number(total)}, ${format.number(found)} found` : '';
  const time = left === null ? '' : `, ${format.count(left, 'second')} left`;
  return `${STAGES[stage] ?? stage}${far}${time}.`;
}

/** @param {Search} search */
function summary({ state, devices, others }) {
  const how = state === 'stopped' ? 'The search was stopped. ' : state === 'failed' ? 'The search failed. ' : '';
  const fresh = devices.filter((one) => one.result === 'found').length;
  const refused = devices.filter((one) => one.result === 'failed').length;
  const unfit = refused === 0 ? '' : ` ${format.count(refused, 'more', 'more')} cannot be added: see the remark.`;
  const rest = others === 0 ? '' : ` ${format.count(others, 'address', 'addresses')} ${others === 1 ? 'answers' : 'answer'} as something else than an Axis device.`;
  return `${how}${format.count(devices.length - refused, 'device')} found, ${format.number(fresh)} new.${unfit}${rest}`;
}
