// The ended tasks: the newest, the failed, the killed, the slowest.

import { h, say } from './dom.js';
import { Problem, call } from './api.js';
import { columnsOf, looks } from './columns.js';
import { FilterBox } from './filterbox.js';
import { Task } from './model.js';
import { Table } from './table.js';
import { clock, plural, short } from './text.js';

/** @typedef {import('./model.js').Model} Model */

const EVERY = 2000;
const LIMIT = 1000;

/** The lists, with their order and outcomes. @type {Record<string, { label: string, sort: string, outcome?: string }>} */
const LISTS = {
  newest: { label: 'Newest', sort: '-endedAt' },
  failed: { label: 'Failed', sort: '-endedAt', outcome: 'failed,aborted' },
  killed: { label: 'Killed', sort: '-endedAt', outcome: 'cancelled,dropped' },
  slowest: { label: 'Slowest', sort: '-age' },
};

export class EndedView {
  /**
   * @param {{ model: Model, usual: import('./usual.js').Usual, adjust: (changes: Record<string, string>) => void, open: (task: Task) => void,
   *   place: (task?: Task) => Record<string, string> }} around
   */
  constructor(around) {
    this.around = around;
    this.list = 'newest';
    this.asked = -Infinity;
    this.counted = -1;
    this.isStale = true;
    this.asking = 0;
    this.trouble = '';
    /** @type {Map<string, Task>} */
    this.known = new Map();
    this.box = new FilterBox({
      name: 'ended', label: 'Filter', tasks: () => this.known.values(),
      onFilter: (filter) => around.adjust({ filter: filter.text }),
      onLeave: () => this.table.element.focus(),
    });
    const own = columnsOf(['id', 'kind', 'age', 'status', 'attrs'], { marks: new Set(), usual: (kind) => around.usual.of(kind), place: around.place });
    for (const column of own) {
      column.sort = undefined;
      if (column.name === 'age') column.label = 'Ran for';
    }
    const when = {
      name: 'ended', label: 'Ended', width: '6.4rem', isNumber: true,
      fill: (/** @type {HTMLElement} */ cell, /** @type {Task} */ task) => say(cell, clock(this.times.get(task))),
    };
    /** @type {WeakMap<Task, string>} */
    this.times = new WeakMap();
    this.table = new Table({
      name: 'ended-tasks', label: 'Ended tasks', columns: [when, ...own], onOpen: (line) => line instanceof Task && around.open(line),
      looks, empty: () => this.trouble || (this.isStale ? 'Loading.' : this.box.filter.isEmpty ? 'No task has ended yet.' : 'No task matches the filter.'),
    });
    this.tabs = Object.entries(LISTS).map(([name, { label }]) => h('button', { type: 'button', 'data-list': name, onclick: () => around.adjust({ list: name }) }, label));
    this.words = h('span', { class: 'summary', role: 'status', 'aria-live': 'off' });
    this.element = h(
      'section', { class: 'view ended-view', 'aria-label': 'Ended' }, h('h1', { class: 'unseen' }, 'Ended'),
      h('div', { class: 'tools' }, h('div', { class: 'tabs', role: 'group', 'aria-label': 'List' }, ...this.tabs), this.box.element, this.words),
      this.table.wrap,
    );
  }

  /** @param {Record<string, string>} params */
  show(params) {
    this.list = Object.hasOwn(LISTS, params.list ?? '') ? params.list : 'newest';
    for (const tab of this.tabs) tab.setAttribute('aria-pressed', String(tab.dataset.list === this.list));
    this.box.set(params.filter ?? '');
    this.isStale = true;
    this.asked = -Infinity;
    this.tick(performance.now());
  }

  /** @param {number} now */
  tick(now) {
    const { usual, model } = this.around;
    usual.look(now);
    const { counts } = model;
    const changed = counts.ended + counts.unseen;
    if (now - this.asked > EVERY && (changed !== this.counted || this.isStale || now - this.asked > 5 * EVERY)) {
      this.counted = changed;
      this.asked = now;
      this.#ask();
    }
  }

  async #ask() {
    const { sort, outcome } = LISTS[this.list];
    const params = this.box.filter.addTo(new URLSearchParams({ sort, limit: String(LIMIT) }));
    if (outcome) params.append('outcome', outcome);
    this.asking += 1;
    const asking = this.asking;
    try {
      const { tasks, total } = await call(`v1/ended?${params}`);
      if (asking !== this.asking) return;
      this.trouble = '';
      const now = performance.now();
      /** @type {Map<string, Task>} */
      const known = new Map();
      const lines = tasks.map((/** @type {import('./model.js').Row} */ row) => {
        const before = this.known.get(row.serial);
        const task = before && before.id === row.id ? before : new Task(row, now);
        this.times.set(task, row.endedAt ?? '');
        known.set(row.serial, task);
        return task;
      });
      this.known = known;
      this.isStale = false;
      // While the user points at a line, it stays.
      if (now - this.table.touched < 1200 && this.table.lines.length > 0 && this.list === this.drawn) return;
      this.drawn = this.list;
      this.table.setLines(lines);
      say(this.words, `${plural(total, 'task')} retained${total > lines.length ? `, ${lines.length} shown` : ''}`);
    } catch (error) {
      if (asking !== this.asking) return;
      this.trouble = error instanceof Problem ? short(error.words, 300) : String(error);
      this.table.setLines([]);
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const isTable = document.activeElement === this.table.element || document.activeElement === document.body;
    if (isTable && this.table.key(event.key)) return true;
    const { cursor } = this.table;
    if (event.key === '/') this.box.focus();
    else if (event.key === 's' || event.key === 'g') {
      const names = Object.keys(LISTS);
      this.around.adjust({ list: names[(names.indexOf(this.list) + 1) % names.length] });
    } else if (event.key === 'Enter' && isTable && cursor instanceof Task) this.around.open(cursor);
    else if (event.key === 'Escape' && !this.box.filter.isEmpty) this.around.adjust({ filter: '' });
    else return false;
    return true;
  }
}
