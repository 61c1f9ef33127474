// The input for a filter: it takes effect as the user types, completes, and shows errors with their position.

import { h, replace, say } from './dom.js';
import { Filter, FilterError } from './filter.js';
import { suggest, wordAt } from './complete.js';

/** @typedef {import('./model.js').Task} Task */

const SETTLE = 60;

export class FilterBox {
  /**
   * @param {{ name: string, label: string, tasks: () => Iterable<Task>, onFilter: (filter: Filter) => void, onLeave: () => void }} options
   */
  constructor(options) {
    this.options = options;
    this.filter = new Filter('');
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
    if (text === this.input.value && text === this.filter.text) return;
    this.input.value = text;
    this.#apply();
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  #typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#apply(), SETTLE);
    this.#suggest();
  }

  #apply() {
    clearTimeout(this.timer);
    const text = this.input.value;
    try {
      const filter = new Filter(text);
      this.input.removeAttribute('aria-invalid');
      say(this.wrong, '');
      if (filter.text === this.filter.text) return;
      this.filter = filter;
      this.options.onFilter(filter);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      this.input.setAttribute('aria-invalid', 'true');
      say(this.wrong, error.message);
    }
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
    this.#apply();
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
          this.#apply();
          this.#close();
          this.options.onLeave();
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
