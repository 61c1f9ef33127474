// Statistics of each kind: its rate, its errors, its latencies, and its time by status.

import { h, replace, say, svg } from './dom.js';
import { link } from './address.js';
import { written } from './filter.js';
import { plot } from './plot.js';
import { count, duration, latency, named, percent, plural, short } from './text.js';
import { nameOf } from './usual.js';

/** @typedef {import('./usual.js').Kind} Kind */

const SHOWN = 300;
const STATUSES = 12;

/** @type {[string, (kind: Kind, usual: import('./usual.js').Usual) => number, (kind: Kind, usual: import('./usual.js').Usual) => string][]} */
const COLUMNS = [
  ['Running', (kind) => kind.running, (kind) => count(kind.running)],
  ['Started', (kind) => kind.started, (kind) => count(kind.started)],
  ['Per second', (kind, usual) => usual.rate(kind) ?? -1, (kind, usual) => {
    const rate = usual.rate(kind);
    return rate === undefined ? '-' : rate.toFixed(rate < 10 ? 1 : 0);
  }],
  ['Errors', (kind) => (kind.failed + kind.aborted) / Math.max(1, ended(kind)), (kind) => percent(kind.failed + kind.aborted, ended(kind))],
  ['Cancelled', (kind) => kind.cancelled, (kind) => (kind.cancelled ? count(kind.cancelled) : '-')],
  ['p50', (kind) => kind.latency.p50Ms ?? -1, (kind) => latency(kind.latency.count ? kind.latency.p50Ms : undefined)],
  ['p95', (kind) => kind.latency.p95Ms ?? -1, (kind) => latency(kind.latency.count ? kind.latency.p95Ms : undefined)],
  ['p99', (kind) => kind.latency.p99Ms ?? -1, (kind) => latency(kind.latency.count ? kind.latency.p99Ms : undefined)],
  ['Slowest', (kind) => kind.latency.maxMs ?? -1, (kind) => latency(kind.latency.count ? kind.latency.maxMs : undefined)],
];

/** @param {Kind} kind */
const ended = (kind) => kind.finished + kind.failed + kind.cancelled + kind.aborted + kind.dropped;
/** @param {Kind} kind */
const shownName = (kind) => (kind.other ? '(all other kinds)' : kind.kind === undefined ? '(no kind)' : named(short(kind.kind, 120)));

export class KindsView {
  /** @param {import('./usual.js').Usual} usual @param {(changes: Record<string, string>) => void} adjust */
  constructor(usual, adjust) {
    this.usual = usual;
    this.adjust = adjust;
    this.seen = -1;
    this.by = 1;
    this.down = true;
    /** The selected kind. @type {string | undefined} */
    this.chosen = undefined;
    this.words = h('p', { class: 'summary', role: 'status' });
    this.buttons = COLUMNS.map(([label], at) => h('button', { type: 'button', onclick: () => this.#sort(at) }, label));
    this.heads = this.buttons.map((button) => h('th', { scope: 'col', class: 'number' }, button));
    this.rows = h('tbody', {});
    this.one = h('div', { class: 'one', 'aria-live': 'off' });
    this.element = h(
      'section', { class: 'view kinds', 'aria-label': 'Kinds' },
      h('h1', {}, 'Kinds'), this.words,
      h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'All kinds' }, h('table', { class: 'plain kinds' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Kind'), ...this.heads)), this.rows)),
      this.one,
    );
  }

  /** @param {Record<string, string>} params */
  show(params) {
    this.chosen = params.kind;
    this.seen = -1;
    this.tick(performance.now());
  }

  /** @param {number} at */
  #sort(at) {
    this.down = this.by === at ? !this.down : true;
    this.by = at;
    this.seen = -1;
    this.tick(performance.now());
  }

  /** @param {number} now */
  tick(now) {
    const { usual } = this;
    usual.look(now, 1900);
    if (this.seen === usual.version) return;
    this.seen = usual.version;
    const [, order] = COLUMNS[this.by];
    const sorted = [...usual.kinds].sort((a, b) => (this.down ? 1 : -1) * (order(b, usual) - order(a, usual)));
    say(this.words, usual.trouble || (sorted.length ? `${plural(sorted.length, 'kind')}${sorted.length > SHOWN ? `, ${SHOWN} of them shown` : ''}. Statistics of all tasks that have ended since the program started.` : usual.version ? 'No task has ended yet.' : 'Loading.'));
    this.heads.forEach((head, at) => {
      if (at === this.by) head.setAttribute('aria-sort', this.down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
    const chosen = sorted.find((kind) => nameOf(kind) === this.chosen) ?? sorted[0];
    // Rows are updated, not recreated, so the focus stays.
    while (this.rows.children.length > Math.min(sorted.length, SHOWN)) this.rows.lastElementChild?.remove();
    sorted.slice(0, SHOWN).forEach((kind, at) => {
      let row = this.rows.children[at];
      if (!row) {
        row = h('tr', {}, h('th', { scope: 'row' }, h('button', { type: 'button', onclick: (/** @type {any} */ event) => this.adjust({ kind: event.currentTarget.dataset.kind }) })), ...COLUMNS.map(() => h('td', { class: 'number' })));
        this.rows.append(row);
      }
      const button = /** @type {HTMLElement} */ (row.firstElementChild?.firstElementChild);
      button.dataset.kind = nameOf(kind);
      say(button, shownName(kind));
      button.setAttribute('aria-pressed', String(kind === chosen));
      row.className = kind === chosen ? 'chosen' : '';
      COLUMNS.forEach(([, , words], column) => say(row.children[column + 1], words(kind, usual)));
    });
    replace(this.one, chosen && this.#draw(chosen));
  }

  /** @param {Kind} kind */
  #draw(kind) {
    const statuses = [...kind.statuses].sort((a, b) => b.timeMs - a.timeMs);
    const whole = statuses.reduce((sum, one) => sum + one.timeMs, 0);
    const outcomes = /** @type {[string, number][]} */ ([['finished', kind.finished], ['failed', kind.failed], ['cancelled', kind.cancelled], ['aborted', kind.aborted], ['dropped by their clients or owners', kind.dropped]]);
    return h(
      'div', {},
      h('h2', {}, shownName(kind)),
      h('p', {}, outcomes.filter(([, number]) => number).map(([name, number]) => `${count(number)} ${name}`).join(', ') || 'no task has ended yet',
        kind.kind !== undefined && !kind.other ? ' ' : '',
        kind.kind !== undefined && !kind.other && h('a', { href: link({ view: 'running', filter: `kind=${written(kind.kind)}` }) }, `${plural(kind.running, 'task')} running`),
        kind.kind !== undefined && !kind.other ? ' ' : '',
        kind.kind !== undefined && !kind.other && h('a', { href: link({ view: 'ended', list: 'slowest', filter: `kind=${written(kind.kind)}` }) }, 'slowest recent ones')),
      kind.latency.count > 0 && h('h3', {}, 'Latency'),
      kind.latency.count > 0 && plot(kind),
      whole > 0 && h('h3', {}, 'Time by status'),
      whole > 0 && h('table', { class: 'plain where' }, h('thead', {}, h('tr', {}, ...['Status', 'Share', 'Time', 'Entered', 'Each'].map((words, at) => h('th', { scope: 'col', class: at ? 'number' : '' }, words)), h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Bar')))),
        h('tbody', {}, ...statuses.slice(0, STATUSES).map((one) => h(
          'tr', {},
          h('td', {}, one.status === undefined ? '(unknown or other)' : named(short(one.status, 120))),
          h('td', { class: 'number' }, percent(one.timeMs, whole)), h('td', { class: 'number' }, duration(one.timeMs)),
          h('td', { class: 'number' }, count(one.entered)), h('td', { class: 'number' }, latency(one.entered ? one.timeMs / one.entered : undefined)),
          h('td', { class: 'track' }, svg('svg', { viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true', class: 'share' }, svg('rect', { width: Math.max(0.5, (one.timeMs / whole) * 100), height: 8 }))),
        )))),
    );
  }
}
