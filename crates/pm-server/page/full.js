// Whether all tasks are in the list: one that starts when there is no memory left runs, but is not shown.

import { call } from './api.js';
import { h, say } from './dom.js';
import { bytes, plural } from './text.js';

const EVERY = 5000;

export class Full {
  constructor() {
    this.element = h('p', { class: 'full', role: 'status', hidden: true });
    // The first answer is that of the connection.
    this.asked = performance.now();
  }

  /** Asks again if it is time. @param {number} now */
  async look(now) {
    if (now - this.asked < EVERY) return;
    this.asked = now;
    try {
      this.show(await call('v1/info'));
    } catch {
      // The banner shows why.
    }
  }

  /** Shows an answer of `v1/info`. @param {{ dropped?: { tasksNotShown?: number }, limits?: { maxBytes?: number } }} info */
  show({ dropped, limits }) {
    const missing = dropped?.tasksNotShown ?? 0;
    this.element.hidden = missing === 0;
    const memory = limits?.maxBytes ? ` (${bytes(limits.maxBytes)})` : '';
    say(this.element, missing ? `The list was full${memory}: ${plural(missing, 'task')} started since the program did and found no space. They run as usual, but cannot be seen or cancelled.` : '');
  }
}
