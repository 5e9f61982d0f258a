/** Starts the application: who is there, then the pages. */

import { api, people, Problem } from './lib/api.js';
import { h, replace } from './lib/dom.js';
import * as events from './lib/events.js';
import { icon } from './lib/icons.js';
import { applyTheme, shell } from './lib/navigation.js';
import { route } from './lib/router.js';
import { confirmPassword, enter } from './lib/session.js';

const root = /** @type {HTMLElement} */ (document.getElementById('application'));
/** @type {(() => void) | null} */
let leave = null;
let starting = false;

applyTheme();
people.confirmPassword = confirmPassword;
people.signIn = () => void start();
void start();

/** From whatever is shown to the application, through the door that is needed. */
async function start() {
  if (starting) return;
  starting = true;
  leave?.();
  leave = null;
  for (const dialog of document.querySelectorAll('dialog')) dialog.remove();
  try {
    let session = await api.get('session');
    while (session.state !== 'open') {
      await enter(root, session);
      session = await api.get('session');
    }
    starting = false;
    await open(session);
  } catch (error) {
    starting = false;
    failed(error);
    if (!(error instanceof Problem)) throw error;
  }
}

/** @param {import('./lib/routes.js').Session} session */
async function open(session) {
  const made = shell(session, () => void start());
  replace(root, made.element);
  const ready = events.start();
  const away = { done: false };
  leave = () => {
    away.done = true;
    events.stop();
  };
  await ready;
  if (away.done) return;
  const end = route(made.main, session, made.arrived);
  leave = () => {
    end();
    events.stop();
  };
}

/** @param {unknown} error */
function failed(error) {
  replace(
    root,
    h('main', { class: 'gate' },
      h('div', { class: 'gate-card' },
        h('h1', null, 'Fleetseal cannot be reached'),
        h('p', { class: 'problem', role: 'alert' }, icon('error'),
          h('span', null, error instanceof Problem ? error.detail : 'A defect of this page. Load it again.')),
        h('button', { type: 'button', class: 'button primary', onclick: () => void start() }, 'Try again'))),
  );
}
