// Keys: the same as in `pm top`. They are heard everywhere but where text is typed, and can be turned off (a voice or a cat
// may press them).

import { button, byId, h } from './dom.js';

const OFF = 'pm-keys-off';

/** What the help tells. */
const HELP = /** @type {[string, string][]} */ ([
  ['1 to 5', 'the views: running, kinds, ended, waits, about'], ['↑ ↓ PgUp PgDn Home End', 'move the cursor'], ['Enter', 'look at the task; open or close a group'], ['← →', 'close, open a group'],
  ['Esc', 'back; take away marks, then the filter'], ['/', 'filter'], ['s', 'choose what to sort by'], ['r', 'turn the order round'], ['c', 'choose columns'], ['Space', 'mark, and go on'], ['*', 'mark all that fit the filter'], ['u', 'take away all marks'],
  ['k, Del', 'kill what is marked, or the task of the cursor'], ['y', 'copy the id'], ['t', 'tree'], ['g', 'group by kind'], ['p', 'pause'], ['?', 'this help'],
]);

export function areOff() {
  try {
    return localStorage.getItem(OFF) === '1';
  } catch {
    return false;
  }
}

/** @param {HTMLDialogElement} dialog */
function fillHelp(dialog) {
  const off = h('input', { type: 'checkbox', checked: !areOff(), onchange: () => {
    try {
      if (off.checked) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, '1');
    } catch {
      // Then they stay as they are.
    }
  } });
  dialog.replaceChildren(
    h('h2', { id: 'help-title' }, 'Keys'),
    h('dl', { class: 'keys' }, ...HELP.flatMap(([keys, words]) => [h('dt', {}, keys), h('dd', {}, words)])),
    h('h2', {}, 'Filter'),
    h('p', {}, 'kind=GET*,POST* attr.host=db1 minAge=5s: all conditions must hold. A comma is “or”, a star at the end “begins so”; quotes hold blanks together. There are state, kind, id, status, parent, serial, attr.NAME, minAge, maxAge, minStatusAge, maxStatusAge.'),
    h('p', {}, h('label', {}, off, ' Single keys do something')),
    h('p', { class: 'buttons' }, button('Close', () => dialog.close())),
  );
}

export function help() {
  const dialog = /** @type {HTMLDialogElement} */ (byId('help'));
  if (dialog.open) return;
  fillHelp(dialog);
  dialog.showModal();
}

/** Hears keys. @param {(event: KeyboardEvent) => boolean} heard whether somebody knew the key */
export function listen(heard) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (document.querySelector('dialog[open]')) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches('input, select, textarea') || target.isContentEditable) return;
    // What is focused has keys of its own.
    if ((event.key === 'Enter' || event.key === ' ') && target.matches('a, button, summary, label')) return;
    if (areOff() && event.key.length === 1 && event.key !== ' ') return;
    if (event.key === '?') help();
    else if (!heard(event)) return;
    event.preventDefault();
  });
}
