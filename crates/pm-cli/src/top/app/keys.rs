//! The actions of keys and clicks.

use pm_wire::filter::Filter;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::details::Details;
use super::drawn::Hit;
use super::kill::{Kill, Stage};
use super::state::{App, Effect, Mode, Seek};
use super::view::View;
use crate::top::complete::offers;
use crate::top::edit::Edit;
use crate::top::model::{Column, Held, Shape};
use crate::top::request::Request;

/// The keys, as listed by the help. The web page has the same.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("/", "filter: name=value, Tab completes; empty shows all tasks"),
    ("s", "sort by a column, again to reverse; r reverses at once"),
    ("c", "select columns"),
    ("t", "tree of parents and children"),
    ("g", "group by kind; Left and Right fold"),
    ("Space", "mark; * marks all shown tasks, u none"),
    ("k", "kill the marked tasks or the selected one; asks first"),
    ("Enter", "details; in kinds: the tasks of that kind"),
    ("Esc", "back"),
    ("p", "pause"),
    ("1-5, Tab", "running, kinds, ended, waits, about"),
    ("y", "copy the id of the selected task"),
    ("m", "mouse on or off"),
    ("Ctrl-L", "redraw"),
    ("Ctrl-Z", "suspend"),
    ("?", "help"),
    ("q", "quit"),
];

/// The additional keys of a replay.
pub(crate) const REPLAY_KEYS: &[(&str, &str)] = &[
    ("[ ]", "back or forward by 10 s"),
    ("{ }", "back or forward by 1 min"),
    ("< >", "slower or faster"),
    (":", "go to a time of day, as 10:32:05"),
];

impl App {
    /// Handles a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.modifiers.contains(KeyModifiers::ALT) {
            // Escape and a key, so fast that they were read as one.
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
        self.refresh_lines();
        effects
    }

    /// Handles pasted text.
    pub(crate) fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Filter { edit, .. } | Mode::Goto(edit) => edit.insert(text.trim()),
            Mode::Kill(kill) if kill.stage == Stage::Reason => kill.reason.insert(text.trim()),
            _ => return,
        }
        self.filter_changed();
        self.refresh_lines();
    }

    fn normal_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Char('q') => return vec![Effect::Quit],
            KeyCode::Char('?') => self.mode = Mode::Help(0),
            KeyCode::Char(digit @ '1'..='5') => self.show(View::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab | KeyCode::BackTab => {
                let step = if key.code == KeyCode::Tab { 1 } else { View::ALL.len() - 1 };
                let at = View::ALL.iter().position(|view| *view == self.view).unwrap_or(0);
                self.show(View::ALL[(at + step) % View::ALL.len()]);
            }
            KeyCode::Char('p') => self.pause(),
            KeyCode::Char('m') => {
                self.mouse = !self.mouse;
                self.say(if self.mouse { "mouse on" } else { "mouse off: the terminal selects text" });
                return vec![Effect::Mouse(self.mouse)];
            }
            KeyCode::Char('/') => {
                self.view = View::Running;
                let before = self.list.filter().to_string();
                // The space allows typing another condition at once.
                let edit = Edit::new(&if before.is_empty() { String::new() } else { format!("{before} ") });
                self.mode = Mode::Filter { edit, before, offers: Vec::new(), word: 0, selected: None, error: None };
                self.filter_changed();
            }
            KeyCode::Up => self.step(-1),
            KeyCode::Down => self.step(1),
            KeyCode::PageUp => self.step(-(self.page.max(1) as isize)),
            KeyCode::PageDown => self.step(self.page.max(1) as isize),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Enter => self.enter(),
            KeyCode::Esc if self.view != View::Running => self.show(View::Running),
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

    /// Handles the keys of the list.
    fn list_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let (column, descending) = self.list.sort();
        match key.code {
            KeyCode::Char('s') => {
                self.mode = Mode::Sort(Column::ALL.iter().position(|one| *one == column).unwrap_or(0));
            }
            KeyCode::Char('r') => self.list.set_sort((column, !descending)),
            KeyCode::Char('c') => self.mode = Mode::Columns(0),
            KeyCode::Char('t') => self.toggle(Shape::Tree),
            KeyCode::Char('g') => self.toggle(Shape::Groups),
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
                if let Some(task) = self.list.selected(&self.store) {
                    let id = task.row.id.clone();
                    self.say(format!("copied {id}"));
                    return vec![Effect::Copy(id)];
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn toggle(&mut self, shape: Shape) {
        self.list.set_shape(if self.list.shape() == shape { Shape::Flat } else { shape });
    }

    fn show(&mut self, view: View) {
        self.details = None;
        self.view = view;
    }

    /// Pauses, or ends the pause.
    pub(super) fn pause(&mut self) {
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
                boards.scroll_mut(View::Kinds).step(lines, rows);
            }
            View::Ended => {
                let rows = boards.ended.len();
                boards.scroll_mut(View::Ended).step(lines, rows);
            }
            // Drawing limits these to their last line.
            view @ (View::Waits | View::About) => boards.scroll_mut(view).step(lines, usize::MAX),
        }
    }

    fn enter(&mut self) {
        match self.view {
            View::Running => match self.list.selected(&self.store) {
                Some(task) => {
                    let (key, row) = (task.key, pm_client::Row::clone(&task.row));
                    self.details = Some(Details::new(key, row, self.store.endpoint(key).is_original()));
                }
                None => self.list.fold(&self.store, None),
            },
            View::Kinds => {
                let kind =
                    self.boards.all_kinds().nth(self.boards.scroll(View::Kinds).cursor).map(|(_, kind)| kind.clone());
                if let Some(kind) = kind.filter(|kind| !kind.other) {
                    let mut filter = Filter::default();
                    let value = pm_client::Query::literal(kind.kind.as_deref().unwrap_or_default());
                    match filter.add("kind", &value) {
                        Ok(()) => {
                            self.list.set_filter(filter);
                            self.show(View::Running);
                        }
                        Err(error) => self.say(error.to_string()),
                    }
                }
            }
            View::Ended => {
                if let Some(ended) = self.boards.ended.get(self.boards.scroll(View::Ended).cursor) {
                    let is_original = self.store.endpoint(ended.key).is_original();
                    self.details = Some(Details::new(ended.key, ended.row.clone(), is_original));
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
            KeyCode::Char(digit @ '1'..='5') => self.show(View::ALL[digit as usize - '1' as usize]),
            _ => return self.replay_key(key).filter(|_| self.replayed.is_some()).into_iter().collect(),
        }
        Vec::new()
    }

    fn kill(&mut self) {
        if self.replayed.is_some() {
            self.say("not in a recording: none of its tasks is running");
            return;
        }
        let keys = match (&self.details, self.current_task()) {
            (Some(details), _) => details.live(&self.store).map(|task| task.key).into_iter().collect(),
            (None, Some(key)) if self.list.marks.is_empty() => vec![key],
            _ if !self.list.marks.is_empty() => self.list.marks.iter().copied().collect(),
            _ => self.list.selected_group(&self.store),
        };
        let kill = Kill::new(&self.store, keys, self.now);
        if kill.targets.is_empty() {
            self.say("no running task is selected");
        } else {
            self.mode = Mode::Kill(Box::new(kill));
        }
    }

    fn kill_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let (now, page) = (self.now, self.page.max(1));
        let Mode::Kill(kill) = &mut self.mode else { return Vec::new() };
        match (key.code, kill.stage) {
            (KeyCode::Esc, _) | (KeyCode::Enter | KeyCode::Char('q'), Stage::Sent) => {
                if kill.stage == Stage::Sent {
                    self.list.marks.clear();
                }
                self.mode = Mode::Normal;
            }
            (KeyCode::Enter, _) => {
                if let Some((targets, reason)) = kill.enter(now) {
                    return vec![Effect::Request(Request::Kill { targets, reason })];
                }
            }
            (KeyCode::Up, _) => kill.top = kill.top.saturating_sub(1),
            (KeyCode::Down, _) => kill.top = (kill.top + 1).min(kill.targets.len() - 1),
            (KeyCode::PageUp, _) => kill.top = kill.top.saturating_sub(page),
            (KeyCode::PageDown, _) => kill.top = (kill.top + page).min(kill.targets.len() - 1),
            (_, Stage::Reason) => drop(kill.reason.key(key)),
            (_, Stage::Confirm) => drop(kill.number.key(key)),
            (_, Stage::Sent) => {}
        }
        Vec::new()
    }

    fn filter_key(&mut self, key: KeyEvent) {
        let Mode::Filter { edit, before, offers, word, selected, error } = &mut self.mode else { return };
        match key.code {
            KeyCode::Esc => {
                let before = Filter::parse(before).unwrap_or_default();
                self.list.set_filter(before);
                self.mode = Mode::Normal;
                return;
            }
            KeyCode::Enter => {
                // An invalid filter must be corrected first.
                if error.is_none() {
                    self.mode = Mode::Normal;
                }
                return;
            }
            KeyCode::Tab | KeyCode::Down | KeyCode::BackTab | KeyCode::Up if !offers.is_empty() => {
                let forward = matches!(key.code, KeyCode::Tab | KeyCode::Down);
                let at = match (*selected, forward) {
                    (None, true) => 0,
                    (None, false) => offers.len() - 1,
                    (Some(at), true) => (at + 1) % offers.len(),
                    (Some(at), false) => (at + offers.len() - 1) % offers.len(),
                };
                let text = offers[at].word.clone();
                edit.replace_before(*word, &text);
                *word = text.chars().count();
                *selected = Some(at);
                let only = offers.len() == 1;
                self.apply_filter();
                // With no other choice, offer what comes next.
                if only {
                    self.filter_changed();
                }
                return;
            }
            _ => drop(edit.key(key)),
        }
        self.filter_changed();
    }

    /// Applies the typed filter, if it is valid.
    fn apply_filter(&mut self) {
        let Mode::Filter { edit, error, .. } = &mut self.mode else { return };
        match Filter::parse(&edit.text()) {
            Ok(filter) => {
                *error = None;
                self.list.set_filter(filter);
            }
            Err(why) => *error = Some(why.to_string()),
        }
    }

    fn filter_changed(&mut self) {
        if let Mode::Filter { edit, offers: offered, word, selected, .. } = &mut self.mode {
            (*offered, *word) = offers(&edit.parts().0, &self.store);
            *selected = None;
        }
        self.apply_filter();
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
                    self.toggle_column(column);
                }
            }
            _ => self.mode = Mode::Normal,
        }
    }

    fn sort_by(&mut self, column: Column) {
        let (now, descending) = self.list.sort();
        self.list.set_sort((column, if now == column { !descending } else { column.is_descending() }));
    }

    fn toggle_column(&mut self, column: Column) {
        if self.columns.contains(&column) {
            // The last column stays.
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
                    None => self.say(format!("`{text}` is not a time of day; write 10:32:05")),
                }
            }
            _ => drop(edit.key(key)),
        }
        Vec::new()
    }

    /// Handles a click or the mouse wheel.
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
                    Some(Hit::View(view)) => self.show(view),
                    Some(Hit::Title(column)) => self.sort_by(column),
                    // A click on the selected row opens it.
                    Some(Hit::Row(line)) if self.view == View::Running && line == self.list.cursor() => self.enter(),
                    Some(Hit::Row(line)) if self.view == View::Running => self.list.select(&self.store, line),
                    Some(Hit::Row(line)) if matches!(self.view, View::Ended | View::Kinds) => {
                        self.boards.scroll_mut(self.view).cursor = line;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        self.refresh_lines();
        Vec::new()
    }
}

/// Parses `10:32:05` or `10:32` into seconds since midnight.
pub(crate) fn clock(text: &str) -> Option<u32> {
    let mut parts = text.splitn(3, ':').map(|part| {
        let is_number = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| is_number)
    });
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    (hours < 24 && minutes < 60 && seconds < 60).then_some(hours * 3_600 + minutes * 60 + seconds)
}
