// A plot of latencies on a logarithmic scale, with the median, the 95th and the 99th percentile marked. Heights are square
// roots of counts, so that a single slow task among thousands is still visible.

import { svg } from './dom.js';
import { latency, plural } from './text.js';

/** @typedef {import('./usual.js').Kind} Kind */

const WIDTH = 560;
const HEIGHT = 120;
const TOP = 16;
const FOOT = 18;

/** @param {Kind} kind */
export function plot(kind) {
  const { buckets, count, p50Ms, p95Ms, p99Ms, maxMs } = kind.latency;
  const words = `${plural(count, 'task')}: p50 ${latency(p50Ms)}, p95 ${latency(p95Ms)}, p99 ${latency(p99Ms)}, slowest ${latency(maxMs)}`;
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': words, class: 'plot' });
  if (buckets.length === 0) return picture;
  const least = Math.max(1e-6, buckets[0].leastMs);
  const last = buckets[buckets.length - 1];
  const most = Math.max(last.belowMs ?? last.leastMs * 2, least * 1.1);
  const x = (/** @type {number} */ ms) => (Math.log(Math.max(ms, least) / least) / Math.log(most / least)) * (WIDTH - 8) + 4;
  // Buckets are finer than the plot: those on the same few pixels are one bar.
  const bars = new Map();
  for (const bucket of buckets) {
    const at = Math.floor(x((bucket.leastMs + (bucket.belowMs ?? bucket.leastMs)) / 2) / 6);
    bars.set(at, (bars.get(at) ?? 0) + bucket.count);
  }
  const highest = Math.max(...bars.values());
  for (const [at, number] of bars) {
    const height = Math.max(2, Math.sqrt(number / highest) * (HEIGHT - TOP - FOOT));
    const isTail = p95Ms !== undefined && at * 6 > x(p95Ms);
    picture.append(svg('rect', { x: at * 6, y: HEIGHT - FOOT - height, width: 5, height, class: isTail ? 'tail' : '' }));
  }
  picture.append(svg('line', { x1: 0, x2: WIDTH, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT }));
  for (let power = 1e-6; power <= most; power *= 10) {
    if (power < least) continue;
    picture.append(svg('line', { x1: x(power), x2: x(power), y1: HEIGHT - FOOT, y2: HEIGHT - FOOT + 4 }), svg('text', { x: clamp(x(power)), y: HEIGHT - 3 }, latency(power)));
  }
  let before = -100;
  for (const [ms, name] of /** @type {[number | undefined, string][]} */ ([[p50Ms, 'p50'], [p95Ms, 'p95'], [p99Ms, 'p99'], [maxMs, 'max']])) {
    if (ms === undefined) continue;
    const at = x(ms);
    picture.append(svg('line', { x1: at, x2: at, y1: TOP - 3, y2: HEIGHT - FOOT, class: 'quantile' }));
    if (at - before < 26) continue;
    before = at;
    picture.append(svg('text', { x: clamp(at), y: TOP - 6, class: 'quantile' }, name));
  }
  return picture;
}

/** Limits the position of the middle of a label. @param {number} x */
const clamp = (x) => Math.max(22, Math.min(WIDTH - 22, x));
