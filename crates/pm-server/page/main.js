// The entry point of the page: connects the modules, shows the view that the address names, and redraws it twice a second.

import { AboutView } from './about.js';
import { adjust, back, follow, go, here, read } from './address.js';
import { byId, say } from './dom.js';
import { Detail } from './detail.js';
import { EndedView } from './ended.js';
import { Filter } from './filter.js';
import { help, listen } from './keys.js';
import { Kill } from './kill.js';
import { KindsView } from './kinds.js';
import { Model } from './model.js';
import { Banner, notice } from './notice.js';
import { Running } from './running.js';
import { EventDecoder } from './sse.js';
import { Feed } from './tabs.js';
import { count, named } from './text.js';
import { takeToken } from './token.js';
import { Usual } from './usual.js';
import { Waits, WaitsView } from './waits.js';

/** @typedef {import('./model.js').Task} Task */

const TICK = 500;
const VIEWS = ['running', 'kinds', 'ended', 'waits', 'about'];

// Before anything else, so that it is not seen in the address.
takeToken();

const model = new Model();
const usual = new Usual();
const waits = new Waits();
let scope = '';
const mayCancel = () => scope === 'cancel';

const feed = new Feed(
  model,
  () => drawLink(),
  (info) => {
    scope = info.scope ?? 'read';
    running.full.show(info);
  },
);
const banner = new Banner(() => feed.retryNow(), () => feed.restart());
// The request is on its way while the rest is created.
feed.start();
const kill = new Kill(model, mayCancel, notice);

/** The address parameters of a task in the current view. @param {Task} [task] */
function place(task) {
  const { task: _, run: __, ...rest } = here();
  return task ? { ...rest, task: task.serial, run: model.boot } : { ...rest, run: model.boot };
}
/** @param {Task} task */
const open = (task) => go(place(task));
const backFromTask = () => {
  const { task: _, run: __, ...rest } = here();
  back(rest);
};

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice(`Copied ${named(text, 'an empty id')}`);
  } catch {
    notice('The browser does not allow the page to copy.');
  }
}
const running = new Running({ model, usual, waits, kill, mayCancel, adjust, open, place, notice, copy });
const views = /** @type {Record<string, any>} */ ({
  running,
  kinds: new KindsView(usual, adjust),
  ended: new EndedView({ model, usual, adjust, open, place }),
  waits: new WaitsView(waits, () => place()),
  about: new AboutView(),
});
const detail = new Detail({ model, waits, usual, kill, mayCancel, isAway: () => feed.link.state === 'away', place: () => place(), back: backFromTask });
const main = byId('main');
let shown = '';
/** The parameters of each view when it was left. @type {Record<string, Record<string, string>>} */
const left = {};
/** @param {string} view */
const goTo = (view) => go(left[view] ?? { view });

model.onRestart.push(() => {
  usual.clear();
  waits.clear();
  notice('The program was restarted.');
});

follow((params) => {
  takeToken();
  const name = VIEWS.includes(params.view) ? params.view : 'running';
  const isTask = Boolean(params.task);
  const element = isTask ? detail.element : views[name].element;
  if (element.parentNode !== main) main.append(element);
  for (const other of main.children) /** @type {HTMLElement} */ (other).hidden = other !== element;
  for (const tab of document.querySelectorAll('nav a')) {
    const isHere = tab.getAttribute('href') === `#view=${name}`;
    if (isHere) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  if (isTask) detail.show(params.task, params.run ?? '');
  else {
    left[name] = { ...params, view: name };
    views[name].show?.(params);
  }
  const was = shown;
  shown = isTask ? 'task' : name;
  if (was && was !== shown) {
    // A new view focuses its heading; on return, the table gets the focus.
    if (isTask) detail.heading.focus();
    else if (views[name].table) views[name].table.element.focus({ preventScroll: true });
  }
  tick();
});

listen((event) => {
  const number = Number(event.key);
  if (event.key.length === 1 && number >= 1 && number <= VIEWS.length) {
    goTo(VIEWS[number - 1]);
    return true;
  }
  if (shown === 'task') {
    if (event.key === 'Escape' || event.key === 'Backspace') backFromTask();
    else if (event.key === 'k' || event.key === 'Delete') detail.kill();
    else if (event.key === 'y' && detail.task) copy(detail.task.id);
    else return false;
    return true;
  }
  if (views[shown].key?.(event)) return true;
  if (event.key === 'Escape' && shown !== 'running') {
    goTo('running');
    return true;
  }
  return false;
});
document.addEventListener('click', (event) => {
  const a = event.target instanceof Element ? event.target.closest('a[href^="#"]') : null;
  if (!a || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const href = /** @type {string} */ (a.getAttribute('href'));
  if (href === '#main') main.focus();
  else if (a.closest('nav')) goTo(read(href).view);
  else go(read(href));
});
byId('help-button').addEventListener('click', help);

// The first rows are drawn at once.
model.onFirst.push(() => {
  if (shown === 'running') running.tick(performance.now(), true);
  tick();
});

function drawLink() {
  const { link } = feed;
  const words = { live: 'live', connecting: 'connecting', away: 'offline', refused: 'refused' }[link.state];
  const place = byId('link');
  say(place, model.isWhole || link.state !== 'live' ? words : 'loading');
  place.className = link.state;
  banner.show(link, performance.now());
}

function tick() {
  if (document.visibilityState === 'hidden') return;
  const now = performance.now();
  const view = shown === 'task' ? detail : views[shown];
  view?.tick?.(now);
  // Hidden views must not retain ended tasks.
  if (view !== running) model.purge((task) => now - task.gone < 10_000 && (task === detail.task || kill.keeps(task)));
  drawLink();
  const title = model.isWhole ? `${count(model.live)} running · ${location.host}` : location.host;
  if (document.title !== title) document.title = title;
}

setInterval(tick, TICK);
document.addEventListener('visibilitychange', tick);
document.documentElement.dataset.ready = '1';
performance.mark('pm-usable');

// For tests, and for the curious: this can do nothing that the page cannot.
Object.assign(globalThis, { pm: { model, feed, running, Model, Filter, EventDecoder } });
