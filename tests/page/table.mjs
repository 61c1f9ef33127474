// The table of running tasks: filter, order, tree, groups, columns, keys, and its stability.

import assert from 'node:assert/strict';
import { ids, says, test, until, untilIds } from './harness.mjs';

const fields = (page) => page.evaluate(() => location.hash);

test('running tasks are shown, oldest first, and follow all changes', async (t) => {
  const program = await t.program();
  await program.start('first', { kind: 'import', attrs: { host: 'db1', rows: 42, ok: true }, status: 'reading' });
  await program.start('second');
  const page = await t.open(program.url);
  await untilIds(page, ['first', 'second']);
  await says(page, '#tasks .row .c-status', 'reading');
  await says(page, '#tasks .row .c-attrs', 'host=db1 ok=true rows=42');
  await says(page, '#link', 'live');
  await says(page, '.summary', '2 tasks');
  await program.start('third');
  await program.status('second', 'writing');
  await untilIds(page, ['first', 'second', 'third']);
  await until(page, () => document.querySelector('#tasks').innerText.includes('writing'));
  await program.end('first');
  await until(page, () => document.querySelector('#tasks .row.ended')?.innerText.includes('finished'));
  await untilIds(page, ['second', 'third']);
  assert.equal(await page.getAttribute('#tasks', 'aria-rowcount'), '3');
  assert.equal(await page.title(), `2 running · ${program.address}`);
  await t.shot(page, 'running');
});

test('a filter takes effect while typing, completes, shows errors, and is in the address', async (t) => {
  const program = await t.program();
  await program.start('a', { kind: 'GET /hosts', attrs: { host: 'db1' } });
  await program.start('b', { kind: 'GET /users', attrs: { host: 'db2' }, status: 'waiting for lock' });
  await program.start('c', { kind: 'import' });
  const page = await t.open(program.url);
  await untilIds(page, ['a', 'b', 'c']);
  await page.keyboard.press('/');
  await page.keyboard.type('kind=GET*');
  await untilIds(page, ['a', 'b']);
  await says(page, '.running .summary', '2 of 3 tasks');
  assert.equal(await fields(page), '#filter=kind%3DGET*');
  await page.keyboard.type(' attr.h');
  assert.deepEqual(await page.locator('#running-list li').allInnerTexts(), ['attr.host=\n2']);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await untilIds(page, ['a']);
  assert.equal(await page.inputValue('#running-filter'), 'kind=GET* attr.host=db1 ');
  await page.fill('#running-filter', 'knd=x');
  await says(page, '#running-wrong', 'unknown name `knd` at 1; did you mean `kind`?');
  assert.equal(await page.getAttribute('#running-filter', 'aria-invalid'), 'true');
  assert.deepEqual(await ids(page), ['a'], 'the last valid filter stays');
  assert(await page.locator('.gridwrap.unsure').first().isVisible(), 'and that is shown');
  await page.fill('#running-filter', 'status="waiting for *"');
  await untilIds(page, ['b']);
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'tasks');
  await page.reload();
  await untilIds(page, ['b']);
  await page.keyboard.press('Escape');
  await untilIds(page, ['a', 'b', 'c']);
  await page.goto(`${program.url}#filter=kind%3Dimport`);
  await untilIds(page, ['c']);
});

test('the page parses filters as the server does', async (t) => {
  const program = await t.program();
  await program.start('a,b*', { kind: 'GET /x y', attrs: { host: 'db1', n: 42, half: 1.5, tiny: 1e-7, huge: 1e300, yes: true, 'odd name': 'é"\\' }, status: 'waiting, for *' });
  await program.start('', { status: '' });
  await program.start('child', { parent: 'a,b*', cancellable: false });
  const page = await t.open(program.url);
  await until(page, () => pm.model.tasks.size === 3);
  const filters = [
    'state=running', 'state=r*,ended', 'outcome=', 'kind=', 'kind="GET /x y"', 'kind=GET*', 'id=a\\,b\\*', 'id=a\\,b*', 'id=', 'id=a,child', 'status="waiting\\, for \\*"',
    'status=init', 'status=in*', 'parent=1', 'parent=', 'parent=01,7', 'serial=1,3', 'serial=*', 'attr.host=db*', 'attr.n=42', 'attr.half=1.5', 'attr.tiny=1e-7', 'attr.huge=1e300',
    'attr.yes=true', 'attr."odd name"="é\\"\\\\"', 'attr.none=', 'attr.none=*', 'minAge=1ms', 'maxAge=1h', 'minAge=1h', 'minStatusAge=1ms maxStatusAge=2h', 'kind==x', '  id=child  kind= ',
    // And invalid ones.
    'knd=x', 'kind', 'kind = x', '=x', 'attr.=x', 'kind=a*b', 'kind=**', 'kind=é\\n', 'kind="a b', 'attr."a b=x', 'attr.a\\=x', 'state=ended,runing', 'state=', 'outcome=canceled', 'serial=x', 'serial=1,',
    'parent=+1', 'parent=1,2*', 'parent=0', 'minAge=5x', 'minAge=*', 'minAge=0', 'minAge=5s,6s', 'host=x', 'atr.x=y', 'stat=x', 'nonsense=x', 'serial=18446744073709551616', 'minAge=1..2s', 'minAge=.',
  ];
  for (const filter of filters) {
    const answer = await program.ask('v1/cancel', { method: 'POST', body: { filter: `${filter}`, dryRun: true } });
    const here = await page.evaluate((text) => {
      try {
        const filter = new pm.Filter(text);
        return { found: [...pm.model.tasks.values()].filter((task) => filter.fits(task, performance.now())).map((task) => task.serial).sort() };
      } catch (error) {
        return { wrong: error.message };
      }
    }, filter);
    if (answer.status === 200) assert.deepEqual(here.found, answer.body.verdicts.map((one) => one.serial).sort(), filter);
    else if (answer.body.code === 'missing-filter') assert.equal(here.found.length, 3, filter);
    else {
      const { detail, hint } = answer.body;
      assert.equal(here.wrong, hint ? `${detail}; ${hint}` : detail, filter);
    }
  }
});

test('sort, tree, groups and columns are in the address, and keys change them', async (t) => {
  const program = await t.program();
  await program.start('b', { kind: 'two', attrs: { host: 'x' } });
  await program.start('c', { kind: 'one', parent: 'b' });
  await program.start('a', { kind: 'two' });
  await program.start('d', { kind: 'one', parent: 'c' });
  const page = await t.open(program.url);
  await untilIds(page, ['b', 'c', 'a', 'd']);
  await page.click('#tasks [role=columnheader] button:text("ID")');
  await untilIds(page, ['a', 'b', 'c', 'd']);
  assert.equal(await fields(page), '#sort=id');
  assert.equal(await page.getAttribute('#tasks [data-name=id]', 'aria-sort'), 'ascending');
  await page.focus('#tasks');
  await page.keyboard.press('r');
  await untilIds(page, ['d', 'c', 'b', 'a']);
  await page.keyboard.press('s');
  assert(await page.evaluate(() => document.activeElement.matches('.running select')));
  await page.selectOption('.running select', '-age');
  await untilIds(page, ['b', 'c', 'a', 'd']);
  await page.focus('#tasks');
  await page.keyboard.press('t');
  await untilIds(page, ['b', 'c', 'd', 'a']);
  assert.match(await page.evaluate(() => [...document.querySelectorAll('#tasks .c-id')].find((cell) => cell.textContent === 'd').style.paddingInlineStart), /rem/);
  await t.shot(page, 'tree');
  await page.keyboard.press('g');
  await untilIds(page, ['▾ one: 2 tasks', 'c', 'd', '▾ two: 2 tasks', 'b', 'a']);
  await page.keyboard.press('Home');
  await page.keyboard.press('Enter');
  await untilIds(page, ['▸ one: 2 tasks', '▾ two: 2 tasks', 'b', 'a']);
  await t.shot(page, 'groups');
  await page.keyboard.press('ArrowRight');
  await untilIds(page, ['▾ one: 2 tasks', 'c', 'd', '▾ two: 2 tasks', 'b', 'a']);
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await page.check('.choices label:has-text("attr.host") input');
  await page.uncheck('.choices label:has-text("Attributes") input');
  const heads = await page.locator('#tasks [role=columnheader]').allInnerTexts();
  assert.deepEqual(heads.slice(1), ['ID', 'Kind', 'Age', 'Status', 'In status', 'Progress', 'host']);
  assert.match(await fields(page), /cols=id%2Ckind%2Cage%2Cstatus%2CstatusAge%2Cprogress%2Cattr.host/);
  await page.reload();
  await until(page, () => [...document.querySelectorAll('#tasks .c-attr')].some((cell) => cell.textContent === 'x'));
});

test('rows keep their elements, their place and the cursor while tasks come and go above', async (t) => {
  const program = await t.program();
  await program.many('early-', 200);
  await program.many('late-', 200);
  const page = await t.open(program.url);
  await until(page, () => pm.model.tasks.size === 400 && document.querySelectorAll('#tasks .body .row').length > 10);
  await page.evaluate(() => {
    document.querySelector('#tasks').scrollTop = 300 * 28;
  });
  await until(page, () => document.querySelector('#tasks').innerText.includes('late-110'));
  const place = () => page.evaluate(() => {
    const row = [...document.querySelectorAll('#tasks .body .row')].find((row) => row.querySelector('.c-id').textContent === 'late-105');
    row.dataset.seen ??= String(Math.random());
    return { top: Math.round(row.getBoundingClientRect().top), seen: row.dataset.seen };
  });
  const before = await place();
  for (let at = 0; at < 50; at += 1) await program.end(`early-${at}`);
  await until(page, () => pm.model.tasks.size === 350 && document.querySelector('#tasks').ariaRowCount === '351');
  assert.deepEqual(await place(), before, 'it did not move by a pixel and is the same element');
  // The cursor is on a row; rows above are removed, rows below are added.
  await page.focus('#tasks');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  const cursor = () => page.evaluate(() => {
    const row = document.getElementById(document.querySelector('#tasks').getAttribute('aria-activedescendant'));
    return { id: row.querySelector('.c-id').textContent, top: Math.round(row.getBoundingClientRect().top) };
  });
  const held = await cursor();
  for (let at = 50; at < 100; at += 1) await program.end(`early-${at}`);
  await program.many('new-', 100);
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '401');
  assert.deepEqual(await cursor(), held);
});

test('a table under the pointer stands still, and a paused one until it is resumed', async (t) => {
  const program = await t.program();
  for (const id of ['a', 'b', 'c']) await program.start(id);
  const page = await t.open(program.url);
  await untilIds(page, ['a', 'b', 'c']);
  // The pointer keeps moving until the end is known here, and the table is checked in the meantime.
  await page.mouse.move(400, 150);
  await program.end('a');
  let seen;
  for (let at = 0; !seen?.isGone; at += 1) {
    await page.mouse.move(400, 150 + (at % 5));
    seen = await page.evaluate(() => ({
      isMoving: performance.now() - pm.running.table.touched < 1000, isGone: [...pm.model.tasks.values()].every((task) => task.id !== 'a' || task.gone > 0),
      shown: pm.running.table.lines.map((task) => task.id).join(),
    }));
  }
  if (seen.isMoving) assert.equal(seen.shown, 'a,b,c');
  await untilIds(page, ['b', 'c']);
  await page.keyboard.press('p');
  await says(page, '.running .summary', 'paused');
  await program.start('d');
  await until(page, () => pm.model.tasks.size === 3);
  assert.deepEqual(await ids(page), ['b', 'c']);
  // A task that ends in the meantime and is not on the screen is evicted.
  await program.end('d');
  await until(page, () => pm.model.tasks.size === 2);
  await program.start('e');
  await page.keyboard.press('p');
  await untilIds(page, ['b', 'c', 'e']);
});

test('the table is drawn at most twice a second', async (t) => {
  const program = await t.program();
  await program.many('task-', 20);
  await program.do({ do: 'churn', perSecond: 1000 });
  const page = await t.open(program.url);
  await until(page, () => pm.model.tasks.size > 100);
  const counted = await page.evaluate(async () => {
    const times = new Set();
    const observer = new MutationObserver(() => times.add(Math.round(performance.now() / 60)));
    observer.observe(document.querySelector('#tasks .body'), { subtree: true, characterData: true, childList: true });
    const begin = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 4000));
    observer.disconnect();
    return { times: times.size, seconds: (performance.now() - begin) / 1000 };
  });
  assert(counted.times >= 3 && counted.times <= 2 * counted.seconds + 2, JSON.stringify(counted));
});

test('everything can be done by keys', async (t) => {
  const program = await t.program();
  for (const id of ['a', 'b', 'c']) await program.start(id);
  const page = await t.open(program.url);
  await untilIds(page, ['a', 'b', 'c']);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press(' ');
  await page.keyboard.press(' ');
  await says(page, '.running .summary', '2 marked');
  assert.equal(await page.locator('#tasks .row[aria-selected=true]').count(), 2);
  await page.keyboard.press('u');
  await says(page, '.running .summary', /^3 tasks$/);
  await page.keyboard.press('*');
  await says(page, '.running .summary', '3 marked');
  await page.keyboard.press(' ');
  await says(page, '.running .summary', '2 marked');
  await page.keyboard.press('Enter');
  await says(page, '.detail h1', 'c');
  await page.keyboard.press('Escape');
  await until(page, () => document.activeElement?.id === 'tasks');
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill 2 tasks?');
  await page.keyboard.type('because');
  await page.keyboard.press('Enter');
  await says(page, '#kill .verdict', '2 tasks stopped');
  await page.keyboard.press('Escape');
  await untilIds(page, ['c']);
  await page.keyboard.press('?');
  await says(page, '#help', 'kill the marked tasks');
  await t.shot(page, 'help');
  await page.keyboard.press('Escape');
  for (const [key, heading] of [['2', 'Kinds'], ['4', 'Waits'], ['5', 'About']]) {
    await page.keyboard.press(key);
    await says(page, '.view:not([hidden]) h1', heading);
  }
  await page.keyboard.press('3');
  // Either may have ended first.
  await until(page, () => [...document.querySelectorAll('#ended-tasks .c-id')].map((cell) => cell.textContent).sort().join() === 'a,b');
  await page.keyboard.press('1');
  await untilIds(page, ['c']);
});

test('ages and times in a status are compared with the usual ones', async (t) => {
  const program = await t.program();
  for (let at = 0; at < 8; at += 1) {
    await program.start(`short-${at}`, { kind: 'short' });
    await program.end(`short-${at}`);
  }
  await program.start('long', { kind: 'short' });
  await program.start('unknown', { kind: 'other' });
  const page = await t.open(program.url);
  await until(page, () => document.querySelector('#tasks .row .c-age')?.classList.contains('over'));
  assert.match(await page.getAttribute('#tasks .row .c-age', 'title'), /95 % of its kind end within/);
  assert.equal(await page.locator('#tasks .row .over').count(), 2, 'age and time in status of the one');
});

test('a cancelled task that does not stop is marked', async (t) => {
  const program = await t.program();
  await program.start('unresponsive', { listens: false });
  const page = await t.open(program.url);
  await untilIds(page, ['unresponsive']);
  await program.ask('v1/tasks/unresponsive/cancel', { method: 'POST', body: {} });
  await says(page, '#tasks .row.cancelling .badge', 'cancelling');
  await says(page, '#tasks .row.stuck .badge', 'does not stop');
  await t.shot(page, 'stuck');
});
