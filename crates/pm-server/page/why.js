// What a task is up to, in a sentence or two: how long, against what is usual; what it does or waits for; who could help.

import { isStuck, rateOf, timeLeft } from './columns.js';
import { count, duration, named, short } from './text.js';

/** @typedef {import('./model.js').Task} Task */
/** @typedef {import('./waits.js').Wait} Wait */

/** @param {Task} task @param {number} now @param {number} usual @param {Wait[]} waits those of this task @param {Wait[]} others those that wait for it */
export function why(task, now, usual, waits, others) {
  const age = duration(task.age(now));
  if (task.gone) return `It ${ended(task.outcome)} after ${age}.${usualWords(task, now, usual)}`;
  const words = [`It has been running for ${age}.${usualWords(task, now, usual)}`];
  if (task.isCancelling && task.cancel) {
    const { cancel } = task;
    const asked = `It was asked to stop ${duration(now - cancel.at)} ago${cancel.by ? ` by ${short(cancel.by, 80)}` : ''}${cancel.reason ? `: ${short(cancel.reason, 200)}` : ''}.`;
    const still = task.isProtected ? ' It is in a section that must not be cut.' : isStuck(task, now) ? ' It neither listens nor yields, so it has not heard that yet.' : '';
    words.push(asked + still);
  }
  for (const wait of waits.slice(0, 3)) words.push(waitWords(wait));
  if (waits.length === 0) {
    const since = duration(task.statusAge(now));
    words.push(task.status === 'init' ? `For ${since} it has said nothing of what it is doing.` : `For ${since} it has been at “${short(task.status, 160)}”.`);
  }
  const left = timeLeft(task, now);
  if (task.progress && left !== undefined) {
    const { done, total, unit } = task.progress;
    words.push(`It has done ${count(done)} of ${count(total)} ${short(unit, 30)}, ${rateWords(rateOf(task, now))} a second, and needs about ${duration(left)} more.`);
  }
  if (others.length > 0) words.push(`${others.length === 1 ? `${named(short(others[0].id, 60), 'a task')} waits` : `${others.length} tasks wait`} for it.`);
  return words.join(' ');
}

/** @param {Wait} wait */
export function waitWords(wait) {
  const holders = wait.holders.slice(0, 3).map((holder) => `${named(short(holder.id, 60), 'empty id')} (for ${duration(holder.heldMs)})`);
  const more = Math.max(0, wait.holders.length - 3) + (wait.moreHolders ?? 0);
  if (more) holders.push(`${more} others`);
  if (wait.unknownHolders) holders.push(wait.unknownHolders === 1 ? 'one that is not in the list' : `${wait.unknownHolders} that are not in the list`);
  const held = holders.length ? `, held by ${holders.join(', ')}` : '';
  const cycle = wait.inCycle ? ' It is part of a cycle: none of these can go on.' : '';
  return `For ${duration(wait.waitMs)} it has been waiting for ${short(wait.resource, 100)}${held}.${cycle}`;
}

/** @param {Task} task @param {number} now @param {number} usual */
function usualWords(task, now, usual) {
  if (!usual) return '';
  const times = task.age(now) / usual;
  if (times > 1) return ` That is ${times > 10 ? Math.floor(times) : times.toFixed(1)} times what 95 of 100 of its kind take (${duration(usual)}).`;
  return ` 95 of 100 of its kind take up to ${duration(usual)}.`;
}

/** @param {string | undefined} outcome */
function ended(outcome) {
  const words = /** @type {Record<string, string>} */ ({
    finished: 'finished', failed: 'failed', cancelled: 'was cancelled', aborted: 'was aborted', dropped: 'was dropped',
  });
  return words[outcome ?? ''] ?? 'ended';
}

/** @param {number} rate */
export function rateWords(rate) {
  return rate >= 100 ? count(Math.round(rate)) : rate.toPrecision(2).replace(/\.0$/, '');
}
