// How values are displayed: durations, counts, sizes, and untrusted text.

/* What turns the direction of writing, moves, hides or has no width: `pm_core::terminal::UNSAFE`, as a test makes sure. */
const UNSAFE = /[\u{0}-\u{1f}\u{7f}-\u{9f}\u{ad}\u{61c}\u{180e}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{2064}\u{2066}-\u{206f}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;

/** Untrusted text on one line, with control characters shown as `\u{202e}`. @param {string} text */
export function visible(text) {
  return text.replace(UNSAFE, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

/** Untrusted text on one line, truncated for a cell or a title. @param {string} text @param {number} [most] */
export function short(text, most = 200) {
  const cut = text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, '')}…` : text;
  return visible(cut);
}

/** A name that may be empty. @param {string} text @param {string} [what] */
export function named(text, what = 'empty') {
  return text === '' ? `(${what})` : visible(text);
}

/**
 * `340 ms`, `12.4 s`, `3 min`, `5.2 h`, `3 d`; never rounded up. Below a millisecond `360 µs` and `420 ns`, if the value is
 * that precise; a zero is a duration that is known to the millisecond.
 * @param {number} ms
 */
export function duration(ms) {
  if (!(ms > 0)) return '<1 ms';
  const ns = Math.round(ms * 1e6);
  if (ns < 1000) return `${Math.max(1, ns)} ns`;
  if (ns < 1e6) return `${Math.floor(ns / 1000)} µs`;
  if (ms < 1000) return `${Math.floor(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${(Math.floor(seconds / 360) / 10).toFixed(1)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/**
 * A latency, rounded: `42 ns`, `3.2 µs`, `360 µs`, `12 ms`; from a second on, a duration. A zero is known to the microsecond, as the
 * server sends latencies.
 * @param {number | undefined} ms
 */
export function latency(ms) {
  if (ms === undefined || !Number.isFinite(ms)) return '-';
  if (ms === 0) return '<1 µs';
  // Rounded before the unit is chosen: 999.9 µs is 1.0 ms.
  const rounded = Number(ms.toPrecision(3));
  if (rounded < 1e-3) return `${Math.max(1, Math.round(rounded * 1e6))} ns`;
  if (rounded < 1) return `${figures(rounded * 1000)} µs`;
  return rounded < 1000 ? `${figures(rounded)} ms` : duration(rounded);
}

/** @param {number} number */
const figures = (number) => (number < 9.95 ? number.toFixed(1) : String(Math.round(number)));

/** @param {number} number */
export function count(number) {
  return number.toLocaleString('en-US');
}

/** @param {number} number */
export function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let at = 0;
  while (number >= 1024 && at < 3) {
    number /= 1024;
    at += 1;
  }
  return `${at ? number.toFixed(1) : number} ${units[at]}`;
}

/** @param {number} part @param {number} whole */
export function percent(part, whole) {
  if (!whole) return '-';
  const share = (100 * part) / whole;
  // Nearly all is not 100 %.
  if (share >= 99.5 && part < whole) return `${(Math.floor(share * 10) / 10).toFixed(1)} %`;
  return part && share < 0.1 ? '<0.1 %' : `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

/** The text of an attribute's value in filters and on the screen, equal to `pm_wire::attr_text`. @param {unknown} value */
export function shown(value) {
  if (typeof value !== 'number') return String(value);
  return Object.is(value, -0) ? '-0' : String(value).replace('e+', 'e');
}

/** `1 task`, `2 tasks`. @param {number} number @param {string} word */
export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? '' : 's'}`;
}

/** The time of day of a server timestamp: to the millisecond, in UTC. @param {string} [time] */
export function clock(time) {
  const found = /T(\d\d:\d\d:\d\d)(\.\d{1,3})?/.exec(time ?? '');
  return found ? `${found[1]}${found[2] ?? ''}` : '';
}

/** The milliseconds from one server timestamp to another, to the nanosecond. @param {string} from @param {string} to */
export function between(from, to) {
  return unixMs(to) - unixMs(from) + (nanos(to) - nanos(from)) / 1e6;
}

/** The milliseconds of a timestamp, as `Date` has no nanoseconds. @param {string} time */
const unixMs = (time) => Date.parse(time.replace(/(\.\d{3})\d+/, '$1'));
/** The nanoseconds of a timestamp below its millisecond. @param {string} time */
const nanos = (time) => Number(`${/\.\d{3}(\d+)/.exec(time)?.[1] ?? ''}000000`.slice(0, 6));
