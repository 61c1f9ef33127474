// The history of a task as a timeline: each status with its start, its duration, and its share of the whole.

import { h, replace } from './dom.js';
import { clock, duration, latency, plural, unixMs, visible } from './text.js';

/** @typedef {{ at: string, status: string }} Entry */
/** @typedef {{ serial: string, history: Entry[], dropped?: number, droppedAfter?: number, outcome?: string, serverTime: string }} History */

/** Microseconds since 1970, in the precision of a double. @param {string} time */
function micros(time) {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '';
  return Math.floor(unixMs(time) / 1000) * 1e6 + Number(`${fraction}000000`.slice(0, 6));
}

/** @param {Element} place @param {History} answer */
export function drawTimeline(place, answer) {
  const { history, dropped = 0, droppedAfter, outcome, serverTime } = answer;
  const times = history.map((entry) => micros(entry.at));
  const isOver = outcome !== undefined;
  const end = isOver ? times[times.length - 1] : Math.max(micros(serverTime), times[times.length - 1] ?? 0);
  const whole = Math.max(1, end - (times[0] ?? end));
  /** @type {Element[]} */
  const rows = [];
  history.forEach((entry, at) => {
    if (dropped && at === (droppedAfter ?? 0)) {
      rows.push(h('tr', { class: 'dropped' }, h('td', { colspan: 4 }, `${plural(dropped, 'older entry').replace('entrys', 'entries')} dropped`)));
    }
    const isLast = at === history.length - 1;
    const until = isLast ? end : times[at + 1];
    const length = Math.max(0, until - times[at]);
    const bar = h('i', { 'aria-hidden': 'true' });
    bar.style.marginInlineStart = `${((times[at] - times[0]) / whole) * 100}%`;
    bar.style.width = `max(2px, ${(length / whole) * 100}%)`;
    const open = isLast && !isOver;
    rows.push(h(
      'tr',
      { class: open ? 'now' : entry.status.startsWith('[cancel request') ? 'cancel' : '' },
      h('td', { class: 'number', title: entry.at }, `+${latency((times[at] - times[0]) / 1000)}`),
      h('td', { class: 'number' }, isLast && isOver ? '' : `${duration2(length / 1000)}${open ? ' so far' : ''}`),
      h('td', { class: 'status' }, entry.status === '' ? '(empty)' : visible(entry.status)),
      h('td', { class: 'track' }, bar),
    ));
  });
  replace(
    place,
    h(
      'table',
      { class: 'timeline' },
      h('caption', {}, `Since ${clock(history[0]?.at)} UTC, ${duration2(whole / 1000)} in all`),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col', class: 'number' }, 'At'), h('th', { scope: 'col', class: 'number' }, 'For'), h('th', { scope: 'col' }, 'Status'), h('th', { scope: 'col', class: 'track' }, h('span', { class: 'unseen' }, 'When')))),
      h('tbody', {}, ...rows),
    ),
  );
}

/** A duration: short ones to the microsecond, long ones rounded. @param {number} ms */
const duration2 = (ms) => (ms < 1000 ? latency(ms) : duration(ms));
