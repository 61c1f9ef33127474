// Messages at the top of the page: that the server is unreachable, that a token is needed, and short notices.

import { button, byId, h, replace, say } from './dom.js';
import { setToken } from './token.js';
import { duration, short } from './text.js';

/** @typedef {import('./stream.js').Link} Link */

const SHOWN_FOR = 7000;
let timer = 0;

/** Shows a line that disappears by itself. @param {string} words */
export function notice(words) {
  if (!words) return;
  const place = byId('notice');
  say(place, short(words, 500));
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => {
    place.hidden = true;
    say(place, '');
  }, SHOWN_FOR);
}

export class Banner {
  /** @param {() => void} retry @param {() => void} restart */
  constructor(retry, restart) {
    this.retry = retry;
    this.restart = restart;
    this.place = byId('banner');
    this.shown = '';
  }

  /** @param {Link} link @param {number} now */
  show(link, now) {
    // Ignores interruptions that are too short to be read.
    const isAway = link.state === 'away' && now - link.since > 700;
    const what = link.state === 'refused' ? `refused ${link.status} ${link.words}` : isAway ? 'away' : '';
    if (what !== this.shown) {
      this.shown = what;
      this.place.hidden = what === '';
      this.place.className = link.state;
      if (what === '') replace(this.place);
      else if (isAway) this.#away();
      else this.#refused(link);
    }
    if (isAway) {
      const words = `${this.words(link)} The data is ${duration(now - link.since)} old.`;
      const line = this.place.querySelector('.words');
      if (line) say(line, words);
    }
  }

  /** @param {Link} link */
  words(link) {
    return `The server is unreachable: ${short(link.words, 200)}.`;
  }

  #away() {
    replace(this.place, h('span', { class: 'words' }), ' ', button('Retry now', () => this.retry(), { class: 'small' }));
  }

  /** @param {Link} link */
  #refused(link) {
    if (link.status !== 401) {
      replace(this.place, h('span', {}, `The server refuses the request: ${short(link.words, 300)}.`), ' ', button('Retry', () => this.retry(), { class: 'small' }));
      return;
    }
    const input = h('input', { type: 'password', id: 'token', autocomplete: 'off', required: true, size: 40 });
    const form = h(
      'form',
      { onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        setToken(input.value);
        this.restart();
      } },
      h('label', { for: 'token' }, 'The server requires a token: '), input, ' ', h('button', { type: 'submit' }, 'Submit'),
      h('p', { class: 'note' }, `It is stored for this tab only. ${short(link.words, 300)}.`),
    );
    replace(this.place, form);
  }
}
