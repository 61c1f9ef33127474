// The tasks as far as we know them: one entry each by its serial, kept up to date by the events of the server.
//
// Times are those of this browser's steady clock (`performance.now()`): the server tells ages, and we remember since when.
// So neither a wrong clock here nor one there shows a wrong age. A task is the same one only if its serial, its id and its
// start agree: after a restart of the program, the same serial is another task.

/**
 * @typedef {{ done: number, total: number, unit: string }} Progress
 * @typedef {{ ageMs: number, reason: string, by: string, origin: string }} CancelRow
 * @typedef {{ serial: string, id: string, kind?: string, state: string, outcome?: string, ageMs: number, status: string,
 *   statusAgeMs: number, attrs?: Record<string, string | number | boolean>, progress?: Progress, parent?: string,
 *   cancel?: CancelRow, protected?: boolean, cancellable?: boolean, startedAt?: string, statusAt?: string, endedAt?: string,
 *   historyLen?: number, parentEnded?: boolean, waits?: import('./waits.js').Wait[], holdsUp?: import('./waits.js').Wait[] }} Row
 */

/** Members of a row that the page needs; the rest is asked for when a task is looked at. */
export const FIELDS = 'id,kind,state,outcome,ageMs,status,statusAgeMs,attrs,progress,parent,cancel,protected,cancellable';

/** Starts that are told as so far apart are those of two tasks. */
const SAME_START = 3000;
/** @type {Record<string, string | number | boolean>} */
const NO_ATTRS = {};

export class Task {
  /** @param {Row} row @param {number} now */
  constructor(row, now) {
    this.serial = row.serial;
    /** For orders; exact up to 2^53. */
    this.number = Number(row.serial);
    this.id = row.id;
    this.born = now - row.ageMs;
    /** Where it was when its progress was first and last told, for the rate. @type {{ at: number, done: number }[]} */
    this.marks = [];
    /** When we heard of its end; 0 as long as it runs. */
    this.gone = 0;
    /** How long it ran, once it has ended. */
    this.ran = 0;
    /** Of the last filter that was asked. */
    this.fits = true;
    /** How deep it stands in the tree. */
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
    /** @type {{ at: number, reason: string, by: string, origin: string } | undefined} */
    this.cancel = undefined;
    this.isProtected = false;
    /** It waits for what never comes, as far as is known. */
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
    this.cancel = cancel && { at: now - cancel.ageMs, reason: cancel.reason, by: cancel.by, origin: cancel.origin };
    if (row.progress && row.progress.done !== this.progress?.done) {
      this.marks.push({ at: now, done: row.progress.done });
      if (this.marks.length > 8) this.marks.splice(1, 1);
    }
    this.progress = row.progress;
    if (row.state === 'ended') this.end(now, row.ageMs);
  }

  /** @param {number} now @param {number} [ran] */
  end(now, ran) {
    if (!this.gone) this.gone = now;
    this.ran = ran ?? now - this.born;
    this.state = 'ended';
  }

  /** @param {number} now */
  age(now) {
    return this.gone ? this.ran : now - this.born;
  }

  /** @param {number} now */
  statusAge(now) {
    return Math.max(0, (this.gone || now) - this.since);
  }

  get isCancelling() {
    return this.state === 'cancelling';
  }

  /** As it would be told now. @param {number} now @returns {Row} */
  row(now) {
    const cancel = this.cancel;
    return {
      serial: this.serial, id: this.id, kind: this.kind, state: this.state, outcome: this.outcome,
      ageMs: this.age(now), status: this.status, statusAgeMs: this.statusAge(now), attrs: this.attrs,
      progress: this.progress, parent: this.parent, protected: this.isProtected, cancellable: this.cancellable,
      cancel: cancel && { ageMs: now - cancel.at, reason: cancel.reason, by: cancel.by, origin: cancel.origin },
    };
  }
}

export class Model {
  constructor() {
    /** @type {Map<string, Task>} */
    this.tasks = new Map();
    /** Those that ended and are still shown for a moment. @type {Set<Task>} */
    this.ended = new Set();
    /** Changes whenever something did. */
    this.version = 0;
    /** Changes whenever a task came or went, or an order may have. */
    this.shape = 0;
    /** A whole snapshot has been taken. */
    this.isWhole = false;
    /** Tells this run of the program from others. */
    this.boot = '';
    /** The last event up to which all is known. @type {string | undefined} */
    this.lastId = undefined;
    this.counts = { started: 0, ended: 0, unseen: 0 };
    /** @type {((task: Task) => void)[]} */
    this.onEnd = [];
    /** @type {(() => void)[]} */
    this.onRestart = [];
    /** When there is something to see at last: the first tasks, then all of them. @type {(() => void)[]} */
    this.onFirst = [];
    this.generation = 0;
    this.inSnapshot = false;
    /** @type {Map<string, string>} */
    this.names = new Map();
  }

  /** The program is another run: nothing that we knew is there any more. @param {string} boot */
  setBoot(boot) {
    if (boot === this.boot) return;
    const isRestart = this.boot !== '';
    this.boot = boot;
    this.lastId = undefined;
    if (!isRestart) return;
    this.clear();
    for (const tell of this.onRestart) tell();
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

  /** What a connection that broke off had begun is not finished by the next. */
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
          for (const tell of this.onFirst) tell();
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
          // Of one that left no trace, nothing but its end is told.
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
        // What follows is a snapshot. Until it is whole, there is nothing to go on from.
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

  /** One text for each kind, however many tasks have it. @param {string} text */
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
    for (const tell of this.onEnd) tell(task);
  }

  /** Lets go of those that ended, but for those that are still to be shown. @param {(task: Task) => boolean} stays */
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
}
