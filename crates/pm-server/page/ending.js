// How a task ended, by what happened to it: a cancel request does not make an end a cancellation, and a dropped future may have
// been dropped by the request, by its owner, or because a client disconnected.

import { named, short } from './text.js';

/** @typedef {import('./model.js').Task} Task */
/**
 * `forced`: its future was dropped by the cancel; `observed`: it ended as something else after it observed the cancel; `own`: it
 * ended as if there had been none; `left`: its client disconnected.
 * @typedef {'cancelled' | 'forced' | 'observed' | 'own' | 'left' | 'dropped' | 'other'} Ending
 */

/** @param {Task} task @returns {Ending} */
export function ending({ outcome, cancel, attrs }) {
  if (outcome === 'cancelled') return cancel?.forced ? 'forced' : 'cancelled';
  if (cancel && outcome) return cancel.observed ? 'observed' : 'own';
  if (outcome === 'dropped') return Object.hasOwn(attrs, 'method') && Object.hasOwn(attrs, 'path') ? 'left' : 'dropped';
  return 'other';
}

/** The end in a few words. @param {Task} task */
export function endWords(task) {
  switch (ending(task)) {
    case 'cancelled':
      return 'cancelled';
    case 'forced':
      return 'dropped by the cancel';
    case 'observed':
      return `${task.outcome}, cancel observed`;
    case 'own':
      return `${task.outcome} on its own`;
    case 'left':
      return 'client gone';
    case 'dropped':
      return 'dropped by its owner';
    default:
      return task.outcome ?? 'ended';
  }
}

/** The cause of a failure, or who requested the cancel and why; empty if neither is known. @param {Task} task */
export function endCause(task) {
  const { cancel, outcome, status } = task;
  if (outcome === 'failed' && status.startsWith('failed: ')) return short(status.slice('failed: '.length));
  if (!cancel) return '';
  const above = cancel.origin && cancel.origin !== task.serial ? `, with #${cancel.origin} above it` : '';
  return `${cancel.by ? `by ${short(cancel.by, 80)}` : 'by the program'}${above}${cancel.reason ? `: ${short(cancel.reason)}` : ''}`;
}

/** A sentence about the end. @param {Task} task @param {string} after how long it ran */
export function endSentence(task, after) {
  const cause = endCause(task);
  switch (ending(task)) {
    case 'cancelled':
      return `It was cancelled after ${after} ${cause}.`;
    case 'forced':
      return `It was cancelled after ${after} ${cause}. Its future was dropped; what it spawned without pm runs on.`;
    case 'observed':
    case 'own': {
      const { by, reason, observed } = /** @type {NonNullable<Task['cancel']>} */ (task.cancel);
      const failure = task.outcome === 'failed' && cause && !cause.startsWith('by ') ? `: ${cause}` : '';
      const request = `a cancel request${by ? ` by ${short(by, 80)}` : ''}${reason ? ` (${short(reason)})` : ''}`;
      return `It ${ended(task.outcome)} ${observed ? '' : 'on its own '}after ${after}${failure}; it had ${observed ? '' : 'not '}observed ${request}.`;
    }
    case 'left':
      return `Its client disconnected after ${after}, and its future was dropped.`;
    case 'dropped':
      return `Its owner dropped its future after ${after}.`;
    default:
      return `It ${ended(task.outcome)} after ${after}${cause ? `: ${cause}` : ''}.`;
  }
}

/** @param {string | undefined} outcome */
function ended(outcome) {
  const words = /** @type {Record<string, string>} */ ({ finished: 'finished', failed: 'failed', aborted: 'panicked', dropped: 'was dropped' });
  return words[outcome ?? ''] ?? (outcome ? `ended (${named(short(outcome, 40))})` : 'ended');
}
