// The waits: requested while they are shown, as a list with the cycles on top.

import { Problem, call } from './api.js';
import { h, replace, say } from './dom.js';
import { duration, named, plural, short } from './text.js';
import { link } from './address.js';

/**
 * @typedef {{ serial: string, id: string, kind?: string, heldMs: number }} Holder
 * @typedef {{ serial: string, id: string, kind?: string, resource: string, resourceKind?: string, waitMs: number,
 *   holders: Holder[], moreHolders?: number, unknownHolders?: number, inCycle?: boolean, isStuck?: boolean }} Wait
 * @typedef {{ serial: string, id: string, kind?: string, depth: number, resource?: string, waitMs?: number, repeated?: boolean }} Blocked
 * @typedef {{ steps: { serial: string, id: string, resource: string, heldBy: string }[] }} Cycle
 */

const EVERY = 2000;
/** The pause between requests as a multiple of the time of an answer. */
const REST = 20;
const LONGEST_REST = 10_000;
const SHOWN = 300;

/** The newest answer, shared by all views. */
export class Waits {
  constructor() {
    /** @type {Wait[]} */
    this.waits = [];
    /** @type {Cycle[]} */
    this.cycles = [];
    /** Blocking and blocked tasks. @type {Blocked[]} */
    this.tree = [];
    /** Serials of the tasks that cannot proceed. @type {Set<string>} */
    this.stuck = new Set();
    this.total = 0;
    this.notShown = 0;
    this.isTruncated = false;
    /** `false` for a server without waits, which is not asked again. */
    this.isKnown = true;
    this.trouble = '';
    this.asked = -Infinity;
    this.took = 0;
    this.version = 0;
  }

  /** @param {number} now @param {number} [every] */
  async look(now, every = EVERY) {
    if (!this.isKnown || now - this.asked < Math.max(every, Math.min(this.took * REST, LONGEST_REST))) return;
    this.asked = now;
    try {
      const answer = await call('v1/waits');
      this.took = performance.now() - now;
      this.waits = answer.waits ?? [];
      this.cycles = answer.cycles ?? [];
      this.tree = answer.tree ?? [];
      this.stuck = new Set(this.waits.filter((wait) => wait.isStuck).map((wait) => wait.serial));
      this.total = answer.total ?? this.waits.length;
      this.notShown = answer.notShown ?? 0;
      this.isTruncated = answer.truncated === true;
      this.trouble = '';
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.isKnown = false;
      this.trouble = error instanceof Problem ? error.words : String(error);
    }
    this.version += 1;
  }

  /** Clears everything, for another run of the program. */
  clear() {
    this.waits = [];
    this.cycles = [];
    this.tree = [];
    this.stuck.clear();
    this.total = 0;
    this.isKnown = true;
    this.asked = -Infinity;
    this.version += 1;
  }

  /** Returns the waits of a task. @param {string} serial */
  of(serial) {
    return this.waits.filter((wait) => wait.serial === serial);
  }

  /** Returns the waits for a task. @param {string} serial */
  on(serial) {
    return this.waits.filter((wait) => wait.holders.some((holder) => holder.serial === serial));
  }
}

/** Creates a link to a task. @param {{ serial: string, id: string }} task @param {Record<string, string>} [more] */
export function taskLink({ serial, id }, more) {
  return h('a', { href: link({ ...more, task: serial }) }, named(short(id, 80), 'empty id'));
}

/** The view. */
export class WaitsView {
  /** @param {Waits} waits @param {() => Record<string, string>} place */
  constructor(waits, place) {
    this.waits = waits;
    this.place = place;
    this.seen = -1;
    this.words = h('p', { class: 'summary', role: 'status' });
    this.cycles = h('div', {});
    this.list = h('div', {});
    this.tree = h('div', {});
    this.element = h('section', { class: 'view waits', 'aria-label': 'Waits' }, h('h1', {}, 'Waits'), this.words, this.cycles, this.list, this.tree);
  }

  /** @param {number} now */
  tick(now) {
    const { waits } = this;
    waits.look(now);
    if (this.seen === waits.version) return;
    this.seen = waits.version;
    say(this.words, this.#summary());
    this.#drawCycles();
    this.#drawList();
    this.#drawTree();
  }

  #summary() {
    const { waits } = this;
    if (!waits.isKnown) return 'This server does not report waits.';
    if (waits.trouble) return waits.trouble;
    if (waits.asked < 0) return 'Looking.';
    if (waits.waits.length === 0) return 'No task is waiting for a lock, a semaphore or a channel that the program names.';
    const left = waits.isTruncated || waits.total > waits.waits.length ? `; ${waits.waits.length} are shown` : '';
    const hidden = waits.notShown ? `; ${plural(waits.notShown, 'wait')} could not be recorded` : '';
    return `${plural(waits.total, 'wait')}, stuck ones first, then the longest${left}${hidden}.`;
  }

  #drawCycles() {
    const place = this.place();
    replace(this.cycles, ...this.waits.cycles.slice(0, 20).map((cycle) => h(
      'div',
      { class: 'cycle' },
      h('h2', {}, `A cycle of ${plural(cycle.steps.length, 'task')}: none of them can proceed`),
      h('ol', {}, ...cycle.steps.map((step) => {
        const holder = cycle.steps.find((other) => other.serial === step.heldBy);
        return h('li', {}, taskLink(step, place), ` waits for ${short(step.resource, 100)}, held by `, holder ? taskLink(holder, place) : `#${step.heldBy}`);
      })),
    )));
  }

  #drawList() {
    const { waits } = this.waits;
    const place = this.place();
    if (waits.length === 0) {
      replace(this.list);
      return;
    }
    const rows = waits.slice(0, SHOWN).map((wait) => h(
      'tr',
      { class: `${wait.inCycle ? 'in-cycle' : ''} ${wait.isStuck ? 'stuck' : ''}` },
      h('td', {}, taskLink(wait, place), wait.kind ? h('span', { class: 'note' }, ` ${short(wait.kind, 60)}`) : ''),
      h('td', { class: 'number' }, duration(wait.waitMs)),
      h('td', {}, short(wait.resource, 100), wait.resourceKind ? h('span', { class: 'note' }, ` ${short(wait.resourceKind, 20)}`) : ''),
      h('td', {}, ...holderList(wait, place)),
      h('td', {}, wait.inCycle ? h('b', { class: 'badge' }, 'cycle') : '', wait.isStuck ? h('b', { class: 'badge' }, 'stuck') : ''),
    ));
    const head = ['Task', 'For', 'Waits for', 'Held by', ''].map((words, at) => h('th', { scope: 'col', class: at === 1 ? 'number' : '' }, words || h('span', { class: 'unseen' }, 'Marks')));
    replace(this.list, h('table', { class: 'plain' }, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)));
  }

  #drawTree() {
    const { tree } = this.waits;
    const place = this.place();
    replace(this.tree, tree.length > 0 && h('h2', {}, 'Blocking and blocked tasks'), tree.length > 0 && h('ul', { class: 'blocks' }, ...tree.slice(0, SHOWN).map((row) => {
      const item = h('li', {}, row.depth > 0 ? '└ ' : '', taskLink(row, place),
        row.resource === undefined ? '' : ` waits for ${short(row.resource, 100)} for ${duration(row.waitMs ?? 0)}`, row.repeated ? ' (see above)' : '');
      item.style.paddingInlineStart = `${Math.min(row.depth, 30) * 1.2}rem`;
      return item;
    })));
  }
}

/** @param {Wait} wait @param {Record<string, string>} place @returns {(Node | string)[]} */
function holderList(wait, place) {
  /** @type {(Node | string)[]} */
  const parts = [];
  for (const holder of wait.holders.slice(0, 5)) {
    if (parts.length > 0) parts.push(', ');
    parts.push(taskLink(holder, place), ` for ${duration(holder.heldMs)}`);
  }
  const more = Math.max(0, wait.holders.length - 5) + (wait.moreHolders ?? 0);
  if (more) parts.push(` and ${more} more`);
  if (wait.unknownHolders) parts.push(`${parts.length ? ' and ' : ''}${plural(wait.unknownHolders, 'holder')} not in the list`);
  return parts;
}
