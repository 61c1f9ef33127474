// The state of the page in its address: `#view=running&filter=kind%3Dimport&sort=-age`. It is all in the fragment, which never
// leaves the browser and is the same under every mount point. Navigation to another view, or to a task, adds a history entry;
// a change of the options of a view does not. (A token in the fragment is removed before this module reads it: `token.js`.)

/** @typedef {Record<string, string>} Params */

/** @type {(params: Params) => void} */
let show = () => {};
/** @type {Params} */
let current = {};

/** Parses a fragment. @param {string} [hash] @returns {Params} */
export function read(hash = location.hash) {
  return Object.fromEntries(new URLSearchParams(hash.slice(1)));
}

/** @param {Params} params */
export function link(params) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) words.set(name, value);
  return `#${words}`;
}

/** Calls `listener` with the parameters, now and whenever the address changes. @param {(params: Params) => void} listener */
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

/** The current parameters. */
export function here() {
  return current;
}

/** Navigates to other parameters; "back" returns from there. @param {Params} params */
export function go(params) {
  if (link(params) === link(current)) return;
  history.pushState({ pm: true }, '', link(params));
  current = read();
  show(current);
}

/** Changes parameters in place. @param {Params} changes an empty string removes a parameter */
export function adjust(changes) {
  const params = { ...current, ...changes };
  const to = link(params);
  if (to === link(current)) return;
  history.replaceState(history.state, '', to);
  current = read();
  show(current);
}

/** Returns to the previous entry, or to `above` if the page was opened here. @param {Params} above */
export function back(above) {
  if (history.state?.pm) history.back();
  else go(above);
}
