// The list about itself: its limits, what it had to drop, its cost, and the audit log.

import { Problem, call } from './api.js';
import { h, replace, say } from './dom.js';
import { bytes, clock, count, duration, latency, named, plural, short } from './text.js';

const EVERY = 3000;
const AUDIT = 200;

/** Labels of the fields of `/v1/info`. @type {Record<string, string>} */
const LABELS = {
  live: 'running', peak: 'most at a time', cancelRequests: 'cancel requests', panicsCaught: 'panics caught in hooks', lateCalls: 'calls after the task ended', notUnwound: 'cancels that could not unwind',
  clockGivenUp: 'counter replaced by the system’s clock', plannedWithoutThread: 'timers without a thread',
  dropped: 'dropped by clients or owners', forced: 'dropped by a cancel', tasksNotShown: 'tasks not shown, list full', statuses: 'history entries', attrs: 'attributes', textsCut: 'strings truncated',
  redacted: 'secrets masked', endedLetGo: 'ended tasks evicted', kinds: 'kinds beyond the limit', bytesHeld: 'memory held', connections: 'connections',
  watchers: 'watchers', watches: 'distinct filters watched', watchBytes: 'memory for watchers', responseBytes: 'memory for responses', responsesRefused: 'responses refused, no memory', maxMemory: 'memory for all responses', looks: 'scans for watchers', lastLookMs: 'duration of the last scan',
  maxBytes: 'memory', maxId: 'id', maxAttrName: 'attribute name', maxAttrValue: 'attribute value', maxStatus: 'status', maxAttrs: 'attributes per task',
  firstEntries: 'first history entries', newestEntries: 'newest history entries', keepEnded: 'ended tasks retained', keepEndedBytes: 'memory for ended tasks',
  keepEndedForMs: 'ended tasks retained for', maxKinds: 'kinds', maxStatuses: 'statuses per kind', maxConnections: 'connections', maxWatchers: 'watchers', written: 'written to the file', lost: 'not written',
  enabled: 'tasks are shown', lookOnly: 'look only: cancels are refused', ignored: 'variables ignored', count: 'tokens', reloads: 'reloads', failures: 'failed reloads', error: 'error',
};
const TITLES = /** @type {[string, string][]} */ ([
  ['counters', 'Counters since the program started'], ['dropped', 'Dropped or truncated'], ['own', 'Cost'], ['limits', 'Limits'], ['settings', 'Settings'], ['tokens', 'Tokens'], ['tls', 'TLS'], ['audit', 'Audit file'],
]);
const BYTES = new Set(['maxBytes', 'keepEndedBytes', 'bytesHeld', 'watchBytes', 'responseBytes', 'maxMemory', 'maxId', 'maxAttrName', 'maxAttrValue', 'maxStatus']);

export class AboutView {
  constructor() {
    this.asked = -Infinity;
    this.seen = '';
    this.words = h('p', { class: 'summary', role: 'status' }, 'Loading.');
    this.parts = h('div', { class: 'parts' });
    this.audit = h('div', {});
    this.element = h('section', { class: 'view about', 'aria-label': 'About' }, h('h1', {}, 'About'), this.words, this.parts, h('h2', {}, 'Audit log'), this.audit);
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
      say(this.words, `pm ${info.version}, serving for ${duration(info.uptimeMs)}; you may ${info.scope === 'cancel' ? 'read and cancel' : 'read'}; boot id ${info.boot}.`);
      replace(this.parts, ...TITLES.filter(([name]) => info[name]).map(([name, title]) => part(title, info[name])));
      const seen = JSON.stringify(audit.records);
      if (seen !== this.seen) {
        this.seen = seen;
        replace(this.audit, audit.records.length ? auditTable(audit) : h('p', {}, 'No attempts to cancel yet.'));
      }
    } catch (error) {
      say(this.words, error instanceof Problem ? error.words : String(error));
    }
  }
}

/** @param {string} title @param {Record<string, number | string | boolean | string[]>} members */
function part(title, members) {
  return h('section', { 'aria-label': title }, h('h2', {}, title), h('dl', { class: 'facts' }, ...Object.entries(members).flatMap(([name, value]) => [
    h('dt', {}, LABELS[name] ?? name), h('dd', { class: title.startsWith('Dropped') && value ? 'some' : '' }, valueText(name, value)),
  ])));
}

/** @param {string} name @param {number | string | boolean | string[]} value */
function valueText(name, value) {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length ? value.join('; ') : 'none';
  if (typeof value !== 'number') return short(String(value), 300);
  if (BYTES.has(name)) return bytes(value);
  if (name.endsWith('ForMs')) return duration(value);
  return name.endsWith('Ms') ? latency(value) : count(value);
}

/** @param {{ records: any[], dropped?: number }} audit */
function auditTable({ records, dropped }) {
  const head = ['Time (UTC)', 'Identity', 'Peer', 'Target', 'Reason', 'Result'].map((words) => h('th', { scope: 'col' }, words));
  return h(
    'div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Audit' },
    h('table', { class: 'plain' }, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...records.map((record) => h(
      'tr', {},
      h('td', { title: record.at }, clock(record.at)), h('td', {}, short(record.identity, 80)), h('td', {}, short(record.peer, 60)),
      h('td', {}, record.filter !== undefined ? `all matching ${short(record.filter, 120)}` : `${record.task !== undefined ? named(short(record.task, 80), 'empty id') : ''}${record.serial ? ` #${record.serial}` : ''}`),
      h('td', {}, short(record.reason ?? '', 200)), h('td', {}, short(record.result ?? '', 80)),
    )))),
    dropped ? h('p', { class: 'note' }, `${plural(dropped, 'older record')} dropped`) : null,
  );
}
