// The history of a task as a timeline: each status with its start, its duration, and its share of the whole. Where entries were
// dropped there is a row for them: that time belongs to no entry, and the duration of the one before is unknown.

import { h, replace } from './dom.js';
import { between, clock, duration, latency, plural, visible } from './text.js';

/** @typedef {{ at: string, status: string }} Entry */
/** @typedef {{ serial: string, history: Entry[], dropped?: number, droppedAfter?: number, outcome?: string, serverTime: string }} History */

/** @param {Element} place @param {History} answer */
export function drawTimeline(place, answer) {
  const { history, dropped = 0, droppedAfter = 0, outcome, serverTime } = answer;
  const first = history[0]?.at ?? serverTime;
  const last = history[history.length - 1]?.at ?? serverTime;
  const isOver = outcome !== undefined;
  const times = history.map((entry) => between(first, entry.at));
  const end = isOver ? between(first, last) : Math.max(between(first, serverTime), between(first, last));
  const gap = dropped ? droppedAfter : -1;
  /** The bar from one time to another. @param {number} from @param {number} to */
  const bar = (from, to) => {
    const bar = h('i', { 'aria-hidden': 'true' });
    bar.style.marginInlineStart = `${(from / (end || 1)) * 100}%`;
    bar.style.width = `max(2px, ${(Math.max(0, to - from) / (end || 1)) * 100}%)`;
    return bar;
  };
  /** @type {Element[]} */
  const rows = [];
  for (let at = 0; at <= history.length; at += 1) {
    const isLast = at === history.length - 1;
    const until = isLast ? end : times[at + 1];
    if (at === gap) {
      const [from, to] = [at > 0 ? times[at - 1] : 0, times[at] ?? end];
      const words = `${dropped === 1 ? '1 entry' : plural(dropped, 'entrie')} dropped`;
      rows.push(h('tr', { class: 'dropped' }, h('td'), h('td', { class: 'number' }, duration2(to - from)), h('td', { class: 'status' }, words), h('td', { class: 'track' }, bar(from, to))));
    }
    const entry = history[at];
    if (!entry) break;
    const isOpen = isLast && !isOver && at + 1 !== gap;
    const length = at + 1 === gap ? h('span', { class: 'note' }, 'unknown') : isLast && isOver ? '' : `${duration2(until - times[at])}${isOpen ? ' so far' : ''}`;
    rows.push(h(
      'tr',
      { class: isOpen ? 'now' : entry.status.startsWith('[cancel request') ? 'cancel' : '' },
      h('td', { class: 'number', title: entry.at }, times[at] ? `+${latency(times[at])}` : '0'),
      h('td', { class: 'number' }, length),
      h('td', { class: 'status' }, entry.status === '' ? '(empty)' : visible(entry.status)),
      h('td', { class: 'track' }, bar(times[at], at + 1 === gap ? times[at] : until)),
    ));
  }
  replace(
    place,
    h(
      'table',
      { class: 'timeline' },
      h('caption', {}, `Since ${clock(first)} UTC, ${duration2(end)} in all`),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col', class: 'number' }, 'At'), h('th', { scope: 'col', class: 'number' }, 'For'), h('th', { scope: 'col' }, 'Status'), h('th', { scope: 'col', class: 'track' }, h('span', { class: 'unseen' }, 'When')))),
      h('tbody', {}, ...rows),
    ),
  );
}

/** A duration: short ones rounded to a few figures. @param {number} ms */
const duration2 = (ms) => (ms < 1000 ? latency(Math.max(0, ms)) : duration(ms));
