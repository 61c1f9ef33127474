// A table of any length that stays stable. Only the visible rows exist; a row keeps its element as long as its task is on the
// screen; and when lines above are added or removed, the scroll position follows, so that the visible rows do not move.
//
// To a screen reader it is a grid (WAI-ARIA) with its true number of rows; `aria-activedescendant` names the row of the
// cursor, so the focus is never lost when row elements are reused.

import { h, say } from './dom.js';
import { short, named } from './text.js';
import { Group } from './order.js';

/** @typedef {import('./order.js').Line} Line */
/** @typedef {import('./model.js').Task} Task */
/**
 * A column: `make` creates the contents of a cell, and `fill` updates them, without effect if nothing changed.
 * @typedef {{ name: string, label: string, width: string, sort?: string, isNumber?: boolean,
 *   make?: (cell: HTMLElement) => void, fill: (cell: HTMLElement, task: Task, now: number) => void }} Column
 */

const ROW = 28;
/** Rows above and below the screen. */
const MORE = 8;
/** However tall the screen is. */
const MOST = 140;

class Row {
  /** @param {string} id @param {Column[]} columns */
  constructor(id, columns) {
    this.columns = columns;
    this.group = h('div', { role: 'gridcell', class: 'group', hidden: true, 'aria-colspan': columns.length });
    this.cells = columns.map((column) => {
      const cell = h('div', { role: 'gridcell', class: `c-${column.name.replace(/[^a-zA-Z]/g, '-')}${column.isNumber ? ' number' : ''}` });
      column.make?.(cell);
      return cell;
    });
    this.element = h('div', { role: 'row', class: 'row', id }, ...this.cells, this.group);
    /** @type {Line | undefined} */
    this.line = undefined;
    this.index = -1;
    this.isGroup = false;
    this.looks = '';
  }

  /** @param {Line} line @param {number} index @param {number} now @param {string} looks @param {boolean} isMarked */
  show(line, index, now, looks, isMarked) {
    this.line = line;
    const { element } = this;
    if (index !== this.index) {
      this.index = index;
      element.style.transform = `translateY(${index * ROW}px)`;
      element.setAttribute('aria-rowindex', String(index + 2));
      element.classList.toggle('odd', index % 2 === 1);
    }
    const isGroup = line instanceof Group;
    if (isGroup !== this.isGroup) {
      this.isGroup = isGroup;
      this.group.hidden = !isGroup;
      for (const cell of this.cells) cell.hidden = isGroup;
    }
    if (looks !== this.looks) {
      this.looks = looks;
      element.className = `row ${looks}${index % 2 ? ' odd' : ''}`;
      element.setAttribute('aria-selected', String(isMarked));
    }
    if (line instanceof Group) {
      say(this.group, `${line.isOpen ? '▾' : '▸'} ${named(short(line.kind ?? '', 120), 'no kind')}: ${line.words}`);
      return;
    }
    this.columns.forEach((column, at) => column.fill(this.cells[at], line, now));
  }
}

export class Table {
  /**
   * @param {{ name: string, label: string, columns: Column[], marks?: Set<Task>, onOpen: (line: Line) => void,
   *   onSort?: (name: string) => void, onMark?: (task: Task) => void, onCursor?: () => void,
   *   looks: (task: Task, now: number) => string, empty: () => string }} options
   */
  constructor(options) {
    this.options = options;
    /** @type {Column[]} */
    this.columns = options.columns;
    this.sort = '';
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Line | undefined} */
    this.cursor = undefined;
    this.cursorIndex = 0;
    /** When the user last pointed or typed here: in the meantime, lines stay in place. */
    this.touched = -Infinity;
    /** @type {Map<Line | string, Row>} */
    this.rows = new Map();
    /** @type {Row[]} */
    this.free = [];
    this.made = 0;
    this.frame = 0;
    this.headRow = h('div', { role: 'row', class: 'row headrow', 'aria-rowindex': 1 });
    this.body = h('div', { class: 'body' });
    this.empty = h('p', { class: 'empty', hidden: true });
    this.element = h(
      'div',
      { class: 'grid', role: 'grid', id: options.name, tabindex: 0, 'aria-label': options.label, 'aria-multiselectable': options.marks ? 'true' : false },
      h('div', { role: 'rowgroup', class: 'head' }, this.headRow),
      this.body,
    );
    this.wrap = h('div', { class: 'gridwrap' }, this.element, this.empty);
    this.element.addEventListener('scroll', () => this.later(), { passive: true });
    this.element.addEventListener('pointermove', (event) => {
      if (event.pointerType === 'mouse') this.touched = performance.now();
    }, { passive: true });
    this.element.addEventListener('click', (event) => this.#clicked(event));
    this.element.addEventListener('dblclick', (event) => {
      const line = this.#lineOf(event);
      if (line) this.options.onOpen(line);
    });
    this.element.addEventListener('focus', () => this.#showCursor());
    new ResizeObserver(() => this.later()).observe(this.element);
    this.setColumns(options.columns);
  }

  /** @param {Column[]} columns */
  setColumns(columns) {
    this.columns = columns;
    this.element.style.setProperty('--columns', columns.map((column) => column.width).join(' '));
    this.element.setAttribute('aria-colcount', String(columns.length));
    for (const row of this.rows.values()) row.element.remove();
    this.rows.clear();
    this.free = [];
    this.headRow.replaceChildren(...columns.map((column) => {
      const label = column.label || '\u00a0';
      const cell = h('div', { role: 'columnheader', class: column.isNumber ? 'number' : '', 'data-name': column.sort });
      if (column.sort && this.options.onSort) {
        const { sort } = column;
        cell.append(h('button', { type: 'button', tabindex: -1, onclick: () => this.options.onSort?.(sort) }, label));
      } else cell.append(column.label ? label : h('span', { class: 'unseen' }, 'marked'));
      return cell;
    }));
    this.setSort(this.sort);
    this.later();
  }

  /** Shows the sort key. @param {string} sort */
  setSort(sort) {
    this.sort = sort;
    for (const cell of this.headRow.children) {
      const name = /** @type {HTMLElement} */ (cell).dataset.name;
      if (name && sort.replace('-', '') === name) cell.setAttribute('aria-sort', sort.startsWith('-') ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    }
  }

  get firstOnScreen() {
    return Math.floor(this.element.scrollTop / ROW);
  }

  get height() {
    return Math.max(0, this.element.clientHeight - this.headRow.offsetHeight);
  }

  /** @param {Line | undefined} line */
  #onScreen(line) {
    const row = line && this.rows.get(keyOf(line));
    if (!row) return false;
    const first = this.element.scrollTop / ROW;
    return row.index >= Math.floor(first) && row.index < first + this.height / ROW;
  }

  /** Returns `true` if the line has a row now. @param {Line} line */
  isShown(line) {
    return this.rows.has(keyOf(line));
  }

  /** @param {Line[]} lines */
  setLines(lines) {
    const before = this.lines;
    const { element } = this;
    const top = element.scrollTop;
    let anchor = -1;
    let to = -1;
    if (this.cursor && this.#onScreen(this.cursor)) {
      anchor = this.cursorIndex;
      to = indexOf(lines, this.cursor);
    }
    if (to < 0 && top > 0) {
      const first = this.firstOnScreen;
      for (anchor = first; anchor < Math.min(before.length, first + 60) && to < 0; anchor += 1) to = indexOf(lines, before[anchor]);
      anchor -= 1;
    }
    this.lines = lines;
    this.body.style.height = `${lines.length * ROW}px`;
    element.setAttribute('aria-rowcount', String(lines.length + 1));
    if (lines.length > 0) this.body.setAttribute('role', 'rowgroup');
    else this.body.removeAttribute('role');
    if (to >= 0 && to !== anchor) element.scrollTop = top + (to - anchor) * ROW;
    if (this.cursor) {
      const at = indexOf(lines, this.cursor);
      // The cursor of a removed line moves to the next.
      this.cursorIndex = at >= 0 ? at : Math.max(0, Math.min(this.cursorIndex, lines.length - 1));
      this.cursor = lines[this.cursorIndex];
    }
    this.render();
  }

  /** Draws with the next frame. */
  later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  render() {
    const { lines, element } = this;
    if (!element.isConnected || element.clientHeight === 0) return;
    const now = performance.now();
    const onScreen = Math.ceil(this.height / ROW) + 1;
    const first = Math.max(0, Math.min(this.firstOnScreen, lines.length - onScreen) - MORE);
    const last = Math.min(lines.length, first + Math.min(onScreen + 2 * MORE, MOST));
    const wanted = new Set();
    for (let at = first; at < last; at += 1) wanted.add(keyOf(lines[at]));
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      this.rows.delete(key);
      this.free.push(row);
    }
    for (let at = first; at < last; at += 1) {
      const line = lines[at];
      const key = keyOf(line);
      let row = this.rows.get(key);
      if (!row) {
        row = this.free.pop();
        if (!row) {
          row = new Row(`${this.options.name}-${this.made}`, this.columns);
          this.made += 1;
          this.body.append(row.element);
        }
        this.rows.set(key, row);
      }
      const isCursor = line === this.cursor;
      const isMarked = line instanceof Group ? false : (this.options.marks?.has(line) ?? false);
      const own = line instanceof Group ? 'is-group' : this.options.looks(line, now);
      row.show(line, at, now, `${own}${isCursor ? ' cursor' : ''}${isMarked ? ' marked' : ''}`, isMarked);
    }
    for (const row of this.free) row.element.remove();
    this.free.length = 0;
    // In document order, too, for screen readers.
    /** @type {Element | null} */
    let next = this.body.firstElementChild;
    for (let at = first; at < last; at += 1) {
      const element = this.rows.get(keyOf(lines[at]))?.element;
      if (!element) continue;
      if (element === next) next = next.nextElementSibling;
      else this.body.insertBefore(element, next);
    }
    const cursorRow = this.cursor && this.rows.get(keyOf(this.cursor));
    if (cursorRow) element.setAttribute('aria-activedescendant', cursorRow.element.id);
    else element.removeAttribute('aria-activedescendant');
    this.empty.hidden = lines.length > 0;
    if (lines.length === 0) say(this.empty, this.options.empty());
  }

  /** @param {Event} event */
  #lineOf(event) {
    const element = event.target instanceof Element ? event.target.closest('.row') : null;
    for (const row of this.rows.values()) if (row.element === element) return row.line;
    return undefined;
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const line = this.#lineOf(event);
    if (!line) return;
    this.touched = performance.now();
    this.moveTo(this.lines.indexOf(line));
    const target = /** @type {Element} */ (event.target);
    if (line instanceof Group) this.options.onOpen(line);
    else if (target.closest('.c-mark')) this.options.onMark?.(line);
    else if (target.closest('a') && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      this.options.onOpen(line);
    }
  }

  #showCursor() {
    if (!this.cursor && this.lines.length > 0) this.moveTo(Math.min(this.firstOnScreen, this.lines.length - 1));
  }

  /** Moves the cursor to a line, and scrolls it into view. @param {number} index */
  moveTo(index) {
    if (this.lines.length === 0) return;
    index = Math.max(0, Math.min(index, this.lines.length - 1));
    this.cursorIndex = index;
    this.cursor = this.lines[index];
    const { element } = this;
    const top = index * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + this.height) element.scrollTop = top + ROW - this.height;
    this.options.onCursor?.();
    this.render();
  }

  /** Moves the cursor by a key; returns `true` if the key does that. @param {string} key */
  key(key) {
    const page = Math.max(1, Math.floor(this.height / ROW) - 1);
    const at = this.cursor ? this.cursorIndex : -1;
    /** @type {Record<string, number>} */
    const to = {
      ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), PageDown: at + page, PageUp: Math.max(0, at - page), Home: 0, End: this.lines.length - 1,
    };
    if (!Object.hasOwn(to, key)) return false;
    this.touched = performance.now();
    this.moveTo(to[key]);
    return true;
  }
}

/** Returns `true` for the same line: groups are recreated each time, but keep their name. @param {Line} line */
const keyOf = (line) => (line instanceof Group ? line.serial : line);

/** @param {Line[]} lines @param {Line} line */
function indexOf(lines, line) {
  if (!(line instanceof Group)) return lines.indexOf(line);
  return lines.findIndex((other) => other instanceof Group && other.serial === line.serial);
}
