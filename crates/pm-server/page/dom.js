// Elements, made without markup: all text becomes a text node, so no string of a task is ever parsed as anything else.
// (The page's policy also forbids markup from strings: `require-trusted-types-for 'script'`.)

/** @typedef {Node | string | number | null | undefined | false} Child */

const SVG = 'http://www.w3.org/2000/svg';

/** @param {Element} element @param {Record<string, any>} [props] @param {Child[]} [children] */
function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  add(element, ...(children ?? []));
  return element;
}

/**
 * Creates an element. `onclick` and the like are listeners, all others attributes.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, any>} [props] @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props, ...children) {
  return /** @type {any} */ (fill(document.createElement(tag), props, children));
}

/** Creates an SVG element. @param {string} tag @param {Record<string, any>} [props] @param {...Child} children */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** @param {Element} element @param {...Child} children */
export function add(element, ...children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Replaces all children. @param {Element} element @param {...Child} children */
export function replace(element, ...children) {
  element.replaceChildren();
  return add(element, ...children);
}

/** Changes a text only if it differs, so that nothing is redrawn. @param {Element} element @param {string} text */
export function say(element, text) {
  const first = /** @type {Text | null} */ (element.firstChild);
  if (first && first.nodeType === 3 && !first.nextSibling) {
    if (first.data !== text) first.data = text;
  } else {
    element.replaceChildren(document.createTextNode(text));
  }
}

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Creates a button. @param {string} label @param {(event: Event) => void} onclick @param {Record<string, any>} [props] */
export function button(label, onclick, props) {
  return h('button', { type: 'button', onclick, ...props }, label);
}

/** Creates a text with a button that copies it, where the browser allows that. @param {string} text @param {string} [what] */
export function copyable(text, what = 'Copy') {
  const code = h('code', { class: 'copy' }, text);
  if (!navigator.clipboard) return code;
  const copy = button('copy', async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(copy, 'copied');
    } catch {
      say(copy, 'denied');
    }
    setTimeout(() => say(copy, 'copy'), 1500);
  }, { class: 'small', 'aria-label': what });
  return h('span', { class: 'copyline' }, code, copy);
}
