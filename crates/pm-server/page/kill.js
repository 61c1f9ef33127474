// The dialog that kills tasks: it names them, asks for a reason, and shows the verdict for each. A request names exactly what
// was shown: the serials, with their ages as least ages, so that no other task is cancelled after a restart of the program.
// Tasks that cannot be cancelled are listed, but no request is sent for them. A task counts as stopped only if it stopped
// because of the request.

import { Problem, call } from './api.js';
import { button, byId, h, replace, say } from './dom.js';
import { endWords, ending } from './ending.js';
import { count, duration, latency, named, plural, short } from './text.js';

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
 * What became of a task: `asked` still runs, `before` ended before the request, `gone` ended in an unknown way, as with its program,
 * `exempt` cannot be cancelled, and of `lost` there was no answer.
 * @typedef {'' | 'asked' | 'before' | 'gone' | 'exempt' | 'refused' | 'lost' | import('./ending.js').Ending} Became
 */
/**
 * A task to be killed: `words` is its verdict.
 * @typedef {{ serial: string, id: string, task: Task | undefined, words: string, became: Became, line?: HTMLElement }} Target
 */
/** The order and the words of a sum. @type {[string, Became[]][]} */
const SUMS = [
  ['stopped', ['cancelled', 'forced']], ['ended after observing the cancel', ['observed']], ['ended on their own', ['own', 'left', 'dropped', 'other']], ['had already ended', ['before']], ['ended in an unknown way', ['gone']],
  ['still running', ['asked']], ['not cancellable', ['exempt']], ['refused', ['refused']], ['without an answer', ['lost']],
];

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
    this.#open('', tasks.map((task) => target(task.serial, task.id, task)));
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
      this.#open(filter, verdicts.map((/** @type {any} */ one) => target(one.serial, one.id, this.model.tasks.get(one.serial))));
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
    say(this.about, this.#aboutWords());
    const listed = targets.slice(0, LISTED);
    replace(this.list, ...listed.map((target) => {
      target.line = h('li', {});
      return target.line;
    }), targets.length > LISTED && h('li', { class: 'note' }, `and ${plural(targets.length - LISTED, 'more task')}`));
    this.#say('', '');
    this.#draw();
    this.dialog.showModal();
    (this.reason.disabled ? this.leave : this.reason).focus();
    this.timer = setInterval(() => this.#look(), 250);
    this.#look();
  }

  #aboutWords() {
    const exempt = this.targets.filter((target) => target.became === 'exempt').length;
    const left = exempt && this.targets.length > 1 ? `${plural(exempt, 'task')} cannot be cancelled, and ${exempt === 1 ? 'is' : 'are'} left out. ` : '';
    if (this.filter) return `${left}All that match ${short(this.filter, 300)}`;
    const serials = new Set(this.targets.map((target) => target.serial));
    let below = 0;
    for (const task of this.model.tasks.values()) if (!task.gone && task.parent && serials.has(task.parent) && !serials.has(task.serial)) below += 1;
    return `${left}${below ? `This also cancels the tasks below: ${plural(below, 'child task')} and their descendants.` : ''}`;
  }

  #draw() {
    const left = this.targets.filter((target) => target.became === '').length;
    const [only] = this.targets;
    const what = this.targets.length === 1 ? named(short(only.id, 80), 'empty id') : plural(left || this.targets.length, 'task');
    if (this.phase === 'choosing') say(this.title, `Kill ${what}?`);
    else if (this.phase === 'asking') say(this.title, `Kill of ${this.targets.length === 1 ? what : plural(this.targets.length, 'task')}`);
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
      const look = looks(target.became);
      became.className = `became ${look}`;
      // Tasks that need attention come first.
      target.line.className = look === 'bad' ? 'refused' : look === 'asked' ? 'waited' : '';
    }
    if (this.phase === 'choosing' && left === 0) {
      if (this.targets.some((target) => target.became === 'exempt')) this.#say(this.targets.length === 1 ? `${what} cannot be cancelled: the program does not allow it.` : 'None of these can be cancelled: the program does not allow it.', 'bad');
      else this.#say(this.targets.length === 1 ? 'It has ended by itself; nothing is left to kill.' : 'All have ended by themselves; nothing is left to kill.', '');
    }
    if (document.activeElement === document.body || (this.confirm.hidden && document.activeElement === this.confirm)) this.leave.focus();
  }

  /** @param {string} words @param {string} look */
  #say(words, look) {
    say(this.state, words);
    this.state.className = `verdict ${look}`;
  }

  /** Records what became of the tasks. */
  #look() {
    const now = performance.now();
    for (const target of this.targets) {
      const { task, became } = target;
      // That a task observed the request is not in its verdict.
      if (task?.gone && (became === 'asked' || (became === 'own' && ending(task) === 'observed'))) {
        target.became = task.outcome ? ending(task) : 'gone';
        target.words = task.outcome ? endWords(task) : 'has ended; how is not known';
      } else if (task?.gone && became === '') {
        target.became = 'before';
        target.words = `ended by itself: ${endWords(task)}, after ${duration(task.ran)}`;
      } else if (became === 'asked' && task?.cancel && this.phase === 'asked') target.words = stillRunning(task, now - task.cancel.at);
    }
    this.#draw();
    if (this.phase === 'asked' && this.targets.length > 1) this.#sum();
    else if (this.phase === 'asked' && !['asked', 'bad'].includes(looks(this.targets[0].became))) this.#say(`${named(short(this.targets[0].id, 80), 'empty id')}: ${this.targets[0].words}`, looks(this.targets[0].became));
  }

  #sum() {
    const parts = SUMS.flatMap(([words, all], at) => {
      const number = this.targets.filter((target) => all.includes(target.became)).length;
      return number || at === 0 ? `${at ? count(number) : plural(number, 'task')} ${number === 1 ? words.replace('their', 'its') : words}` : [];
    });
    const forced = this.targets.filter((target) => target.became === 'forced').length;
    if (forced) parts[0] += ` (${count(forced)} of them by dropping the future)`;
    const found = new Set(this.targets.map((target) => looks(target.became)));
    const words = `${parts.join(', ')}.`;
    if (this.state.textContent !== words) this.#say(words, found.has('bad') ? 'bad' : found.has('asked') ? '' : 'good');
  }

  async #ask() {
    if (this.phase !== 'choosing') return;
    const left = this.targets.filter((target) => target.became === '');
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
    target.became = 'asked';
    target.words = 'cancel requested';
    this.#say(`Cancel requested for ${name}; waiting up to ${WAIT} s for the verdict.`, '');
    this.#draw();
    try {
      const minAge = this.#leastAge(target.task);
      const expect = minAge ? { serial: target.serial, minAge } : { serial: target.serial };
      const verdict = await call(`v1/tasks/serial:${target.serial}/cancel`, { body: { reason, wait: `${WAIT}s`, expect } });
      Object.assign(target, verdictOf(verdict, target.task));
      this.#say(`${name}: ${target.words}`, looks(target.became));
    } catch (error) {
      this.#refused([target], error);
    }
  }

  /** @param {Target[]} targets @param {string} reason */
  async #askMany(targets, reason) {
    this.#say(`Cancelling ${plural(targets.length, 'task')}.`, '');
    const { boot } = this.model;
    for (let from = 0; from < targets.length; from += CHUNK) {
      const part = targets.slice(from, from + CHUNK).filter((target) => target.became === '');
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
          Object.assign(target, verdict ? verdictOf(verdict, target.task) : { words: 'had ended, or no longer matches', became: 'before' });
          if (target.became === 'asked') target.words = 'cancel requested';
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
      target.became = problem.status === 0 ? 'lost' : 'refused';
    }
    this.#say(`${words[0].toUpperCase()}${words.slice(1)}`, 'bad');
  }
}

/** @param {string} serial @param {string} id @param {Task | undefined} task @returns {Target} */
function target(serial, id, task) {
  const isExempt = task !== undefined && !task.cancellable;
  return { serial, id, task, words: isExempt ? 'cannot be cancelled' : '', became: isExempt ? 'exempt' : '' };
}

/** How a result looks: an end in spite of the request is neither good nor bad. @param {Became} became @returns {'' | 'asked' | 'good' | 'bad'} */
function looks(became) {
  if (became === 'cancelled' || became === 'forced') return 'good';
  if (became === 'exempt' || became === 'refused' || became === 'lost') return 'bad';
  return became === 'asked' ? 'asked' : '';
}

/** @param {Task | undefined} task @param {number} ms since the request */
function stillRunning(task, ms) {
  const observed = task?.cancel ? `: it has ${task.cancel.observed ? 'observed the cancel' : 'not observed the cancel yet'}` : '';
  return `still running after ${latency(ms)}${observed}`;
}

/** @param {any} verdict @param {Task | undefined} task @returns {{ words: string, became: Became }} */
function verdictOf(verdict, task) {
  const after = verdict.tookMs === undefined ? '' : ` after ${latency(verdict.tookMs)}`;
  const below = verdict.below ? `, with ${plural(verdict.below, 'task')} below it` : '';
  switch (verdict.verdict) {
    case 'finished':
      if (verdict.alreadyEnded) return { words: `had already ended: ${verdict.outcome ?? 'ended'}`, became: 'before' };
      if (verdict.outcome === 'cancelled') return { words: `cancelled${after}${below}`, became: 'cancelled' };
      return { words: `${verdict.outcome ?? 'ended'} on its own${after}${below}`, became: 'own' };
    case 'dropped':
      return { words: `dropped${after}${below}; what it spawned without pm runs on`, became: 'forced' };
    case 'cancelling':
      return { words: `${stillRunning(task, verdict.tookMs ?? 0)}${below}`, became: 'asked' };
    case 'refused':
      return { words: `refused: ${verdict.why ?? 'not cancellable'}`, became: 'refused' };
    case 'notFound':
      return { words: 'had already ended', became: 'before' };
    default:
      return { words: short(String(verdict.verdict), 100), became: 'asked' };
  }
}
