//! What each key and click does.

use pm_wire::filter::Filter;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::{App, Details, Effect, Hit, Kill, Mode, Seek, Stage, View};
use crate::top::ask::Request;
use crate::top::complete::offers;
use crate::top::edit::Edit;
use crate::top::model::{Column, Held, Shape};

/// The keys, as the help tells them. The page in the browser has the same.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("/", "filter: name=value, Tab completes; an empty one shows all"),
    ("s", "sort by a column; again for the other way round; r turns it round at once"),
    ("c", "choose columns"),
    ("t", "tree: who started whom"),
    ("g", "group by kind; left and right fold"),
    ("Space", "mark; * marks all that are shown, u none"),
    ("k", "kill: the marked tasks, or the chosen one; asks first"),
    ("Enter", "details; in kinds: the tasks of that kind"),
    ("Esc", "back"),
    ("p", "pause: nothing moves"),
    ("1-5, Tab", "running, kinds, ended, waits, about"),
    ("y", "copy the chosen task's id"),
    ("m", "mouse on or off"),
    ("Ctrl-L", "draw anew"),
    ("Ctrl-Z", "suspend"),
    ("?", "help"),
    ("q", "quit"),
];

/// Those of a recording besides.
pub(crate) const REPLAY_KEYS: &[(&str, &str)] = &[
    ("[ ]", "back and forth by 10 s"),
    ("{ }", "back and forth by a minute"),
    ("< >", "slower and faster"),
    (":", "go to a time of day, as 10:32:05"),
];

impl App {
    /// Does what a key is for.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.modifiers.contains(KeyModifiers::ALT) {
            // Escape and then a key, so fast that they came as one.
            let mut effects = self.key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
            effects.extend(self.key(KeyEvent::new(key.code, key.modifiers - KeyModifiers::ALT)));
            return effects;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return vec![Effect::Quit],
            KeyCode::Char('z') if control => return vec![Effect::Suspend],
            KeyCode::Char('l') if control => return vec![Effect::Redraw],
            _ => {}
        }
        let effects = match &mut self.mode {
            Mode::Normal if self.details.is_some() => self.details_key(key),
            Mode::Normal => self.normal_key(key),
            Mode::Filter { .. } => {
                self.filter_key(key);
                Vec::new()
            }
            Mode::Sort(_) | Mode::Columns(_) => {
                self.menu_key(key);
                Vec::new()
            }
            Mode::Kill(_) => self.kill_key(key),
            Mode::Help(top) => {
                match key.code {
                    KeyCode::Down => *top += 1,
                    KeyCode::Up => *top = top.saturating_sub(1),
                    _ => self.mode = Mode::Normal,
                }
                Vec::new()
            }
            Mode::Goto(_) => self.goto_key(key),
        };
        self.rows();
        effects
    }

    /// Text that was pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Filter { edit, .. } | Mode::Goto(edit) => edit.insert(text.trim()),
            Mode::Kill(kill) if kill.stage == Stage::Reason => kill.reason.insert(text.trim()),
            _ => return,
        }
        self.filter_changed();
        self.rows();
    }

    fn normal_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Char('q') => return vec![Effect::Quit],
            KeyCode::Char('?') => self.mode = Mode::Help(0),
            KeyCode::Char(digit @ '1'..='5') => self.look_at(View::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab | KeyCode::BackTab => {
                let step = if key.code == KeyCode::Tab { 1 } else { View::ALL.len() - 1 };
                let at = View::ALL.iter().position(|view| *view == self.view).unwrap_or(0);
                self.look_at(View::ALL[(at + step) % View::ALL.len()]);
            }
            KeyCode::Char('p') => self.pause(),
            KeyCode::Char('m') => {
                self.mouse = !self.mouse;
                self.say(if self.mouse { "mouse on" } else { "mouse off: the terminal marks text again" });
                return vec![Effect::Mouse(self.mouse)];
            }
            KeyCode::Char('/') => {
                self.view = View::Running;
                let before = self.list.filter().to_string();
                // A blank behind it, so that another condition can be written at once.
                let edit = Edit::new(&if before.is_empty() { String::new() } else { format!("{before} ") });
                self.mode = Mode::Filter { edit, before, offers: Vec::new(), word: 0, chosen: None, error: None };
                self.filter_changed();
            }
            KeyCode::Up => self.step(-1),
            KeyCode::Down => self.step(1),
            KeyCode::PageUp => self.step(-(self.page.max(1) as isize)),
            KeyCode::PageDown => self.step(self.page.max(1) as isize),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Enter => self.enter(),
            KeyCode::Esc if self.view != View::Running => self.look_at(View::Running),
            _ if self.replayed.is_some() && self.replay_key(key).is_some() => {
                return self.replay_key(key).into_iter().collect();
            }
            KeyCode::Char(':') if self.replayed.is_some() => self.mode = Mode::Goto(Edit::default()),
            _ if self.view == View::Running => return self.list_key(key),
            _ => {}
        }
        Vec::new()
    }

    fn replay_key(&self, key: KeyEvent) -> Option<Effect> {
        let seek = match key.code {
            KeyCode::Char('[') => Seek::By(-10e3),
            KeyCode::Char(']') => Seek::By(10e3),
            KeyCode::Char('{') => Seek::By(-60e3),
            KeyCode::Char('}') => Seek::By(60e3),
            KeyCode::Char('<') => Seek::Speed(0.5),
            KeyCode::Char('>') => Seek::Speed(2.0),
            _ => return None,
        };
        Some(Effect::Replay(seek))
    }

    /// What the list alone has.
    fn list_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let (column, descending) = self.list.sort();
        match key.code {
            KeyCode::Char('s') => {
                self.mode = Mode::Sort(Column::ALL.iter().position(|one| *one == column).unwrap_or(0));
            }
            KeyCode::Char('r') => self.list.set_sort((column, !descending)),
            KeyCode::Char('c') => self.mode = Mode::Columns(0),
            KeyCode::Char('t') => self.turn(Shape::Tree),
            KeyCode::Char('g') => self.turn(Shape::Groups),
            KeyCode::Left => self.list.fold(&self.store, Some(true)),
            KeyCode::Right => self.list.fold(&self.store, Some(false)),
            KeyCode::Char(' ') => {
                self.list.mark(&self.store);
                self.list.step(&self.store, 1);
            }
            KeyCode::Char('*') => self.list.mark_all(&self.store, self.shown_at()),
            KeyCode::Char('u') => self.list.marks.clear(),
            KeyCode::Char('k') | KeyCode::Delete => self.kill(),
            KeyCode::Char('y') => {
                if let Some(task) = self.list.chosen(&self.store) {
                    let id = task.row.id.clone();
                    self.say(format!("copied {id}"));
                    return vec![Effect::Copy(id)];
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn turn(&mut self, shape: Shape) {
        self.list.set_shape(if self.list.shape() == shape { Shape::Flat } else { shape });
    }

    fn look_at(&mut self, view: View) {
        self.details = None;
        self.view = view;
        self.board_widths = super::Widths::default();
    }

    fn pause(&mut self) {
        match self.paused.take() {
            None => self.paused = Some((self.now, Held::default())),
            Some((_, held)) => {
                let changed = held.release(&mut self.store);
                self.list.note(changed);
            }
        }
    }

    fn step(&mut self, lines: isize) {
        let boards = &mut self.boards;
        match self.view {
            View::Running => self.list.step(&self.store, lines),
            View::Kinds => {
                let rows = boards.all_kinds().count();
                boards.kinds_at.step(lines, rows);
            }
            View::Ended => boards.ended_at.step(lines, boards.ended.len()),
            // Their views know how many lines they have, and stop at the last.
            View::Waits => boards.waits_at.step(lines, usize::MAX),
            View::About => boards.about_at.step(lines, usize::MAX),
        }
    }

    fn enter(&mut self) {
        match self.view {
            View::Running => match self.list.chosen(&self.store) {
                Some(task) => {
                    let (key, row, at) = (task.key, pm_client::Row::clone(&task.row), self.now);
                    self.details = Some(Details::new(key, row, at, self.store.place(key).is_original()));
                }
                None => self.list.fold(&self.store, None),
            },
            View::Kinds => {
                let kind = self.boards.all_kinds().nth(self.boards.kinds_at.cursor).map(|(_, kind)| kind.clone());
                if let Some(kind) = kind.filter(|kind| !kind.other) {
                    let mut filter = Filter::default();
                    let value = pm_client::Query::literal(kind.kind.as_deref().unwrap_or_default());
                    match filter.add("kind", &value) {
                        Ok(()) => {
                            self.list.set_filter(filter);
                            self.look_at(View::Running);
                        }
                        Err(error) => self.say(error.to_string()),
                    }
                }
            }
            View::Ended => {
                if let Some(ended) = self.boards.ended.get(self.boards.ended_at.cursor) {
                    let is_original = self.store.place(ended.key).is_original();
                    self.details = Some(Details::new(ended.key, ended.row.clone(), self.now, is_original));
                }
            }
            View::Waits | View::About => {}
        }
    }

    fn details_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let page = self.page.max(1);
        let Some(details) = &mut self.details else { return Vec::new() };
        match key.code {
            KeyCode::Char('q') => return vec![Effect::Quit],
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => self.details = None,
            KeyCode::Up => details.top = details.top.saturating_sub(1),
            KeyCode::Down => details.top += 1,
            KeyCode::PageUp => details.top = details.top.saturating_sub(page),
            KeyCode::PageDown => details.top += page,
            KeyCode::Home => details.top = 0,
            KeyCode::End => details.top = usize::MAX,
            KeyCode::Char('k') | KeyCode::Delete => self.kill(),
            KeyCode::Char('p') => self.pause(),
            KeyCode::Char('?') => self.mode = Mode::Help(0),
            KeyCode::Char('y') => {
                let id = details.row.id.clone();
                self.say(format!("copied {id}"));
                return vec![Effect::Copy(id)];
            }
            KeyCode::Char(digit @ '1'..='5') => self.look_at(View::ALL[digit as usize - '1' as usize]),
            _ => return self.replay_key(key).filter(|_| self.replayed.is_some()).into_iter().collect(),
        }
        Vec::new()
    }

    fn kill(&mut self) {
        if self.replayed.is_some() {
            self.say("this is a recording: nothing of it runs now");
            return;
        }
        let keys = match self.meant() {
            Some(key) if self.list.marks.is_empty() || self.details.is_some() => vec![key],
            _ if !self.list.marks.is_empty() => self.list.marks.iter().copied().collect(),
            _ => self.list.chosen_group(&self.store),
        };
        let kill = Kill::new(&self.store, keys, self.now);
        if kill.victims.is_empty() {
            self.say("no task is chosen that still runs");
        } else {
            self.mode = Mode::Kill(Box::new(kill));
        }
    }

    fn kill_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let (now, page) = (self.now, self.page.max(1));
        let Mode::Kill(kill) = &mut self.mode else { return Vec::new() };
        match (key.code, kill.stage) {
            (KeyCode::Esc, _) | (KeyCode::Enter | KeyCode::Char('q'), Stage::Asked) => {
                if kill.stage == Stage::Asked {
                    self.list.marks.clear();
                }
                self.mode = Mode::Normal;
            }
            (KeyCode::Enter, _) => {
                if let Some((victims, reason)) = kill.enter(now) {
                    return vec![Effect::Ask(Request::Kill { victims, reason })];
                }
            }
            (KeyCode::Up, _) => kill.top = kill.top.saturating_sub(1),
            (KeyCode::Down, _) => kill.top = (kill.top + 1).min(kill.victims.len() - 1),
            (KeyCode::PageUp, _) => kill.top = kill.top.saturating_sub(page),
            (KeyCode::PageDown, _) => kill.top = (kill.top + page).min(kill.victims.len() - 1),
            (_, Stage::Reason) => drop(kill.reason.key(key)),
            (_, Stage::Sure) => drop(kill.number.key(key)),
            (_, Stage::Asked) => {}
        }
        Vec::new()
    }

    fn filter_key(&mut self, key: KeyEvent) {
        let Mode::Filter { edit, before, offers, word, chosen, error } = &mut self.mode else { return };
        match key.code {
            KeyCode::Esc => {
                let before = Filter::parse(before).unwrap_or_default();
                self.list.set_filter(before);
                self.mode = Mode::Normal;
                return;
            }
            KeyCode::Enter => {
                // What is wrong stays to be mended.
                if error.is_none() {
                    self.mode = Mode::Normal;
                }
                return;
            }
            KeyCode::Tab | KeyCode::Down | KeyCode::BackTab | KeyCode::Up if !offers.is_empty() => {
                let forth = matches!(key.code, KeyCode::Tab | KeyCode::Down);
                let at = match (*chosen, forth) {
                    (None, true) => 0,
                    (None, false) => offers.len() - 1,
                    (Some(at), true) => (at + 1) % offers.len(),
                    (Some(at), false) => (at + offers.len() - 1) % offers.len(),
                };
                let text = offers[at].word.clone();
                edit.replace_before(*word, &text);
                *word = text.chars().count();
                *chosen = Some(at);
                let only = offers.len() == 1;
                self.filter_read();
                // With nothing else to choose, go on with what comes next.
                if only {
                    self.filter_changed();
                }
                return;
            }
            _ => drop(edit.key(key)),
        }
        self.filter_changed();
    }

    /// Takes what is written as the filter, if it is one.
    fn filter_read(&mut self) {
        let Mode::Filter { edit, error, .. } = &mut self.mode else { return };
        match Filter::parse(&edit.text()) {
            Ok(filter) => {
                *error = None;
                self.list.set_filter(filter);
            }
            Err(wrong) => *error = Some(wrong.to_string()),
        }
    }

    fn filter_changed(&mut self) {
        if let Mode::Filter { edit, offers: offered, word, chosen, .. } = &mut self.mode {
            (*offered, *word) = offers(&edit.parts().0, &self.store);
            *chosen = None;
        }
        self.filter_read();
    }

    fn menu_key(&mut self, key: KeyEvent) {
        let last = Column::ALL.len() - 1;
        let (Mode::Sort(at) | Mode::Columns(at)) = &mut self.mode else { return };
        match key.code {
            KeyCode::Up => *at = at.saturating_sub(1),
            KeyCode::Down => *at = (*at + 1).min(last),
            KeyCode::Home => *at = 0,
            KeyCode::End => *at = last,
            KeyCode::Enter | KeyCode::Char(' ' | 's') => {
                let column = Column::ALL[*at];
                if matches!(self.mode, Mode::Sort(_)) {
                    self.sort_by(column);
                    self.mode = Mode::Normal;
                } else if key.code == KeyCode::Enter {
                    self.mode = Mode::Normal;
                } else {
                    self.show_column(column);
                }
            }
            _ => self.mode = Mode::Normal,
        }
    }

    fn sort_by(&mut self, column: Column) {
        let (now, descending) = self.list.sort();
        self.list.set_sort((column, if now == column { !descending } else { column.is_descending() }));
    }

    fn show_column(&mut self, column: Column) {
        if self.columns.contains(&column) {
            // A list without any column shows nothing.
            if self.columns.len() > 1 {
                self.columns.retain(|shown| *shown != column);
            }
        } else {
            self.columns.push(column);
            self.columns.sort_by_key(|column| Column::ALL.iter().position(|one| one == column));
        }
    }

    fn goto_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let Mode::Goto(edit) = &mut self.mode else { return Vec::new() };
        match key.code {
            KeyCode::Esc => self.mode = Mode::Normal,
            KeyCode::Enter => {
                let text = edit.text();
                match clock(text.trim()) {
                    Some(seconds) => {
                        self.mode = Mode::Normal;
                        return vec![Effect::Replay(Seek::Clock(seconds))];
                    }
                    None => self.say(format!("`{text}` is no time of day; write it as 10:32:05")),
                }
            }
            _ => drop(edit.key(key)),
        }
        Vec::new()
    }

    /// Does what a click or the wheel is for.
    pub(crate) fn mouse(&mut self, event: MouseEvent) -> Vec<Effect> {
        if !matches!(self.mode, Mode::Normal) {
            return Vec::new();
        }
        match event.kind {
            MouseEventKind::ScrollUp | MouseEventKind::ScrollDown => {
                let code = if event.kind == MouseEventKind::ScrollUp { KeyCode::Up } else { KeyCode::Down };
                for _ in 0..3 {
                    self.key(KeyEvent::new(code, KeyModifiers::NONE));
                }
            }
            MouseEventKind::Down(MouseButton::Left) => {
                let at = ratatui_core::layout::Position::new(event.column, event.row);
                let hit = self.hits.iter().find(|(area, _)| area.contains(at)).map(|(_, hit)| *hit);
                match hit {
                    Some(Hit::View(view)) => self.look_at(view),
                    Some(Hit::Title(column)) => self.sort_by(column),
                    // The chosen one again: open it.
                    Some(Hit::Row(line)) if self.view == View::Running && line == self.list.cursor() => self.enter(),
                    Some(Hit::Row(line)) if self.view == View::Running => self.list.choose(&self.store, line),
                    Some(Hit::Row(line)) if self.view == View::Ended => self.boards.ended_at.cursor = line,
                    Some(Hit::Row(line)) if self.view == View::Kinds => self.boards.kinds_at.cursor = line,
                    _ => {}
                }
            }
            _ => {}
        }
        self.rows();
        Vec::new()
    }
}

/// Seconds since midnight of `10:32:05` or `10:32`.
pub(crate) fn clock(text: &str) -> Option<u32> {
    let mut parts = text.splitn(3, ':').map(|part| {
        let is_number = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| is_number)
    });
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    (hours < 24 && minutes < 60 && seconds < 60).then_some(hours * 3_600 + minutes * 60 + seconds)
}
