// The screenshots of the README, made from the demo: `cargo xtask screenshots`.
//
//   PM_PROGRAM=.../pm PM_CHROMIUM=.. PM_MODULES=.. node screenshots.mjs FOLDER

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { executablePath, program, require, until } from './harness.mjs';

const [folder] = process.argv.slice(2);
const { chromium } = require('playwright-core');
fs.mkdirSync(folder, { recursive: true });

const demo = spawn(program, ['demo', '--listen', '127.0.0.1:0', '--app', '127.0.0.1:0', '--root', 'crates'], { stdio: ['ignore', 'pipe', 'inherit'] });
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  let url;
  for await (const line of createInterface({ input: demo.stdout })) {
    url = /http:\S+/.exec(line)?.[0];
    if (url) break;
  }
  const open = async (colorScheme, view) => {
    const context = await browser.newContext({ viewport: { width: 1100, height: 560 }, colorScheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    await page.goto(`${url}${view}`);
    await until(page, () => globalThis.pm?.model.isWhole);
    return page;
  };
  const shoot = async (page, name) => {
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
    await page.context().close();
  };
  const running = await open('light', '');
  // Long enough to have usual latencies to compare with.
  await running.waitForFunction(() => [...document.querySelectorAll('#tasks .c-age i')].filter((bar) => Number(bar.dataset.share) > 0).length > 9
    && document.querySelectorAll('#tasks .over').length > 0
    && [...document.querySelectorAll('#tasks .row.ended')].filter((row) => row.getBoundingClientRect().top < innerHeight).length < 6, undefined, { timeout: 60_000, polling: 100 });
  await shoot(running, 'running');
  const task = await open('dark', '');
  const id = await task.evaluate(() => [...pm.model.tasks.values()].find((task) => task.kind === 'GET /transfer' && !task.gone && task.age(performance.now()) < 2500)?.serial
    ?? [...pm.model.tasks.values()].find((task) => !task.gone && task.kind === 'GET /slow')?.serial);
  await task.evaluate((serial) => {
    location.hash = `task=${serial}`;
  }, id);
  await until(task, () => document.querySelectorAll('.timeline tbody tr').length > 2);
  await shoot(task, 'task');
  const kinds = await open('light', '#view=kinds&kind=GET+%2Fsearch');
  await until(kinds, () => document.querySelectorAll('.plot rect').length > 20);
  await shoot(kinds, 'kinds');
} finally {
  await browser.close();
  demo.kill();
}
