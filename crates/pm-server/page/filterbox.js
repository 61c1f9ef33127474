// The input for a filter: it takes effect as the user types, completes, and shows errors with their position. While the text is
// invalid or unfinished, the filter before it stays applied, and `trouble` says so: nothing may be killed by it then.

import { h, replace, say } from './dom.js';
import { Filter, FilterError } from './filter.js';
import { suggest, wordAt } from './complete.js';
import { short } from './text.js';

/** @typedef {import('./model.js').Task} Task */

const SETTLE = 60;

export class FilterBox {
  /**
   * @param {{ name: string, label: string, tasks: () => Iterable<Task>, onFilter: (filter: Filter) => void, onText: () => void,
   *   onLeave: () => void }} options `onText` is called when `trouble` may have changed
   */
  constructor(options) {
    this.options = options;
    this.filter = new Filter('');
    /** The text that was last set, or passed on: another in the input is the user's, and stays. */
    this.given = '';
    /** @type {import('./complete.js').Suggestion[]} */
    this.found = [];
    this.at = -1;
    this.timer = 0;
    const { name } = options;
    this.input = h('input', {
      type: 'text', id: `${name}-filter`, role: 'combobox', 'aria-label': options.label, 'aria-expanded': 'false', 'aria-controls': `${name}-list`,
      'aria-autocomplete': 'list', 'aria-describedby': `${name}-wrong`, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
      maxlength: 4096, placeholder: 'Filter: kind=GET* minAge=5s attr.host=db1', enterkeyhint: 'search',
      oninput: () => this.#typed(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onfocus: () => this.#suggest(), onblur: () => this.#close(), onclick: () => this.#suggest(),
    });
    this.list = h('ul', { id: `${name}-list`, role: 'listbox', 'aria-label': 'Suggestions', class: 'suggestions', hidden: true });
    this.wrong = h('p', { id: `${name}-wrong`, class: 'wrong', role: 'status' });
    this.element = h('div', { class: 'filterbox' }, this.input, this.list, this.wrong);
  }

  /** Shows a filter from another source, such as the address. @param {string} text */
  set(text) {
    if (text === this.given) return;
    this.given = text;
    this.input.value = text;
    this.#apply(true);
  }

  clear() {
    this.input.value = '';
    this.#apply(true);
  }

  /** Why the text is not the filter that is applied; empty if it is. */
  get trouble() {
    if (this.input.value === this.filter.text) return '';
    return this.wrong.textContent || 'it is still being typed';
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  #typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#apply(false), SETTLE);
    this.#suggest();
    this.options.onText();
  }

  /** @param {boolean} isMeant an empty value is what is meant */
  #apply(isMeant) {
    clearTimeout(this.timer);
    const text = this.input.value;
    let filter = this.filter;
    let words = '';
    let isInvalid = false;
    try {
      const read = new Filter(text);
      if (text === filter.text || isMeant || !read.unfinished) filter = read;
      else words = `\`${short(read.unfinished, 60)}=\` has no value yet; type one, or press Enter if it is meant to be empty`;
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      words = error.message;
      isInvalid = true;
    }
    if (isInvalid) this.input.setAttribute('aria-invalid', 'true');
    else this.input.removeAttribute('aria-invalid');
    this.wrong.classList.toggle('unfinished', !isInvalid);
    say(this.wrong, words);
    const isOther = filter.text !== this.filter.text;
    if (isOther) {
      this.filter = filter;
      this.given = text;
      this.options.onFilter(filter);
    }
    this.options.onText();
  }

  #suggest() {
    if (document.activeElement !== this.input) return;
    const { value, selectionStart } = this.input;
    this.found = suggest(value, selectionStart ?? value.length, this.options.tasks());
    this.at = -1;
    replace(this.list, ...this.found.map((one, at) => h(
      'li',
      { role: 'option', id: `${this.list.id}-${at}`, 'aria-selected': 'false', onpointerdown: (/** @type {Event} */ event) => {
        event.preventDefault();
        this.#take(at);
      } },
      h('span', {}, one.label), ' ', h('span', { class: 'note' }, one.note),
    )));
    this.#open(this.found.length > 0);
  }

  /** @param {boolean} isOpen */
  #open(isOpen) {
    this.list.hidden = !isOpen;
    this.input.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) this.input.removeAttribute('aria-activedescendant');
  }

  #close() {
    this.at = -1;
    this.#open(false);
  }

  /** @param {number} by */
  #move(by) {
    const { children } = this.list;
    if (children.length === 0) return;
    children[this.at]?.setAttribute('aria-selected', 'false');
    this.at = (this.at + by + children.length + (this.at < 0 && by < 0 ? 1 : 0)) % children.length;
    children[this.at].setAttribute('aria-selected', 'true');
    children[this.at].scrollIntoView({ block: 'nearest' });
    this.input.setAttribute('aria-activedescendant', children[this.at].id);
  }

  /** @param {number} at */
  #take(at) {
    const { value, selectionStart } = this.input;
    const { from, to } = wordAt(value, selectionStart ?? value.length);
    const { text } = this.found[at];
    const isDone = !text.endsWith('=');
    const rest = value.slice(to);
    this.input.value = `${value.slice(0, from)}${text}${isDone && !rest.startsWith(' ') ? ' ' : ''}${rest}`;
    const caret = from + text.length + (isDone ? 1 : 0);
    this.input.setSelectionRange(caret, caret);
    this.#apply(false);
    this.#suggest();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const isOpen = !this.list.hidden;
    switch (event.key) {
      case 'ArrowDown':
      case 'ArrowUp':
        if (!isOpen) this.#suggest();
        this.#move(event.key === 'ArrowDown' ? 1 : -1);
        break;
      case 'Tab':
        // Completes only a word that was begun, so that Tab still moves the focus.
        if (!isOpen || event.shiftKey || this.input.value === '' || (this.at < 0 && this.found.length > 1)) return;
        this.#take(Math.max(0, this.at));
        break;
      case 'Enter':
        if (isOpen && this.at >= 0) this.#take(this.at);
        else {
          this.#apply(true);
          this.#close();
          if (!this.trouble) this.options.onLeave();
        }
        break;
      case 'Escape':
        if (isOpen) this.#close();
        else this.options.onLeave();
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
