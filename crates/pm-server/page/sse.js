// A decoder of server-sent events (HTML standard, 9.2.6) from bytes that may be split anywhere. An event is complete with its
// empty line; an incomplete one at the end of the stream is discarded.

/** @typedef {{ type: string, id: string | undefined, data: string }} Message */

export class EventDecoder {
  #utf8 = new TextDecoder('utf-8');
  #rest = '';
  #data = '';
  #hasData = false;
  #type = '';
  /** @type {string | undefined} */
  #id = undefined;
  /** Milliseconds after which to reconnect, if the server set it. @type {number | undefined} */
  retry = undefined;

  /** Returns the events that these bytes complete. @param {Uint8Array} bytes @returns {Message[]} */
  push(bytes) {
    // The remaining text has no line end, except for a CR that may be half of one.
    let look = Math.max(0, this.#rest.length - 1);
    const text = this.#rest + this.#utf8.decode(bytes, { stream: true });
    /** @type {Message[]} */
    const found = [];
    let from = 0;
    let cr = text.indexOf('\r', look);
    for (;;) {
      const lf = text.indexOf('\n', look);
      if (cr >= 0 && cr < look) cr = text.indexOf('\r', look);
      const isCr = cr >= 0 && (lf < 0 || cr < lf);
      const end = isCr ? cr : lf;
      if (end < 0 || (isCr && end + 1 === text.length)) break;
      this.#line(text.slice(from, end), found);
      from = isCr && text[end + 1] === '\n' ? end + 2 : end + 1;
      look = from;
    }
    this.#rest = text.slice(from);
    return found;
  }

  /** @param {string} line @param {Message[]} found */
  #line(line, found) {
    if (line === '') {
      // An id without data still advances the position.
      if (this.#hasData || this.#id !== undefined) {
        found.push({ type: this.#type || 'message', id: this.#id, data: this.#data });
      }
      this.#data = '';
      this.#hasData = false;
      this.#type = '';
      this.#id = undefined;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (name === 'data') {
      this.#data = this.#hasData ? `${this.#data}\n${value}` : value;
      this.#hasData = true;
    } else if (name === 'event') {
      this.#type = value;
    } else if (name === 'id') {
      if (!value.includes('\0')) this.#id = value;
    } else if (name === 'retry' && /^\d+$/.test(value)) {
      this.retry = Number(value);
    }
  }
}
