/** What the configuration pages share: their heading, sections, and where it is said what came of an action. */

import { Problem } from '../../lib/api.js';
import { dialog } from '../../lib/dialog.js';
import { h, replace } from '../../lib/dom.js';
import { complete, values } from '../../lib/form.js';
import { icon } from '../../lib/icons.js';

/**
 * @typedef {import('../../lib/dom.js').Child} Child
 * @typedef {import('../../lib/form.js').Field} Field
 * @typedef {import('../../lib/routes.js').Session} Session
 * @typedef {import('../../lib/routes.js').Context} Context
 * @typedef {'plain' | 'good' | 'bad'} Tone
 */

/**
 * `main` shows a page; what is given back takes its content.
 *
 * @param {HTMLElement} main
 * @param {string} title
 * @param {string} intro what the page is for, in one or two sentences
 */
export function frame(main, title, intro) {
  const content = h('div', { class: 'configuration-content' });
  replace(main, h('div', { class: 'page configuration' }, h('h1', null, title), h('p', { class: 'quiet-text' }, intro), content));
  return content;
}

/**
 * @param {string} title
 * @param {...(Child | Child[])} children
 */
export function section(title, ...children) {
  return h('section', { class: 'card' }, h('h2', null, title), ...children);
}

/** May this person change what is configured? @param {Session} session */
export function administers(session) {
  return session.user?.role === 'administrator';
}

/** What a page says instead of buttons to somebody who may only look. */
export function onlyLooking() {
  return h('p', { class: 'quiet-text' }, 'Only an administrator changes this.');
}

/** A place that says what came of an action; screen readers say it too. */
export function outcome() {
  const element = h('p', { class: 'notice', role: 'status', hidden: true });
  return {
    element,
    /** @param {string} text nothing: the place is empty again @param {Tone} [tone] */
    say(text, tone = 'plain') {
      element.className = tone === 'bad' ? 'problem' : `notice ${tone}`;
      element.hidden = text === '';
      replace(element, icon({ plain: 'info', good: 'check', bad: 'error' }[tone]), h('span', null, text));
    },
  };
}

/** What to tell people of an error; a defect is thrown on. @param {unknown} error */
export function told(error) {
  if (error instanceof Problem) return error.detail;
  throw error;
}

/**
 * A button that cannot be pressed again while its work is under way; a problem is said in `place`.
 *
 * @param {string} label
 * @param {ReturnType<typeof outcome>} place
 * @param {() => Promise<unknown>} work
 * @param {{ kind?: 'primary' | 'danger' | 'plain', name?: string }} [options] `name`: for screen readers, where the
 *   label alone does not say what it acts on
 */
export function action(label, place, work, { kind = 'plain', name } = {}) {
  const button = h('button', { type: 'button', class: `button ${kind}`, 'aria-label': name }, label);
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    place.say('');
    try {
      await work();
    } catch (error) {
      place.say(told(error), 'bad');
    } finally {
      button.removeAttribute('aria-disabled');
    }
  });
  return button;
}

/** @param {...(Child | Child[])} buttons */
export function actions(...buttons) {
  return h('div', { class: 'actions' }, ...buttons);
}

/**
 * Asks for some fields and acts; ends with what `submit` returned, or null when the person left. A problem is shown in
 * the dialog, which stays.
 *
 * @param {{
 *   title: string,
 *   intro?: Child | Child[],
 *   fields: Field[],
 *   label: string,
 *   submit: (values: Record<string, any>) => Promise<unknown>,
 *   danger?: boolean,
 *   wide?: boolean,
 * }} what
 * @returns {Promise<any>}
 */
export function ask({ title, intro, fields, label, submit, danger = false, wide = false }) {
  const words = [intro ?? []].flat().map((one) => (one instanceof Node ? one : h('p', null, one)));
  return dialog({
    title,
    wide,
    body: [...words, ...fields.map((one) => one.row)],
    buttons: [
      { label: 'Cancel', value: null },
      {
        label,
        kind: danger ? 'danger' : 'primary',
        submit: async () => (complete(fields) && alike(fields) ? submit(values(fields)) : false),
      },
    ],
  });
}

/** Whether `passphrase` and `again`, if both are asked, are the same; said where they are not. @param {Field[]} fields */
export function alike(fields) {
  const again = fields.find((one) => one.name === 'again');
  const first = fields.find((one) => ['passphrase', 'password'].includes(one.name));
  if (again === undefined || first === undefined || first.value() === again.value()) return true;
  again.error('The two differ.');
  again.input?.focus();
  return false;
}

/**
 * Pairs of a name and what it has; those that have nothing are left out.
 *
 * @param {[string, Child | Child[]][]} pairs
 */
export function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return h('dl', { class: 'facts' }, ...there.flatMap(([name, value]) => [h('dt', null, name), h('dd', null, ...[value].flat())]));
}

/**
 * A state, by shape and word.
 *
 * @param {string} word
 * @param {'good' | 'warn' | 'bad' | 'none'} tone
 */
export function state(word, tone) {
  return h('span', { class: `state ${tone}` }, word);
}
