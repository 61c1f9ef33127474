// Asking tasks to stop: says which, asks why, and shows what comes of it for each. What is asked for is exactly what was
// shown: the same serials, at least as old as they were then, so that after a restart of the program no other task is hit.

import { Problem, call } from './api.js';
import { button, byId, h, replace, say } from './dom.js';
import { duration, latency, named, plural, short } from './text.js';

/** @typedef {import('./model.js').Task} Task @typedef {import('./model.js').Model} Model */

/** How long a cancel of one task waits for its verdict: seconds. */
const WAIT = 10;
/** Tasks in one request, of many. */
const CHUNK = 50;
/** Lines that are shown. */
const LISTED = 200;
/** What the clocks may differ by. */
const SLACK = 100;

/**
 * One that is to stop: `words` is what became of it.
 * @typedef {{ serial: string, id: string, task: Task | undefined, words: string, look: '' | 'asked' | 'good' | 'bad', line?: HTMLElement }} Victim
 */

export class Kill {
  /** @param {Model} model @param {() => boolean} mayCancel @param {(words: string) => void} notice */
  constructor(model, mayCancel, notice) {
    this.model = model;
    this.mayCancel = mayCancel;
    this.notice = notice;
    /** @type {Victim[]} */
    this.victims = [];
    /** @type {Set<Task | undefined>} */
    this.known = new Set();
    /** `choosing`, `asking`, `asked` or `void`: nothing can be asked any more. */
    this.phase = 'void';
    this.opened = 0;
    this.filter = '';
    this.title = h('h2', { id: 'kill-title' });
    this.about = h('p', {});
    this.list = h('ul', { class: 'victims', tabindex: 0, 'aria-label': 'Tasks' });
    this.reason = h('input', { id: 'kill-reason', type: 'text', maxlength: 1000, autocomplete: 'off', placeholder: 'the task and its history get to know' });
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
      this.#say('The program was started anew: these tasks are gone, and nothing was asked to stop.', 'bad');
      this.#draw();
    });
  }

  /** Whether a task is shown here. @param {Task} task */
  keeps(task) {
    return this.dialog.open && this.known.has(task);
  }

  /** @param {Task[]} tasks */
  tasks(tasks) {
    if (!this.#may()) return;
    if (tasks.length === 0) {
      this.notice('There is no task to kill: put the cursor on one, or mark some with Space.');
      return;
    }
    this.#open('', tasks.map((task) => ({ serial: task.serial, id: task.id, task, words: '', look: '' })));
  }

  /** All that a filter names; the server is asked first which these are. @param {string} filter */
  async byFilter(filter) {
    if (!this.#may()) return;
    try {
      const { verdicts } = await call('v1/cancel', { body: { filter, dryRun: true, max: 10_000 } });
      if (verdicts.length === 0) {
        this.notice('No task fits the filter any more.');
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
    this.notice('You may look, but not kill: that needs a token with the scope `cancel`.');
    return false;
  }

  /** @param {string} filter @param {Victim[]} victims */
  #open(filter, victims) {
    this.filter = filter;
    this.victims = victims;
    this.known = new Set(victims.map((victim) => victim.task));
    this.opened = performance.now();
    this.phase = 'choosing';
    this.reason.value = '';
    say(this.title, victims.length === 1 ? `Kill ${named(short(victims[0].id, 80), 'empty id')}?` : `Kill ${plural(victims.length, 'task')}?`);
    say(this.about, this.#aboutWords());
    const listed = victims.slice(0, LISTED);
    replace(this.list, ...listed.map((victim) => {
      victim.line = h('li', {});
      return victim.line;
    }), victims.length > LISTED && h('li', { class: 'note' }, `and ${plural(victims.length - LISTED, 'more task')}`));
    this.#say('', '');
    this.#draw();
    this.dialog.showModal();
    this.reason.focus();
    this.timer = setInterval(() => this.#look(), 250);
    this.#look();
  }

  #aboutWords() {
    if (this.filter) return `All that fit ${short(this.filter, 300)}`;
    const serials = new Set(this.victims.map((victim) => victim.serial));
    let below = 0;
    for (const task of this.model.tasks.values()) if (!task.gone && task.parent && serials.has(task.parent) && !serials.has(task.serial)) below += 1;
    return below ? `With ${this.victims.length === 1 ? 'it' : 'them'} goes what ${this.victims.length === 1 ? 'it' : 'they'} started: ${plural(below, 'child task')}, and what is below.` : '';
  }

  #draw() {
    const left = this.victims.filter((victim) => victim.words === '').length;
    this.confirm.hidden = this.phase !== 'choosing' || left === 0;
    say(this.confirm, left === 1 ? 'Kill it' : `Kill ${plural(left, 'task')}`);
    this.reason.disabled = this.phase !== 'choosing' || left === 0;
    say(this.leave, this.phase === 'choosing' && left > 0 ? 'Keep' : 'Close');
    this.list.classList.toggle('one', this.victims.length === 1);
    for (const victim of this.victims.slice(0, LISTED)) {
      if (!victim.line) continue;
      const now = performance.now();
      const { task } = victim;
      const what = task ? `${task.kind ? `${short(task.kind, 60)}, ` : ''}${duration(task.age(now))} old, ${short(task.status, 100)}` : '';
      if (!victim.line.firstChild) {
        victim.line.append(h('strong', {}, named(short(victim.id, 80), 'empty id')), ' ', h('span', { class: 'note' }), ' ', h('span', { class: 'became' }));
      }
      const [, , about, , became] = /** @type {any} */ (victim.line.childNodes);
      say(about, `#${victim.serial} ${what}`);
      say(became, victim.words);
      became.className = `became ${victim.look}`;
      // Those that need a look come first.
      victim.line.className = victim.look === 'bad' ? 'refused' : victim.look === 'asked' ? 'waited' : '';
    }
    if (this.phase === 'choosing' && left === 0) this.#say(this.victims.length === 1 ? 'It has ended by itself. Nothing is left to kill.' : 'All have ended by themselves. Nothing is left to kill.', '');
    if (document.activeElement === document.body || (this.confirm.hidden && document.activeElement === this.confirm)) this.leave.focus();
  }

  /** @param {string} words @param {string} look */
  #say(words, look) {
    say(this.state, words);
    this.state.className = `verdict ${look}`;
  }

  /** What became of those that ended. */
  #look() {
    for (const victim of this.victims) {
      const { task } = victim;
      if (!task?.gone || victim.look === 'good' || victim.look === 'bad') continue;
      if (victim.look === 'asked') {
        victim.words = `stopped: ${task.outcome ?? 'ended'}`;
        victim.look = 'good';
      } else if (victim.words === '') {
        victim.words = `has ended by itself: ${task.outcome ?? 'ended'}, after ${duration(task.ran)}`;
        victim.look = 'good';
      }
    }
    this.#draw();
    if (this.phase === 'asked' && this.victims.length > 1) this.#sum();
  }

  #sum() {
    const of = (/** @type {string} */ look) => this.victims.filter((victim) => victim.look === look).length;
    const [good, asked, bad] = [of('good'), of('asked'), of('bad')];
    const parts = [`${plural(good, 'task')} stopped`];
    if (asked) parts.push(`${asked} still cancelling`);
    if (bad) parts.push(`${bad} refused`);
    const words = `${parts.join(', ')}.`;
    if (this.state.textContent !== words) this.#say(words, bad ? 'bad' : asked ? '' : 'good');
  }

  async #ask() {
    if (this.phase !== 'choosing') return;
    const left = this.victims.filter((victim) => victim.words === '');
    if (left.length === 0) return;
    this.phase = 'asking';
    const reason = this.reason.value.trim();
    if (this.victims.length === 1 && !this.filter) await this.#askOne(left[0], reason);
    else await this.#askMany(left, reason);
    if (this.phase === 'asking') this.phase = 'asked';
    this.#look();
    if (!this.dialog.open) this.notice(this.state.textContent ?? '');
  }

  /** Milliseconds that a task has run at least, as a filter says it. @param {Task | undefined} task */
  #leastAge(task) {
    const ms = task ? Math.floor(task.age(this.opened) - SLACK) : 0;
    return ms > 0 ? `${ms}ms` : undefined;
  }

  /** @param {Victim} victim @param {string} reason */
  async #askOne(victim, reason) {
    const name = named(short(victim.id, 80), 'empty id');
    victim.look = 'asked';
    victim.words = 'asked to stop';
    this.#say(`Asked ${name} to stop; waiting for what comes of it, ${WAIT} s at most.`, '');
    this.#draw();
    try {
      const minAge = this.#leastAge(victim.task);
      const expect = minAge ? { serial: victim.serial, minAge } : { serial: victim.serial };
      const verdict = await call(`v1/tasks/${victim.serial}/cancel`, { body: { reason, wait: `${WAIT}s`, expect } });
      const { words, look } = verdictWords(verdict);
      victim.words = words;
      victim.look = look;
      this.#say(`${name}: ${words}`, look);
    } catch (error) {
      this.#refused([victim], error);
    }
  }

  /** @param {Victim[]} victims @param {string} reason */
  async #askMany(victims, reason) {
    this.#say(`Asking ${plural(victims.length, 'task')} to stop.`, '');
    const { boot } = this.model;
    for (let from = 0; from < victims.length; from += CHUNK) {
      const part = victims.slice(from, from + CHUNK).filter((victim) => victim.words === '');
      if (part.length === 0) continue;
      if (this.model.boot !== boot) return;
      const ages = part.map((victim) => (victim.task ? Math.floor(victim.task.age(this.opened) - SLACK) : 0));
      const least = Math.min(...ages);
      const filter = `${this.filter} serial=${part.map((victim) => victim.serial).join(',')}${least > 0 ? ` minAge=${least}ms` : ''}`;
      try {
        const { verdicts } = await call('v1/cancel', { body: { filter, reason, max: CHUNK } });
        const found = new Map(verdicts.map((/** @type {any} */ one) => [one.serial, one]));
        for (const victim of part) {
          const verdict = found.get(victim.serial);
          const became = verdict ? verdictWords(verdict) : { words: 'had ended, or no longer fits', look: /** @type {const} */ ('good') };
          victim.words = became.words;
          victim.look = verdict?.verdict === 'cancelling' ? 'asked' : became.look;
        }
      } catch (error) {
        this.#refused(part, error);
      }
      this.#draw();
    }
  }

  /** @param {Victim[]} victims @param {unknown} error */
  #refused(victims, error) {
    const problem = error instanceof Problem ? error : new Problem(0, { detail: String(error) });
    let words = problem.words;
    if (problem.code === 'precondition-failed') words = `not the task that was shown, so nothing was done: ${problem.message}`;
    else if (problem.status === 0) words = `the answer did not come: ${problem.message}. Whether it was asked to stop is not known`;
    for (const victim of victims) {
      victim.words = words;
      victim.look = 'bad';
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
      if (verdict.alreadyEnded) return { words: `had ended before: ${verdict.outcome ?? 'ended'}`, look: 'good' };
      return { words: `stopped by itself${after}: ${verdict.outcome ?? 'ended'}${below}`, look: 'good' };
    case 'dropped':
      return { words: `dropped${after}${below}`, look: 'good' };
    case 'cancelling':
      return { words: `still cancelling${verdict.tookMs ? after : ''}${below}: it stops when it listens, or yields`, look: 'asked' };
    case 'refused':
      return { words: `refused: ${verdict.why ?? 'it may not be cancelled'}`, look: 'bad' };
    case 'notFound':
      return { words: 'had ended', look: 'good' };
    default:
      return { words: short(String(verdict.verdict), 100), look: 'asked' };
  }
}
