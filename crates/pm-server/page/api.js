// Requests to the server. Paths are relative, so the page works wherever it is mounted.

import { token } from './token.js';

/** An error from the server, or, with `status` 0, the reason why there was no answer. */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.detail ?? (status ? `the server answered ${status}` : 'the server cannot be reached'));
    this.status = status;
    this.code = String(body?.code ?? '');
    this.hint = String(body?.hint ?? '');
    this.body = body ?? {};
  }

  get words() {
    return this.hint ? `${this.message} (${this.hint})` : this.message;
  }
}

/** Headers of every request. @param {Record<string, string>} [more] */
export function headers(more) {
  const all = new Headers(more);
  if (token()) all.set('Authorization', `Bearer ${token()}`);
  return all;
}

/** @param {Response} response */
export async function problemOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Not a problem document: something in between answered.
  }
  return new Problem(response.status, body);
}

/**
 * Requests JSON from a relative path. Throws a `Problem`.
 * @param {string} path @param {{ body?: any, signal?: AbortSignal }} [options]
 */
export async function call(path, { body, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: headers(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, null);
  }
  if (!response.ok) throw await problemOf(response);
  try {
    return await response.json();
  } catch {
    throw new Problem(0, { detail: 'the answer was incomplete' });
  }
}
