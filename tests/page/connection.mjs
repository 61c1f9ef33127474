// The connection to the server: one stream for all tabs, interrupted streams, a server that goes down and comes back, wrong
// clocks, other paths, tokens.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PATIENCE, ids, says, test, until, untilIds } from './harness.mjs';

const hide = (page, isHidden) => page.evaluate((isHidden) => {
  Object.defineProperty(document, 'visibilityState', { configurable: true, value: isHidden ? 'hidden' : 'visible' });
  document.dispatchEvent(new Event('visibilitychange'));
}, isHidden);
const untilStreams = async (proxy, count) => {
  const begin = Date.now();
  while (proxy.streams !== count) {
    if (Date.now() - begin > PATIENCE) assert.fail(`${proxy.streams} streams, not ${count}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

test('ten tabs share one stream and stay live when the tab that has it is closed', async (t) => {
  const program = await t.program();
  const proxy = await t.proxy(program.port);
  await program.many('task-', 30);
  const context = await t.context();
  const pages = [];
  for (let at = 0; at < 10; at += 1) pages.push(await t.open(`${proxy.url}/`, { context }));
  for (const page of pages) await until(page, () => pm.model.live === 30 && pm.feed.link.state === 'live');
  assert.equal(proxy.streams, 1);
  const roles = await Promise.all(pages.map((page) => page.evaluate(() => pm.feed.role)));
  assert.deepEqual(roles.sort(), [...Array(9).fill('follow'), 'lead']);
  await program.start('new', { status: 'begun' });
  await program.end('task-0');
  for (const page of pages) await until(page, () => [...pm.model.tasks.values()].some((task) => task.id === 'new' && task.status === 'begun') && pm.model.live === 30);
  const leader = (await Promise.all(pages.map(async (page) => [page, await page.evaluate(() => pm.feed.role)]))).find(([, role]) => role === 'lead')[0];
  await leader.close();
  const rest = pages.filter((page) => page !== leader);
  await program.status('new', 'continued');
  for (const page of rest) await until(page, () => [...pm.model.tasks.values()].some((task) => task.status === 'continued'));
  await untilStreams(proxy, 1);
  await program.end('new');
  for (const page of rest) await until(page, () => pm.model.live === 29);
  assert.equal(proxy.streams, 1);
});

test('a hidden tab is idle, and catches up when it becomes visible', async (t) => {
  const program = await t.program();
  const proxy = await t.proxy(program.port);
  await program.start('before');
  const page = await t.open(`${proxy.url}/`);
  await untilIds(page, ['before']);
  await hide(page, true);
  await untilStreams(proxy, 0);
  const seen = proxy.seen.length;
  await program.start('concurrent');
  await program.end('before');
  await page.waitForTimeout(2000);
  assert.equal(proxy.seen.length, seen, 'no request is sent');
  await hide(page, false);
  await untilIds(page, ['concurrent']);
  await untilStreams(proxy, 1);
  // The visible tab has the stream, not the hidden one.
  const other = await t.open(`${proxy.url}/`, { context: page.context() });
  await untilIds(other, ['concurrent']);
  assert.equal(await other.evaluate(() => pm.feed.role), 'follow');
  await hide(page, true);
  await until(other, () => pm.feed.role === 'lead' && pm.feed.link.state === 'live');
  await program.start('third');
  await untilIds(other, ['concurrent', 'third']);
  await untilStreams(proxy, 1);
});

test('while the server is unreachable a banner says so, and the page reconnects automatically', async (t) => {
  t.allow(/ERR_|Failed to load/);
  const program = await t.program();
  const proxy = await t.proxy(program.port);
  await program.start('job');
  const page = await t.open(`${proxy.url}/`);
  await untilIds(page, ['job']);
  assert(await page.locator('#banner').isHidden());
  proxy.isUp = false;
  proxy.cut();
  await says(page, '#banner', /The server is unreachable: .*The data is .* old/);
  await says(page, '#link', 'offline');
  assert.deepEqual(await ids(page), ['job'], 'the last known state stays');
  await t.shot(page, 'away');
  await program.start('concurrent');
  proxy.isUp = true;
  await untilIds(page, ['job', 'concurrent']);
  assert(await page.locator('#banner').isHidden());
  await says(page, '#link', 'live');
});

test('a stream may be cut at any byte, and the list is complete again each time', async (t) => {
  t.allow(/ERR_|Failed to load/);
  const program = await t.program();
  await program.many('täsk ü-', 8, { attrs: { name: 'ünï 🦀', text: 'a\nb' }, status: '“reading”' });
  const cuts = [1, 7, 13, 14, 20, 40, 120, 121, 122, 333, 1000, 1501];
  let at = 0;
  const proxy = await t.proxy(program.port, { after: (request) => (request.url.includes('/v1/events') && at < cuts.length ? cuts[at++] : undefined) });
  const page = await t.open(`${proxy.url}/`);
  let next = 8;
  for (let round = 0; round < 40 && at < cuts.length; round += 1) {
    await program.many('täsk ü-', 1, { from: next, attrs: { name: 'ünï 🦀' } });
    next += 1;
    await page.evaluate(() => pm.feed.retryNow());
    await page.waitForTimeout(100);
  }
  assert.equal(at, cuts.length);
  await until(page, (count) => pm.model.live === count && pm.feed.link.state === 'live', next);
  const there = await page.evaluate(() => [...pm.model.tasks.values()].map((task) => task.id).sort());
  assert.deepEqual(there, (await program.ask('v1/tasks?limit=1000')).body.tasks.map((task) => task.id).sort());
  // And each prefix of a recorded stream, byte by byte, against the decoder and the model directly.
  const wrong = await page.evaluate(async () => {
    const { EventDecoder, Model } = pm;
    const row = (serial, status) => ({ serial: String(serial), id: `täsk 🦀 ${serial}`, state: 'running', ageMs: 10, status, statusAgeMs: 5 });
    const event = (type, members, id) => `event: ${type}\n${id ? `id: ${id}\n` : ''}data: ${JSON.stringify({ type, id, ...members })}\n\n`;
    const text = 'retry: 2000\n\n'
      + event('snapshot', { tasks: [row(1, 'a'), row(2, 'ü')], more: true })
      + event('snapshot', { tasks: [row(3, 'c')], more: false, total: 3 }, 'boot-5')
      + event('status', { task: row(2, 'b') }) + event('started', { task: row(4, 'd') }, 'boot-6') + ': nothing new\nid: boot-7\n\n'
      + event('ended', { task: { serial: '1', state: 'ended' } }, 'boot-8').replace(/\n/g, '\r\n');
    const bytes = new TextEncoder().encode(text);
    const result = (model) => JSON.stringify([...model.tasks.values()].filter((task) => !task.gone).map((task) => [task.id, task.status]).sort());
    const feed = (model, part) => {
      const decoder = new EventDecoder();
      const apply = (messages) => messages.forEach((message) => message.data && model.apply(JSON.parse(message.data), 1000));
      // In two parts, too, so that a character may be split.
      const half = part.length >> 1;
      apply(decoder.push(part.subarray(0, half)));
      apply(decoder.push(part.subarray(half)));
    };
    const whole = new Model();
    feed(whole, bytes);
    const wrong = [];
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const model = new Model();
      feed(model, bytes.subarray(0, cut));
      model.brokeOff();
      // The server resumes after the last complete event, or sends a new snapshot.
      const known = model.lastId ? new TextDecoder().decode(bytes).indexOf(`id: ${model.lastId}`) : 0;
      const rest = known ? text.slice(text.slice(known).search(/\r?\n\r?\n/) + known) : text;
      feed(model, new TextEncoder().encode(rest));
      const odd = [...model.tasks.values()].filter((task) => typeof task.status !== 'string' || Number.isNaN(task.born) || (task.gone && task.state !== 'ended'));
      if (odd.length > 0 || result(model) !== result(whole)) wrong.push([cut, result(model)]);
    }
    return { wrong: wrong.slice(0, 5), whole: result(whole) };
  });
  assert.deepEqual(wrong, { wrong: [], whole: JSON.stringify([['täsk 🦀 2', 'b'], ['täsk 🦀 3', 'c'], ['täsk 🦀 4', 'd']]) });
});

test('after a restart with other tasks under the same ids, no old state is left', async (t) => {
  t.allow(/ERR_|Failed to load/);
  const program = await t.program();
  await program.start('job', { kind: 'old', status: 'old', attrs: { run: 1 } });
  await program.start('gone');
  const page = await t.open(program.url);
  await untilIds(page, ['job', 'gone']);
  await page.focus('#tasks');
  await page.keyboard.press('Home');
  await page.keyboard.press(' ');
  await says(page, '.running .summary', '1 marked');
  program.stop();
  await says(page, '#banner', 'The server is unreachable');
  const again = await t.program(program.address);
  await again.start('other');
  await again.start('job', { kind: 'new', status: 'new', attrs: { run: 2 } });
  await untilIds(page, ['other', 'job']);
  await says(page, '.running .summary', /^2 tasks$/);
  const text = await page.locator('#tasks').innerText();
  assert(text.includes('run=2') && !text.includes('old'), text);
});

test('a clock that is wrong by an hour does not affect ages', async (t) => {
  const program = await t.program();
  await program.start('job');
  for (const hours of [1, -1]) {
    const context = await t.context();
    await context.addInitScript((ms) => {
      const { now } = Date;
      Date.now = () => now() + ms;
      // eslint-disable-next-line no-global-assign
      globalThis.Date = class extends Date {
        constructor(...words) {
          super(...(words.length ? words : [now() + ms]));
        }
      };
    }, hours * 3_600_000);
    const page = await t.open(program.url, { context });
    await untilIds(page, ['job']);
    assert.match(await page.locator('#tasks .row .c-age').first().innerText(), /^\d+(\.\d)? m?s/);
    await page.click('#tasks .row a');
    await says(page, '.why', /^It has been running for \d+(\.\d)? m?s\./);
    await says(page, '.timeline caption', /, \d+(\.\d+)? m?s in all/);
  }
});

test('the page keeps up with a thousand starts per second', async (t) => {
  const program = await t.program();
  await program.start('lasting');
  await program.do({ do: 'churn', perSecond: 1000 });
  const page = await t.open(program.url);
  await until(page, () => pm.model.counts.started + pm.model.counts.ended > 5000);
  const { live, rows } = await page.evaluate(() => ({ live: pm.model.live, rows: document.querySelectorAll('#tasks .body .row').length }));
  assert(live > 100 && live < 1200, `${live}`);
  assert(rows <= 150);
  await program.do({ do: 'churn', perSecond: 0 });
  await untilIds(page, ['lasting']);
  assert.equal(await page.evaluate(() => pm.model.tasks.size), 1, 'no ghost');
});

for (const prefix of ['', '/x', '/a/b']) {
  for (const strips of [true, false]) {
    test(`the page works at ${prefix}/ behind a proxy that ${strips ? 'strips the path' : 'keeps the path'}`, async (t) => {
      const program = await t.program('-', strips ? '-' : prefix || '-');
      const proxy = await t.proxy(program.port, { strip: strips ? prefix : '' });
      await (strips ? program.start('job', { kind: 'import' }) : program.do({ do: 'start', name: 'job', id: 'job', kind: 'import' }));
      const base = `${proxy.url}${prefix}/`;
      const page = await t.open(base);
      await untilIds(page, ['job']);
      await page.click('#tasks a');
      await says(page, '.why', 'It has been running');
      await says(page, '.detail code', `curl '${base}v1/tasks/serial:1'`);
      await page.click('.detail .danger');
      await page.keyboard.press('Enter');
      await says(page, '#kill .verdict', 'job: cancelled after');
      await page.keyboard.press('Escape');
      for (const [key, word] of [['2', 'import'], ['3', ''], ['4', 'No task is waiting'], ['5', 'serving for']]) {
        await page.keyboard.press(key);
        await says(page, '.view:not([hidden])', word);
      }
      await page.keyboard.press('3');
      await untilIds(page, ['job'], '#ended-tasks');
      assert(proxy.seen.every((url) => url.startsWith(`${prefix}/`)), proxy.seen.join());
      if (prefix && !strips) {
        // Without the slash, the server redirects.
        await page.goto(`${proxy.url}${prefix}`);
        await until(page, () => location.pathname.endsWith('/'));
        await says(page, '#link', 'live');
      }
    });
  }
}

const READ = 'read-0123456789abcdef0123456789abcdef';
const CANCEL = 'cancel-0123456789abcdef0123456789abcdef';
async function guarded(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pm-page-'));
  const tokens = path.join(folder, 'tokens');
  fs.writeFileSync(tokens, `read ${READ} reader\ncancel ${CANCEL} killer\n`, { mode: 0o600 });
  const program = await t.program('-', '-', tokens);
  fs.rmSync(folder, { recursive: true });
  await program.start('job');
  return program;
}

test('a token arrives in the fragment, leaves the address at once, stays with the tab, and is sent in the header only', async (t) => {
  t.allow(/401/);
  const program = await guarded(t);
  const context = await t.context();
  const asked = [];
  context.on('request', (request) => asked.push({ url: request.url(), auth: request.headers().authorization, cookie: request.headers().cookie }));
  const page = await t.open(`${program.url}#view=running&token=${CANCEL}&filter=id%3Djob`, { context });
  await untilIds(page, ['job']);
  assert.equal(await page.evaluate(() => location.hash), '#view=running&filter=id%3Djob');
  await page.reload();
  await untilIds(page, ['job']);
  assert(!(await page.evaluate(() => JSON.stringify(history.state) + location.href + document.cookie + JSON.stringify({ ...localStorage }))).includes(CANCEL));
  await page.goBack().catch(() => {});
  assert(!page.url().includes('token'), page.url());
  await page.goForward().catch(() => {});
  await page.goto(`${program.url}#view=running`);
  await untilIds(page, ['job']);
  await page.click('#tasks a');
  await says(page, '.detail code', 'curl -H "Authorization: Bearer $PM_TOKEN"');
  assert(!(await page.locator('body').innerText()).includes(CANCEL));
  assert(asked.length > 10 && asked.every(({ url, cookie }) => !url.includes(CANCEL) && !cookie), 'not in an address, nor in a cookie');
  assert(asked.filter(({ url }) => url.includes('/v1/')).every(({ auth }) => auth === `Bearer ${CANCEL}`));
  // Another tab needs its own.
  const other = await t.open(program.url, { context });
  await says(other, '#banner', 'The server requires a token');
  await t.shot(other, 'token');
  await other.fill('#token', 'wrong');
  await other.click('#banner button');
  await says(other, '#banner', 'the token is unknown');
  await other.fill('#token', CANCEL);
  await other.click('#banner button');
  await untilIds(other, ['job']);
  assert(await other.locator('#banner').isHidden());
});

test('a user that may only read finds no kill button, and is refused by the server anyway', async (t) => {
  t.allow(/403/);
  const program = await guarded(t);
  const page = await t.open(`${program.url}#token=${READ}`);
  await untilIds(page, ['job']);
  await page.fill('#running-filter', 'id=job');
  await page.keyboard.press('Enter');
  await until(page, () => pm.running.total === 1);
  assert.equal(await page.locator('.danger:visible').count(), 0);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('k');
  await says(page, '#notice', 'You may read, but not cancel');
  await page.keyboard.press('Delete');
  assert(!(await page.evaluate(() => document.querySelector('#kill').open)));
  await page.keyboard.press('Enter');
  await says(page, '.detail h1', 'job');
  assert.equal(await page.locator('.danger:visible').count(), 0);
  const status = await page.evaluate(async (token) => (await fetch('v1/tasks/1/cancel', { method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: '{}' })).status, READ);
  assert.equal(status, 403);
  // Two tabs with different tokens do not share a stream.
  const other = await t.open(`${program.url}#token=${CANCEL}`, { context: page.context() });
  await untilIds(other, ['job']);
  assert(await other.locator('.running .danger').first().isVisible());
  assert.deepEqual([await page.evaluate(() => pm.feed.role), await other.evaluate(() => pm.feed.role)], ['lead', 'lead']);
});
