// Completions of a filter: names, and values that tasks have now.

import { NAMES, OUTCOMES, STATES, written, writtenAttr } from './filter.js';
import { short, shown } from './text.js';

/** @typedef {import('./model.js').Task} Task */
/** @typedef {{ text: string, label: string, note: string }} Suggestion `text` replaces the word at the caret */

/** The most tasks that are sampled for values, and the most suggestions. */
const SAMPLE = 5000;
const MOST = 12;

/** The range of the word at the caret. @param {string} text @param {number} caret */
export function wordAt(text, caret) {
  let from = 0;
  let isQuoted = false;
  let at = 0;
  for (; at < text.length; at += 1) {
    const c = text[at];
    if (c === '\\' && isQuoted) at += 1;
    else if (c === '"') isQuoted = !isQuoted;
    else if (!isQuoted && /\s/.test(c)) {
      if (at >= caret) break;
      from = at + 1;
    }
  }
  return { from, to: Math.min(at, text.length) };
}

/** @param {string} text @param {number} caret @param {Iterable<Task>} tasks @returns {Suggestion[]} */
export function suggest(text, caret, tasks) {
  const { from } = wordAt(text, caret);
  const word = text.slice(from, caret);
  const equals = word.indexOf('=');
  if (equals < 0) return names(word, tasks);
  const name = word.slice(0, equals);
  const value = word.slice(equals + 1);
  // The last of several alternatives.
  const comma = /^(?:[^\\,]|\\.)*$/.test(value) ? -1 : lastComma(value);
  const done = word.slice(0, equals + 1 + comma + 1);
  const begun = value.slice(comma + 1).replace(/^"/, '').replace(/\\(.)/g, '$1').toLowerCase();
  const found = values(name, tasks);
  const fitting = [...found].filter(([text]) => text.toLowerCase().includes(begun) && (text !== '' || name === 'kind'));
  const rank = (/** @type {string} */ text) => (text.toLowerCase().startsWith(begun) ? 0 : 1);
  fitting.sort((a, b) => rank(a[0]) - rank(b[0]) || b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return fitting.slice(0, MOST).map(([text, count]) => ({
    text: done + written(text), label: short(text, 80) || '(none)', note: count ? `${count}` : '',
  }));
}

/** @param {string} value */
function lastComma(value) {
  let found = -1;
  for (let at = 0; at < value.length; at += 1) {
    if (value[at] === '\\') at += 1;
    else if (value[at] === ',') found = at;
  }
  return found;
}

/** @param {string} word @param {Iterable<Task>} tasks */
function names(word, tasks) {
  /** @type {Suggestion[]} */
  const found = [];
  const begun = word.replace(/"/g, '').toLowerCase();
  for (const [name, note] of Object.entries(NAMES)) {
    if (name !== 'attr.' && name.toLowerCase().startsWith(begun)) found.push({ text: `${name}=`, label: `${name}=`, note });
  }
  for (const [name, count] of attrNames(tasks)) {
    const label = `attr.${name}`;
    if (label.toLowerCase().startsWith(begun)) found.push({ text: `${writtenAttr(name)}=`, label: `${short(label, 60)}=`, note: `${count}` });
  }
  // A word that matches no name may be a value to search for.
  if (found.length === 0 && word !== '') {
    const plain = word.replace(/"/g, '');
    for (const name of ['id', 'kind', 'status']) {
      found.push({ text: `${name}=${written(plain)}*`.replace(/"\*$/, '*"'), label: `${name}=${short(plain, 40)}*`, note: 'prefix' });
    }
  }
  return found.slice(0, 20);
}

/** @param {Iterable<Task>} tasks */
export function attrNames(tasks) {
  /** @type {Map<string, number>} */
  const found = new Map();
  for (const task of sample(tasks)) for (const name in task.attrs) found.set(name, (found.get(name) ?? 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1]);
}

/** The values of a name, with the number of tasks that have each. @param {string} name @param {Iterable<Task>} tasks @returns {Map<string, number>} */
function values(name, tasks) {
  if (name === 'state') return new Map(STATES.map((word) => [word, 0]));
  if (name === 'outcome') return new Map(OUTCOMES.filter(Boolean).map((word) => [word, 0]));
  if (/Age$/.test(name)) return new Map(['1s', '5s', '30s', '1m', '10m', '1h'].map((word) => [word, 0]));
  /** @type {Record<string, (task: Task) => string>} */
  const of = { kind: (task) => task.kind ?? '', id: (task) => task.id, status: (task) => task.status, serial: (task) => task.serial, parent: (task) => task.parent ?? '' };
  const attr = name.startsWith('attr.') ? name.slice(5).replace(/"/g, '') : undefined;
  const value = attr === undefined ? of[name] : (/** @type {Task} */ task) => (Object.hasOwn(task.attrs, attr) ? shown(task.attrs[attr]) : '');
  /** @type {Map<string, number>} */
  const found = new Map();
  if (!value) return found;
  for (const task of sample(tasks)) {
    const text = value(task);
    found.set(text, (found.get(text) ?? 0) + 1);
  }
  return found;
}

/** @param {Iterable<Task>} tasks */
function* sample(tasks) {
  let left = SAMPLE;
  for (const task of tasks) {
    if (left === 0) return;
    left -= 1;
    yield task;
  }
}
