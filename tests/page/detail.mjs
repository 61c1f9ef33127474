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
  assert.deepEqual(commands.slice(-3), [`pm why -e ${program.address} serial:2`, `pm history -e ${program.address} serial:2`, `pm kill -e ${program.address} serial:2 -- why`]);
  assert.equal(commands[0], `curl '${program.url}v1/tasks/serial:2'`);
  await t.shot(page, 'detail');
  // It changes while it is shown.
  await program.status('job 7', 'writing');
  await says(page, '.why', 'writing');
  await until(page, () => document.querySelector('.timeline').innerText.includes('writing'));
  await program.end('job 7', 'no space left');
  await says(page, '.detail .badge', 'failed');
  await says(page, '.why', /^It failed after .*: no space left\./);
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
  await says(page, '.timeline .dropped', /\d+ entries dropped/);
  await says(page, '.timeline', 'step 399');
  const rows = await page.locator('.timeline tbody tr').count();
  assert(rows > 100 && rows < 150, `${rows}`);
});

test('the time of dropped entries is that of no other entry', async (t) => {
  const program = await t.program();
  // The last of the first entries is short, and is followed by a long one that is dropped.
  await program.start('busy', { statuses: Array.from({ length: 16 }, (_, at) => `early ${at}`) });
  await program.do({ do: 'sleep', ms: 400 });
  for (let at = 0; at < 130; at += 1) await program.status('busy', `late ${at}`);
  await program.end('busy');
  const page = await t.open(`${program.url}#task=1`);
  await says(page, '.timeline .dropped .status', /^\d+ entries dropped$/);
  const rows = await page.evaluate(() => [...document.querySelectorAll('.timeline tbody tr')].map((row) => ({
    length: row.cells[1].innerText, isDropped: row.className === 'dropped', width: row.querySelector('.track i').getBoundingClientRect().width,
  })));
  const gap = rows.findIndex((row) => row.isDropped);
  assert.equal(rows[gap - 1].length, 'unknown');
  const ms = ({ length }) => Number.parseFloat(length) * ({ s: 1000, ms: 1, 'µs': 1e-3, ns: 1e-6 })[length.split(' ')[1]];
  assert(ms(rows[gap]) >= 400, rows[gap].length);
  for (const [at, row] of rows.entries()) if (at !== gap && / /.test(row.length)) assert(ms(row) < 400 && row.width < rows[gap].width, `${at}: ${row.length}`);
  await t.shot(page, 'timeline-gap');
});

test('after a restart of the program, the task that is being read stays as it was', async (t) => {
  t.allow(/ERR_|Failed to load/);
  for (const hasRun of [true, false]) {
    const program = await t.program();
    await program.start('job', { kind: 'import', statuses: ['opening', 'reading'] });
    const page = await t.open(program.url);
    await untilIds(page, ['job']);
    if (hasRun) await page.click('#tasks a');
    else await page.goto(`${program.url}#task=1`);
    await until(page, () => document.querySelectorAll('.timeline tbody tr').length === 3);
    program.stop();
    await says(page, '#banner', 'unreachable');
    const before = await page.locator('.why').innerText();
    const again = await t.program(program.address);
    await again.start('job', { kind: 'import', status: 'another' });
    await says(page, '.problem', /^The program was restarted, and this task is gone\. Below is its last known state, of \d\d:\d\d:\d\d.* UTC\.$/);
    assert.equal(await page.locator('.why').innerText(), before);
    assert.match(before, /^It has been running .*“reading”/);
    await says(page, '.detail .badge', 'running');
    assert.equal(await page.locator('.timeline tbody tr').count(), 3);
    assert(await page.locator('.detail .danger').isHidden(), 'its serial is that of another task');
    assert(await page.locator('.detail code').first().isHidden());
    await page.keyboard.press('k');
    assert(await page.locator('#kill').isHidden());
    await t.shot(page, 'task-past');
    // The new task with its serial and id is shown on demand.
    await page.keyboard.press('1');
    await untilIds(page, ['job']);
    await page.click('#tasks a');
    await says(page, '.why', 'another');
    assert(await page.locator('.problem').isHidden() && await page.locator('.detail .danger').isVisible());
    again.stop();
  }
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
