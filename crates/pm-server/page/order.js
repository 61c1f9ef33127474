// The lines of the table in their order: filter, sort, tree and groups turn the model into one flat list.

import { plural } from './text.js';

/** @typedef {import('./model.js').Task} Task */
/** @typedef {import('./filter.js').Filter} Filter */

/** The heading of the tasks of a kind. */
export class Group {
  /** @param {string | undefined} kind @param {Task[]} tasks @param {boolean} isOpen */
  constructor(kind, tasks, isOpen) {
    this.kind = kind;
    this.tasks = tasks;
    this.isOpen = isOpen;
    this.serial = `group ${kind ?? ''}`;
  }

  /** Its tasks that still run. */
  get live() {
    return this.tasks.filter((task) => !task.gone);
  }

  get words() {
    const { live } = this;
    const cancelling = live.filter((task) => task.isCancelling).length;
    return `${plural(live.length, 'task')}${cancelling ? `, ${cancelling} cancelling` : ''}`;
  }
}

/** @typedef {Task | Group} Line */

/** Sort keys, named as the server's, and whether the first press sorts in descending order. */
export const SORTS = /** @type {const} */ ({
  age: true, statusAge: true, id: false, kind: false, status: false, serial: false, progress: true,
});

/** @param {string} a @param {string} b */
const compareText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
/** @param {Task} task */
const share = (task) => (task.progress ? task.progress.done / (task.progress.total || Infinity) : -1);

/** @type {Record<string, (a: Task, b: Task) => number>} */
const COMPARE = {
  // Of two running tasks, the older started earlier.
  age: (a, b) => b.born - a.born,
  statusAge: (a, b) => b.since - a.since,
  id: (a, b) => compareText(a.id, b.id),
  kind: (a, b) => compareText(a.kind ?? '', b.kind ?? ''),
  status: (a, b) => compareText(a.status, b.status),
  serial: (a, b) => a.number - b.number,
  progress: (a, b) => share(a) - share(b),
};

/** @typedef {{ key: keyof typeof SORTS, down: boolean }} Sort */

/** @param {string | undefined} text @returns {Sort} */
export function readSort(text) {
  const down = text?.startsWith('-') ?? true;
  const key = /** @type {any} */ ((text ?? '-age').replace(/^-/, ''));
  return Object.hasOwn(SORTS, key) ? { key, down } : { key: 'age', down: true };
}

/** @param {Sort} sort */
export const writeSort = ({ key, down }) => `${down ? '-' : ''}${key}`;

/** Returns `true` if the order may change though no task started or ended. @param {Sort} sort */
export const isRestless = ({ key }) => key === 'statusAge' || key === 'status' || key === 'progress' || key === 'kind';

/** @param {Sort} sort */
function comparison({ key, down }) {
  const compare = COMPARE[key];
  return down
    ? (/** @type {Task} */ a, /** @type {Task} */ b) => compare(b, a) || a.number - b.number
    : (/** @type {Task} */ a, /** @type {Task} */ b) => compare(a, b) || a.number - b.number;
}

/**
 * Returns all lines, and how many tasks of them still run. An ended task is shown for a moment in its place, if it matched the
 * filter when it ran; another filter is applied to it as to all tasks.
 * @param {Iterable<Task>} tasks
 * @param {{ filter: Filter, sort: Sort, isTree: boolean, isGrouped: boolean, closed: Set<string> }} how
 * @param {number} now
 * @returns {{ lines: Line[], total: number }}
 */
export function arrange(tasks, how, now) {
  const { filter, isTree, isGrouped } = how;
  /** @type {Task[]} */
  const found = [];
  let total = 0;
  for (const task of tasks) {
    if (!task.gone || task.filter !== filter) {
      task.filter = filter;
      task.fits = filter.isEmpty || filter.fits(task, now);
    }
    task.depth = 0;
    if (!task.fits) continue;
    found.push(task);
    if (!task.gone) total += 1;
  }
  const compare = comparison(how.sort);
  found.sort(compare);
  if (isGrouped) return { lines: grouped(found, how), total };
  return { lines: isTree ? tree(found) : found, total };
}

/** Puts each task after its parent; one whose parent is not included is a root. @param {Task[]} sorted */
function tree(sorted) {
  const serials = new Map(sorted.map((task) => [task.serial, task]));
  /** @type {Map<string, Task[]>} */
  const below = new Map();
  const roots = [];
  for (const task of sorted) {
    if (task.parent === undefined || !serials.has(task.parent) || task.parent === task.serial) roots.push(task);
    else if (below.has(task.parent)) below.get(task.parent)?.push(task);
    else below.set(task.parent, [task]);
  }
  /** @type {Task[]} */
  const lines = [];
  const stack = roots.reverse();
  while (stack.length > 0) {
    const task = /** @type {Task} */ (stack.pop());
    lines.push(task);
    const children = below.get(task.serial);
    if (!children) continue;
    below.delete(task.serial);
    for (let at = children.length - 1; at >= 0; at -= 1) {
      children[at].depth = Math.min(task.depth + 1, 40);
      stack.push(children[at]);
    }
  }
  return lines;
}

/** @param {Task[]} sorted @param {{ closed: Set<string> }} how */
function grouped(sorted, { closed }) {
  /** @type {Map<string | undefined, Task[]>} */
  const kinds = new Map();
  for (const task of sorted) {
    const tasks = kinds.get(task.kind);
    if (tasks) tasks.push(task);
    else kinds.set(task.kind, [task]);
  }
  // Tasks without a kind come last, as `sort` puts `undefined` last.
  const names = [...kinds.keys()].sort((a, b) => compareText(a ?? '', b ?? ''));
  /** @type {Line[]} */
  const lines = [];
  for (const kind of names) {
    const tasks = kinds.get(kind) ?? [];
    const group = new Group(kind, tasks, !closed.has(kind ?? ''));
    lines.push(group);
    if (!group.isOpen) continue;
    for (const task of tasks) {
      task.depth = 1;
      lines.push(task);
    }
  }
  return lines;
}
