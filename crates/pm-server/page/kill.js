// The dialog that kills tasks: it names them, asks for a reason, and shows the verdict for each. A request names exactly what
// was shown: the serials, with their ages as least ages, so that no other task is cancelled after a restart of the program.

import { Problem, call } from './api.js';
import { button, byId, h, replace, say } from './dom.js';
import { duration, latency, named, plural, short } from './text.js';

/** @typedef {import('./model.js').Task} Task @typedef {import('./model.js').Model} Model */

/** How long a cancellation of one task waits for its verdict, in seconds. */
const WAIT = 10;
/** The most tasks in one request. */
const CHUNK = 50;
/** The most lines that are shown. */
const LISTED = 200;
/** The tolerated difference between the clocks. */
const SLACK = 100;

/**
 * A task to be killed: `words` is its verdict.
 * @typedef {{ serial: string, id: string, task: Task | undefined, words: string, look: '' | 'asked' | 'good' | 'bad', line?: HTMLElement }} Target
 */

export class Kill {
  /** @param {Model} model @param {() => boolean} mayCancel @param {(words: string) => void} notice */
  constructor(model, mayCancel, notice) {
    this.model = model;
    this.mayCancel = mayCancel;
    this.notice = notice;
    /** @type {Target[]} */
    this.targets = [];
    /** @type {Set<Task | undefined>} */
    this.known = new Set();
    /** `choosing`, `asking`, `asked` or `void`, when nothing can be cancelled any more. */
    this.phase = 'void';
    this.opened = 0;
    this.filter = '';
    this.title = h('h2', { id: 'kill-title' });
    this.about = h('p', {});
    this.list = h('ul', { class: 'targets', tabindex: 0, 'aria-label': 'Tasks' });
    this.reason = h('input', { id: 'kill-reason', type: 'text', maxlength: 1000, autocomplete: 'off', placeholder: 'recorded in the history of the task' });
    this.state = h('p', { role: 'status', class: 'verdict' });
    this.confirm = h('button', { type: 'submit', class: 'danger' });
    this.leave = button('Keep', () => this.dialog.close());
    const form = h(
      'form',
      { method: 'dialog', onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        this.#ask();
      } },
      this.title, this.about, this.list,
      h('label', { for: 'kill-reason' }, 'Why? ', this.reason),
      this.state,
      h('p', { class: 'buttons' }, this.leave, this.confirm),
    );
    this.dialog = h('dialog', { id: 'kill', 'aria-labelledby': 'kill-title', onclose: () => clearInterval(this.timer) }, form);
    byId('dialogs').append(this.dialog);
    this.timer = 0;
    model.onEnd.push((task) => {
      if (this.keeps(task)) this.#look();
    });
    model.onRestart.push(() => {
      if (!this.dialog.open || this.phase === 'asked') return;
      this.phase = 'void';
      this.#say('The program was restarted: these tasks are gone, and nothing was cancelled.', 'bad');
      this.#draw();
    });
  }

  /** Returns `true` if the dialog shows the task. @param {Task} task */
  keeps(task) {
    return this.dialog.open && this.known.has(task);
  }

  /** @param {Task[]} tasks */
  tasks(tasks) {
    if (!this.#may()) return;
    if (tasks.length === 0) {
      this.notice('No task is selected: move the cursor to one, or mark some with Space.');
      return;
    }
    this.#open('', tasks.map((task) => ({ serial: task.serial, id: task.id, task, words: '', look: '' })));
  }

  /** Kills all that match a filter; asks the server first which these are. @param {string} filter */
  async byFilter(filter) {
    if (!this.#may()) return;
    try {
      const { verdicts } = await call('v1/cancel', { body: { filter, dryRun: true, max: 10_000 } });
      if (verdicts.length === 0) {
        this.notice('No task matches the filter any more.');
        return;
      }
      this.#open(filter, verdicts.map((/** @type {any} */ one) => ({
        serial: one.serial, id: one.id, task: this.model.tasks.get(one.serial), words: '', look: '',
      })));
    } catch (error) {
      this.notice(error instanceof Problem ? error.words : String(error));
    }
  }

  #may() {
    if (this.dialog.open) return false;
    if (this.mayCancel()) return true;
    this.notice('You may read, but not cancel: that needs a token with the permission `cancel`.');
    return false;
  }

  /** @param {string} filter @param {Target[]} targets */
  #open(filter, targets) {
    this.filter = filter;
    this.targets = targets;
    this.known = new Set(targets.map((target) => target.task));
    this.opened = performance.now();
    this.phase = 'choosing';
    this.reason.value = '';
    say(this.title, targets.length === 1 ? `Kill ${named(short(targets[0].id, 80), 'empty id')}?` : `Kill ${plural(targets.length, 'task')}?`);
    say(this.about, this.#aboutWords());
    const listed = targets.slice(0, LISTED);
    replace(this.list, ...listed.map((target) => {
      target.line = h('li', {});
      return target.line;
    }), targets.length > LISTED && h('li', { class: 'note' }, `and ${plural(targets.length - LISTED, 'more task')}`));
    this.#say('', '');
    this.#draw();
    this.dialog.showModal();
    this.reason.focus();
    this.timer = setInterval(() => this.#look(), 250);
    this.#look();
  }

  #aboutWords() {
    if (this.filter) return `All that match ${short(this.filter, 300)}`;
    const serials = new Set(this.targets.map((target) => target.serial));
    let below = 0;
    for (const task of this.model.tasks.values()) if (!task.gone && task.parent && serials.has(task.parent) && !serials.has(task.serial)) below += 1;
    return below ? `This also cancels the tasks below: ${plural(below, 'child task')} and their descendants.` : '';
  }

  #draw() {
    const left = this.targets.filter((target) => target.words === '').length;
    this.confirm.hidden = this.phase !== 'choosing' || left === 0;
    say(this.confirm, left === 1 ? 'Kill it' : `Kill ${plural(left, 'task')}`);
    this.reason.disabled = this.phase !== 'choosing' || left === 0;
    say(this.leave, this.phase === 'choosing' && left > 0 ? 'Keep' : 'Close');
    this.list.classList.toggle('one', this.targets.length === 1);
    for (const target of this.targets.slice(0, LISTED)) {
      if (!target.line) continue;
      const now = performance.now();
      const { task } = target;
      const what = task ? `${task.kind ? `${short(task.kind, 60)}, ` : ''}${duration(task.age(now))} old, ${short(task.status, 100)}` : '';
      if (!target.line.firstChild) {
        target.line.append(h('strong', {}, named(short(target.id, 80), 'empty id')), ' ', h('span', { class: 'note' }), ' ', h('span', { class: 'became' }));
      }
      const [, , about, , became] = /** @type {any} */ (target.line.childNodes);
      say(about, `#${target.serial} ${what}`);
      say(became, target.words);
      became.className = `became ${target.look}`;
      // Tasks that need attention come first.
      target.line.className = target.look === 'bad' ? 'refused' : target.look === 'asked' ? 'waited' : '';
    }
    if (this.phase === 'choosing' && left === 0) this.#say(this.targets.length === 1 ? 'It has ended by itself; nothing is left to kill.' : 'All have ended by themselves; nothing is left to kill.', '');
    if (document.activeElement === document.body || (this.confirm.hidden && document.activeElement === this.confirm)) this.leave.focus();
  }

  /** @param {string} words @param {string} look */
  #say(words, look) {
    say(this.state, words);
    this.state.className = `verdict ${look}`;
  }

  /** Records the outcome of the tasks that ended. */
  #look() {
    for (const target of this.targets) {
      const { task } = target;
      if (!task?.gone || target.look === 'good' || target.look === 'bad') continue;
      if (target.look === 'asked') {
        target.words = `stopped: ${task.outcome ?? 'ended'}`;
        target.look = 'good';
      } else if (target.words === '') {
        target.words = `ended by itself: ${task.outcome ?? 'ended'}, after ${duration(task.ran)}`;
        target.look = 'good';
      }
    }
    this.#draw();
    if (this.phase === 'asked' && this.targets.length > 1) this.#sum();
  }

  #sum() {
    const of = (/** @type {string} */ look) => this.targets.filter((target) => target.look === look).length;
    const [good, asked, bad] = [of('good'), of('asked'), of('bad')];
    const parts = [`${plural(good, 'task')} stopped`];
    if (asked) parts.push(`${asked} still cancelling`);
    if (bad) parts.push(`${bad} refused`);
    const words = `${parts.join(', ')}.`;
    if (this.state.textContent !== words) this.#say(words, bad ? 'bad' : asked ? '' : 'good');
  }

  async #ask() {
    if (this.phase !== 'choosing') return;
    const left = this.targets.filter((target) => target.words === '');
    if (left.length === 0) return;
    this.phase = 'asking';
    const reason = this.reason.value.trim();
    if (this.targets.length === 1 && !this.filter) await this.#askOne(left[0], reason);
    else await this.#askMany(left, reason);
    if (this.phase === 'asking') this.phase = 'asked';
    this.#look();
    if (!this.dialog.open) this.notice(this.state.textContent ?? '');
  }

  /** The least age of a task for a filter, in milliseconds. @param {Task | undefined} task */
  #leastAge(task) {
    const ms = task ? Math.floor(task.age(this.opened) - SLACK) : 0;
    return ms > 0 ? `${ms}ms` : undefined;
  }

  /** @param {Target} target @param {string} reason */
  async #askOne(target, reason) {
    const name = named(short(target.id, 80), 'empty id');
    target.look = 'asked';
    target.words = 'cancel requested';
    this.#say(`Cancel requested for ${name}; waiting up to ${WAIT} s for the verdict.`, '');
    this.#draw();
    try {
      const minAge = this.#leastAge(target.task);
      const expect = minAge ? { serial: target.serial, minAge } : { serial: target.serial };
      const verdict = await call(`v1/tasks/${target.serial}/cancel`, { body: { reason, wait: `${WAIT}s`, expect } });
      const { words, look } = verdictWords(verdict);
      target.words = words;
      target.look = look;
      this.#say(`${name}: ${words}`, look);
    } catch (error) {
      this.#refused([target], error);
    }
  }

  /** @param {Target[]} targets @param {string} reason */
  async #askMany(targets, reason) {
    this.#say(`Cancelling ${plural(targets.length, 'task')}.`, '');
    const { boot } = this.model;
    for (let from = 0; from < targets.length; from += CHUNK) {
      const part = targets.slice(from, from + CHUNK).filter((target) => target.words === '');
      if (part.length === 0) continue;
      if (this.model.boot !== boot) return;
      const ages = part.map((target) => (target.task ? Math.floor(target.task.age(this.opened) - SLACK) : 0));
      const least = Math.min(...ages);
      const filter = `${this.filter} serial=${part.map((target) => target.serial).join(',')}${least > 0 ? ` minAge=${least}ms` : ''}`;
      try {
        const { verdicts } = await call('v1/cancel', { body: { filter, reason, max: CHUNK } });
        const found = new Map(verdicts.map((/** @type {any} */ one) => [one.serial, one]));
        for (const target of part) {
          const verdict = found.get(target.serial);
          const became = verdict ? verdictWords(verdict) : { words: 'already ended, or no longer matches', look: /** @type {const} */ ('good') };
          target.words = became.words;
          target.look = verdict?.verdict === 'cancelling' ? 'asked' : became.look;
        }
      } catch (error) {
        this.#refused(part, error);
      }
      this.#draw();
    }
  }

  /** @param {Target[]} targets @param {unknown} error */
  #refused(targets, error) {
    const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
    let words = problem.words;
    if (problem.code === 'precondition-failed') words = `not the task that was shown, so nothing was cancelled: ${problem.message}`;
    else if (problem.status === 0) words = `no answer: ${problem.message}. It may or may not have been cancelled`;
    for (const target of targets) {
      target.words = words;
      target.look = 'bad';
    }
    this.#say(`${words[0].toUpperCase()}${words.slice(1)}`, 'bad');
  }
}

/** @param {any} verdict @returns {{ words: string, look: 'good' | 'bad' | 'asked' }} */
function verdictWords(verdict) {
  const after = verdict.tookMs === undefined ? '' : ` after ${latency(verdict.tookMs)}`;
  const below = verdict.below ? `, with ${plural(verdict.below, 'task')} below it` : '';
  switch (verdict.verdict) {
    case 'finished':
      if (verdict.alreadyEnded) return { words: `had already ended: ${verdict.outcome ?? 'ended'}`, look: 'good' };
      return { words: `stopped by itself${after}: ${verdict.outcome ?? 'ended'}${below}`, look: 'good' };
    case 'dropped':
      return { words: `dropped${after}${below}; what it spawned without pm runs on`, look: 'good' };
    case 'cancelling':
      return { words: `still cancelling${verdict.tookMs ? after : ''}${below}: it stops at its next checkpoint or await`, look: 'asked' };
    case 'refused':
      return { words: `refused: ${verdict.why ?? 'not cancellable'}`, look: 'bad' };
    case 'notFound':
      return { words: 'had already ended', look: 'good' };
    default:
      return { words: short(String(verdict.verdict), 100), look: 'asked' };
  }
}
