// A summary of a task in a sentence or two: its age against the usual one, its status or wait, and its holders.

import { rateOf, timeLeft } from './columns.js';
import { endSentence } from './ending.js';
import { count, duration, named, short } from './text.js';

/** @typedef {import('./model.js').Task} Task */
/** @typedef {import('./waits.js').Wait} Wait */

/** @param {Task} task @param {number} now @param {number} usual @param {Wait[]} waits those of this task @param {Wait[]} others those that wait for it */
export function why(task, now, usual, waits, others) {
  const age = duration(task.age(now));
  if (task.gone) return `${endSentence(task, age)}${usualWords(task, now, usual)}`;
  const words = [`It has been running for ${age}.${usualWords(task, now, usual)}`];
  if (task.isCancelling && task.cancel) {
    const { cancel } = task;
    const asked = `A cancel was requested ${duration(now - cancel.at)} ago${cancel.by ? ` by ${short(cancel.by, 80)}` : ''}${cancel.reason ? `: ${short(cancel.reason, 200)}` : ''}.`;
    const still = task.isProtected ? ' It is in a section that is not interrupted.' : ` The task has ${cancel.observed ? '' : 'not '}observed it.`;
    words.push(asked + still);
  }
  for (const wait of waits.slice(0, 3)) words.push(waitWords(wait));
  if (waits.length === 0) {
    const since = duration(task.statusAge(now));
    words.push(task.status === 'init' ? `It has set no status for ${since}.` : `Its status has been “${short(task.status, 160)}” for ${since}.`);
  }
  const left = timeLeft(task, now);
  if (task.progress && left !== undefined) {
    const { done, total, unit } = task.progress;
    words.push(`It has done ${count(done)} of ${count(total)} ${short(unit, 30)}, ${rateWords(rateOf(task, now))} per second, and needs about ${duration(left)} more.`);
  }
  if (others.length > 0) words.push(`${others.length === 1 ? `${named(short(others[0].id, 60), 'a task')} waits` : `${others.length} tasks wait`} for it.`);
  return words.join(' ');
}

/** @param {Wait} wait */
export function waitWords(wait) {
  const holders = wait.holders.slice(0, 3).map((holder) => `${named(short(holder.id, 60), 'empty id')} (for ${duration(holder.heldMs)})`);
  const more = Math.max(0, wait.holders.length - 3) + (wait.moreHolders ?? 0);
  if (more) holders.push(`${more} others`);
  if (wait.unknownHolders) holders.push(wait.unknownHolders === 1 ? 'a holder not in the list' : `${wait.unknownHolders} holders not in the list`);
  const held = holders.length ? `, held by ${holders.join(', ')}` : '';
  const cycle = wait.inCycle ? ' It is part of a cycle: none of these tasks can proceed.' : '';
  return `It has been waiting ${duration(wait.waitMs)} for ${short(wait.resource, 100)}${held}.${cycle}`;
}

/** @param {Task} task @param {number} now @param {number} usual */
function usualWords(task, now, usual) {
  if (!usual) return '';
  const times = task.age(now) / usual;
  if (times > 1) return ` That is ${times > 10 ? Math.floor(times) : times.toFixed(1)} times the p95 of its kind (${duration(usual)}).`;
  return ` The p95 of its kind is ${duration(usual)}.`;
}

/** @param {number} rate */
export function rateWords(rate) {
  return rate >= 100 ? count(Math.round(rate)) : rate.toPrecision(2).replace(/\.0$/, '');
}
