// The usual latencies of each kind, requested periodically, so that ages can be compared with them.

import { call } from './api.js';

/**
 * @typedef {{ leastMs: number, belowMs?: number, count: number }} Bucket
 * @typedef {{ kind?: string, other?: boolean, running: number, started: number, finished: number, failed: number,
 *   cancelled: number, aborted: number, dropped: number,
 *   latency: { count: number, meanMs?: number, p50Ms?: number, p90Ms?: number, p95Ms?: number, p99Ms?: number, maxMs?: number,
 *     buckets: Bucket[] },
 *   statuses: { status?: string, entered: number, timeMs: number }[] }} Kind
 */

const EVERY = 5000;
/** The pause between requests as a multiple of the time of an answer, which is large with hundreds of kinds; and its limit. */
const REST = 20;
const LONGEST_REST = 10_000;
/** Fewer tasks are not significant. */
const ENOUGH = 5;

export class Usual {
  constructor() {
    /** @type {Kind[]} */
    this.kinds = [];
    /** Earlier answers with their times, for rates. @type {{ at: number, started: Map<string, number> }[]} */
    this.before = [];
    /** @type {Map<string, number>} */
    this.p95 = new Map();
    this.asked = -Infinity;
    this.took = 0;
    this.version = 0;
    /** @type {string} */
    this.trouble = '';
  }

  /** Requests again if it is time. @param {number} now @param {number} [every] */
  async look(now, every = EVERY) {
    if (now - this.asked < Math.max(every, Math.min(this.took * REST, LONGEST_REST))) return;
    this.asked = now;
    try {
      const { kinds } = await call('v1/kinds');
      this.took = performance.now() - now;
      this.kinds = kinds;
      this.trouble = '';
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : String(error);
      return;
    }
    this.p95.clear();
    for (const kind of this.kinds) {
      const { count, p95Ms } = kind.latency;
      if (!kind.other && count >= ENOUGH && p95Ms) this.p95.set(kind.kind ?? '', p95Ms);
    }
    this.before.push({ at: performance.now(), started: new Map(this.kinds.map((kind) => [nameOf(kind), kind.started])) });
    if (this.before.length > 13) this.before.shift();
    this.version += 1;
  }

  /** Clears everything, for another run of the program. */
  clear() {
    this.before = [];
    this.p95.clear();
    this.asked = -Infinity;
  }

  /** The 95th percentile of a kind's latency in milliseconds; 0 if unknown. @param {string | undefined} kind */
  of(kind) {
    return this.p95.get(kind ?? '') ?? 0;
  }

  /** Tasks started per second, since the oldest retained answer. @param {Kind} kind */
  rate(kind) {
    const [first] = this.before;
    const last = this.before[this.before.length - 1];
    if (!first || last.at - first.at < 500) return undefined;
    const started = (last.started.get(nameOf(kind)) ?? 0) - (first.started.get(nameOf(kind)) ?? 0);
    return (Math.max(0, started) * 1000) / (last.at - first.at);
  }
}

/** @param {Kind} kind */
export function nameOf(kind) {
  return kind.other ? '\0other' : (kind.kind ?? '');
}
