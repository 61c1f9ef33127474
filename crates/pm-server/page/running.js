// The running tasks: the live table with its filter, order, tree, groups and columns.

import { button, h, replace, say } from './dom.js';
import { ALL, LABELS, NARROW, USUAL, columnsOf, looks } from './columns.js';
import { attrNames } from './complete.js';
import { FilterBox } from './filterbox.js';
import { Full } from './full.js';
import { Group, SORTS, arrange, isRestless, readSort, writeSort } from './order.js';
import { Table } from './table.js';
import { count, named, plural, short } from './text.js';

/** @typedef {import('./model.js').Task} Task @typedef {import('./model.js').Model} Model */

/** How long an ended task stays in its place, if it is on the screen. */
const LINGER = 1500;
/** While the user points or types, lines stay in place: for so long after, and no longer than. */
const STILL = 1200;
const STILL_AT_MOST = 8000;

export class Running {
  /**
   * @param {{ model: Model, usual: import('./usual.js').Usual, waits: import('./waits.js').Waits, kill: import('./kill.js').Kill,
   *   mayCancel: () => boolean, adjust: (changes: Record<string, string>) => void, open: (task: Task) => void,
   *   place: (task?: Task) => Record<string, string>, notice: (words: string) => void, copy: (text: string) => void }} around
   */
  constructor(around) {
    this.around = around;
    const { model } = around;
    /** @type {Set<Task>} */
    this.marks = new Set();
    /** Kinds whose groups are closed. @type {Set<string>} */
    this.closed = new Set();
    /** @type {Set<Task>} */
    this.blocked = new Set();
    this.waitsSeen = -1;
    this.sort = readSort(undefined);
    this.isTree = false;
    this.isGrouped = false;
    this.isPaused = false;
    this.total = 0;
    this.arranged = -Infinity;
    this.shape = -1;
    this.stale = true;
    this.columnNames = '';
    this.narrow = matchMedia('(max-width: 700px)');
    this.narrow.addEventListener('change', () => this.show(this.params));
    /** @type {Record<string, string>} */
    this.params = {};

    this.box = new FilterBox({
      name: 'running', label: 'Filter', tasks: () => model.living(),
      onFilter: (filter) => {
        this.stale = true;
        around.adjust({ filter: filter.text });
        this.tick(performance.now(), true);
      },
      onText: () => this.#say(),
      onLeave: () => this.table.element.focus(),
    });
    this.full = new Full();
    this.table = new Table({
      name: 'tasks', label: 'Running tasks', marks: this.marks,
      columns: [],
      onOpen: (line) => this.open(line),
      onSort: (name) => this.sortBy(name),
      onMark: (task) => this.mark(task),
      looks, empty: () => this.#emptyWords(),
    });
    this.words = h('span', { class: 'summary', role: 'status', 'aria-live': 'off' });
    this.pauseButton = button('Pause', () => this.pause(), { 'aria-pressed': 'false', 'aria-keyshortcuts': 'p' });
    this.treeButton = button('Tree', () => this.tree(), { 'aria-pressed': 'false', 'aria-keyshortcuts': 't' });
    this.groupButton = button('Group', () => this.group(), { 'aria-pressed': 'false', 'aria-keyshortcuts': 'g' });
    this.killButton = button('Kill', () => this.kill(), { class: 'danger', 'aria-keyshortcuts': 'k', hidden: true });
    this.killFilterButton = button('Kill all that match', () => this.killFilter(), { class: 'danger', hidden: true });
    this.sortSelect = h(
      'select',
      { 'aria-label': 'Sort by', 'aria-keyshortcuts': 's', onchange: () => around.adjust({ sort: this.sortSelect.value }), onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== 'Escape' && event.key !== 'Enter') return;
        this.table.element.focus();
        event.preventDefault();
      } },
      ...Object.entries(SORTS).map(([name, down]) => h('option', { value: down ? `-${name}` : name }, LABELS[name])),
    );
    this.columnMenu = h('details', { class: 'menu' }, h('summary', { 'aria-keyshortcuts': 'c' }, 'Columns'), h('div', { class: 'choices' }));
    this.columnMenu.addEventListener('toggle', () => this.#drawChoices());
    this.columnMenu.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.columnMenu.open) return;
      this.columnMenu.open = false;
      /** @type {HTMLElement} */ (this.columnMenu.firstChild).focus();
      event.preventDefault();
    });
    document.addEventListener('pointerdown', (event) => {
      if (event.target instanceof Node && !this.columnMenu.contains(event.target)) this.columnMenu.open = false;
    });
    this.element = h(
      'section', { class: 'view running', 'aria-label': 'Running now' },
      h('h1', { class: 'unseen' }, 'Running now'),
      h('div', { class: 'tools' }, this.box.element, this.sortSelect, this.treeButton, this.groupButton, this.columnMenu, this.pauseButton, this.killButton, this.killFilterButton, this.words),
      this.full.element,
      this.table.wrap,
    );
    model.onRestart.push(() => this.marks.clear());
    this.show({});
  }

  /** @param {Record<string, string>} params */
  show(params) {
    this.params = params;
    this.sort = readSort(params.sort);
    this.isTree = params.tree === '1';
    this.isGrouped = params.group === 'kind';
    this.box.set(params.filter ?? '');
    const usual = this.narrow.matches ? NARROW : USUAL;
    const names = params.cols ? ['mark', ...splitColumns(params.cols)] : usual;
    if (names.join() !== this.columnNames) {
      this.columnNames = names.join();
      this.names = names;
      this.table.setColumns(columnsOf(names, { marks: this.marks, usual: (kind) => this.around.usual.of(kind), place: this.around.place }));
    }
    this.table.setSort(writeSort(this.sort));
    const written = writeSort(this.sort);
    for (const option of this.sortSelect.options) {
      if (option.value.replace('-', '') === this.sort.key) {
        option.value = written;
        say(option, `${LABELS[this.sort.key]} ${this.sort.down ? '↓' : '↑'}`);
      } else say(option, LABELS[option.value.replace('-', '')]);
    }
    this.sortSelect.value = written;
    this.treeButton.setAttribute('aria-pressed', String(this.isTree));
    this.groupButton.setAttribute('aria-pressed', String(this.isGrouped));
    this.stale = true;
    this.tick(performance.now(), true);
  }

  /** Called twice a second, and at once after an action of the user. @param {number} now @param {boolean} [atOnce] */
  tick(now, atOnce = false) {
    const { model, usual, waits } = this.around;
    usual.look(now);
    waits.look(now, 3000);
    this.full.look(now);
    if (waits.version !== this.waitsSeen) this.#markBlocked();
    if (this.isPaused && !atOnce) {
      // Tasks that are not on the screen are evicted even during a pause, which may be long.
      model.purge((task) => this.table.isShown(task) || this.around.kill.keeps(task));
      return;
    }
    const since = now - this.table.touched;
    const isStill = since < STILL && now - this.arranged < STILL_AT_MOST && !atOnce && !this.stale;
    if (!isStill) {
      model.purge((task) => {
        if (this.table.cursor === task || this.around.kill.keeps(task)) return true;
        this.marks.delete(task);
        return now - task.gone < LINGER && this.table.isShown(task);
      });
      const changes = model.shape !== this.shape || isRestless(this.sort) || this.isGrouped || this.isTree || !this.box.filter.isEmpty;
      if (this.stale || changes) {
        this.shape = model.shape;
        this.stale = false;
        this.arranged = now;
        const { lines, total } = arrange(model.tasks.values(), { filter: this.box.filter, sort: this.sort, isTree: this.isTree, isGrouped: this.isGrouped, closed: this.closed }, now);
        this.total = total;
        this.table.setLines(lines);
      } else this.table.render();
    } else this.table.render();
    this.#say();
  }

  /** Why nothing may be killed now; empty if it may. */
  get #hold() {
    const { trouble } = this.box;
    return trouble && `The filter in the box is not applied, so nothing can be killed: ${trouble}.`;
  }

  #say() {
    const { model, mayCancel } = this.around;
    const living = this.#marked();
    const marked = living.length;
    const hidden = living.filter((task) => !task.fits).length;
    const filtered = !this.box.filter.isEmpty;
    const hold = this.#hold;
    const parts = [model.isWhole ? (filtered ? `${count(this.total)} of ${plural(model.live, 'task')}` : plural(model.live, 'task')) : model.live ? `${count(model.live)} tasks so far` : ''];
    if (marked) parts.push(`${marked} marked${hidden ? ` (${hidden} not shown)` : ''}`);
    if (this.isPaused) parts.push('paused');
    if (hold) parts.push('filter not applied');
    say(this.words, parts.filter(Boolean).join(', '));
    this.killButton.hidden = !mayCancel();
    say(this.killButton, marked ? `Kill ${marked} marked` : 'Kill');
    this.killFilterButton.hidden = !mayCancel() || !filtered || (this.total === 0 && !hold);
    say(this.killFilterButton, hold ? 'Kill all' : `Kill all ${count(this.total)}`);
    this.table.wrap.classList.toggle('unsure', hold !== '');
    // Not `disabled`: they still can be focused, and show the reason.
    for (const one of [this.killButton, this.killFilterButton]) {
      one.setAttribute('aria-disabled', String(hold !== ''));
      if (one.title !== hold) one.title = hold;
    }
  }

  /** The marked tasks that still run. */
  #marked() {
    return [...this.marks].filter((task) => !task.gone);
  }

  /** Marks tasks that cannot proceed. */
  #markBlocked() {
    const { model, waits } = this.around;
    this.waitsSeen = waits.version;
    for (const task of this.blocked) task.isBlocked = false;
    this.blocked.clear();
    for (const serial of waits.stuck) {
      const task = model.tasks.get(serial);
      if (!task || task.gone) continue;
      task.isBlocked = true;
      this.blocked.add(task);
    }
  }

  #emptyWords() {
    const { model } = this.around;
    if (!model.isWhole) return 'Looking.';
    return this.box.filter.isEmpty ? 'Nothing is running.' : 'No task matches the filter.';
  }

  /** @param {import('./order.js').Line} line */
  open(line) {
    if (!(line instanceof Group)) {
      this.around.open(line);
      return;
    }
    const name = line.kind ?? '';
    if (!this.closed.delete(name)) this.closed.add(name);
    this.stale = true;
    this.tick(performance.now(), true);
  }

  /** @param {Task} task */
  mark(task) {
    if (!this.marks.delete(task) && !task.gone) this.marks.add(task);
    this.table.render();
    this.#say();
  }

  /** @param {string} name */
  sortBy(name) {
    const key = /** @type {keyof typeof SORTS} */ (name);
    const down = this.sort.key === key ? !this.sort.down : SORTS[key];
    this.around.adjust({ sort: writeSort({ key, down }) });
  }

  tree() {
    this.around.adjust({ tree: this.isTree ? '' : '1', group: '' });
  }

  group() {
    this.around.adjust({ group: this.isGrouped ? '' : 'kind', tree: '' });
  }

  pause() {
    this.isPaused = !this.isPaused;
    this.pauseButton.setAttribute('aria-pressed', String(this.isPaused));
    this.tick(performance.now(), !this.isPaused);
    this.#say();
  }

  kill() {
    const { cursor } = this.table;
    const marked = this.#marked();
    if (this.#hold) this.around.notice(this.#hold);
    else if (marked.length > 0) this.around.kill.tasks(marked);
    else if (cursor instanceof Group) this.around.kill.tasks(cursor.live);
    else if (cursor?.gone) this.around.notice(`${named(short(cursor.id, 80), 'The task with the empty id')} has already ended.`);
    else this.around.kill.tasks(cursor && !cursor.gone ? [cursor] : []);
  }

  killFilter() {
    if (this.#hold) this.around.notice(this.#hold);
    else if (this.box.filter.isEmpty) this.around.notice('Set a filter first, to kill all that match.');
    else this.around.kill.byFilter(this.box.filter.text);
  }

  #drawChoices() {
    if (!this.columnMenu.open) return;
    const names = this.names ?? [];
    const attrs = attrNames(this.around.model.living()).slice(0, 20).map(([name]) => `attr.${name}`);
    const all = [...ALL, ...attrs, ...names.filter((name) => name.startsWith('attr.') && !attrs.includes(name))];
    const set = (/** @type {string} */ name, /** @type {boolean} */ isOn) => {
      const now = (this.names ?? []).filter((other) => other !== 'mark');
      const chosen = isOn ? [...now, name] : now.filter((other) => other !== name);
      // In the order of `ALL`, attributes last.
      const sorted = [...ALL.filter((one) => chosen.includes(one)), ...chosen.filter((one) => !ALL.includes(one))];
      this.around.adjust({ cols: sorted.map(encodeURIComponent).join() });
    };
    replace(/** @type {Element} */ (this.columnMenu.lastChild), ...all.map((name) => h(
      'label', {}, h('input', { type: 'checkbox', checked: names.includes(name), onchange: (/** @type {any} */ event) => set(name, event.target.checked) }),
      ` ${LABELS[name] ?? short(name, 40)}`,
    )));
  }

  /** Handles a key of the table or of this view; returns `true` if it was one. @param {KeyboardEvent} event */
  key(event) {
    const { key } = event;
    const isTable = document.activeElement === this.table.element || document.activeElement === document.body;
    if (isTable && this.table.key(key)) return true;
    const { cursor } = this.table;
    switch (key) {
      case '/':
        this.box.focus();
        return true;
      case 's':
        this.sortSelect.focus();
        try {
          this.sortSelect.showPicker();
        } catch {
          // Not every browser can open it from script; arrow keys still work.
        }
        return true;
      case 'r':
        this.sortBy(this.sort.key);
        return true;
      case 'c':
        this.columnMenu.open = true;
        this.columnMenu.querySelector('input')?.focus();
        return true;
      case 'y':
        if (!cursor || cursor instanceof Group) return false;
        this.around.copy(cursor.id);
        return true;
      case 'ArrowLeft':
      case 'ArrowRight':
        if (!isTable || !(cursor instanceof Group) || cursor.isOpen === (key === 'ArrowRight')) return false;
        this.open(cursor);
        return true;
      case 't':
        this.tree();
        return true;
      case 'g':
        this.group();
        return true;
      case 'p':
        this.pause();
        return true;
      case 'k':
      case 'Delete':
        this.kill();
        return true;
      case '*':
        if (this.#hold) this.around.notice(this.#hold);
        else for (const line of this.table.lines) for (const task of line instanceof Group ? line.live : [line]) if (!task.gone) this.marks.add(task);
        this.table.render();
        this.#say();
        return true;
      case ' ':
        if (!isTable || !cursor) return false;
        if (cursor instanceof Group) for (const task of cursor.live) this.marks.add(task);
        else {
          this.mark(cursor);
          this.table.key('ArrowDown');
        }
        this.#say();
        return true;
      case 'u':
        this.marks.clear();
        this.table.render();
        this.#say();
        return true;
      case 'Enter':
        if (!isTable || !cursor) return false;
        this.open(cursor);
        return true;
      case 'Escape':
        if (this.marks.size > 0) this.marks.clear();
        else if (!this.box.filter.isEmpty || this.box.trouble) this.box.clear();
        else return false;
        this.table.render();
        this.#say();
        return true;
      default:
        return false;
    }
  }
}

/** @param {string} text */
function splitColumns(text) {
  return text.split(',').map((name) => {
    try {
      return decodeURIComponent(name);
    } catch {
      return name;
    }
  });
}
