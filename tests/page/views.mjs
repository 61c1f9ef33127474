// Kinds, ended tasks, waits, about; small screens.

import assert from 'node:assert/strict';
import { says, test, until, untilIds } from './harness.mjs';

test('kinds show rates, errors, latencies with their tail, and time by status', async (t) => {
  const program = await t.program();
  for (let at = 0; at < 20; at += 1) {
    await program.start(`r${at}`, { kind: 'GET /hosts', statuses: ['reading'] });
    await program.end(`r${at}`, at % 5 === 0 ? 'no such host' : undefined);
  }
  await program.start('slow', { kind: 'GET /hosts', statuses: ['reading', 'waiting'] });
  await program.do({ do: 'sleep', ms: 300 });
  await program.end('slow');
  await program.start('job', { kind: 'import' });
  const page = await t.open(`${program.url}#view=kinds`);
  await until(page, () => document.querySelectorAll('table.kinds tbody tr').length === 2);
  const row = async () => (await page.locator('table.kinds tbody tr').first().innerText()).split(/\s*\t\s*|\n/);
  assert.deepEqual((await row()).slice(0, 3), ['GET /hosts', '0', '21']);
  assert.equal((await row())[4], '19 %');
  const slowest = (await row()).at(-1);
  assert.match(slowest, /^3\d\d ms$/, 'the slow one is shown');
  const bars = await page.evaluate(() => [...document.querySelectorAll('.plot rect')].map((bar) => ({ x: bar.x.baseVal.value, tail: bar.classList.contains('tail') })));
  assert(bars.some((bar) => bar.tail && bar.x > 500), 'one among twenty is visible at the right');
  assert.match(await page.getAttribute('.plot', 'aria-label'), /^21 tasks: p50 .*, p95 .*, p99 .*, slowest 3\d\d ms$/);
  assert.match(await page.locator('.where tbody tr').first().innerText(), /^waiting\s+\d/);
  for (let at = 0; at < 30; at += 1) {
    await program.start(`s${at}`, { kind: 'import' });
    await program.end(`s${at}`);
  }
  await page.click('table.kinds thead button:text("Per second")');
  await until(page, () => {
    const [first] = document.querySelectorAll('table.kinds tbody tr');
    return first.innerText.startsWith('import') && Number(first.cells[3].innerText) > 0;
  });
  await page.click('table.kinds tbody button:text("GET /hosts")');
  assert.match(await page.evaluate(() => location.hash), /kind=GET\+%2Fhosts/);
  await t.shot(page, 'kinds');
  await page.click('.kinds a:text("slowest recent ones")');
  await until(page, () => document.querySelector('#ended-tasks .body .row .c-id')?.textContent === 'slow');
});

test('ended tasks are listed: newest, failed, cancelled, slowest', async (t) => {
  const program = await t.program();
  for (const id of ['fine', 'broken', 'killed']) await program.start(id, { kind: id === 'fine' ? 'x' : 'y' });
  await program.end('broken', 'disk full');
  await program.ask('v1/tasks/killed/cancel', { method: 'POST', body: { reason: 'why', wait: '5s' } });
  await program.do({ do: 'sleep', ms: 50 });
  await program.end('fine');
  const page = await t.open(`${program.url}#view=ended`);
  await untilIds(page, ['fine', 'killed', 'broken'], '#ended-tasks');
  await says(page, '#ended-tasks .row:has(a:text-is("broken")) .badge', 'failed');
  await t.shot(page, 'ended');
  await page.click('.tabs button:text("Failed")');
  await untilIds(page, ['broken'], '#ended-tasks');
  await page.click('.tabs button:text("Cancelled")');
  await untilIds(page, ['killed'], '#ended-tasks');
  await page.click('.tabs button:text("Slowest")');
  await untilIds(page, ['fine', 'killed', 'broken'], '#ended-tasks');
  await page.fill('#ended-filter', 'kind=y');
  await until(page, () => document.querySelectorAll('#ended-tasks .body .row').length === 2);
  assert.match(await page.evaluate(() => location.hash), /list=slowest/);
  await page.click('#ended-tasks a:text-is("broken")');
  await says(page, '.why', 'It failed after');
  await says(page, '.timeline', 'failed: disk full');
  await page.keyboard.press('Escape');
  await until(page, () => document.querySelectorAll('#ended-tasks .body .row').length === 2 && document.activeElement.id === 'ended-tasks');
  // Newly ended tasks appear automatically.
  await program.start('later', { kind: 'y' });
  await program.end('later');
  await until(page, () => document.querySelectorAll('#ended-tasks .body .row').length === 3);
});

test('ended tasks are listed and counted by what happened to them, with the cause, or who cancelled them and why', async (t) => {
  const program = await t.program();
  const cancel = (id, body) => program.ask(`v1/tasks/${id}/cancel`, { method: 'POST', body });
  const request = { kind: 'GET /x', attrs: { method: 'GET', path: '/x' } };
  await program.start('fine', request);
  await program.end('fine');
  await program.start('broken');
  await program.end('broken', 'disk full');
  await program.start('listens');
  await cancel('listens', { reason: 'too slow', wait: '5s' });
  for (const [id, more] of [['forced', {}], ['left', request], ['given up', {}]]) await program.do({ do: 'future', name: id, id, ...more });
  await cancel('forced', { reason: 'deploy', wait: '5s' });
  for (const name of ['left', 'given up']) await program.do({ do: 'drop', name });
  for (const id of ['own', 'knows']) {
    await program.start(id, { listens: false });
    await cancel(id, {});
    await program.do({ do: 'end', name: id, observes: id === 'knows' });
  }
  const page = await t.open(`${program.url}#view=ended`);
  await until(page, () => document.querySelector('#ended-tasks').ariaRowCount === '9');
  const row = (id) => page.locator(`#ended-tasks .row:has(a:text-is("${id}"))`);
  const status = async (id) => [await row(id).locator('.badge').innerText(), await row(id).locator('.c-status > span').innerText()];
  assert.deepEqual(await status('broken'), ['failed', 'disk full']);
  assert.deepEqual(await status('listens'), ['cancelled', 'by 127.0.0.1: too slow']);
  assert.deepEqual(await status('forced'), ['dropped by the cancel', 'by 127.0.0.1: deploy']);
  assert.deepEqual(await status('own'), ['finished on its own', 'by 127.0.0.1']);
  assert.equal((await status('left'))[0], 'client gone');
  assert.equal((await status('given up'))[0], 'dropped by its owner');
  assert.match(await row('fine').locator('.c-age').innerText(), /^\d+ (ns|µs|ms)$/);
  assert.deepEqual(await page.locator('.tabs button').allInnerTexts(), ['Newest', 'Failed 1', 'Cancelled 2', 'Client gone 2', 'Slowest']);
  await page.click('.tabs button:text("Cancelled")');
  await untilIds(page, ['knows', 'own', 'forced', 'listens'], '#ended-tasks');
  await says(page, '.ended-view .summary', '1 finished, cancel observed; 1 finished on its own; 1 dropped by the cancel; 1 cancelled');
  await t.shot(page, 'ended-cancelled');
  await page.click('.tabs button:text("Client gone")');
  await until(page, () => document.querySelectorAll('#ended-tasks .body .row').length === 2);
  // Another filter shows its own rows at once, wherever the pointer is.
  await page.hover('#ended-tasks');
  await page.fill('#ended-filter', 'kind=GET*');
  await untilIds(page, ['left'], '#ended-tasks');
  await page.click('#ended-tasks a:text-is("left")');
  await says(page, '.why', /^Its client disconnected after .*, and its future was dropped\./);
  for (const [serial, words] of [
    [2, /^It failed after .*: disk full\./], [3, /^It was cancelled after .* by 127\.0\.0\.1: too slow\./],
    [4, /^It was cancelled after .* by 127\.0\.0\.1: deploy\. Its future was dropped; what it spawned without pm runs on\./],
    [7, /^It finished on its own after .*; it had not observed a cancel request by 127\.0\.0\.1\./],
    [8, /^It finished after .*; it had observed a cancel request by 127\.0\.0\.1\./],
  ]) {
    await page.evaluate((serial) => {
      location.hash = `task=${serial}`;
    }, serial);
    await says(page, '.why', words);
  }
});

test('tasks that found no space in the list are counted on the first screen', async (t) => {
  const program = await t.program('-', '-', '-', '2');
  const page = await t.open(program.url);
  await program.many('task-', 100);
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '101');
  assert(await page.locator('.full').isHidden());
  await program.many('more-', 9000);
  await says(page, '.full', /^The list was full \(.* MiB\): [\d,]+ tasks started since the program did and found no space\./);
  await t.shot(page, 'full');
});

test('waits show blocking tasks and cycles', async (t) => {
  const program = await t.program();
  for (const id of ['a', 'b', 'c', 'd']) await program.start(id);
  await program.do({ do: 'hold', name: 'a', resource: 'lock:one' });
  await program.do({ do: 'hold', name: 'b', resource: 'lock:two' });
  await program.do({ do: 'wait', name: 'c', resource: 'lock:one' });
  const page = await t.open(`${program.url}#view=waits`);
  await says(page, '.waits .summary', '1 wait');
  assert.match(await page.locator('.waits table tbody tr').innerText(), /^c\s+.*lock:one other\s+a for/);
  await program.do({ do: 'wait', name: 'a', resource: 'lock:two' });
  await program.do({ do: 'wait', name: 'b', resource: 'lock:one' });
  await says(page, '.cycle', /A cycle of 2 tasks: none of them can proceed/);
  await says(page, '.cycle', 'a waits for lock:two, held by b');
  await says(page, '.waits tr.in-cycle .badge', 'cycle');
  await says(page, '.blocks', /waits for lock:one for/);
  await t.shot(page, 'waits');
  await page.click('.cycle a:text-is("a")');
  await says(page, '.why', /It has been waiting .* for lock:two, held by b \(for .*\)\. It is part of a cycle: none of these tasks can proceed\./);
  await says(page, '.why', '2 tasks wait for it');
  await page.keyboard.press('1');
  await says(page, '#tasks .row.stuck .badge', 'stuck');
  await until(page, () => document.querySelectorAll('#tasks .row.stuck').length >= 2);
});

test('about shows limits, drops, cost and the audit log', async (t) => {
  const program = await t.program();
  await program.start('job', { attrs: { long: 'x'.repeat(5000), password: 'hush' } });
  await program.ask('v1/tasks/job/cancel', { method: 'POST', body: { reason: 'just so' } });
  const page = await t.open(`${program.url}#view=about`);
  await says(page, '.about .summary', /^pm .*, serving for .*; you may read and cancel; boot id [0-9a-f]{12}\.$/);
  await says(page, '.about', /strings truncated\s+1/);
  await says(page, '.about', /secrets masked\s+1/);
  await says(page, '.about', /memory held/);
  await says(page, '.about table', /loopback\s+127\.0\.0\.1\s+job #1\s+just so/);
  await t.shot(page, 'about');
});

test('on a phone everything fits, and works by touch', async (t) => {
  const program = await t.program();
  await program.start('job', { kind: 'GET /a/rather/long/kind/of/work', status: 'reading a file whose name is long enough to need more space than there is', attrs: { host: 'db1' } });
  await program.start('other');
  await program.end('other', 'gone');
  const page = await t.open(program.url, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  await untilIds(page, ['job']);
  const fits = async (what) => assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), what);
  await fits('the table');
  assert.deepEqual((await page.locator('#tasks [role=columnheader]').allInnerTexts()).slice(1), ['ID', 'Age', 'Status']);
  assert(await page.evaluate(() => document.querySelector('#tasks').scrollWidth <= innerWidth), 'all columns are on the screen');
  await t.shot(page, 'phone');
  await page.tap('#tasks .c-id a');
  await says(page, '.detail h1', 'job');
  await fits('a task');
  await t.shot(page, 'phone-task');
  await page.tap('.detail .danger');
  await says(page, '#kill-title', 'Kill job?');
  await fits('a kill');
  await page.tap('#kill .danger');
  await says(page, '#kill .verdict', 'job: cancelled after');
  await page.tap('#kill button:text("Close")');
  for (const view of ['Kinds', 'Ended', 'Waits', 'About']) {
    await page.tap(`nav a:text("${view}")`);
    await page.waitForTimeout(300);
    await fits(view);
  }
});
