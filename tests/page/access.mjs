// Accessibility: axe-core on every view, in light, dark and forced colours; names, roles, motion.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { require, says, test, until, untilIds } from './harness.mjs';

const AXE = fs.readFileSync(require.resolve('axe-core'), 'utf8');
const MODES = [
  ['light', { colorScheme: 'light', forcedColors: 'none' }], ['dark', { colorScheme: 'dark', forcedColors: 'none' }], ['forced', { colorScheme: 'dark', forcedColors: 'active' }],
  ['phone', { colorScheme: 'light', forcedColors: 'none' }],
];

async function prepare(t) {
  const program = await t.program();
  for (let at = 0; at < 8; at += 1) {
    await program.start(`r${at}`, { kind: 'GET /hosts', statuses: ['reading'] });
    await program.end(`r${at}`, at % 3 ? undefined : 'no such host');
  }
  await program.start('parent', { kind: 'import', attrs: { host: 'db1' }, status: 'reading' });
  await program.do({ do: 'progress', name: 'parent', done: 3, total: 10, unit: 'files' });
  await program.start('child', { kind: 'GET /hosts', parent: 'parent' });
  await program.start('unresponsive', { listens: false });
  await program.start('fixed', { cancellable: false });
  await program.do({ do: 'hold', name: 'parent', resource: 'lock:one' });
  await program.do({ do: 'hold', name: 'child', resource: 'lock:two' });
  await program.do({ do: 'wait', name: 'parent', resource: 'lock:two' });
  await program.do({ do: 'wait', name: 'child', resource: 'lock:one' });
  await program.ask('v1/tasks/unresponsive/cancel', { method: 'POST', body: { reason: 'why' } });
  await program.start('listens', { statuses: Array.from({ length: 200 }, (_, at) => `step ${at}`) });
  await program.ask('v1/tasks/listens/cancel', { method: 'POST', body: { reason: 'deploy', wait: '5s' } });
  return program;
}

for (const [mode, media] of MODES) {
  test(`axe reports no violation on any view: ${mode}`, async (t) => {
    t.allow(/Failed to load resource/);
    const program = await prepare(t);
    const viewport = mode === 'phone' ? { width: 360, height: 640 } : { width: 1280, height: 800 };
    // The policy lets only the page's own scripts run; the browser's debugger injects axe.
    const context = await t.context({ viewport, bypassCSP: true });
    const page = await t.open(program.url, { context });
    await page.emulateMedia({ ...media, reducedMotion: 'reduce' });
    await untilIds(page, ['parent', 'child', 'unresponsive', 'fixed']);
    const check = async (what) => {
      await t.shot(page, `axe-${mode}-${what}`);
      const violations = await page.evaluate(async (source) => {
        if (!globalThis.axe) (0, eval)(source);
        const { violations } = await axe.run(document, { resultTypes: ['violations'] });
        return violations.map(({ id, nodes }) => ({ id, nodes: nodes.slice(0, 3).map((node) => `${node.html.slice(0, 150)} ${node.failureSummary.replace(/\s+/g, ' ').slice(0, 250)}`) }));
      }, AXE);
      assert.deepEqual(violations, [], `${mode}, ${what}`);
    };
    await page.focus('#tasks');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press(' ');
    await says(page, '.running .summary', '1 marked');
    await until(page, () => document.querySelectorAll('#tasks .row.stuck').length >= 2);
    await check('running');
    await page.keyboard.press('g');
    await check('groups');
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await page.keyboard.press('/');
    await page.keyboard.type('k');
    await check('suggestions');
    await page.keyboard.press('ArrowDown');
    await check('suggestion');
    await page.fill('#running-filter', 'knd=x');
    await page.keyboard.press('Escape');
    await check('wrong-filter');
    await page.fill('#running-filter', 'minAeg=9s');
    await page.press('#running-filter', 'Escape');
    await says(page, '#running-wrong', 'minAeg');
    await check('filter-invalid');
    await page.fill('#running-filter', 'kind=');
    await page.press('#running-filter', 'Escape');
    await says(page, '#running-wrong', 'has no value yet');
    await check('filter-unfinished');
    await page.evaluate(() => pm.running.full.show({ dropped: { tasksNotShown: 2 }, limits: { maxBytes: 2 << 20 } }));
    await check('full');
    await page.fill('#running-filter', 'id=unknown');
    await page.keyboard.press('Enter');
    await says(page, '.empty', 'No task matches the filter.');
    await check('empty');
    await page.fill('#running-filter', '');
    await page.keyboard.press('Enter');
    await page.click('summary:has-text("Columns")');
    await check('columns');
    await page.click('summary:has-text("Columns")');
    await page.focus('#tasks');
    await page.keyboard.press('?');
    await check('help');
    await page.keyboard.press('Escape');
    await page.keyboard.press('k');
    await says(page, '#kill-title', 'Kill');
    await check('kill');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await until(page, () => document.querySelectorAll('.timeline tbody tr').length > 0);
    await check('task');
    for (const [key, view, ready] of [['2', 'kinds', '.plot rect'], ['3', 'ended', '#ended-tasks .body .row'], ['4', 'waits', '.cycle'], ['5', 'about', '.about table td']]) {
      await page.keyboard.press(key);
      await until(page, (ready) => document.querySelector(ready), ready);
      await check(view);
    }
    await page.keyboard.press('3');
    await page.click('.tabs button:text("Cancelled")');
    await untilIds(page, ['listens'], '#ended-tasks');
    await check('ended-cancelled');
    await page.click('#ended-tasks a');
    await until(page, () => document.querySelector('.timeline .dropped'));
    await check('task-cancelled');
    await page.keyboard.press('1');
    await page.fill('#running-filter', 'id=unresponsive,fixed,child');
    await page.press('#running-filter', 'Enter');
    await untilIds(page, ['child', 'unresponsive', 'fixed']);
    await page.keyboard.press('u');
    await page.keyboard.press('*');
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await says(page, '#kill .verdict', /stopped.*, 1 still running, 1 not cancellable\./);
    await check('kill-sum');
    await page.keyboard.press('Escape');
    await page.click('#tasks .c-id a:text-is("unresponsive")');
    await says(page, '.detail h1', 'unresponsive');
    program.stop();
    await says(page, '#banner', 'unreachable');
    await check('unreachable');
    const again = await t.program(program.address);
    await again.start('other');
    await says(page, '.problem', 'The program was restarted');
    await check('past');
  });
}

test('text has a contrast of at least 4.5 on every background that it is shown on, in light and dark', async (t) => {
  const program = await t.program();
  const page = await t.open(program.url);
  const rows = ['back', 'raised', 'cursor', 'marked'];
  const pairs = [
    ...['text', 'dim'].flatMap((text) => [...rows, 'bar', 'over'].map((back) => [text, back])),
    ...['link', 'bad', 'tail', 'good'].flatMap((text) => rows.map((back) => [text, back])),
    ['accent', 'raised'], ['on-accent', 'accent'], ['text', 'warn-back'], ['text', 'bad-back'], ['bad', 'bad-back'],
  ];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const low = await page.evaluate((pairs) => {
      const style = getComputedStyle(document.documentElement);
      // WCAG 2, relative luminance.
      const luminance = (name) => {
        const parts = style.getPropertyValue(`--${name}`).match(/[0-9a-f]{2}/gi).map((hex) => parseInt(hex, 16) / 255);
        const [red, green, blue] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const contrast = ([text, back]) => {
        const [low, high] = [luminance(text), luminance(back)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      };
      return pairs.filter((pair) => contrast(pair) < 4.5).map((pair) => `${pair.join(' on ')}: ${contrast(pair).toFixed(2)}`);
    }, pairs);
    assert.deepEqual(low, [], colorScheme);
  }
});

test('the table is exposed to screen readers: names, rows beyond the screen, the row of the cursor, marks', async (t) => {
  const program = await t.program();
  await program.many('task-', 1000);
  const page = await t.open(program.url);
  await until(page, () => document.querySelector('#tasks').ariaRowCount === '1001');
  await page.focus('#tasks');
  await page.keyboard.press('End');
  await page.keyboard.press(' ');
  const exposed = await page.evaluate(() => {
    const grid = document.querySelector('#tasks');
    const row = document.getElementById(grid.getAttribute('aria-activedescendant'));
    const rows = [...grid.querySelectorAll('.body .row')].map((row) => Number(row.ariaRowIndex));
    return {
      focus: document.activeElement.id, role: grid.role, name: grid.ariaLabel, multi: grid.ariaMultiSelectable, index: row.ariaRowIndex, selected: row.ariaSelected, roleOfRow: row.role,
      cells: [...row.children].filter((cell) => !cell.hidden).every((cell) => cell.role === 'gridcell'), inOrder: rows.every((index, at) => at === 0 || index === rows[at - 1] + 1),
      heads: [...grid.querySelectorAll('[role=columnheader]')].map((head) => head.textContent).slice(0, 3),
    };
  });
  assert.deepEqual(exposed, { focus: 'tasks', role: 'grid', name: 'Running tasks', multi: 'true', index: '1001', selected: 'true', roleOfRow: 'row', cells: true, inOrder: true, heads: ['marked', 'ID', 'Kind'] });
});

test('reduced motion disables all motion, and single keys can be turned off', async (t) => {
  const program = await t.program();
  await program.start('job');
  const page = await t.open(program.url);
  await untilIds(page, ['job']);
  const moving = await page.evaluate(() => [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter(({ style }) => style && (parseFloat(style.transitionDuration) > 0 || /^(?!none|unset).+/.test(style.animationName))).length);
  assert.equal(moving, 0);
  await page.keyboard.press('?');
  await page.uncheck('#help input[type=checkbox]');
  await page.keyboard.press('Escape');
  await page.keyboard.press('p');
  await page.keyboard.press('2');
  assert.equal(await page.getAttribute('.running [aria-keyshortcuts=p]', 'aria-pressed'), 'false');
  assert(await page.locator('.view.running').isVisible());
  await page.keyboard.press('ArrowDown');
  await page.focus('#tasks');
  await page.keyboard.press('Enter');
  await says(page, '.detail h1', 'job');
});
