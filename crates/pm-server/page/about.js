// What the list says of itself: its limits, what it had to drop, what it costs, and who tried to stop what.

import { Problem, call } from './api.js';
import { h, replace, say } from './dom.js';
import { bytes, clock, count, duration, latency, named, plural, short } from './text.js';

const EVERY = 3000;
const AUDIT = 200;

/** What the members of `/v1/info` mean. @type {Record<string, string>} */
const WORDS = {
  live: 'running', peak: 'most at a time', cancelRequests: 'cancel requests', panicsCaught: 'panics of hooks caught', lateCalls: 'calls after the end',
  forced: 'dropped by a cancel', tasksNotShown: 'tasks without a place', statuses: 'history entries', attrs: 'attributes', textsCut: 'texts cut short',
  redacted: 'secrets masked', endedLetGo: 'ended tasks let go', kinds: 'kinds without a place of their own', bytesHeld: 'memory held', connections: 'connections',
  watchers: 'watchers', watches: 'different filters watched', watchBytes: 'kept for watchers', looks: 'looks for watchers', lastLookMs: 'the last look took',
  maxBytes: 'memory', maxId: 'id', maxAttrName: 'name of an attribute', maxAttrValue: 'value of an attribute', maxStatus: 'status', maxAttrs: 'attributes of a task',
  firstEntries: 'first entries of a history', newestEntries: 'newest entries of a history', keepEnded: 'ended tasks kept', keepEndedBytes: 'ended tasks, memory',
  keepEndedForMs: 'ended tasks kept for', maxKinds: 'kinds', maxStatuses: 'statuses of a kind', maxWatchers: 'watchers', written: 'written to the file', lost: 'not written',
  count: 'tokens', reloads: 'times read again', failures: 'times that failed', error: 'what is wrong',
};
const TITLES = /** @type {[string, string][]} */ ([
  ['counters', 'Counted since the program began'], ['dropped', 'Dropped, cut or left out'], ['own', 'What it costs'], ['limits', 'Limits'], ['tokens', 'Tokens'], ['tls', 'TLS'], ['audit', 'Audit file'],
]);
const BYTES = new Set(['maxBytes', 'keepEndedBytes', 'bytesHeld', 'watchBytes', 'maxId', 'maxAttrName', 'maxAttrValue', 'maxStatus']);

export class AboutView {
  constructor() {
    this.asked = -Infinity;
    this.seen = '';
    this.words = h('p', { class: 'summary', role: 'status' }, 'Looking.');
    this.parts = h('div', { class: 'parts' });
    this.audit = h('div', {});
    this.element = h('section', { class: 'view about', 'aria-label': 'About' }, h('h1', {}, 'About'), this.words, this.parts, h('h2', {}, 'Who tried to stop what'), this.audit);
  }

  show() {
    this.asked = -Infinity;
    this.tick(performance.now());
  }

  /** @param {number} now */
  tick(now) {
    if (now - this.asked < EVERY) return;
    this.asked = now;
    this.#ask();
  }

  async #ask() {
    try {
      const [info, audit] = await Promise.all([call('v1/info'), call(`v1/audit?limit=${AUDIT}`)]);
      say(this.words, `pm ${info.version}, serving since ${duration(info.uptimeMs)}; you may ${info.scope === 'cancel' ? 'look and kill' : 'look'}; this run of the program is ${info.boot}.`);
      replace(this.parts, ...TITLES.filter(([name]) => info[name]).map(([name, title]) => part(title, info[name])));
      const seen = JSON.stringify(audit.records);
      if (seen !== this.seen) {
        this.seen = seen;
        replace(this.audit, audit.records.length ? auditTable(audit) : h('p', {}, 'Nobody yet.'));
      }
    } catch (error) {
      say(this.words, error instanceof Problem ? error.words : String(error));
    }
  }
}

/** @param {string} title @param {Record<string, number | string>} members */
function part(title, members) {
  return h('section', { 'aria-label': title }, h('h2', {}, title), h('dl', { class: 'facts' }, ...Object.entries(members).flatMap(([name, value]) => [
    h('dt', {}, WORDS[name] ?? name), h('dd', { class: title.startsWith('Dropped') && value ? 'some' : '' }, valueWords(name, value)),
  ])));
}

/** @param {string} name @param {number | string} value */
function valueWords(name, value) {
  if (typeof value !== 'number') return short(String(value), 300);
  if (BYTES.has(name)) return bytes(value);
  if (name.endsWith('ForMs')) return duration(value);
  return name.endsWith('Ms') ? latency(value) : count(value);
}

/** @param {{ records: any[], dropped?: number }} audit */
function auditTable({ records, dropped }) {
  const head = ['When (UTC)', 'Who', 'From', 'What', 'Reason', 'Result'].map((words) => h('th', { scope: 'col' }, words));
  return h(
    'div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Audit' },
    h('table', { class: 'plain' }, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...records.map((record) => h(
      'tr', {},
      h('td', { title: record.at }, clock(record.at)), h('td', {}, short(record.identity, 80)), h('td', {}, short(record.peer, 60)),
      h('td', {}, record.filter !== undefined ? `all with ${short(record.filter, 120)}` : `${record.task !== undefined ? named(short(record.task, 80), 'empty id') : ''}${record.serial ? ` #${record.serial}` : ''}`),
      h('td', {}, short(record.reason ?? '', 200)), h('td', {}, short(record.result ?? '', 80)),
    )))),
    dropped ? h('p', { class: 'note' }, `${plural(dropped, 'older record')} dropped`) : null,
  );
}
