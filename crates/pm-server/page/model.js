// The known tasks: one entry per serial, kept up to date by the events of the server.
//
// Times are those of this browser's monotonic clock (`performance.now()`): the server sends ages, which become start times
// here, so a wrong clock on either side does not matter. Two rows are the same task only if serial, id and start agree: after
// a restart of the program, the same serial is another task.

import { between } from './text.js';

/**
 * @typedef {{ done: number, total: number, unit: string }} Progress
 * @typedef {{ ageMs: number, reason: string, by: string, origin: string, observed?: boolean, forced?: boolean }} CancelRow
 * @typedef {{ serial: string, id: string, kind?: string, state: string, outcome?: string, ageMs: number, status: string,
 *   statusAgeMs: number, attrs?: Record<string, string | number | boolean>, progress?: Progress, parent?: string,
 *   cancel?: CancelRow, protected?: boolean, cancellable?: boolean, startedAt?: string, statusAt?: string, endedAt?: string,
 *   historyLen?: number, parentEnded?: boolean, waits?: import('./waits.js').Wait[], holdsUp?: import('./waits.js').Wait[] }} Row
 */

/** The fields of a row that the page needs; the rest is requested with the details of a task. */
export const FIELDS = 'id,kind,state,outcome,ageMs,status,statusAgeMs,attrs,progress,parent,cancel,protected,cancellable';

/** Reported starts that differ by more belong to two tasks. */
const SAME_START = 3000;
/** @type {Record<string, string | number | boolean>} */
const NO_ATTRS = {};

export class Task {
  /** @param {Row} row @param {number} now */
  constructor(row, now) {
    this.serial = row.serial;
    /** The serial as a number, for sorting; exact up to 2^53. */
    this.number = Number(row.serial);
    this.id = row.id;
    this.born = now - row.ageMs;
    /** Its first and latest reported progress, for the rate. @type {{ at: number, done: number }[]} */
    this.marks = [];
    /** When its end was reported; 0 while it runs. */
    this.gone = 0;
    /** Its run time, once it has ended. */
    this.ran = 0;
    /** The filter that was last applied, and its result. @type {import('./filter.js').Filter | undefined} */
    this.filter = undefined;
    this.fits = true;
    /** Its depth in the tree. */
    this.depth = 0;
    this.seen = 0;
    this.kind = row.kind;
    this.status = '';
    this.since = now;
    this.state = '';
    this.attrs = NO_ATTRS;
    /** @type {string | undefined} */
    this.outcome = undefined;
    /** @type {Progress | undefined} */
    this.progress = undefined;
    /** @type {string | undefined} */
    this.parent = undefined;
    /** `observed` by the task; `forced` if its future was dropped. @type {{ at: number, reason: string, by: string, origin: string, observed: boolean, forced: boolean } | undefined} */
    this.cancel = undefined;
    this.isProtected = false;
    /** It cannot proceed, as far as is known. */
    this.isBlocked = false;
    this.cancellable = true;
    this.update(row, now);
  }

  /** @param {Row} row @param {number} now */
  update(row, now) {
    this.kind = row.kind;
    this.status = row.status;
    this.since = now - row.statusAgeMs;
    this.state = row.state;
    this.outcome = row.outcome;
    this.attrs = row.attrs ?? NO_ATTRS;
    this.parent = row.parent;
    this.isProtected = row.protected === true;
    this.cancellable = row.cancellable !== false;
    const cancel = row.cancel;
    this.cancel = cancel && {
      at: now - cancel.ageMs, reason: cancel.reason, by: cancel.by, origin: cancel.origin, observed: cancel.observed === true, forced: cancel.forced === true,
    };
    if (row.progress && row.progress.done !== this.progress?.done) {
      this.marks.push({ at: now, done: row.progress.done });
      if (this.marks.length > 8) this.marks.splice(1, 1);
    }
    this.progress = row.progress;
    if (row.state === 'ended') this.end(now, row.startedAt && row.endedAt ? Math.max(0, between(row.startedAt, row.endedAt)) : row.ageMs);
  }

  /** @param {number} now @param {number} [ran] */
  end(now, ran) {
    if (!this.gone) this.gone = now;
    this.ran = ran ?? now - this.born;
    this.state = 'ended';
  }

  /** Its age in milliseconds: whole ones while it runs, as more is not known. @param {number} now */
  age(now) {
    return this.gone ? this.ran : Math.floor(now - this.born);
  }

  /** @param {number} now */
  statusAge(now) {
    return Math.max(0, Math.floor((this.gone || now) - this.since));
  }

  get isCancelling() {
    return this.state === 'cancelling';
  }

  /** Returns the row as the server would send it now. @param {number} now @returns {Row} */
  row(now) {
    const cancel = this.cancel;
    return {
      serial: this.serial, id: this.id, kind: this.kind, state: this.state, outcome: this.outcome,
      ageMs: this.age(now), status: this.status, statusAgeMs: this.statusAge(now), attrs: this.attrs,
      progress: this.progress, parent: this.parent, protected: this.isProtected, cancellable: this.cancellable,
      cancel: cancel && { ...cancel, ageMs: now - cancel.at },
    };
  }
}

export class Model {
  constructor() {
    /** @type {Map<string, Task>} */
    this.tasks = new Map();
    /** Ended tasks that are still shown for a moment. @type {Set<Task>} */
    this.ended = new Set();
    /** Incremented on every change. */
    this.version = 0;
    /** Incremented when a task starts or ends, or the order may change. */
    this.shape = 0;
    /** A complete snapshot has been received. */
    this.isWhole = false;
    /** Identifies this run of the program. */
    this.boot = '';
    /** The last event up to which the model is complete. @type {string | undefined} */
    this.lastId = undefined;
    this.counts = { started: 0, ended: 0, unseen: 0 };
    /** @type {((task: Task) => void)[]} */
    this.onEnd = [];
    /** @type {(() => void)[]} */
    this.onRestart = [];
    /** Called for the first tasks of the first snapshot, and when it is complete. @type {(() => void)[]} */
    this.onFirst = [];
    this.generation = 0;
    this.inSnapshot = false;
    /** @type {Map<string, string>} */
    this.names = new Map();
  }

  /** Sets the run of the program; a new one clears the model. @param {string} boot */
  setBoot(boot) {
    if (boot === this.boot) return;
    const isRestart = this.boot !== '';
    this.boot = boot;
    this.lastId = undefined;
    if (!isRestart) return;
    this.clear();
    for (const notify of this.onRestart) notify();
  }

  clear() {
    const now = performance.now();
    for (const task of this.tasks.values()) if (!task.gone) this.#end(task, now);
    this.tasks.clear();
    this.ended.clear();
    this.names.clear();
    this.isWhole = this.inSnapshot = false;
    this.lastId = undefined;
    this.version += 1;
    this.shape += 1;
  }

  /** A snapshot that a lost connection had begun is not completed by the next. */
  brokeOff() {
    this.inSnapshot = false;
  }

  /** @param {any} event as the server sent it @param {number} now */
  apply(event, now) {
    switch (event.type) {
      case 'snapshot':
        if (!this.inSnapshot) {
          this.inSnapshot = true;
          this.generation += 1;
        }
        for (const row of event.tasks) this.#put(row, now, true);
        if (!this.isWhole && (!event.more || this.tasks.size === event.tasks.length)) {
          this.isWhole = !event.more;
          for (const notify of this.onFirst) notify();
        }
        if (!event.more) this.#finishSnapshot(now);
        break;
      case 'started':
        this.counts.started += 1;
        this.#put(event.task, now, false);
        break;
      case 'status':
      case 'progress':
      case 'cancel':
        this.#put(event.task, now, false);
        break;
      case 'ended': {
        this.counts.ended += 1;
        const task = this.tasks.get(event.task.serial);
        if (task && !task.gone) {
          // For a task that was not retained, only its end is reported.
          if (event.task?.id !== undefined) task.update(event.task, now);
          this.#end(task, now);
        }
        break;
      }
      case 'left': {
        const task = this.tasks.get(event.serial);
        if (task && !task.gone) this.#end(task, now);
        break;
      }
      case 'unseen':
        this.counts.unseen += event.count;
        break;
      case 'gap':
        // A snapshot follows. Until it is complete, there is nothing to resume from.
        this.lastId = undefined;
        this.version += 1;
        return;
      default:
        return;
    }
    if (event.id && !this.inSnapshot) this.lastId = event.id;
    this.version += 1;
  }

  /** @param {Row} row @param {number} now @param {boolean} ofSnapshot */
  #put(row, now, ofSnapshot) {
    if (row.kind !== undefined) row.kind = this.#name(row.kind);
    let task = this.tasks.get(row.serial);
    if (task && (task.id !== row.id || Math.abs(now - row.ageMs - task.born) > SAME_START)) {
      if (!task.gone) this.#end(task, now);
      this.ended.delete(task);
      task = undefined;
    }
    if (task) {
      if (task.gone) return;
      task.update(row, now);
    } else {
      task = new Task(row, now);
      this.tasks.set(row.serial, task);
      this.shape += 1;
    }
    task.seen = ofSnapshot || this.inSnapshot ? this.generation : task.seen;
    if (task.gone) {
      this.ended.add(task);
      this.shape += 1;
    }
  }

  /** Interns the name of a kind. @param {string} text */
  #name(text) {
    const known = this.names.get(text);
    if (known !== undefined) return known;
    if (this.names.size < 10_000) this.names.set(text, text);
    return text;
  }

  /** @param {number} now */
  #finishSnapshot(now) {
    this.inSnapshot = false;
    this.isWhole = true;
    for (const task of this.tasks.values()) {
      if (task.seen !== this.generation && !task.gone) this.#end(task, now);
    }
  }

  /** @param {Task} task @param {number} now */
  #end(task, now) {
    task.end(now, task.gone ? task.ran : undefined);
    this.ended.add(task);
    this.shape += 1;
    for (const notify of this.onEnd) notify(task);
  }

  /** Evicts ended tasks, except those that stay. @param {(task: Task) => boolean} stays */
  purge(stays) {
    for (const task of this.ended) {
      if (stays(task)) continue;
      this.ended.delete(task);
      if (this.tasks.get(task.serial) === task) this.tasks.delete(task.serial);
      this.shape += 1;
    }
  }

  get live() {
    return this.tasks.size - this.ended.size;
  }

  /** The tasks that still run. */
  * living() {
    for (const task of this.tasks.values()) if (!task.gone) yield task;
  }
}
