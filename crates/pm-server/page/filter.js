// The filter grammar of pm, equal to the server's (`pm_wire::filter`): conditions `name=value` separated by blanks, all of
// which must hold; `a,b` matches either, `a*` is a prefix, `\` escapes `,`, `*` and `\`, and quotes keep blanks. Error
// messages are equal, too.

import { shown, visible } from './text.js';

/** @typedef {import('./model.js').Task} Task */
/** @typedef {{ text: string, isPrefix: boolean, isQuoted: boolean, at: number }} Alternative */
/** @typedef {{ name: string, raw: string, alternatives: Alternative[], from: number, to: number }} Condition */

/** @type {Record<string, string>} the meaning of each name, for completion */
export const NAMES = {
  state: 'running, cancelling or ended',
  outcome: 'how the task ended',
  kind: 'the kind of work',
  id: 'the id',
  status: 'the current status',
  parent: 'the serial of the parent',
  serial: 'the serial',
  'attr.': 'an attribute',
  minAge: 'least age',
  maxAge: 'greatest age',
  minStatusAge: 'least time in its status',
  maxStatusAge: 'greatest time in its status',
};
export const STATES = ['running', 'cancelling', 'ended'];
export const OUTCOMES = ['', 'finished', 'failed', 'cancelled', 'aborted', 'dropped'];
const MAX_CONDITIONS = 64;
const MAX_ALTERNATIVES = 256;
const MAX_BYTES = 8192;

export class FilterError extends Error {
  /** @param {string} words @param {number} at counted in characters from 1; 0 if it is about all of it @param {string} [hint] */
  constructor(words, at, hint = '') {
    super(`${words}${at ? ` at ${at}` : ''}${hint ? `; ${hint}` : ''}`);
    this.at = at;
  }
}

/** White space as the server defines it. @param {string} c */
const isBlank = (c) => c === '\u0085' || (c !== '\ufeff' && /\s/.test(c));
/** @param {string} text */
const quoted = (text) => `\`${visible(text)}\``;

/** Parses the conditions of a filter. @param {string} text @returns {Condition[]} */
export function parse(text) {
  if (new TextEncoder().encode(text).length > MAX_BYTES) throw new FilterError(`the filter is longer than ${MAX_BYTES} bytes`, 0);
  const chars = [...text];
  /** @type {Condition[]} */
  const conditions = [];
  let at = 0;
  for (;;) {
    while (at < chars.length && isBlank(chars[at])) at += 1;
    if (at === chars.length) return conditions;
    if (conditions.length === MAX_CONDITIONS) throw new FilterError('more than 64 conditions', at + 1);
    const from = at;
    const name = readName();
    if (!isName(name)) throw unknownName(name, from + 1);
    const { raw, alternatives } = readValue(name);
    const condition = { name, raw, alternatives, from, to: at };
    check(condition);
    conditions.push(condition);
  }

  function readName() {
    const start = at;
    let name = '';
    let quote = 0;
    for (;;) {
      const here = at;
      const c = chars[at];
      at += 1;
      if (c === undefined) throw quote ? new FilterError('quotes that are not closed', quote) : noCondition(name, start + 1);
      if (c === '"') quote = quote ? 0 : here + 1;
      else if (c === '\\') {
        const next = chars[at];
        at += 1;
        if (!quote || (next !== '"' && next !== '\\')) {
          throw new FilterError('a `\\` in a name', here + 1, 'write the name in quotes, with `\\\\` for the character');
        }
        name += next;
      } else if (quote) name += c;
      else if (c === '=') return name;
      else if (isBlank(c)) throw noCondition(name, start + 1);
      else name += c;
    }
  }

  /** @param {string} name */
  function readValue(name) {
    /** @type {Alternative[]} */
    const alternatives = [];
    let raw = '';
    let value = '';
    let start = at;
    let star = 0;
    let quote = 0;
    let isQuoted = false;
    for (;;) {
      const here = at;
      const c = chars[at] !== undefined && (quote || !isBlank(chars[at])) ? chars[at] : undefined;
      if (c !== undefined) at += 1;
      if (c === undefined && quote) throw new FilterError('quotes that are not closed', quote);
      if (c === undefined || c === ',') {
        if (alternatives.length === MAX_ALTERNATIVES) throw new FilterError(`${quoted(name)} has more than 256 alternatives`, start + 1);
        alternatives.push({ text: value, isPrefix: star > 0, isQuoted, at: start + 1 });
        if (c === undefined) return { raw, alternatives };
        raw += c;
        value = '';
        star = 0;
        isQuoted = false;
        start = at;
      } else if (c === '"') {
        quote = quote ? 0 : here + 1;
        isQuoted = true;
      } else if (star) {
        throw new FilterError('a `*` that is not the last', star, 'only a trailing `*` is meant; write `\\*` for the character');
      } else if (c === '*') {
        star = here + 1;
        raw += c;
      } else if (c === '\\') {
        const next = chars[at];
        const isQuote = next === '"' && quote > 0;
        if (next !== ',' && next !== '*' && next !== '\\' && !isQuote) {
          throw new FilterError('a `\\` that escapes nothing', here + 1, 'write `\\\\` for the character');
        }
        at += 1;
        value += next;
        raw += isQuote ? next : c + next;
      } else {
        value += c;
        raw += c;
      }
    }
  }
}

/** @param {string} name */
function isName(name) {
  return name.startsWith('attr.') ? name.length > 5 : Object.hasOwn(NAMES, name);
}

/** @param {string} name @param {number} at */
function noCondition(name, at) {
  if (name === '') return new FilterError('a name is missing', at);
  return new FilterError(`${quoted(name)} is not a condition`, at, 'write it as name=value, as in `kind=import`');
}

/** @param {string} name @param {number} at */
function unknownName(name, at) {
  if (name === '') return new FilterError('a name is missing', at);
  if (name === 'attr.') return new FilterError('`attr.` names no attribute', at, 'write it as `attr.host`');
  const [head, ...rest] = name.split('.');
  const near = nearest(name, Object.keys(NAMES));
  let hint = `if it is an attribute, write ${quoted(`attr.${name}`)}`;
  if (near === 'attr.') hint = 'an attribute is written as `attr.host`';
  else if (near) hint = `did you mean \`${near}\`?`;
  if (rest.join('') && nearest(head, ['attr'])) hint = `did you mean ${quoted(`attr.${rest.join('.')}`)}?`;
  return new FilterError(`unknown name ${quoted(name)}`, at, hint);
}

/** The nearest word within one typing error, if any. @param {string} text @param {string[]} words */
function nearest(text, words) {
  let best = '';
  let least = 2 + Math.floor(text.length / 4);
  for (const word of text.length > 40 ? [] : words) {
    const distance = edits(text.toLowerCase(), word.toLowerCase());
    if (word && distance < least) [best, least] = [word, distance];
  }
  return best;
}

/** The number of letters to insert, delete, replace or swap with their neighbour. @param {string} a @param {string} b */
function edits(a, b) {
  /** @type {number[]} */
  let before = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.length];
}

/** @param {Alternative} a */
const quotedValue = (a) => quoted(a.text + (a.isPrefix ? '*' : ''));
/** @param {Alternative} a @param {string} value */
const fits = (a, value) => (a.isPrefix ? value.startsWith(a.text) : value === a.text);

/** @param {Condition} condition */
function check({ name, alternatives }) {
  if (name === 'state' || name === 'outcome') {
    const words = name === 'state' ? STATES : OUTCOMES;
    for (const a of alternatives) {
      if (words.some((word) => fits(a, word))) continue;
      const near = nearest(a.text, words);
      const hint = near ? `did you mean \`${near}\`?` : `it is one of ${words.filter(Boolean).join(', ')}`;
      throw new FilterError(`unknown ${name} ${quoted(a.text)}`, a.at, hint);
    }
  } else if (name === 'serial' || name === 'parent') {
    for (const a of alternatives) {
      if (a.text === '' && (a.isPrefix || name === 'parent')) continue;
      if (a.isPrefix || !/^\d+$/.test(a.text) || /^0+$/.test(a.text) || BigInt(a.text) >= 1n << 64n) {
        throw new FilterError(`${quotedValue(a)} is not a serial`, a.at, 'a serial is a whole number above 0');
      }
    }
  } else if (name.endsWith('Age') && !name.startsWith('attr.')) {
    if (alternatives.length > 1) throw new FilterError(`\`${name}\` takes one duration`, alternatives[1].at);
    length(alternatives[0]);
  }
}

/** Parses a duration, in milliseconds. @param {Alternative} a */
function length(a) {
  const found = a.isPrefix ? null : /^([\d.]*)(ms|s|m|min|h|)$/.exec(a.text);
  const number = found && /\d/.test(found[1]) ? Number(found[1]) : NaN;
  if (!found || Number.isNaN(number)) throw new FilterError(`${quotedValue(a)} is not a duration`, a.at, 'write it as 500ms, 10s, 1.5m or 2h');
  const ms = number * { ms: 1, s: 1000, '': 1000, m: 60_000, min: 60_000, h: 3_600_000 }[/** @type {'s'} */ (found[2])];
  // A nanosecond is the least.
  if (ms < 5e-7) throw new FilterError(`${quotedValue(a)} is not a duration`, a.at, 'it must be more than zero');
  if (ms >= 2 ** 64 * 1000) throw new FilterError(`${quotedValue(a)} is not a duration`, a.at, 'it is too long');
  return ms;
}

/** A valid filter. */
export class Filter {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.conditions = parse(text);
    this.tests = this.conditions.map(test);
    /** `true` if a task may begin or cease to match only because time passes. */
    this.dependsOnTime = this.conditions.some(({ name }) => /^(min|max)(Status)?Age$/.test(name));
  }

  get isEmpty() {
    return this.conditions.length === 0;
  }

  /** The first name with a value that is empty and not quoted: on the way to another value, `kind=` is valid, too. */
  get unfinished() {
    return this.conditions.find(({ alternatives }) => alternatives.some((a) => a.text === '' && !a.isPrefix && !a.isQuoted))?.name;
  }

  /** @param {Task} task @param {number} now */
  fits(task, now) {
    for (const holds of this.tests) if (!holds(task, now)) return false;
    return true;
  }

  /** Adds the filter to the parameters of a query. @param {URLSearchParams} params */
  addTo(params) {
    for (const { name, raw } of this.conditions) params.append(name, raw);
    return params;
  }
}

/** @param {Condition} condition @returns {(task: Task, now: number) => boolean} */
function test({ name, alternatives }) {
  const exact = new Set(alternatives.filter((a) => !a.isPrefix).map((a) => a.text));
  const prefixes = alternatives.filter((a) => a.isPrefix).map((a) => a.text);
  /** @param {string} value */
  const any = (value) => exact.has(value) || prefixes.some((prefix) => value.startsWith(prefix));
  const ms = /^(min|max)(Status)?Age$/.test(name) ? length(alternatives[0]) : 0;
  switch (name) {
    case 'state':
      return (task) => any(task.state);
    case 'outcome':
      return (task) => any(task.outcome ?? '');
    case 'kind':
      return (task) => any(task.kind ?? '');
    case 'id':
      return (task) => any(task.id);
    case 'status':
      return (task) => any(task.status);
    case 'serial':
    case 'parent': {
      const numbers = new Set([...exact].map((text) => text.replace(/^0+/, '')));
      const all = prefixes.length > 0;
      return name === 'serial' ? (task) => all || numbers.has(task.serial) : (task) => all || numbers.has(task.parent ?? '');
    }
    case 'minAge':
      return (task, now) => task.age(now) >= ms;
    case 'maxAge':
      return (task, now) => task.age(now) <= ms;
    case 'minStatusAge':
      return (task, now) => task.statusAge(now) >= ms;
    case 'maxStatusAge':
      return (task, now) => task.statusAge(now) <= ms;
    default: {
      const attr = name.slice('attr.'.length);
      return (task) => any(Object.hasOwn(task.attrs, attr) ? shown(task.attrs[attr]) : '');
    }
  }
}

/** Escapes a value for a filter. @param {string} value */
export function written(value) {
  const escaped = value.replace(/[\\,*]/g, '\\$&');
  if (escaped !== '' && ![...escaped].some((c) => isBlank(c) || c === '"')) return escaped;
  return `"${escaped.replace(/"/g, '\\"')}"`;
}

/** Escapes the name of an attribute for a filter. @param {string} name */
export function writtenAttr(name) {
  return [...name].some((c) => isBlank(c) || '"\\='.includes(c)) ? `attr."${name.replace(/["\\]/g, '\\$&')}"` : `attr.${name}`;
}
