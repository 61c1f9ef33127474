// The columns of a table of tasks, and how their cells are kept up to date.

import { h, say } from './dom.js';
import { endCause, endWords } from './ending.js';
import { duration, named, short, shown } from './text.js';
import { link } from './address.js';

/** @typedef {import('./model.js').Task} Task @typedef {import('./table.js').Column} Column */

/** A task that is still running so long after a cancel request is stuck. */
const STUCK_AFTER = 5000;

/** The columns of a narrow screen, the default ones, and all of them. */
export const NARROW = ['mark', 'id', 'age', 'status'];
export const USUAL = ['mark', 'id', 'kind', 'age', 'status', 'statusAge', 'progress', 'attrs'];
export const ALL = ['id', 'kind', 'age', 'status', 'statusAge', 'progress', 'attrs', 'serial', 'parent'];
export const LABELS = /** @type {Record<string, string>} */ ({
  id: 'ID', kind: 'Kind', age: 'Age', status: 'Status', statusAge: 'In status', progress: 'Progress', attrs: 'Attributes',
  serial: 'Serial', parent: 'Parent',
});

/** Returns `true` if the task does not stop though it was cancelled. @param {Task} task @param {number} now */
export function isStuck(task, now) {
  return task.isCancelling && task.cancel !== undefined && now - task.cancel.at > STUCK_AFTER;
}

/** The state of the task in words; empty if it simply runs. @param {Task} task @param {number} now */
export function stateWords(task, now) {
  if (task.gone) return endWords(task);
  if (task.isCancelling) {
    const since = task.cancel ? ` ${duration(now - task.cancel.at)}` : '';
    return isStuck(task, now) ? `does not stop${since}` : `cancelling${since}`;
  }
  if (task.isBlocked) return 'stuck';
  return '';
}

/** CSS classes of a line. @param {Task} task @param {number} now */
export function looks(task, now) {
  if (task.gone) return `ended ${task.outcome ?? ''}`;
  if (task.isCancelling) return isStuck(task, now) ? 'cancelling stuck' : 'cancelling';
  return task.isBlocked ? 'stuck' : '';
}

/** Units per second, from recent progress if there is any. @param {Task} task @param {number} now */
export function rateOf(task, now) {
  const { progress, marks } = task;
  if (!progress) return 0;
  const first = marks[0];
  const last = marks[marks.length - 1];
  if (first && last.at - first.at > 1000 && last.done > first.done) return ((last.done - first.done) * 1000) / (last.at - first.at);
  return task.age(now) > 0 ? (progress.done * 1000) / task.age(now) : 0;
}

/** Estimated milliseconds to completion, if known. @param {Task} task @param {number} now */
export function timeLeft(task, now) {
  const { progress } = task;
  const rate = rateOf(task, now);
  return progress && rate > 0 && progress.total > progress.done ? ((progress.total - progress.done) * 1000) / rate : undefined;
}

/** `name=value` of the attributes, truncated. @param {Task} task */
export function attrWords(task) {
  let words = '';
  for (const name in task.attrs) {
    if (words.length > 200) break;
    words += `${words ? ' ' : ''}${short(name, 40)}=${short(shown(task.attrs[name]), 80)}`;
  }
  return words;
}

/** @param {(task: Task, now: number) => string} words */
const text = (words) => (/** @type {HTMLElement} */ cell, /** @type {Task} */ task, /** @type {number} */ now) => say(cell, words(task, now));

/** A bar of a duration against the usual one of the kind. @param {(task: Task, now: number) => number} length @param {(kind?: string) => number} usual */
function bar(length, usual) {
  return {
    make(/** @type {HTMLElement} */ cell) {
      cell.classList.add('bar');
      cell.append(h('i', { 'aria-hidden': 'true' }), h('span'));
    },
    fill(/** @type {HTMLElement} */ cell, /** @type {Task} */ task, /** @type {number} */ now) {
      const ms = length(task, now);
      const most = usual(task.kind);
      const share = most ? Math.min(100, Math.round((ms / most) * 50) * 2) : 0;
      const bar = /** @type {HTMLElement} */ (cell.firstChild);
      if (bar.dataset.share !== String(share)) {
        bar.dataset.share = String(share);
        bar.style.width = `${share}%`;
      }
      const isOver = most > 0 && ms > most;
      cell.classList.toggle('over', isOver);
      say(/** @type {HTMLElement} */ (cell.lastChild), `${duration(ms)}${isOver ? ' !' : ''}`);
      const title = most ? `${duration(ms)}; 95 % of its kind end within ${duration(most)}` : '';
      if (cell.title !== title) cell.title = title;
    },
  };
}

/**
 * Returns the columns with these names; unknown names are skipped.
 * @param {string[]} names @param {{ marks: Set<Task>, usual: (kind?: string) => number, place: (task: Task) => Record<string, string> }} around
 * @returns {Column[]}
 */
export function columnsOf(names, { marks, usual, place }) {
  /** @type {Record<string, () => Column>} */
  const known = {
    mark: () => ({ name: 'mark', label: '', width: '1.6rem', fill: text((task) => (marks.has(task) ? '✓' : '')) }),
    id: () => ({
      name: 'id', label: LABELS.id, sort: 'id', width: 'minmax(min(9rem, 25vw), 1.3fr)',
      make: (cell) => cell.append(h('a', { tabindex: -1 })),
      fill: (cell, task) => {
        const a = /** @type {HTMLAnchorElement} */ (cell.firstChild);
        say(a, named(short(task.id), 'empty id'));
        const href = link(place(task));
        if (a.getAttribute('href') !== href) a.setAttribute('href', href);
        const indent = task.depth ? `${task.depth * 1.1}rem` : '';
        if (cell.style.paddingInlineStart !== indent) cell.style.paddingInlineStart = indent;
      },
    }),
    kind: () => ({ name: 'kind', label: LABELS.kind, sort: 'kind', width: 'minmax(7rem, 1fr)', fill: text((task) => short(task.kind ?? '')) }),
    age: () => ({ name: 'age', label: LABELS.age, sort: 'age', isNumber: true, width: '5.6rem', ...bar((task, now) => task.age(now), usual) }),
    status: () => ({
      name: 'status', label: LABELS.status, sort: 'status', width: 'minmax(min(11rem, 34vw), 2.2fr)',
      make: (cell) => cell.append(h('b', { class: 'badge' }), h('span')),
      fill: (cell, task, now) => {
        const badge = /** @type {HTMLElement} */ (cell.firstChild);
        let words = stateWords(task, now);
        if (!words && task.isProtected) words = 'protected';
        else if (!words && !task.cancellable) words = 'not cancellable';
        badge.hidden = words === '';
        say(badge, words);
        say(/** @type {HTMLElement} */ (cell.lastChild), (task.gone && endCause(task)) || short(task.status));
      },
    }),
    statusAge: () => ({
      name: 'statusAge', label: LABELS.statusAge, sort: 'statusAge', isNumber: true, width: '5.6rem', ...bar((task, now) => task.statusAge(now), usual),
    }),
    progress: () => ({
      name: 'progress', label: LABELS.progress, sort: 'progress', width: '9.5rem',
      make: (cell) => {
        cell.classList.add('bar');
        cell.append(h('i', { 'aria-hidden': 'true', class: 'progress' }), h('span'));
      },
      fill: (cell, task, now) => {
        const { progress } = task;
        const share = progress?.total ? Math.min(100, Math.round((progress.done / progress.total) * 100)) : 0;
        const bar = /** @type {HTMLElement} */ (cell.firstChild);
        bar.hidden = !progress?.total;
        if (bar.dataset.share !== String(share)) {
          bar.dataset.share = String(share);
          bar.style.width = `${share}%`;
        }
        const left = timeLeft(task, now);
        const words = progress
          ? `${progress.total ? `${share} %` : progress.done} ${progress.total ? '' : short(progress.unit, 20)}${left === undefined ? '' : ` ${duration(left)} left`}`
          : '';
        say(/** @type {HTMLElement} */ (cell.lastChild), words);
      },
    }),
    attrs: () => ({ name: 'attrs', label: LABELS.attrs, width: 'minmax(9rem, 1.6fr)', fill: text(attrWords) }),
    serial: () => ({ name: 'serial', label: LABELS.serial, sort: 'serial', isNumber: true, width: '5rem', fill: text((task) => task.serial) }),
    parent: () => ({ name: 'parent', label: LABELS.parent, isNumber: true, width: '5rem', fill: text((task) => task.parent ?? '') }),
  };
  return names.flatMap((name) => {
    if (Object.hasOwn(known, name)) return [known[name]()];
    if (!name.startsWith('attr.') || name.length === 5) return [];
    const attr = name.slice(5);
    const fill = text((task) => (Object.hasOwn(task.attrs, attr) ? short(shown(task.attrs[attr])) : ''));
    return [{ name: 'attr', label: short(attr, 30), width: 'minmax(5rem, 1fr)', fill }];
  });
}
