// One task: its details, and that they are of that task and of no other.

import assert from 'node:assert/strict';
import { says, test, until, untilIds } from './harness.mjs';

test('the details of a task are complete: summary, attributes, progress, family, history, commands', async (t) => {
  const program = await t.program();
  await program.start('batch', { kind: 'import' });
  await program.start('job 7', { kind: 'import', parent: 'batch', attrs: { host: 'db1', rows: 42 }, statuses: ['opening', 'reading'] });
  await program.start('part', { parent: 'job 7' });
  await program.do({ do: 'progress', name: 'job 7', done: 25, total: 100, unit: 'files' });
  const page = await t.open(program.url);
  await untilIds(page, ['batch', 'job 7', 'part']);
  await page.click('#tasks .c-id a:text-is("job 7")');
  await says(page, '.detail h1', 'job 7');
  await says(page, '.why', /^It has been running for .* Its status has been “reading” for .*\. It has done 25 of 100 files/);
  assert.deepEqual(await page.locator('.attrs tr').allInnerTexts().then((all) => all.map((line) => line.replace(/\s+/g, ' '))), ['host db1 filter', 'rows 42 filter']);
  await says(page, '.bigbar', /25 of 100 files \(25 %\).*files\/s, about .* left/);
  assert.equal(await page.getAttribute('.bigbar [role=progressbar]', 'aria-valuenow'), '25');
  await says(page, '.family', 'part');
  await says(page, '.detail .facts', 'batch');
  const statuses = () => page.locator('.timeline .status').allInnerTexts();
  await until(page, () => document.querySelectorAll('.timeline tbody tr').length === 3);
  assert.deepEqual((await statuses()).slice(-3), ['init', 'opening', 'reading']);
  const commands = await page.locator('.detail code').allInnerTexts();
  assert.deepEqual(commands.slice(-3), [`pm why -e ${program.address} 2`, `pm history -e ${program.address} 2`, `pm kill -e ${program.address} 2 why`]);
  assert.equal(commands[0], `curl '${program.url}v1/tasks/2'`);
  await t.shot(page, 'detail');
  // It changes while it is shown.
  await program.status('job 7', 'writing');
  await says(page, '.why', 'writing');
  await until(page, () => document.querySelector('.timeline').innerText.includes('writing'));
  await program.end('job 7', 'no space left');
  await says(page, '.detail .badge', 'failed');
  await says(page, '.why', 'It failed after');
  assert(await page.locator('.titleline .danger').isHidden(), 'nothing is left to kill');
  await t.shot(page, 'detail-ended');
});

test('"back" returns to the table as it was, and links lead to further tasks', async (t) => {
  const program = await t.program();
  await program.many('task-', 100, { kind: 'some', attrs: { host: 'db1' } });
  await program.start('child', { parent: 'task-50' });
  const page = await t.open(`${program.url}#filter=kind%3Dsome`);
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '101');
  await page.evaluate(() => {
    document.querySelector('#tasks').scrollTop = 1120;
  });
  await page.click('#tasks .c-id a:text-is("task-50")');
  await says(page, '.detail h1', 'task-50');
  assert.match(await page.evaluate(() => location.hash), /^#filter=kind%3Dsome&task=51&run=[0-9a-f]{12}$/);
  await page.click('.family a');
  await says(page, '.detail h1', 'child');
  await page.goBack();
  await says(page, '.detail h1', 'task-50');
  await page.goBack();
  await until(page, () => !document.querySelector('.running').hidden);
  assert.equal(await page.evaluate(() => document.querySelector('#tasks').scrollTop), 1120);
  await page.goForward();
  await says(page, '.detail h1', 'task-50');
  await page.click('.attrs a');
  await until(page, () => document.querySelector('#running-filter').value === 'attr.host=db1');
});

test('a long history shows the dropped entries, and each duration', async (t) => {
  const program = await t.program();
  await program.start('busy', { statuses: Array.from({ length: 400 }, (_, at) => `step ${at}`) });
  const page = await t.open(`${program.url}#task=1`);
  await says(page, '.timeline .dropped', /^\d+ older entries dropped$/);
  await says(page, '.timeline', 'step 399');
  const rows = await page.locator('.timeline tbody tr').count();
  assert(rows > 100 && rows < 150, `${rows}`);
});

test('a link to a task of another run or to an evicted one explains that', async (t) => {
  t.allow(/404/);
  const program = await t.program();
  await program.start('other');
  const page = await t.open(`${program.url}#task=1&run=000000000000`);
  await says(page, '.problem', 'another run of the program');
  assert(await page.locator('.detail .danger').isHidden());
  const page2 = await t.open(`${program.url}#task=77`);
  await says(page2, '.problem', 'no task has this serial');
});
