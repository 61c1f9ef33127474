// The ended tasks: the newest, the slowest, and those that failed, were cancelled, or were left by their clients.

import { h, say } from './dom.js';
import { Problem, call } from './api.js';
import { columnsOf, looks } from './columns.js';
import { endWords } from './ending.js';
import { FilterBox } from './filterbox.js';
import { Task } from './model.js';
import { Table } from './table.js';
import { clock, count, plural, short } from './text.js';

/** @typedef {import('./model.js').Model} Model */

const EVERY = 2000;
const LIMIT = 1000;

/**
 * The lists, with their order and outcomes; `others`: tasks with a cancel request that ended otherwise are listed, too.
 * @type {Record<string, { label: string, sort: string, outcome?: string, others?: string, title?: string }>}
 */
const LISTS = {
  newest: { label: 'Newest', sort: '-endedAt' },
  failed: { label: 'Failed', sort: '-endedAt', outcome: 'failed,aborted', title: 'Failures and panics' },
  cancelled: { label: 'Cancelled', sort: '-endedAt', outcome: 'cancelled', others: 'finished,failed,aborted,dropped', title: 'Tasks with a cancel request, and what became of them' },
  dropped: { label: 'Client gone', sort: '-endedAt', outcome: 'dropped', title: 'Dropped before they were done, without a cancel: the client disconnected, or the owner gave the future up' },
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
    /** The list and the filter whose rows are shown. */
    this.drawn = '';
    this.trouble = '';
    /** @type {Map<string, Task>} */
    this.known = new Map();
    this.box = new FilterBox({
      name: 'ended', label: 'Filter', tasks: () => this.known.values(),
      onFilter: (filter) => around.adjust({ filter: filter.text }),
      onText: () => this.#dim(),
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
    this.tabs = Object.entries(LISTS).map(([name, { label, title }]) => h('button', { type: 'button', 'data-list': name, title, onclick: () => around.adjust({ list: name }) }, label));
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
    this.#dim();
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

  /** Dims rows that are not those of the text in the box. */
  #dim() {
    this.table.wrap.classList.toggle('unsure', this.box.trouble !== '' || this.isStale);
  }

  async #ask() {
    const { filter } = this.box;
    const { sort, outcome, others } = LISTS[this.list];
    const wanted = `${this.list} ${filter.text}`;
    this.asking += 1;
    const asking = this.asking;
    try {
      const [found, rest, sums] = await Promise.all([
        list(filter, { sort, limit: LIMIT }, outcome), others && list(filter, { sort, limit: LIMIT }, others), list(filter, { groupBy: 'outcome', limit: 0 }),
      ]);
      if (asking !== this.asking) return;
      this.trouble = '';
      const now = performance.now();
      /** @type {Map<string, Task>} */
      const known = new Map();
      /** @type {import('./model.js').Row[]} */
      const rows = [...found.tasks, ...(rest?.tasks ?? []).filter((/** @type {import('./model.js').Row} */ row) => row.cancel)];
      // Timestamps are in UTC and of one form but for their last zeros.
      const at = (/** @type {import('./model.js').Row} */ row) => (row.endedAt ?? '').replace('Z', '');
      if (rest) rows.sort((a, b) => (at(a) < at(b) ? 1 : -1));
      const lines = rows.map((row) => {
        const before = this.known.get(row.serial);
        const task = before && before.id === row.id ? before : new Task(row, now);
        this.times.set(task, row.endedAt ?? '');
        known.set(row.serial, task);
        return task;
      });
      this.known = known;
      this.#drawSums(sums.groups ?? []);
      this.isStale = false;
      // While the user points at a line, it stays, unless others are wanted.
      if (now - this.table.touched < 1200 && this.table.lines.length > 0 && this.drawn === wanted) return;
      this.drawn = wanted;
      this.table.setLines(lines);
      const shown = found.total > found.tasks.length ? `, ${count(lines.length)} shown` : '';
      say(this.words, rest ? `${summed(lines)}${shown}` : `${plural(found.total, 'task')} retained${shown}`);
    } catch (error) {
      if (asking !== this.asking) return;
      this.trouble = error instanceof Problem ? short(error.words, 300) : String(error);
      this.isStale = false;
      this.drawn = wanted;
      this.table.setLines([]);
    }
    this.#dim();
  }

  /** Shows how many tasks the lists have. @param {{ value?: string, count: number }[]} groups */
  #drawSums(groups) {
    for (const tab of this.tabs) {
      const { label, outcome } = LISTS[tab.dataset.list ?? ''];
      const number = groups.filter(({ value }) => outcome?.split(',').includes(value ?? '')).reduce((sum, group) => sum + group.count, 0);
      say(tab, number ? `${label} ${count(number)}` : label);
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
    else if (event.key === 'Escape' && (!this.box.filter.isEmpty || this.box.trouble)) this.box.clear();
    else return false;
    return true;
  }
}

/** Requests a list. @param {import('./filter.js').Filter} filter @param {Record<string, any>} options @param {string} [outcome] */
function list(filter, options, outcome) {
  const params = filter.addTo(new URLSearchParams(options));
  if (outcome) params.append('outcome', outcome);
  return call(`v1/ended?${params}`);
}

/** How many tasks ended in which way. @param {Task[]} tasks */
function summed(tasks) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const task of tasks) sums.set(endWords(task), (sums.get(endWords(task)) ?? 0) + 1);
  return [...sums].map(([words, number]) => `${count(number)} ${words}`).join('; ') || 'No task with a cancel request';
}
