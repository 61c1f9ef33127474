// The details of one task: a summary, its history, its waits, its family, and the equivalent commands.

import { Problem, call } from './api.js';
import { add, button, copyable, h, replace, say } from './dom.js';
import { link } from './address.js';
import { looks, rateOf, stateWords, timeLeft } from './columns.js';
import { endWords } from './ending.js';
import { written, writtenAttr } from './filter.js';
import { Task } from './model.js';
import { between, clock, count, duration, named, plural, short, shown, visible } from './text.js';
import { drawTimeline } from './timeline.js';
import { token } from './token.js';
import { taskLink } from './waits.js';
import { rateWords, waitWords, why } from './why.js';

/** @typedef {import('./model.js').Model} Model @typedef {import('./model.js').Row} Row */

/** The intervals of history requests: when something changed, and when nothing did. */
const AT_MOST_EVERY = 1000;
const AT_LEAST_EVERY = 5000;
const CHILDREN = 50;

export class Detail {
  /**
   * @param {{ model: Model, waits: import('./waits.js').Waits, usual: import('./usual.js').Usual, kill: import('./kill.js').Kill,
   *   mayCancel: () => boolean, isAway: () => boolean, place: () => Record<string, string>, back: () => void }} around
   */
  constructor(around) {
    this.around = around;
    /** @type {Task | undefined} */
    this.task = undefined;
    this.serial = '';
    /** The run of the program that the link names, and that of the task that is shown. */
    this.named = '';
    this.run = '';
    /** The program was restarted: this is the last known state of the task, and stays. */
    this.isPast = false;
    /** The server's time when the task was last read. */
    this.read = '';
    /** @type {Row | undefined} */
    this.row = undefined;
    this.asked = -Infinity;
    this.signature = '';
    this.seen = '';
    this.attrsSeen = '';
    this.heading = h('h1', { tabindex: -1 });
    this.badge = h('b', { class: 'badge' });
    this.killButton = button('Kill', () => this.kill(), { class: 'danger', 'aria-keyshortcuts': 'k' });
    this.why = h('p', { class: 'why' });
    this.facts = h('dl', { class: 'facts' });
    this.progress = h('div', { class: 'bigbar', hidden: true });
    this.attrs = h('div', {});
    this.waits = h('div', {});
    this.family = h('div', {});
    this.timeline = h('div', { class: 'wide' });
    this.commands = h('div', {});
    this.commandPart = h('div', {}, h('h2', {}, 'Equivalent commands'), this.commands);
    this.problem = h('p', { class: 'problem', role: 'alert', hidden: true });
    this.body = h(
      'div', { class: 'detailbody' },
      this.why, this.progress, this.facts, this.attrs, this.waits, this.family,
      h('h2', {}, 'History'), this.timeline, this.commandPart,
    );
    this.element = h(
      'section', { class: 'view detail', 'aria-label': 'Task' },
      h('div', { class: 'titleline' }, button('← Back', () => around.back(), { class: 'small', 'aria-keyshortcuts': 'Escape' }), this.heading, this.badge, this.killButton),
      this.problem, this.body,
    );
  }

  /** @param {string} serial @param {string} run the run of the program that the link refers to */
  show(serial, run) {
    if (serial === this.serial && run === this.named) return;
    this.serial = serial;
    this.named = this.run = run;
    this.isPast = false;
    this.read = '';
    this.element.classList.remove('past');
    this.commandPart.hidden = false;
    this.task = undefined;
    this.row = undefined;
    this.seen = this.signature = this.attrsSeen = '';
    this.asked = -Infinity;
    this.problem.hidden = true;
    this.body.hidden = true;
    say(this.heading, `Task ${short(serial, 40)}`);
    this.badge.hidden = true;
    for (const part of [this.facts, this.attrs, this.waits, this.family, this.timeline, this.commands]) replace(part);
    this.tick(performance.now());
  }

  kill() {
    if (this.task && !this.task.gone && !this.isPast) this.around.kill.tasks([this.task]);
  }

  /** @param {number} now */
  tick(now) {
    const { model, waits, usual, isAway } = this.around;
    // Whether a link is of this run must be known before its serial is looked up.
    if (this.isPast || (this.named && !model.boot)) return;
    if (this.run && model.boot && this.run !== model.boot) {
      if (this.task) this.#keep();
      else this.#fail('This link refers to another run of the program. The task that has this serial now is a different one.');
      return;
    }
    const known = model.tasks.get(this.serial);
    // The task that is shown stays, even if another one gets its serial after a restart.
    if (known && (!this.task || (!this.task.gone && this.task !== known && this.task.id === known.id))) this.task = known;
    if (this.task) this.run ||= model.boot;
    waits.look(now, 3000);
    usual.look(now);
    const { task } = this;
    const signature = task ? `${task.since} ${task.state} ${task.progress?.done} ${task.gone}` : '';
    const isDue = now - this.asked > (signature !== this.signature ? AT_MOST_EVERY : task?.gone && this.row?.state === 'ended' ? Infinity : AT_LEAST_EVERY);
    if (isDue && !isAway()) {
      this.signature = signature;
      this.asked = now;
      this.#ask();
    }
    // While the server is unreachable nothing new is known, so no age grows.
    if (task && !isAway()) this.#draw(task, now);
  }

  /** Keeps what is shown, after a restart of the program. */
  #keep() {
    this.isPast = true;
    this.element.classList.add('past');
    // Its serial names another task now.
    this.commandPart.hidden = true;
    this.killButton.hidden = true;
    this.problem.hidden = false;
    say(this.problem, `The program was restarted, and this task is gone. Below is its last known state${this.read ? `, of ${clock(this.read)} UTC` : ''}.`);
  }

  async #ask() {
    const { serial } = this;
    const { boot } = this.around.model;
    try {
      const [{ task: row }, history] = await Promise.all([
        call(`v1/tasks/serial:${encodeURIComponent(serial)}`), call(`v1/tasks/serial:${encodeURIComponent(serial)}/history`),
      ]);
      if (serial !== this.serial || this.isPast) return;
      // The answer may be that of another run, of which the page does not know yet.
      if (this.task && (this.around.model.boot !== boot || this.task.id !== row.id || !isSameStart(this.row, row))) return;
      this.read = history.serverTime;
      const now = performance.now();
      this.row = row;
      if (!this.task) this.task = new Task(row, now);
      else if (this.around.model.tasks.get(serial) !== this.task) this.task.update(row, now);
      this.problem.hidden = true;
      drawTimeline(this.timeline, history);
      this.#draw(this.task, now);
    } catch (error) {
      if (serial !== this.serial || this.isPast) return;
      const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
      // While the server is unreachable, the last known state stays.
      if (problem.status === 0 && this.task) return;
      if (problem.code === 'task-not-found' && this.task) {
        this.task.end(performance.now());
        this.problem.hidden = false;
        say(this.problem, 'It has ended and was evicted. This is its last known state.');
        return;
      }
      this.#fail(problem.words);
    }
  }

  /** @param {string} words */
  #fail(words) {
    this.problem.hidden = false;
    say(this.problem, words);
    this.body.hidden = true;
    this.badge.hidden = true;
    this.killButton.hidden = true;
    this.task = undefined;
  }

  /** @param {Task} task @param {number} now */
  #draw(task, now) {
    const { model, waits, usual, mayCancel, place } = this.around;
    this.body.hidden = false;
    say(this.heading, named(short(task.id, 200), 'empty id'));
    const words = stateWords(task, now) || (task.cancellable ? 'running' : 'running, not cancellable');
    this.badge.hidden = false;
    this.badge.className = `badge ${looks(task, now)}`;
    say(this.badge, words);
    this.killButton.hidden = task.gone > 0 || !mayCancel() || !task.cancellable;
    // The list of all waits may be truncated; the waits of the task's own row are complete, but may be older.
    const own = waits.of(task.serial).length ? waits.of(task.serial) : ((waits.isTruncated && this.row?.waits) || []);
    const others = waits.on(task.serial).length ? waits.on(task.serial) : ((waits.isTruncated && this.row?.holdsUp) || []);
    say(this.why, why(task, now, usual.of(task.kind), own, others));
    this.#drawProgress(task, now);

    // The rest is redrawn only when some of it changed.
    const children = [];
    for (const other of model.tasks.values()) if (other.parent === task.serial && !other.gone && children.length <= CHILDREN) children.push(other);
    const seen = [task.kind, task.parent, task.cancel?.at, task.cancel?.observed, task.isProtected, task.gone, this.row?.startedAt, this.row?.endedAt, waits.version, children.map((child) => child.serial)].join(' ');
    if (seen !== this.seen) {
      this.seen = seen;
      this.#drawFacts(task);
      replace(this.waits, (own.length > 0 || others.length > 0) && h('h2', {}, 'Waits'), ...own.map((wait) => h('p', {}, waitWords(wait), ...wait.holders.slice(0, 5).flatMap((holder) => [' ', taskLink(holder, place())]))),
        others.length > 0 && h('p', {}, 'Waiting for it: ', ...others.slice(0, 20).flatMap((wait, at) => [at ? ', ' : '', taskLink(wait, place()), ` for ${duration(wait.waitMs)}`])));
      this.#drawFamily(task, children);
      this.#drawCommands(task);
    }
    const attrs = JSON.stringify(task.attrs);
    if (attrs !== this.attrsSeen) {
      this.attrsSeen = attrs;
      this.#drawAttrs(task);
    }
  }

  /** @param {Task} task @param {number} now */
  #drawProgress(task, now) {
    const { progress } = task;
    this.progress.hidden = !progress;
    if (!progress) return;
    if (!this.progress.firstChild) add(this.progress, h('div', { role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': 0 }, h('i')), h('span'));
    const bar = /** @type {HTMLElement} */ (this.progress.firstChild);
    const share = progress.total ? Math.min(100, (progress.done / progress.total) * 100) : 0;
    bar.setAttribute('aria-valuemax', String(progress.total || progress.done));
    bar.setAttribute('aria-valuenow', String(progress.done));
    /** @type {HTMLElement} */ (bar.firstChild).style.width = `${share}%`;
    const left = timeLeft(task, now);
    const unit = short(progress.unit, 40);
    const rate = rateOf(task, now);
    say(/** @type {HTMLElement} */ (this.progress.lastChild), [
      `${count(progress.done)} of ${progress.total ? count(progress.total) : 'an unknown number of'} ${unit}${progress.total ? ` (${Math.floor(share)} %)` : ''}`,
      !task.gone && rate > 0 && `${rateWords(rate)} ${unit}/s`,
      !task.gone && left !== undefined && `about ${duration(left)} left`,
    ].filter(Boolean).join(', '));
  }

  /** @param {Task} task */
  #drawFacts(task) {
    const { row } = this;
    const place = this.around.place();
    const { cancel } = task;
    /** @type {[string, import('./dom.js').Child][]} */
    const facts = [
      ['Kind', task.kind === undefined ? '-' : h('a', { href: link({ view: 'running', filter: `kind=${written(task.kind)}` }) }, named(short(task.kind)))],
      ['Serial', task.serial],
      ['Started', row?.startedAt ? h('time', { datetime: row.startedAt, title: row.startedAt }, `${clock(row.startedAt)} UTC`) : '-'],
    ];
    if (task.gone) {
      facts.push(['Ran for', duration(task.ran)], ['Outcome', task.outcome ? endWords(task) : 'unknown']);
      if (row?.endedAt) facts.push(['Ended', h('time', { datetime: row.endedAt, title: row.endedAt }, `${clock(row.endedAt)} UTC`)]);
    }
    const parent = task.parent !== undefined && this.around.model.tasks.get(task.parent);
    if (task.parent !== undefined) facts.push(['Parent', taskLink({ serial: task.parent, id: parent ? parent.id : `#${task.parent}` }, place)]);
    if (row?.parentEnded) facts.push(['', 'its parent has ended']);
    if (cancel) {
      facts.push(['Cancel request', `${cancel.reason ? short(cancel.reason, 300) : 'without a reason'}${cancel.by ? `, by ${short(cancel.by, 100)}` : ''}`]);
      if (cancel.observed) facts.push(['', 'observed by the task']);
      if (cancel.origin && cancel.origin !== task.serial) facts.push(['', h('span', {}, 'because of ', taskLink({ serial: cancel.origin, id: `#${cancel.origin}` }, place))]);
    }
    if (task.isProtected) facts.push(['Protected', 'in a section that is not interrupted']);
    if (!task.cancellable) facts.push(['Cancel', 'not cancellable']);
    replace(this.facts, ...facts.flatMap(([name, value]) => [h('dt', {}, name || h('span', { class: 'unseen' }, 'also')), h('dd', {}, value)]));
  }

  /** @param {Task} task */
  #drawAttrs(task) {
    const names = Object.keys(task.attrs);
    if (names.length === 0) {
      replace(this.attrs);
      return;
    }
    replace(this.attrs, h('h2', {}, 'Attributes'), h('table', { class: 'plain attrs' }, h('tbody', {}, ...names.map((name) => {
      const value = shown(task.attrs[name]);
      const filter = `${writtenAttr(name)}=${written(value)}`;
      return h('tr', {}, h('th', { scope: 'row' }, named(visible(name))), h('td', {}, value === '' ? h('span', { class: 'note' }, '(empty)') : visible(value)),
        h('td', {}, filter.length < 500 && h('a', { href: link({ view: 'running', filter }), class: 'note' }, 'filter')));
    }))));
  }

  /** @param {Task} task @param {Task[]} children */
  #drawFamily(task, children) {
    if (children.length === 0) {
      replace(this.family);
      return;
    }
    const place = this.around.place();
    const more = children.length > CHILDREN;
    replace(
      this.family, h('h2', {}, `${more ? `More than ${CHILDREN} children` : plural(children.length, 'child').replace('childs', 'children')}`),
      h('ul', { class: 'family' }, ...children.slice(0, CHILDREN).map((child) => h('li', {}, taskLink(child, place), ' ', h('span', { class: 'note' }, short(child.status, 120))))),
      h('p', {}, h('a', { href: link({ view: 'running', filter: `parent=${task.serial}` }) }, 'Show all in the table')),
    );
  }

  /** @param {Task} task */
  #drawCommands(task) {
    const base = new URL('.', location.href).href;
    const auth = token() ? ' -H "Authorization: Bearer $PM_TOKEN"' : '';
    const endpoint = location.protocol === 'https:' || base.endsWith(`${location.host}/`) === false ? base : location.host;
    const live = !task.gone;
    // By serials, which are digits and can't be the id of another task: no id of a task gets into a shell.
    const lines = [
      `curl${auth} '${base}v1/tasks/serial:${task.serial}'`,
      `curl${auth} '${base}v1/tasks/serial:${task.serial}/history'`,
      live && `curl${auth} -d '{"reason":"why","wait":"5s"}' '${base}v1/tasks/serial:${task.serial}/cancel'`,
      `pm why -e ${endpoint} serial:${task.serial}`,
      `pm history -e ${endpoint} serial:${task.serial}`,
      live && `pm kill -e ${endpoint} serial:${task.serial} -- why`,
    ];
    replace(this.commands, ...lines.filter(Boolean).map((line) => h('p', {}, copyable(String(line), 'Copy the command'))));
  }
}

/** Returns `true` if two rows of a serial may be of one task: dates are computed anew for each answer. @param {Row | undefined} a @param {Row} b */
const isSameStart = (a, b) => !a?.startedAt || !b.startedAt || Math.abs(between(a.startedAt, b.startedAt)) < 1000;
