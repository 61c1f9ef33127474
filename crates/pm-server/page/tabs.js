// One stream for all tabs of a browser. A browser has six connections to a server, and a stream occupies one: with a stream
// per tab, the seventh hangs. The tab that holds a lock has the stream and forwards it to the others over a
// BroadcastChannel. A hidden tab is idle: it releases the lock, and when it becomes visible it catches up, from the last event
// if the server still has it, otherwise by a new snapshot.
//
// Where a browser has no locks (a plain-http page of another machine), each visible tab has its own stream.

import { Stream } from './stream.js';
import { tokenMark } from './token.js';

/** A leader that is silent for so long is considered gone. */
const ANSWER_WITHIN = 3000;
const PULSE = 4000;
const SILENT_AFTER = 12_000;
/** The most rows in a message. */
const PART = 2000;

/** @typedef {import('./model.js').Model} Model @typedef {import('./stream.js').Link} Link */

export class Feed {
  /** @param {Model} model @param {(link: Link) => void} onLink @param {(info: any) => void} onInfo */
  constructor(model, onLink, onInfo) {
    this.model = model;
    this.onLink = onLink;
    this.onInfo = onInfo;
    /** @type {Link} */
    this.link = { state: 'connecting', since: 0, words: '', status: 0, code: '', info: undefined };
    this.me = crypto.getRandomValues(new Uint32Array(2)).join('-');
    /** `rest`, `follow`, `lead`, or `alone` where sharing is not possible. */
    this.role = 'rest';
    /** @type {Stream | undefined} */
    this.stream = undefined;
    /** @type {BroadcastChannel | undefined} */
    this.channel = undefined;
    /** @type {AbortController | undefined} */
    this.waiting = undefined;
    /** @type {(() => void) | undefined} */
    this.release = undefined;
    /** The tabs that we forward to. */
    this.followers = new Set();
    /** Tabs that joined during a snapshot: half of one is worse than none. */
    this.joined = new Set();
    /** The leader has sent a complete snapshot, so its events continue from there. */
    this.greeted = false;
    /** @type {any} */
    this.info = undefined;
    this.lastMessageAt = 0;
    this.rested = { steady: 0, wall: 0 };
    document.addEventListener('visibilitychange', () => this.#look());
    addEventListener('pagehide', () => this.rest());
    addEventListener('pageshow', () => this.#look());
    setInterval(() => this.#pulse(), PULSE);
  }

  start() {
    this.#look();
  }

  /** Restarts, as with another token. */
  restart() {
    this.rest();
    this.model.clear();
    this.model.boot = '';
    this.#look();
  }

  /** Retries at once. */
  retryNow() {
    if (this.stream) this.stream.retryNow();
    else if (this.role === 'follow') this.#post({ t: 'retry' });
  }

  #look() {
    if (document.visibilityState === 'hidden') this.rest();
    else if (this.role === 'rest') this.#wake();
  }

  rest() {
    if (this.role === 'rest') return;
    this.#post({ t: 'gone' });
    this.role = 'rest';
    this.rested = { steady: performance.now(), wall: Date.now() };
    this.stream?.close();
    this.stream = undefined;
    this.model.brokeOff();
    this.waiting?.abort();
    this.release?.();
    this.release = undefined;
    this.channel?.close();
    this.channel = undefined;
    this.followers.clear();
    this.joined.clear();
  }

  #wake() {
    const { rested } = this;
    // The machine slept: our clock stopped, so the ages are stale.
    const slept = Date.now() - rested.wall - (performance.now() - rested.steady);
    if (rested.wall && slept > 2000) this.model.lastId = undefined;
    this.#setLink({ state: 'connecting', since: performance.now(), words: '', status: 0, code: '', info: this.info });
    if (!navigator.locks || typeof BroadcastChannel === 'undefined') {
      this.role = 'alone';
      this.#open();
      return;
    }
    const name = `pm ${new URL('.', location.href).pathname} ${tokenMark()}`;
    this.role = 'follow';
    const woken = performance.now();
    this.lastMessageAt = woken;
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = ({ data }) => this.#receive(data);
    const waiting = new AbortController();
    this.waiting = waiting;
    const held = navigator.locks.request(name, { signal: waiting.signal }, () => {
      if (waiting.signal.aborted) return undefined;
      this.role = 'lead';
      this.#open();
      this.#post({ t: 'lead' });
      return new Promise((resolve) => {
        this.release = () => resolve(undefined);
      });
    });
    held.catch(() => {
      // Aborted while waiting.
    });
    this.#hello();
    setTimeout(() => {
      // Another tab has the lock and is silent.
      if (this.waiting === waiting && this.role === 'follow' && this.lastMessageAt === woken) this.#alone();
    }, ANSWER_WITHIN);
  }

  #alone() {
    this.waiting?.abort();
    this.channel?.close();
    this.channel = undefined;
    this.role = 'alone';
    this.#open();
  }

  #open() {
    const { model } = this;
    const stream = new Stream({
      lastId: () => model.lastId,
      onInfo: (info) => {
        this.#setInfo(info);
        this.#post({ t: 'info', info });
      },
      onEvents: (events, id) => {
        this.#apply(events, id);
        if (this.followers.size > 0) this.#post({ t: 'events', events, id });
        if (this.joined.size > 0 && model.isWhole && !model.inSnapshot) {
          const joined = [...this.joined];
          this.joined.clear();
          for (const to of joined) this.#greet(to);
        }
      },
      onBroken: () => {
        model.brokeOff();
        this.#post({ t: 'broken' });
      },
      onLink: (link) => {
        this.#setLink(link);
        this.#post({ t: 'link', link });
      },
    });
    this.stream = stream;
    stream.run();
  }

  /** @param {any[]} events @param {string} [id] */
  #apply(events, id) {
    const now = performance.now();
    for (const event of events) this.model.apply(event, now);
    // A heartbeat carries the position, too.
    if (id && events.length === 0 && this.model.isWhole && this.model.lastId) this.model.lastId = id;
  }

  /** @param {Link} link */
  #setLink(link) {
    this.link = { ...link, since: link.state === this.link.state ? this.link.since : performance.now() };
    this.onLink(this.link);
  }

  /** @param {any} info */
  #setInfo(info) {
    this.info = info;
    this.model.setBoot(info.boot);
    this.onInfo(info);
  }

  #hello() {
    this.greeted = false;
    this.#post({ t: 'hello' });
  }

  /** @param {any} message */
  #post(message) {
    this.channel?.postMessage({ ...message, from: this.me });
  }

  #pulse() {
    if (this.role === 'lead') this.#post({ t: 'pulse' });
    if (this.role === 'follow' && performance.now() - this.lastMessageAt > SILENT_AFTER) this.#alone();
  }

  /** @param {any} message */
  #receive(message) {
    if (this.role === 'lead') {
      if (message.t === 'hello') this.#greet(message.from);
      else if (message.t === 'gone') this.followers.delete(message.from) || this.joined.delete(message.from);
      else if (message.t === 'retry') this.retryNow();
      return;
    }
    if (this.role !== 'follow' || (message.to && message.to !== this.me)) return;
    switch (message.t) {
      case 'pulse':
        break;
      case 'lead':
        // The leader does not know us yet.
        this.#hello();
        break;
      case 'info':
        this.#setInfo(message.info);
        break;
      case 'link':
        this.#setLink(message.link);
        break;
      case 'broken':
        this.model.brokeOff();
        break;
      case 'events':
        if (message.isFirst) this.greeted = true;
        if (this.greeted) this.#apply(message.events, message.id);
        break;
      default:
        return;
    }
    this.lastMessageAt = performance.now();
  }

  /** Sends a complete snapshot to a tab that joined. @param {string} to */
  async #greet(to) {
    const { model } = this;
    if (this.info) this.#post({ t: 'info', info: this.info, to });
    this.#post({ t: 'link', link: this.link, to });
    if (!model.isWhole || model.inSnapshot) {
      this.joined.add(to);
      return;
    }
    this.followers.add(to);
    const { generation } = model;
    const tasks = [...model.tasks.values()];
    for (let from = 0; from === 0 || from < tasks.length; from += PART) {
      const now = performance.now();
      const part = tasks.slice(from, from + PART).filter((task) => !task.gone);
      const more = from + PART < tasks.length;
      const event = { type: 'snapshot', tasks: part.map((task) => task.row(now)), more, id: more ? undefined : model.lastId };
      this.#post({ t: 'events', to, isFirst: from === 0, events: [event] });
      if (more) await new Promise((resolve) => setTimeout(resolve));
      // A snapshot of the server replaces it, which all followers receive.
      if (this.role !== 'lead' || !this.followers.has(to) || model.generation !== generation) return;
    }
  }
}
