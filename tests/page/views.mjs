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
  assert.match(await page.locator('.where tbody tr').first().innerText(), /^waiting\s+9\d(\.\d)? %/);
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

test('ended tasks are listed: newest, failed, killed, slowest', async (t) => {
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
  await page.click('.tabs button:text("Killed")');
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
  await says(page, '#kill .verdict', 'stopped by itself');
  await page.tap('#kill button:text("Close")');
  for (const view of ['Kinds', 'Ended', 'Waits', 'About']) {
    await page.tap(`nav a:text("${view}")`);
    await page.waitForTimeout(300);
    await fits(view);
  }
});
