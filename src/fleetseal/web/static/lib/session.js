/** Signing in, the first administrator, and the password again. Each is shown in place of the application. */

import { api, Problem } from './api.js';
import { dialog } from './dialog.js';
import { h, replace } from './dom.js';
import { complete, field, form } from './form.js';
import { icon } from './icons.js';

const SHORTEST = 12;

/**
 * Ends when somebody is signed in.
 *
 * @param {HTMLElement} root
 * @param {import('./routes.js').Session} session
 */
export function enter(root, session) {
  return new Promise((entered) => {
    const done = () => entered(undefined);
    if (session.state === 'setup') setUp(root, done);
    else signIn(root, done);
  });
}

/** Asks for the password again, for what is most sensitive. Whether it was right. */
export async function confirmPassword() {
  const password = field({
    label: 'Your password', name: 'password', type: 'password', required: true, autocomplete: 'current-password',
  });
  const confirmed = await dialog({
    title: 'Confirm it is you',
    body: [h('p', null, 'This changes secrets or rights, so your password is asked again. It then counts for 5 minutes.'), password.row],
    buttons: [
      { label: 'Cancel', value: false },
      {
        label: 'Confirm',
        kind: 'primary',
        submit: async () => {
          if (!complete([password])) return false;
          await api.post('session/confirm', { password: password.value() });
          return true;
        },
      },
    ],
  });
  return confirmed === true;
}

/**
 * @param {HTMLElement} root
 * @param {() => void} done
 */
function signIn(root, done) {
  const name = field({ label: 'Name', name: 'name', required: true, autocomplete: 'username' });
  const password = field({
    label: 'Password', name: 'password', type: 'password', required: true, autocomplete: 'current-password',
  });
  gate(root, {
    title: 'Sign in',
    intro: null,
    fields: [name, password],
    action: 'Sign in',
    submit: () => api.post('session', { name: name.value(), password: password.value() }),
    done,
  });
}

/**
 * @param {HTMLElement} root
 * @param {() => void} done
 */
function setUp(root, done) {
  const code = field({
    label: 'Setup code', name: 'code', required: true,
    help: 'It was shown when the server started: in its terminal or log, or in the file setup-code of its data directory.',
  });
  const name = field({ label: 'Your name', name: 'name', required: true, autocomplete: 'username' });
  const password = field({
    label: 'Password', name: 'password', type: 'password', required: true,
    help: `At least ${SHORTEST} characters. A few words in a row are easy to remember and hard to guess.`,
  });
  const again = field({ label: 'Password again', name: 'again', type: 'password', required: true });
  gate(root, {
    title: 'Welcome to Fleetseal',
    intro: 'Nobody can sign in yet. Make the first administrator.',
    fields: [code, name, password, again],
    action: 'Create administrator',
    submit: async () => {
      if (password.value() !== again.value()) {
        again.error('The two passwords differ.');
        again.input?.focus();
        return false;
      }
      await api.post('session/setup', { code: code.value(), name: name.value(), password: password.value() });
      return true;
    },
    done,
  });
}

/**
 * @param {HTMLElement} root
 * @param {{
 *   title: string,
 *   intro: string | null,
 *   fields: import('./form.js').Field[],
 *   action: string,
 *   submit: () => Promise<unknown>,
 *   done: () => void,
 * }} what
 */
function gate(root, { title, intro, fields, action, submit, done }) {
  document.title = `${title} – Fleetseal`;
  const problem = h('div', { class: 'problem', role: 'alert', hidden: true });
  const element = form({
    fields,
    action,
    label: title,
    more: [problem],
    submit: async () => {
      problem.hidden = true;
      try {
        if ((await submit()) !== false) done();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        replace(problem, icon('error'), h('span', null, error.detail));
        problem.hidden = false;
        const secret = fields.find((one) => one.name === 'password')?.input;
        if (secret instanceof HTMLInputElement) secret.select();
      }
    },
  });
  replace(
    root,
    h('main', { class: 'gate' },
      h('div', { class: 'gate-card' },
        h('img', { src: '/static/icon.svg', alt: '', width: '40', height: '40' }),
        h('h1', null, title), intro !== null && h('p', { class: 'quiet-text' }, intro), element)),
  );
  fields[0]?.input?.focus();
}
