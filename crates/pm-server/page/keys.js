// Keys, equal to those of `pm top`. They work everywhere except in text inputs, and can be turned off (speech input, or a cat,
// may press them).

import { button, byId, h } from './dom.js';

const OFF = 'pm-keys-off';

/** The contents of the help. */
const HELP = /** @type {[string, string][]} */ ([
  ['1 to 5', 'the views: running, kinds, ended, waits, about'], ['↑ ↓ PgUp PgDn Home End', 'move the cursor'], ['Enter', 'show the task; open or close a group'], ['← →', 'close or open a group'],
  ['Esc', 'back; clear the marks, then the filter'], ['/', 'filter'], ['s', 'choose the sort key'], ['r', 'reverse the order'], ['c', 'choose columns'], ['Space', 'mark, and move on'], ['*', 'mark all that match the filter'], ['u', 'clear all marks'],
  ['k, Del', 'kill the marked tasks, or the one at the cursor'], ['y', 'copy the id'], ['t', 'tree'], ['g', 'group by kind'], ['p', 'pause'], ['?', 'this help'],
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
      // Without storage, the setting stays as it is.
    }
  } });
  dialog.replaceChildren(
    h('h2', { id: 'help-title' }, 'Keys'),
    h('dl', { class: 'keys' }, ...HELP.flatMap(([keys, words]) => [h('dt', {}, keys), h('dd', {}, words)])),
    h('h2', {}, 'Filter'),
    h('p', {}, 'kind=GET*,POST* attr.host=db1 minAge=5s: all conditions must hold. A comma means “or”, a trailing star is a prefix match, quotes keep blanks, and kind="" matches an empty value. Names: state, kind, id, status, parent, serial, attr.NAME, minAge, maxAge, minStatusAge, maxStatusAge.'),
    h('p', {}, h('label', {}, off, ' Enable single-key shortcuts')),
    h('p', { class: 'buttons' }, button('Close', () => dialog.close())),
  );
}

export function help() {
  const dialog = /** @type {HTMLDialogElement} */ (byId('help'));
  if (dialog.open) return;
  fillHelp(dialog);
  dialog.showModal();
}

/** Passes keys on. @param {(event: KeyboardEvent) => boolean} handle returns `true` if it knew the key */
export function listen(handle) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (document.querySelector('dialog[open]')) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches('input, select, textarea') || target.isContentEditable) return;
    // The focused element has keys of its own.
    if ((event.key === 'Enter' || event.key === ' ') && target.matches('a, button, summary, label')) return;
    if (areOff() && event.key.length === 1 && event.key !== ' ') return;
    if (event.key === '?') help();
    else if (!handle(event)) return;
    event.preventDefault();
  });
}
