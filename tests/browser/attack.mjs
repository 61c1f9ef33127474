// Attacks by cross-site pages on a process list of this machine, in a real Chromium: they must neither read it nor cancel
// anything, whatever their name and port. Then a page of the server itself tries the same with the same code, and must
// succeed, so that an attack that could not have worked is detected.
//
//   node attack.mjs PROGRAM CHROMIUM MODULES
//
// PROGRAM is the example `attacked` of the crate `pm`, MODULES a folder with playwright-core.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';

const [example, executablePath, modules] = process.argv.slice(2);
const { chromium } = createRequire(path.join(path.resolve(modules), 'x.js'))('playwright-core');

// A value in the list that must not leak.
const NEEDLE = 'needle-' + Math.random().toString(36).slice(2);

const failures = [];
let checks = 0;
function check(is, what) {
  checks += 1;
  if (!is) {
    failures.push(what);
    console.error('FAILED: ' + what);
  }
}

/// Sends a request without a browser.
function ask(port, target, headers = {}, method = 'GET') {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: target, method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (part) => { text += part; });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    request.on('error', reject);
    request.end();
  });
}

/// Tries everything that a page can do to `base`. Returns what it could read, by attempt. Runs in the page: no outer names.
async function attack({ base, task, needle }) {
  const found = {};
  const within = (promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 3000, ''))]);
  const attempt = async (name, work) => {
    try {
      found[name] = String((await within(work())) ?? '');
    } catch (error) {
      found[name] = '';
    }
  };
  const all = [];
  const go = (name, work) => all.push(attempt(name, work));
  const simple = { 'content-type': 'text/plain' };
  const cancel = JSON.stringify({ reason: 'attack' });
  const many = JSON.stringify({ filter: 'id=' + task });
  // The first part of a stream.
  const first = async (response) => {
    const reader = response.body.getReader();
    let text = '';
    while (!text.includes(needle)) {
      const { value, done } = await reader.read();
      if (done) break;
      text += new TextDecoder().decode(value);
    }
    await reader.cancel();
    return text;
  };
  for (const target of ['/procs/', '/procs', '/v1/tasks', '/v1/tasks/' + task, '/v1/tree', '/metrics', '/procs/' + task + '/history']) {
    for (const mode of ['cors', 'no-cors', 'same-origin']) {
      for (const credentials of ['omit', 'include']) {
        go(`fetch ${target} ${mode} ${credentials}`, async () => (await fetch(base + target, { mode, credentials })).text());
      }
    }
    go(`fetch ${target} without referrer`, async () => (await fetch(base + target, { referrerPolicy: 'no-referrer' })).text());
    go(`XMLHttpRequest ${target}`, () => new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('GET', base + target);
      request.onload = () => resolve(request.responseText);
      request.onerror = reject;
      request.send();
    }));
  }
  go('fetch with a token', async () => (await fetch(base + '/v1/tasks', { headers: { authorization: 'Bearer x' } })).text());
  go('fetch of events', async () => first(await fetch(base + '/v1/events')));
  for (const [name, target, options] of [
    ['simple cancel', `/v1/tasks/${task}/cancel`, { method: 'POST', headers: simple, body: cancel }],
    ['no-cors cancel', `/v1/tasks/${task}/cancel`, { method: 'POST', mode: 'no-cors', headers: simple, body: cancel }],
    ['cancel without a body', `/v1/tasks/${task}/cancel`, { method: 'POST', mode: 'no-cors' }],
    ['cancel kept alive', `/v1/tasks/${task}/cancel`, { method: 'POST', mode: 'no-cors', keepalive: true, body: cancel }],
    ['cancel with credentials', `/v1/tasks/${task}/cancel`, { method: 'POST', credentials: 'include', body: cancel }],
    ['cancel without referrer', `/v1/tasks/${task}/cancel`, { method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer', body: cancel }],
    ['cancel as JSON', `/v1/tasks/${task}/cancel`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: cancel }],
    ['cancel with a key', `/v1/tasks/${task}/cancel`, { method: 'POST', headers: { 'idempotency-key': 'x' }, body: cancel }],
    ['cancel of many', '/v1/cancel', { method: 'POST', mode: 'no-cors', headers: simple, body: many }],
    ['DELETE', `/procs/${task}`, { method: 'DELETE' }],
    ['DELETE with credentials', `/procs/${task}`, { method: 'DELETE', credentials: 'include', body: cancel }],
    ['override', `/procs/${task}`, { method: 'POST', mode: 'no-cors', headers: simple, body: '_method=DELETE' }],
  ]) {
    go(name, async () => (await fetch(base + target, options)).text());
  }
  go('sendBeacon', () => navigator.sendBeacon(`${base}/v1/tasks/${task}/cancel`, cancel) && '');
  go('sendBeacon of many', () => navigator.sendBeacon(`${base}/v1/cancel`, new Blob([many], { type: 'text/plain' })) && '');
  go('EventSource', () => new Promise((resolve, reject) => {
    const source = new EventSource(base + '/v1/events');
    source.addEventListener('snapshot', (event) => { source.close(); resolve(event.data); });
    source.onerror = (error) => { source.close(); reject(error); };
  }));
  go('WebSocket', () => new Promise((resolve, reject) => {
    const socket = new WebSocket(base.replace('http', 'ws') + '/v1/events');
    socket.onopen = () => resolve(needle);
    socket.onmessage = (message) => resolve(message.data);
    socket.onerror = reject;
  }));
  // Elements that load from anywhere: they reveal at most that they loaded.
  const element = (tag, set, look) => () => new Promise((resolve) => {
    const node = document.createElement(tag);
    Object.assign(node, set);
    const end = () => {
      let text = '';
      try { text = look ? look(node) : ''; } catch (error) { /* it can't be seen */ }
      resolve(text);
    };
    node.onload = end;
    node.onerror = end;
    document.body.append(node);
  });
  go('script', element('script', { src: base + '/procs/' }));
  go('module', element('script', { src: base + '/procs/', type: 'module' }));
  go('import', async () => JSON.stringify(await import(base + '/procs/')));
  go('image', element('img', { src: base + '/procs/' }));
  go('image that cancels', element('img', { src: `${base}/v1/tasks/${task}/cancel` }));
  go('stylesheet', element('link', { rel: 'stylesheet', href: base + '/procs/' }, (node) => [...node.sheet.cssRules].map((rule) => rule.cssText).join()));
  go('preload', element('link', { rel: 'preload', as: 'fetch', href: base + '/procs/' }));
  go('prefetch', element('link', { rel: 'prefetch', href: base + '/procs/' }));
  go('frame', element('iframe', { src: base + '/procs/' }, (node) => node.contentDocument.body.innerText));
  go('object', element('object', { data: base + '/procs/' }, (node) => node.contentDocument.body.innerText));
  go('embed', element('embed', { src: base + '/procs/' }));
  go('font', async () => { await new FontFace('x', `url(${base}/procs/)`).load(); });
  go('worker', () => new Promise((resolve) => {
    const code = `try { importScripts('${base}/procs/'); } catch (error) {}
      fetch('${base}/procs/').then((r) => r.text()).then(postMessage, () => postMessage(''));`;
    new Worker(URL.createObjectURL(new Blob([code]))).onmessage = (message) => resolve(message.data);
  }));
  go('cache', async () => {
    const cache = await caches.open('x');
    await cache.add(new Request(base + '/procs/', { mode: 'no-cors' }));
    return (await cache.match(base + '/procs/')).text();
  });
  for (const enctype of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
    for (const [target, name, value] of [[`/v1/tasks/${task}/cancel`, '{"reason":"', '"}'], ['/v1/cancel', `{"filter":"id=${task}","reason":"`, '"}']]) {
      go(`form ${enctype} ${target}`, () => new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.name = 'f' + Math.random();
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: base + target, enctype, target: frame.name });
        const input = document.createElement('input');
        Object.assign(input, { name, value });
        form.append(input);
        document.body.append(frame, form);
        frame.onload = () => {
          let text = '';
          try { text = frame.contentDocument.body.innerText; } catch (error) { /* it can't be seen */ }
          if (frame.contentWindow.length === 0 && text === '') resolve('');
          else resolve(text);
        };
        form.submit();
      }));
    }
  }
  // A frame without an origin tries as well, and reports.
  go('sandbox', () => new Promise((resolve) => {
    addEventListener('message', (message) => { if (message.data.sandbox !== undefined) resolve(message.data.sandbox); });
    const frame = document.createElement('iframe');
    frame.sandbox = 'allow-scripts allow-forms';
    frame.srcdoc = `<script>
      const send = (sandbox) => parent.postMessage({ sandbox }, '*');
      fetch('${base}/v1/tasks/${task}/cancel', { method: 'POST', mode: 'no-cors', body: '{}' })
        .then(() => fetch('${base}/procs/')).then((r) => r.text()).then(send, () => send(''));
    </script>`;
    document.body.append(frame);
  }));
  await Promise.all(all);
  return found;
}

const program = spawn(example, [NEEDLE], { stdio: ['pipe', 'pipe', 'inherit'] });
const [address] = await once(createInterface({ input: program.stdout }), 'line');
const port = Number(address.split(':')[1]);

// The attacker's server: any page, by any name.
const attacker = http.createServer((request, response) => {
  response.setHeader('content-type', 'text/html');
  response.end('<!doctype html><title>attack</title><body>');
});
attacker.listen(0, '127.0.0.1');
await once(attacker, 'listening');
const elsewhere = attacker.address().port;

const HOSTS = ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'pm.evil.example'];
const browser = await chromium.launch({
  executablePath,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--host-resolver-rules=MAP evil.example 127.0.0.1, MAP *.evil.example 127.0.0.1',
    // Newer browsers ask the user before a page may reach this machine. We do not rely on it.
    '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessForWorkers,LocalNetworkAccessChecksWebSockets',
  ],
});
try {
  const context = await browser.newContext();
  const state = async (id) => {
    const { procs } = JSON.parse((await ask(port, '/procs/')).text);
    return procs.find((task) => task.id === id)?.cancelling ? 'cancelling' : 'running';
  };
  check((await ask(port, '/procs/')).text.includes(NEEDLE), 'a program reads the list');

  // Cross-site pages: another port, another name, both.
  const bases = [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
  const ORIGINS = [`http://127.0.0.1:${elsewhere}`, `http://localhost:${elsewhere}`, `http://app.localhost:${elsewhere}`, `http://evil.example:${elsewhere}`];
  for (const origin of ORIGINS) {
    for (const base of bases) {
      const page = await context.newPage();
      await page.goto(origin + '/page');
      const found = await page.evaluate(attack, { base, task: 'target', needle: NEEDLE });
      for (const [name, text] of Object.entries(found)) {
        check(!text.includes(NEEDLE), `${origin} against ${base}: ${name} reads the list`);
        // Not even a refusal may be readable.
        check(text === '', `${origin} against ${base}: ${name} reads ${JSON.stringify(text.slice(0, 80))}`);
      }
      check((await state('target')) === 'running', `${origin} against ${base} cancels`);
      await page.close();
    }
  }

  // A cross-site page that navigates here: the user sees a refusal.
  for (const base of bases) {
    for (const way of ['location', 'link', 'window', 'form']) {
      const page = await context.newPage();
      await page.goto(`http://evil.example:${elsewhere}/page`);
      const shown = way === 'window' ? context.waitForEvent('page') : page.waitForEvent('framenavigated');
      await page.evaluate(({ way, url }) => {
        if (way === 'location') location.href = url;
        if (way === 'window') window.opened = window.open(url);
        if (way === 'link') Object.assign(document.createElement('a'), { href: url, rel: 'noreferrer' }).click();
        if (way === 'form') {
          const form = Object.assign(document.createElement('form'), { action: url, method: 'get' });
          document.body.append(form);
          form.submit();
        }
      }, { way, url: base + '/procs/' });
      const end = await shown;
      const target = way === 'window' ? end : page;
      await target.waitForLoadState();
      const text = await target.evaluate(() => document.body.innerText);
      check(!text.includes(NEEDLE), `${way} from another site shows the list at ${base}`);
      check(text.includes('other web sites'), `${way} from another site gets an explanation at ${base}: ${text.slice(0, 80)}`);
      if (way === 'window') await target.close();
      await page.close();
    }
  }

  // Names that resolve to this machine (DNS rebinding): for the browser the page has the same origin as the server.
  const OWN = '<!doctype html><title>own</title><body>';
  for (const name of [...HOSTS, 'app.localhost', 'localhost.']) {
    const page = await context.newPage();
    const base = `http://${name}:${port}`;
    await page.route(base + '/start', (route) => route.fulfill({ contentType: 'text/html', body: OWN }));
    await page.goto(base + '/start');
    const found = await page.evaluate(attack, { base, task: 'target', needle: NEEDLE });
    for (const [what, text] of Object.entries(found)) {
      check(!text.includes(NEEDLE), `${base} by rebinding: ${what} reads the list`);
    }
    check(found['fetch /procs/ cors omit'].includes('host name is not allowed'), `${base} is refused by its name: ${found['fetch /procs/ cors omit']}`);
    const shown = await page.goto(base + '/procs/');
    check(shown.status() === 421 && !(await shown.text()).includes(NEEDLE), `${base} shows ${shown.status()}`);
    check((await state('target')) === 'running', `${base} cancels by rebinding`);
    await page.close();
  }

  // Other spellings of this machine in the URLs of a cross-site page.
  const page = await context.newPage();
  await page.goto(`http://evil.example:${elsewhere}/page`);
  const spellings = [
    '127.1', '127.0.1', '2130706433', '0x7f.1', '0x7f000001', '0177.0.0.1', '017700000001', '127.0.0.1.', 'LOCALHOST', 'loc%61lhost', 'localhost.', '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]', '0.0.0.0', '[::]', '[::1]', '127.0.0.2', 'user@127.0.0.1', 'user:password@localhost', '\u{24db}ocalhost', '127\u30020\u30020\u30021', 'x.localhost',
  ];
  for (const spelling of spellings) {
    const found = await page.evaluate(async ({ base }) => {
      const bodies = [];
      for (const [target, options] of [
        ['/procs/', {}], ['/procs/', { credentials: 'include' }], ['/v1/tasks/target/cancel', { method: 'POST', mode: 'no-cors', body: '{}' }], ['/procs/target', { method: 'DELETE' }],
      ]) {
        try { bodies.push(await (await fetch(base + target, options)).text()); } catch (error) { /* refused */ }
      }
      return bodies.join('');
    }, { base: `http://${spelling}:${port}` });
    check(found === '', `${spelling} can be read: ${found.slice(0, 80)}`);
  }
  check((await state('target')) === 'running', 'some spelling cancels');
  await page.close();

  // Origins that a browser would not send, or not in this form.
  const good = `http://127.0.0.1:${port}`;
  const origins = [
    'null', '', 'http://evil.example', `http://evil.example:${port}`, 'http://127.0.0.1', 'http://localhost', `http://localhost:${port}`, `http://127.0.0.1:${elsewhere}`,
    good + '/', good + '.evil.example', good + '@evil.example', `http://evil.example@127.0.0.1:${port}`, `http://127.1:${port}`, `ftp://127.0.0.1:${port}`, `127.0.0.1:${port}`,
    `//127.0.0.1:${port}`, good + ' http://evil.example', good + ', http://evil.example', `file://`, `chrome-extension://x`, good + '#', good + '?', `http://[::ffff:127.0.0.1]:${port}`,
  ];
  for (const origin of origins) {
    const { status } = await ask(port, '/procs/target', { origin }, 'DELETE');
    check(status === 403, `Origin ${JSON.stringify(origin)} is ${status}`);
  }
  check((await state('target')) === 'running', 'some origin cancels');

  // A page of the server itself tries the same: it must succeed, or the attacks above prove nothing.
  for (const [base, task] of [[bases[0], 'control'], [bases[1], 'stream']]) {
    const own = await context.newPage();
    await own.route(base + '/start', (route) => route.fulfill({ contentType: 'text/html', body: OWN }));
    await own.goto(base + '/start');
    const found = await own.evaluate(attack, { base, task, needle: NEEDLE });
    for (const name of ['fetch /procs/ cors omit', 'fetch /v1/tasks same-origin include', 'XMLHttpRequest /procs/', 'fetch of events', 'EventSource', 'worker', 'cache']) {
      check(found[name].includes(NEEDLE), `an own page at ${base} cannot ${name}: ${found[name].slice(0, 80)}`);
    }
    check(found['simple cancel'].includes(task), `an own page at ${base} cannot cancel: ${found['simple cancel']}`);
    check((await state(task)) === 'cancelling', `an own page at ${base} cancels nothing`);
    // Not even our own pages may frame the answers.
    check(!found.frame.includes(NEEDLE) && !found.object.includes(NEEDLE), `answers are framed at ${base}`);
    // And an address typed by the user.
    await own.goto(base + '/procs/');
    check((await own.evaluate(() => document.body.innerText)).includes(NEEDLE), `the list cannot be looked at ${base}`);
    await own.close();
  }
  check((await state('target')) === 'running', 'the target runs at the end');
} finally {
  await browser.close();
  attacker.close();
  attacker.closeAllConnections();
  program.stdin.end();
}
console.log(`${checks} checks, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
