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
  await says(page, '#kill .verdict', /^job: cancelled after .*, with 1 task below it/);
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
  await says(page, '#kill .verdict', /unresponsive: still running after 10.* s: it has not observed the cancel yet/);
  await page.keyboard.press('Escape');
  // One that cannot be cancelled is not even asked.
  await cursorOn(page, 'fixed');
  await page.keyboard.press('k');
  await says(page, '#kill .verdict.bad', 'fixed cannot be cancelled: the program does not allow it.');
  assert(await page.locator('#kill .danger').isHidden());
  await page.keyboard.press('Enter');
  assert(await page.locator('#kill').isHidden());
  assert((await program.ask('v1/audit')).body.records.every((record) => record.task === 'unresponsive'));
});

test('only tasks that stopped because of the cancel count as stopped', async (t) => {
  const program = await t.program();
  for (const id of ['one', 'two']) await program.start(id);
  await program.do({ do: 'future', name: 'future', id: 'future' });
  for (const id of ['own', 'unresponsive', 'early']) await program.start(id, { listens: false });
  await program.start('fixed', { cancellable: false });
  const page = await t.open(program.url);
  await untilIds(page, ['one', 'two', 'future', 'own', 'unresponsive', 'early', 'fixed']);
  await page.keyboard.press('*');
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill 6 tasks?');
  await says(page, '#kill', '1 task cannot be cancelled, and is left out.');
  await program.end('early');
  await says(page, '#kill-title', 'Kill 5 tasks?');
  await page.click('#kill .danger');
  await says(page, '#kill .verdict', '3 tasks stopped (1 of them by dropping the future), 1 had already ended, 2 still running, 1 not cancellable.');
  await says(page, '#kill-title', 'Kill of 7 tasks');
  await program.end('own');
  await says(page, '#kill .verdict', '3 tasks stopped (1 of them by dropping the future), 1 ended on its own, 1 had already ended, 1 still running, 1 not cancellable.');
  const became = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll('#kill .targets li')].map((line) => [line.querySelector('strong').innerText, line.querySelector('.became').innerText])));
  // A task may have ended when its request is answered, or later.
  const wanted = {
    one: /^cancelled/, two: /^cancelled/, future: /^dropped (by the cancel|after .*; what it spawned without pm runs on)$/, own: /^finished on its own$/, fixed: /^cannot be cancelled$/,
    early: /^ended by itself: finished, after/, unresponsive: /^still running after .*: it has not observed the cancel yet$/,
  };
  assert.deepEqual(Object.keys(became).sort(), Object.keys(wanted).sort());
  for (const [id, words] of Object.entries(wanted)) assert.match(became[id], words);
  await t.shot(page, 'kill-sum');
});

test('a filter that is invalid or unfinished kills nothing', async (t) => {
  const program = await t.program();
  await program.many('stuck-', 3, { kind: 'GET /stuck' });
  await program.start('other');
  const page = await t.open(program.url);
  await untilIds(page, ['stuck-0', 'stuck-1', 'stuck-2', 'other']);
  const all = page.locator('.running button.danger').last();
  await page.fill('#running-filter', 'kind=GET*');
  await says(page, '.running button.danger >> nth=-1', 'Kill all 3');
  const isOff = async (words) => {
    await says(page, '#running-wrong', words);
    await until(page, () => document.querySelector('.running .gridwrap').classList.contains('unsure'));
    assert.equal(await all.getAttribute('aria-disabled'), 'true');
    assert.match(await all.getAttribute('title'), words);
    await says(page, '.running .summary', 'filter not applied');
    // By the button, by key, and for the task at the cursor, too.
    await all.dispatchEvent('click');
    await says(page, '#notice', words);
    await page.focus('#tasks');
    for (const key of ['ArrowDown', '*', 'k', 'Delete']) await page.keyboard.press(key);
    assert(await page.locator('#kill').isHidden());
    await says(page, '.running .summary', /^3 of 4 tasks, filter not applied$/);
  };
  for (const [text, words] of [
    ['kind=GET* minAeg=9s', /unknown name `minAeg` at 11; did you mean `minAge`\?/], ['kind=GET* minAge=', /`` is not a duration/], ['kind=GET* kind="x', /quotes that are not closed/],
    ['kind=', /`kind=` has no value yet; type one, or press Enter if it is meant to be empty/], ['kind=import,', /`kind=` has no value yet/], ['attr.host=', /`attr.host=` has no value yet/],
    ['kin', /`kin` is not a condition/],
  ]) {
    await page.fill('#running-filter', text);
    await isOff(words);
  }
  await t.shot(page, 'filter-not-applied');
  // Another order keeps what is being typed.
  await page.keyboard.press('r');
  assert.equal(await page.inputValue('#running-filter'), 'kin');
  await page.fill('#running-filter', 'kind=');
  await page.press('#running-filter', 'Escape');
  await page.press('#running-filter', 'Enter');
  await untilIds(page, ['other']);
  await says(page, '.running button.danger >> nth=-1', 'Kill all 1');
  assert.equal(await all.getAttribute('aria-disabled'), 'false');
  await page.fill('#running-filter', 'kind=x,');
  await page.focus('#tasks');
  await page.keyboard.press('Escape');
  assert.equal(await page.inputValue('#running-filter'), '');
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '5');
});

test('a filter shows and counts living tasks that match, and no dead ones of another filter', async (t) => {
  const program = await t.program();
  await program.many('a-', 3, { kind: 'a' });
  await program.many('b-', 3, { kind: 'b' });
  const page = await t.open(program.url);
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '7');
  await cursorOn(page, 'a-0');
  // It stays under the cursor, but is neither counted nor marked.
  await program.end('a-0');
  await says(page, '#tasks .row.ended', 'a-0');
  await page.fill('#running-filter', 'kind=');
  assert.deepEqual(await page.locator('#running-list li').allInnerTexts(), ['b\n3', 'a\n2']);
  await page.fill('#running-filter', 'kind=a');
  await untilIds(page, ['a-0', 'a-1', 'a-2']);
  await says(page, '.running .summary', /^2 of 5 tasks$/);
  await says(page, '.running button.danger >> nth=-1', 'Kill all 2');
  await page.focus('#tasks');
  await page.keyboard.press('g');
  await untilIds(page, ['▾ a: 2 tasks', 'a-0', 'a-1', 'a-2']);
  await page.keyboard.press('g');
  await page.keyboard.press('*');
  await says(page, '.running .summary', /^2 of 5 tasks, 2 marked$/);
  await page.fill('#running-filter', 'kind=b');
  await untilIds(page, ['b-0', 'b-1', 'b-2']);
  await says(page, '.running .summary', /^3 of 5 tasks, 2 marked \(2 not shown\)$/);
  await page.focus('#tasks');
  await page.keyboard.press('u');
  for (const id of ['b-0', 'b-1', 'b-2']) await program.end(id);
  await says(page, '.running .summary', /^0 of 2 tasks$/);
  assert(await page.locator('.running button.danger').last().isHidden());
  await page.fill('#running-filter', 'kind=zzz');
  await says(page, '.empty', 'No task matches the filter.');
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
  await says(page, '#kill-title', 'Kill 121 tasks?');
  assert.equal((await targets(page)).length, 122);
  await page.click('#kill .danger');
  await says(page, '#kill .verdict', '120 tasks stopped, 1 still running, 1 not cancellable.');
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
