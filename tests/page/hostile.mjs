// Untrusted text: script, markup, long words, direction marks, line breaks, empty strings. It is shown, never interpreted.

import assert from 'node:assert/strict';
import { says, test, until } from './harness.mjs';

/** Ways to break out of the context of a string, and ways to run something then: 200 in all. */
const OUT = ['', '">', "'>", '--></', '</title></textarea>', '</script>', ']]>', '\u202e"` '];
const RUN = [
  '<img src=x onerror=executed()>', '<script>executed()</script>', '<svg onload=executed()>', '<svg><script>executed()</script></svg>', '<iframe srcdoc="<script>parent.executed()</script>">',
  '<body onload=executed()>', '<input autofocus onfocus=executed()>', '<details open ontoggle=executed()>', '<video><source onerror=executed()>', '<audio src onerror=executed()>',
  '<a href="javascript:executed()">x</a>', 'javascript:executed()', '<object data="javascript:executed()">', '<embed src="javascript:executed()">', '<form action="javascript:executed()"><button autofocus>',
  '<math><mtext></form><form><mglyph><style></math><img src onerror=executed()>', '<link rel=stylesheet href="javascript:executed()">', '<meta http-equiv=refresh content="0;javascript:executed()">',
  '<base href="//evil.example/">', '<style>@import "//evil.example/x"</style>', '<marquee onstart=executed()>', '<template><script>executed()</script></template>',
  '${executed()}', '{{constructor.constructor("executed()")()}}', '" onmouseover=executed() autofocus onfocus=executed() x="',
];
export const PAYLOADS = RUN.flatMap((run) => OUT.map((out) => out + run));

/** Nothing was executed, and nothing is there that could be. */
async function isUnharmed(page, what) {
  const found = await page.evaluate(() => ({
    executed: globalThis.executions,
    elements: [...document.querySelectorAll('img, iframe, object, embed, video, audio, base, meta[http-equiv], marquee, template, math, main script, dialog script, main style, main link, [onerror], [onload], [onfocus]')].map((one) => one.outerHTML),
    links: [...document.querySelectorAll('a')].map((a) => a.getAttribute('href')).filter((href) => href !== null && !/^(#|v1\/)/.test(href)),
  }));
  assert.deepEqual(found, { executed: 0, elements: [], links: [] }, what);
}

async function open(t, url) {
  const context = await t.context();
  await context.addInitScript(() => {
    globalThis.executions = 0;
    globalThis.executed = () => {
      globalThis.executions += 1;
    };
  });
  return t.open(url, { context });
}

test('none of 200 payloads in every field is executed', async (t) => {
  assert.equal(PAYLOADS.length, 200);
  t.allow(/Failed to load resource/);
  const program = await t.program();
  for (const [at, text] of PAYLOADS.entries()) {
    await program.start(`n${at}`, { id: `${text} ${at}`, kind: text, attrs: { [text]: text, host: text }, statuses: [`first ${text}`, text], listens: at % 2 === 0 });
    await program.do({ do: 'progress', name: `n${at}`, done: 1, total: 4, unit: text });
    await program.do({ do: 'hold', name: `n${at}`, resource: text });
    await program.do({ do: 'wait', name: `n${at}`, resource: PAYLOADS[(at + 1) % 200] });
    await program.start(`e${at}`, { id: text, kind: text });
    await program.end(`e${at}`, text);
  }
  const serials = (await program.ask('v1/tasks?limit=1000&sort=serial&fields=serial')).body.tasks.map((task) => task.serial);
  const page = await open(t, program.url);
  await until(page, () => pm.model.live === 200);
  // The table, all columns, from top to bottom; in groups; the menus.
  await page.evaluate((cols) => {
    location.hash = new URLSearchParams({ cols }).toString();
  }, ['id', 'kind', 'age', 'status', 'statusAge', 'progress', 'attrs', 'serial', 'parent', ...PAYLOADS.slice(0, 5).map((text) => `attr.${encodeURIComponent(text)}`)].join());
  for (let at = 0; at < 200; at += 15) {
    await page.evaluate((at) => {
      document.querySelector('#tasks').scrollTop = at * 28;
    }, at);
    await page.waitForTimeout(50);
    await isUnharmed(page, `row ${at}`);
  }
  await t.shot(page, 'hostile');
  await page.click('text=Columns');
  await page.keyboard.press('Escape');
  await page.evaluate(() => {
    location.hash = 'group=kind';
  });
  await page.waitForTimeout(100);
  await isUnharmed(page, 'groups');
  // Completions and errors of a filter.
  await page.focus('#running-filter');
  for (const text of ['kind=', 'status=', 'attr.', 'id=', ...PAYLOADS.slice(0, 40)]) {
    await page.fill('#running-filter', text);
    await page.waitForTimeout(10);
    await isUnharmed(page, `filter ${text}`);
  }
  await page.fill('#running-filter', '');
  await page.keyboard.press('Enter');
  // Each task.
  for (const [at, serial] of serials.entries()) {
    await page.evaluate((serial) => {
      location.hash = `task=${serial}`;
    }, serial);
    await until(page, (serial) => [...document.querySelectorAll('.detail .facts dd')].some((dd) => dd.textContent === serial) && document.querySelectorAll('.timeline tbody tr').length >= 3, serial);
    if (at % 10 === 0) await isUnharmed(page, `task ${at}`);
  }
  await isUnharmed(page, 'tasks');
  // All of them in a dialog, killed with a reason, and the audit log.
  await page.evaluate(() => {
    location.hash = 'view=running';
  });
  await page.focus('#tasks');
  await page.evaluate(() => {
    for (const task of pm.model.tasks.values()) pm.running.marks.add(task);
  });
  await page.keyboard.press('k');
  await says(page, '#kill-title', 'Kill 200 tasks?');
  await isUnharmed(page, 'dialog');
  await page.fill('#kill-reason', PAYLOADS[0]);
  await page.click('#kill .danger');
  await says(page, '#kill .verdict', '100 tasks stopped, 100 still running.');
  await isUnharmed(page, 'verdicts');
  await page.keyboard.press('Escape');
  for (const text of PAYLOADS) await program.ask(`v1/tasks/${serials[1]}/cancel`, { method: 'POST', body: { reason: text } });
  for (const hash of ['view=kinds', 'view=ended', 'view=ended&list=failed', 'view=waits', 'view=about']) {
    await page.evaluate((hash) => {
      location.hash = hash;
    }, hash);
    await page.waitForTimeout(700);
    await isUnharmed(page, hash);
  }
  await says(page, '.about', '</textarea>');
  for (let at = 0; at < 200; at += 7) {
    await page.evaluate((kind) => {
      location.hash = new URLSearchParams({ view: 'kinds', kind }).toString();
    }, PAYLOADS[at]);
    await page.waitForTimeout(20);
    await isUnharmed(page, `kind ${at}`);
  }
});

test('none of 200 payloads in links is executed', async (t) => {
  t.allow(/Failed to load resource/);
  const program = await t.program();
  await program.start('job');
  const page = await open(t, program.url);
  await until(page, () => pm.model.live === 1);
  for (const text of PAYLOADS) {
    const all = (...names) => Object.fromEntries(names.map((name) => [name, text]));
    for (const params of [all('view', 'filter', 'sort', 'cols', 'tree', 'group', text), all('task', 'run'), { view: 'kinds', ...all('kind') }, { view: 'ended', ...all('list', 'filter') }]) {
      await page.evaluate((params) => {
        location.hash = new URLSearchParams(params).toString();
      }, params);
    }
    await page.evaluate((text) => {
      location.hash = text;
    }, text);
    await isUnharmed(page, text);
  }
  await page.goto(`${program.url}?${encodeURIComponent(PAYLOADS[0])}#${PAYLOADS[1]}`);
  await says(page, '#link', 'live');
  await isUnharmed(page, 'the address itself');
});

test('long words, line breaks, direction marks and empty strings are shown and break nothing', async (t) => {
  const program = await t.program();
  const word = 'W'.repeat(4096);
  await program.start('long', { id: word, kind: word, attrs: { [word]: word, b: word }, status: word });
  await program.start('bidi', { id: 'a\u202eevil\u2066', kind: 'b\u200bc', attrs: { 'n\nl': 'x\ny\t\u0007' }, status: 'line one\nline two\r\u001b[2J' });
  await program.start('empty', { id: '', kind: '', attrs: { '': '', e: '' }, status: '' });
  await program.start('arabic', { id: 'مهمة', status: 'قراءة الملف' });
  const page = await t.open(program.url);
  await until(page, () => document.querySelectorAll('#tasks .body .row').length === 4);
  const text = await page.locator('#tasks').innerText();
  assert(text.includes('a\\u{202e}evil\\u{2066}') && text.includes('line one\\u{a}line two\\u{d}\\u{1b}[2J') && text.includes('(empty id)'), text);
  const fits = async (what) => {
    assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), what);
    const heights = await page.evaluate(() => [...document.querySelectorAll('#tasks .body .row')].map((row) => row.getBoundingClientRect().height));
    assert(heights.every((height) => height === 28 || height === 0), what);
  };
  await fits('the table');
  await t.shot(page, 'odd-strings');
  for (const serial of [1, 2, 3, 4]) {
    await page.evaluate((serial) => {
      location.hash = `task=${serial}`;
    }, serial);
    await until(page, (serial) => [...document.querySelectorAll('.detail .facts dd')].some((dd) => dd.textContent === String(serial)), serial);
    await until(page, () => document.querySelectorAll('.timeline tbody tr').length > 0);
    await fits(`task ${serial}`);
    await t.shot(page, `odd-task-${serial}`);
    await page.keyboard.press('k');
    await until(page, () => document.querySelector('#kill').open);
    await fits(`kill ${serial}`);
    await page.keyboard.press('Escape');
  }
  for (const id of ['long', 'bidi', 'empty']) await program.end(id, id === 'long' ? word : '');
  for (const key of ['2', '3', '4', '5']) {
    await page.keyboard.press(key);
    await page.waitForTimeout(700);
    await fits(`view ${key}`);
  }
});
