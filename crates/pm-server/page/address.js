// What is shown, in the address: `#view=running&filter=kind%3Dimport&sort=-age`. It is all in the fragment, which never leaves
// the browser and is the same under every mount point. Going to another view, or a task, is a step that "back" undoes; a
// change of how a view looks is not. (A token in the fragment is taken out before this sees it: `token.js`.)

/** @typedef {Record<string, string>} Params */

/** @type {(params: Params) => void} */
let show = () => {};
/** @type {Params} */
let current = {};

/** What a fragment says. @param {string} [hash] @returns {Params} */
export function read(hash = location.hash) {
  return Object.fromEntries(new URLSearchParams(hash.slice(1)));
}

/** @param {Params} params */
export function link(params) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) words.set(name, value);
  return `#${words}`;
}

/** Calls `listener` with what is to be shown, now and whenever the address changes. @param {(params: Params) => void} listener */
export function follow(listener) {
  show = listener;
  const changed = () => {
    const params = read();
    if (link(params) === link(current)) return;
    current = params;
    show(current);
  };
  addEventListener('popstate', changed);
  addEventListener('hashchange', changed);
  current = read();
  show(current);
}

/** Where we are. */
export function here() {
  return current;
}

/** Another place; "back" returns from it. @param {Params} params */
export function go(params) {
  if (link(params) === link(current)) return;
  history.pushState({ pm: true }, '', link(params));
  current = read();
  show(current);
}

/** Other looks of the same place. @param {Params} changes an empty text takes a parameter out */
export function adjust(changes) {
  const params = { ...current, ...changes };
  const to = link(params);
  if (to === link(current)) return;
  history.replaceState(history.state, '', to);
  current = read();
  show(current);
}

/** Back to where we were, or to the place above if we came here from elsewhere. @param {Params} above */
export function back(above) {
  if (history.state?.pm) history.back();
  else go(above);
}
