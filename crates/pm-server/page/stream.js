// One connection to `/v1/events`, for as long as it is needed: read with `fetch`, so that the token is sent in a header.
// It reconnects automatically, and resumes where it was if the server still can.

import { Problem, call, headers, problemOf } from './api.js';
import { FIELDS } from './model.js';
import { EventDecoder } from './sse.js';

/**
 * The state of the connection: `live`, `connecting` at first, `away` when the server is unreachable, `refused` when it
 * refuses the request (`words` says why).
 * @typedef {{ state: 'connecting' | 'live' | 'away' | 'refused', since: number, words: string, status: number, code: string,
 *   info: any }} Link
 */

/** The server sends something at least every 15 s. */
const SILENCE = 40_000;
/** How long events are applied before the browser may draw. */
const TURN = 12;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

const pause = () => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resolve(undefined);
  };
  port2.postMessage(0);
});

export class Stream {
  /**
   * @param {{ lastId: () => string | undefined, onInfo: (info: any) => void, onEvents: (events: any[], id?: string) => void,
   *   onBroken: () => void, onLink: (link: Link) => void }} options
   */
  constructor(options) {
    this.options = options;
    this.control = new AbortController();
    /** @type {(() => void) | undefined} */
    this.hurry = undefined;
    this.wasLive = false;
  }

  /** Closes the connection permanently. */
  close() {
    this.control.abort();
    this.hurry?.();
  }

  /** Retries now instead of waiting. */
  retryNow() {
    this.hurry?.();
  }

  async run() {
    const { signal } = this.control;
    let wait = FIRST_WAIT;
    this.#report('connecting');
    while (!signal.aborted) {
      let began = performance.now();
      try {
        began = performance.now();
        await this.#follow(() => {
          wait = FIRST_WAIT;
        });
      } catch (error) {
        if (signal.aborted) break;
        const problem = error instanceof Problem ? error : new Problem(0, null);
        const refused = problem.status === 401 || problem.status === 403 || problem.status === 421;
        this.#report(refused ? 'refused' : 'away', problem);
        if (problem.body.retryAfterMs > wait) wait = Math.min(problem.body.retryAfterMs, 60_000);
        if (refused) wait = 60_000;
      }
      this.options.onBroken();
      // A connection that ended at once is not retried at once.
      if (performance.now() - began > 2000 && wait < FIRST_WAIT * 2) wait = FIRST_WAIT;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, wait * (0.75 + Math.random() / 2));
        this.hurry = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
      });
      this.hurry = undefined;
      wait = Math.min(wait * 1.7, Math.max(LONGEST_WAIT, wait));
    }
  }

  /** @param {() => void} whenLive */
  async #follow(whenLive) {
    const own = new AbortController();
    const stop = () => own.abort();
    this.control.signal.addEventListener('abort', stop);
    let lastByteAt = performance.now();
    const watchdog = setInterval(() => {
      if (performance.now() - lastByteAt > SILENCE) own.abort();
    }, 5000);
    try {
      const lastId = this.options.lastId();
      /** @type {Record<string, string>} */
      const more = { Accept: 'text/event-stream' };
      if (lastId) more['Last-Event-ID'] = lastId;
      const opening = fetch(`v1/events?fields=${FIELDS}`, { headers: headers(more), cache: 'no-store', signal: own.signal });
      // The run of the program must be known before any of its events is applied.
      const [info, response] = await Promise.all([call('v1/info', { signal: own.signal }), opening]);
      if (!response.ok || !response.body) throw await problemOf(response);
      this.options.onInfo(info);
      const reader = response.body.getReader();
      const decoder = new EventDecoder();
      let turn = performance.now();
      let isLive = false;
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        lastByteAt = performance.now();
        if (!isLive) {
          isLive = true;
          whenLive();
          this.#report('live', undefined, info);
        }
        let id;
        const events = [];
        for (const message of decoder.push(value)) {
          if (message.id !== undefined) id = message.id;
          if (message.data) events.push(JSON.parse(message.data));
        }
        if (events.length > 0 || id !== undefined) this.options.onEvents(events, id);
        if (events.some((event) => event.type === 'bye')) break;
        if (performance.now() - turn > TURN) {
          await pause();
          turn = performance.now();
        }
      }
      this.#report('away', new Problem(0, { detail: 'the connection ended' }));
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem(0, { detail: 'the connection was lost' });
    } finally {
      clearInterval(watchdog);
      this.control.signal.removeEventListener('abort', stop);
      own.abort();
    }
  }

  /** @param {Link['state']} state @param {Problem} [problem] @param {any} [info] */
  #report(state, problem, info) {
    if (this.control.signal.aborted) return;
    this.options.onLink({
      state, since: performance.now(), words: problem?.words ?? '', status: problem?.status ?? 0, code: problem?.code ?? '', info,
    });
  }
}
