// Elements, made without markup: whatever is shown becomes a text node, so no text of a task is ever read as anything else.
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
 * An element. `onclick` and its like are listeners, all others attributes.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, any>} [props] @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props, ...children) {
  return /** @type {any} */ (fill(document.createElement(tag), props, children));
}

/** The same for drawings. @param {string} tag @param {Record<string, any>} [props] @param {...Child} children */
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

/** Puts other children in place of those that are there. @param {Element} element @param {...Child} children */
export function replace(element, ...children) {
  element.replaceChildren();
  return add(element, ...children);
}

/** Changes a text only where it differs, so that nothing is drawn anew. @param {Element} element @param {string} text */
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

/** A button. @param {string} label @param {(event: Event) => void} onclick @param {Record<string, any>} [props] */
export function button(label, onclick, props) {
  return h('button', { type: 'button', onclick, ...props }, label);
}

/** A text that can be copied, with a button where the browser lets us. @param {string} text @param {string} [what] */
export function copyable(text, what = 'Copy') {
  const code = h('code', { class: 'copy' }, text);
  if (!navigator.clipboard) return code;
  const copy = button('copy', async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(copy, 'copied');
    } catch {
      say(copy, 'not allowed');
    }
    setTimeout(() => say(copy, 'copy'), 1500);
  }, { class: 'small', 'aria-label': what });
  return h('span', { class: 'copyline' }, code, copy);
}
