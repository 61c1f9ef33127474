// The common parts of the tests of the page: a program whose list follows commands, a browser, and the invariants of every
// test: no error, no policy violation, no request to another server.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';

export const { PM_PROGRAM: program, PM_CHROMIUM: executablePath, PM_MODULES: modules, PM_SHOTS: shots } = process.env;
export const require = createRequire(path.join(path.resolve(modules), 'x.js'));
const { chromium } = require('playwright-core');

/** A limit so that a failing test ends. */
export const PATIENCE = 15_000;

/** All tests, by file. */
const tests = [];
export function test(name, work, options = {}) {
  tests.push({ name, work, options });
}

/** A running example `page`. */
export class Program {
  static async start(...words) {
    const self = new Program();
    self.child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    self.lines = createInterface({ input: self.child.stdout })[Symbol.asyncIterator]();
    const { value, done } = await self.lines.next();
    assert(!done, 'the program ended at once');
    self.address = value;
    self.port = Number(value.split(':').pop());
    self.url = `http://${value}/`;
    return self;
  }

  async do(command) {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value } = await this.lines.next();
    assert.equal(value, 'ok', JSON.stringify(command).slice(0, 200));
  }

  start(name, more = {}) {
    return this.do({ do: 'start', name, id: name, ...more });
  }

  many(id, count, more = {}) {
    return this.do({ do: 'many', id, from: 0, count, ...more });
  }

  status(name, status) {
    return this.do({ do: 'status', name, status });
  }

  end(name, why) {
    return this.do({ do: 'end', name, why });
  }

  async ask(target, { method = 'GET', body, headers } = {}) {
    const response = await fetch(this.url + target, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  }

  stop() {
    this.child.kill('SIGKILL');
  }
}

/** A proxy before the program: it may strip a prefix from the path, or cut answers off. */
export class Proxy {
  /** @param {number} port @param {{ strip?: string, after?: (request: http.IncomingMessage) => number | undefined }} options */
  static async start(port, options = {}) {
    const self = new Proxy();
    self.port = port;
    self.isUp = true;
    /** Open requests, by path. */
    self.open = new Set();
    self.seen = [];
    self.server = http.createServer((request, response) => {
      self.seen.push(request.url);
      if (!self.isUp) {
        response.destroy();
        return;
      }
      let target = request.url;
      if (options.strip) {
        if (!target.startsWith(options.strip)) {
          response.writeHead(404).end();
          return;
        }
        target = target.slice(options.strip.length) || '/';
      }
      const headers = { ...request.headers, host: `127.0.0.1:${self.port}` };
      if (headers.origin) headers.origin = `http://127.0.0.1:${self.port}`;
      const entry = { url: request.url, response };
      self.open.add(entry);
      const forward = http.request({ host: '127.0.0.1', port: self.port, path: target, method: request.method, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        let left = options.after?.(request) ?? Infinity;
        answer.on('data', (part) => {
          if (left === Infinity) response.write(part);
          else if (part.length < left) {
            left -= part.length;
            response.write(part);
          } else {
            response.write(part.subarray(0, left), () => response.destroy());
            left = 0;
            forward.destroy();
          }
        });
        answer.on('end', () => response.end());
        answer.on('error', () => response.destroy());
      });
      forward.on('error', () => response.destroy());
      response.on('close', () => {
        self.open.delete(entry);
        forward.destroy();
      });
      request.pipe(forward);
    });
    await new Promise((resolve) => self.server.listen(0, '127.0.0.1', resolve));
    self.url = `http://127.0.0.1:${self.server.address().port}`;
    return self;
  }

  /** The number of open event streams. */
  get streams() {
    return [...this.open].filter((entry) => entry.url.includes('/v1/events')).length;
  }

  cut() {
    for (const { response } of this.open) response.destroy();
  }

  stop() {
    this.cut();
    this.server.close();
  }
}

/** The context of a test. */
class Bench {
  constructor(browser) {
    this.browser = browser;
    this.errors = [];
    this.closing = [];
    this.allowed = [];
  }

  /** Console errors that a test causes on purpose. */
  allow(pattern) {
    this.allowed.push(pattern);
  }

  async program(...words) {
    const made = await Program.start(...words);
    this.closing.push(() => made.stop());
    return made;
  }

  async proxy(port, options) {
    const made = await Proxy.start(port, options);
    this.closing.push(() => made.stop());
    return made;
  }

  async context(options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE);
    this.closing.push(() => context.close());
    await context.addInitScript(() => {
      globalThis.violations = [];
      document.addEventListener('securitypolicyviolation', (event) => violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    return context;
  }

  /** Opens a tab with the page. */
  async open(url, { context, ...options } = {}) {
    context ??= await this.context(options);
    const page = await context.newPage();
    const { origin } = new URL(url);
    page.on('pageerror', (error) => this.errors.push(`error in the page: ${error.stack}`));
    page.on('console', (message) => {
      if (message.type() === 'error' && !this.allowed.some((pattern) => pattern.test(message.text()))) this.errors.push(`console: ${message.text()}`);
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:')) this.errors.push(`request to another server: ${request.url()}`);
    });
    this.closing.push(async () => {
      for (const violation of await page.evaluate('globalThis.violations').catch(() => [])) this.errors.push(`policy: ${violation}`);
    });
    await page.goto(url);
    return page;
  }

  async shot(page, name) {
    if (!shots) return;
    fs.mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: path.join(shots, `${name}.png`) });
  }
}

/** Waits until `look` returns a truthy value in the page. */
export function until(page, look, arg) {
  return page.waitForFunction(look, arg, { timeout: PATIENCE, polling: 50 });
}

/** Waits until the text of an element is as wanted; fails with the actual text after the limit. */
export async function says(page, selector, wanted) {
  const locator = page.locator(selector).first();
  const begin = Date.now();
  let text = '';
  for (;;) {
    text = await locator.innerText({ timeout: 1000 }).catch((error) => `(${error.message.split('\n')[0]})`);
    if (wanted instanceof RegExp ? wanted.test(text) : text.includes(wanted)) return text;
    if (Date.now() - begin > PATIENCE) assert.fail(`${selector} says ${JSON.stringify(text)}, not ${wanted}`);
    await page.waitForTimeout(50);
  }
}

/** The ids in the table, top to bottom. */
export const ids = (page, grid = '#tasks') => page.evaluate((grid) => [...document.querySelectorAll(`${grid} .body .row`)]
  .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((row) => row.querySelector('.group:not([hidden])')?.textContent ?? row.querySelector('.c-id').textContent), grid);

export async function untilIds(page, wanted, grid) {
  const begin = Date.now();
  for (;;) {
    const found = await ids(page, grid);
    try {
      assert.deepEqual(found, wanted);
      return;
    } catch (error) {
      if (Date.now() - begin > PATIENCE) throw error;
    }
    await page.waitForTimeout(50);
  }
}

/** Runs all tests whose names contain one of the words; returns the number of failures. */
export async function run(words) {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const wanted = tests.filter(({ name, options }) => (words.length === 0 ? !options.onlyWhenNamed : words.some((word) => name.includes(word))));
  const failed = [];
  for (const { name, work } of wanted) {
    const bench = new Bench(browser);
    const begin = performance.now();
    let failure;
    try {
      await work(bench);
    } catch (error) {
      failure = error;
    }
    // In reverse order: pages, then their servers.
    for (const close of bench.closing.reverse()) await Promise.resolve(close()).catch(() => {});
    if (!failure && bench.errors.length > 0) failure = new Error(bench.errors.join('\n'));
    else if (failure && bench.errors.length > 0) failure.message += `\n${bench.errors.join('\n')}`;
    console.log(`${failure ? 'FAILED' : 'ok    '} ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
    if (failure) {
      failed.push(name);
      console.log(String(failure.stack ?? failure).replace(/^/gm, '    '));
    }
  }
  await browser.close();
  console.log(`${wanted.length - failed.length} of ${wanted.length} passed${failed.length ? `; failed: ${failed.join('; ')}` : ''}`);
  return wanted.length === 0 ? 1 : failed.length;
}
