// Killing from the page: exactly the named tasks are cancelled, and the verdicts are shown.

import assert from 'node:assert/strict';
import { says, test, until, untilIds } from './harness.mjs';

const cursorOn = async (page, id) => {
  await page.click(`#tasks .row:has(a:text-is("${id}")) .c-status`);
};
const targets = (page) => page.locator('#kill .targets li strong').allInnerTexts();

test('one task is killed with a reason, which reaches the task and the audit log, and the verdict is shown', async (t) => {
  const program = await t.program();
  await program.start('job', { kind: 'import', status: 'reading' });
  await program.start('child', { parent: 'job' });
  const page = await t.open(program.url);
  await untilIds(page, ['job', 'child']);
  await cursorOn(page, 'job');
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill job?');
  await says(page, '#kill', /#1 import, .* old, reading/);
  await says(page, '#kill', 'This also cancels the tasks below: 1 child task');
  await t.shot(page, 'kill');
  await page.keyboard.type('too slow');
  await page.click('#kill .danger');
  await says(page, '#kill .verdict', /^job: stopped by itself after .*: cancelled, with 1 task below it/);
  await t.shot(page, 'kill-verdict');
  await page.keyboard.press('Escape');
  const { body } = await program.ask('v1/audit');
  assert.equal(body.records.find((record) => record.serial === '1').reason, 'too slow');
  await page.keyboard.press('5');
  await says(page, '.about', 'too slow');
});

test('a task that does not stop is shown as such', async (t) => {
  const program = await t.program();
  await program.start('unresponsive', { listens: false });
  await program.start('fixed', { cancellable: false });
  const page = await t.open(program.url);
  await untilIds(page, ['unresponsive', 'fixed']);
  await cursorOn(page, 'unresponsive');
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await says(page, '#kill .verdict', /Cancel requested for unresponsive; waiting/);
  await says(page, '#kill .verdict', /unresponsive: still cancelling after 10.* s/);
  await page.keyboard.press('Escape');
  t.allow(/403/);
  await cursorOn(page, 'fixed');
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await says(page, '#kill .verdict.bad', /not.* cancel/i);
});

test('marked tasks are killed together, and each verdict is shown as it arrives', async (t) => {
  const program = await t.program();
  await program.many('task-', 120, { kind: 'batch' });
  await program.start('unresponsive', { listens: false, kind: 'batch' });
  await program.start('fixed', { cancellable: false, kind: 'batch' });
  await program.start('bystander');
  const page = await t.open(`${program.url}#group=kind`);
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '126');
  await page.focus('#tasks');
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  assert.match(await page.evaluate(() => document.getElementById(document.querySelector('#tasks').getAttribute('aria-activedescendant')).innerText), /batch: 122 tasks/);
  await page.keyboard.press(' ');
  await says(page, '.running .summary', '122 marked');
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill 122 tasks?');
  assert.equal((await targets(page)).length, 122);
  await page.click('#kill .danger');
  await says(page, '#kill .verdict', '120 tasks stopped, 1 still cancelling, 1 refused.');
  await t.shot(page, 'kill-many');
  assert((await program.ask('v1/tasks')).body.tasks.some((task) => task.id === 'bystander' && task.state === 'running'));
});

test('exactly the listed tasks are killed when killing by filter', async (t) => {
  const program = await t.program();
  await program.many('old-', 5, { kind: 'GET /a' });
  await program.many('other-', 5, { kind: 'POST' });
  const page = await t.open(`${program.url}#filter=kind%3DGET*`);
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '6');
  await page.click('button:has-text("Kill all 5")');
  await says(page, '#kill-title', 'Kill 5 tasks?');
  await says(page, '#kill', 'All that match kind=GET*');
  assert.deepEqual(await targets(page), ['old-0', 'old-1', 'old-2', 'old-3', 'old-4']);
  // These started after the list was shown, and must not be cancelled.
  await program.many('new-', 3, { kind: 'GET /a' });
  await page.click('#kill .danger');
  await says(page, '#kill .verdict', '5 tasks stopped.');
  const left = (await program.ask('v1/tasks?state=running&sort=serial')).body.tasks.map((task) => task.id);
  assert.deepEqual(left, ['other-0', 'other-1', 'other-2', 'other-3', 'other-4', 'new-0', 'new-1', 'new-2']);
});

test('a task that ends while its dialog is open is not killed, nor is another in its place', async (t) => {
  const program = await t.program();
  await program.start('short', { kind: 'quick' });
  await program.start('next');
  const page = await t.open(program.url);
  await untilIds(page, ['short', 'next']);
  await cursorOn(page, 'short');
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill short?');
  await program.end('short', 'broken pipe');
  await says(page, '#kill .verdict', 'It has ended by itself; nothing is left to kill.');
  await says(page, '#kill', /ended by itself: failed, after/);
  assert(await page.locator('#kill .danger').isHidden());
  await t.shot(page, 'kill-ended');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  assert.equal((await program.ask('v1/audit')).body.records.length, 0);
});

test('after a restart of the program, a new task with the same serial and id is not cancelled', async (t) => {
  t.allow(/ERR_|Failed to load/);
  const first = await t.program();
  const proxy = await t.proxy(first.port);
  await first.start('job');
  await first.start('work');
  const page = await t.open(`${proxy.url}/`);
  await untilIds(page, ['job', 'work']);
  await page.waitForTimeout(1500);
  await cursorOn(page, 'job');
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill job?');
  // The page does not notice: the stream stays open, only requests go to the new program.
  const second = await t.program();
  await second.start('job');
  await second.start('work');
  proxy.port = second.port;
  await page.click('#kill .danger');
  await says(page, '#kill .verdict.bad', 'Not the task that was shown, so nothing was cancelled');
  assert.equal((await second.ask('v1/tasks/job')).body.task.state, 'running');
  await page.keyboard.press('Escape');
  // And when it notices, it says so, and clears marks and dialogs.
  await page.focus('#tasks');
  await page.keyboard.press('Home');
  await page.keyboard.press(' ');
  await says(page, '.running .summary', '1 marked');
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill job?');
  proxy.cut();
  await says(page, '#kill .verdict', 'The program was restarted');
  assert(await page.locator('#kill .danger').isHidden());
  await page.keyboard.press('Escape');
  await untilIds(page, ['job', 'work']);
  await says(page, '.running .summary', /^2 tasks$/);
});
