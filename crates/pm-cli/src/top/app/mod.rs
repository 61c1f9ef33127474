//! All that the screen shows and what keys do to it. Pure: what is to be done outside comes back as [`Effect`]s.
//!
//! | file | what |
//! |---|---|
//! | `keys.rs` | what each key and click does |
//! | `boards.rs` | what is asked now and then: kinds, ended tasks, waits, endpoints |
//! | `kill.rs` | the question before a cancel, and what came of it |
//! | `details.rs` | one task |

mod boards;
mod details;
mod keys;
mod kill;

use ratatui_core::layout::Rect;

use super::ask::{Reply, Request};
use super::complete::Offer;
use super::edit::Edit;
use super::model::{Changed, Column, Held, Key, List, News, Store};
use super::theme::{Glyphs, Theme};
use super::view::Widths;

pub(crate) use boards::Boards;
pub(crate) use details::Details;
pub(crate) use keys::{KEYS, REPLAY_KEYS, clock};
pub(crate) use kill::{Kill, Stage};

/// How long a word at the bottom stays.
const SAID: f64 = 6_000.0;

/// What is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    #[default]
    Running,
    Kinds,
    Ended,
    Waits,
    About,
}

impl View {
    pub(crate) const ALL: [View; 5] = [View::Running, View::Kinds, View::Ended, View::Waits, View::About];

    pub(crate) fn title(self) -> &'static str {
        match self {
            View::Running => "running",
            View::Kinds => "kinds",
            View::Ended => "ended",
            View::Waits => "waits",
            View::About => "about",
        }
    }
}

/// What the keys go to.
#[derive(Debug)]
pub(crate) enum Mode {
    Normal,
    Filter {
        edit: Edit,
        /// What holds again if nothing comes of it.
        before: String,
        offers: Vec<Offer>,
        /// Characters of the word that an offer takes the place of.
        word: usize,
        chosen: Option<usize>,
        error: Option<String>,
    },
    Sort(usize),
    Columns(usize),
    Kill(Box<Kill>),
    Help(usize),
    /// A time to go to in a recording.
    Goto(Edit),
}

/// What is to be done outside.
#[derive(Debug)]
pub(crate) enum Effect {
    Quit,
    Suspend,
    /// Draw all anew.
    Redraw,
    Mouse(bool),
    Ask(Request),
    /// Text for the clipboard of the terminal.
    Copy(String),
    Replay(Seek),
}

/// Where to go in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Seek {
    /// Milliseconds from where it is.
    By(f64),
    /// A time of day, in seconds since midnight, UTC.
    Clock(u32),
    /// Faster or slower by this factor.
    Speed(f64),
}

/// How a recording stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replayed {
    /// The moment that is shown.
    pub(crate) at: pm_wire::Timestamp,
    /// Milliseconds since it began, and in all.
    pub(crate) done: f64,
    pub(crate) length: f64,
    pub(crate) speed: f64,
}

/// What can be clicked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hit {
    View(View),
    Row(usize),
    Title(Column),
}

/// What is set at the start.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) theme: Theme,
    pub(crate) glyphs: Glyphs,
    pub(crate) columns: Vec<Column>,
    pub(crate) mouse: bool,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) list: List,
    pub(crate) view: View,
    pub(crate) mode: Mode,
    pub(crate) details: Option<Details>,
    pub(crate) boards: Boards,
    pub(crate) columns: Vec<Column>,
    pub(crate) theme: Theme,
    pub(crate) glyphs: Glyphs,
    pub(crate) mouse: bool,
    /// Our clock, in milliseconds.
    pub(crate) now: f64,
    /// Nothing moves since then.
    pub(crate) paused: Option<(f64, Held)>,
    pub(crate) replayed: Option<Replayed>,
    /// A word at the bottom, and until when.
    said: Option<(String, f64)>,
    pub(crate) widths: Widths,
    pub(crate) board_widths: Widths,
    pub(crate) hits: Vec<(Rect, Hit)>,
    /// Rows on the screen, for whoever moves by pages.
    pub(crate) page: usize,
}

impl App {
    pub(crate) fn new(store: Store, list: List, options: Options) -> App {
        let endpoints = store.places().len();
        App {
            store,
            list,
            view: View::default(),
            mode: Mode::Normal,
            details: None,
            boards: Boards::new(endpoints),
            columns: options.columns,
            theme: options.theme,
            glyphs: options.glyphs,
            mouse: options.mouse,
            now: 0.0,
            paused: None,
            replayed: None,
            said: None,
            widths: Widths::default(),
            board_widths: Widths::default(),
            hits: Vec::new(),
            page: 20,
        }
    }

    /// The moment that is shown: while nothing moves, that at which it stopped.
    pub(crate) fn shown_at(&self) -> f64 {
        match &self.paused {
            // Whoever goes through a recording that stands still wants to see where he is.
            Some((at, _)) if self.replayed.is_none() => *at,
            _ => self.now,
        }
    }

    /// Takes news of an endpoint.
    pub(crate) fn take(&mut self, endpoint: u32, now: f64, news: News) -> Changed {
        if endpoint as usize >= self.store.places().len() {
            return Changed::default();
        }
        let changed = match &mut self.paused {
            Some((_, held)) => held.take(&mut self.store, endpoint, now, news),
            None => self.store.apply(endpoint, now, news),
        };
        self.list.note(changed);
        changed
    }

    /// Takes an answer.
    pub(crate) fn answer(&mut self, now: f64, reply: Reply) {
        match reply {
            Reply::Details { key, result } => {
                if let Some(details) = self.details.as_mut().filter(|details| details.key == key) {
                    details.answer(now, result);
                }
            }
            Reply::Verdict { key, text, role, is_final } => {
                if let Mode::Kill(kill) = &mut self.mode {
                    kill.verdict(key, text, role, is_final);
                }
            }
            reply => self.boards.answer(now, reply),
        }
    }

    /// Lets time pass: rows are made anew if need be, and what is looked at is asked for again.
    pub(crate) fn refresh(&mut self, now: f64) -> Vec<Effect> {
        self.now = now;
        if self.said.as_ref().is_some_and(|(_, until)| now > *until) {
            self.said = None;
        }
        let shown_at = self.shown_at();
        self.list.refresh(&mut self.store, shown_at);
        if let Mode::Kill(kill) = &mut self.mode {
            kill.look(&self.store, now);
        }
        let mut effects = Vec::new();
        if self.replayed.is_some() {
            self.boards.remember(&self.store);
        } else if self.paused.is_none() {
            effects.extend(self.boards.due(self.view, now).map(Effect::Ask));
            if let Some(details) = &mut self.details {
                effects.extend(details.due(&self.store, now).map(Effect::Ask));
            }
        }
        effects
    }

    /// Another recording of the same endpoints, or another moment of it.
    pub(crate) fn set_store(&mut self, store: Store) {
        self.store = store;
        self.list.forget();
    }

    /// The store was changed by somebody else.
    pub(crate) fn moved(&mut self) {
        self.list.note(Changed { tasks: true, text: true, place: true });
    }

    /// Makes the rows anew now, as somebody waits for it.
    pub(crate) fn rows(&mut self) {
        let shown_at = self.shown_at();
        self.list.refresh(&mut self.store, shown_at);
    }

    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.said = Some((text.into(), self.now + SAID));
    }

    pub(crate) fn said(&self) -> Option<&str> {
        self.said.as_ref().map(|(text, _)| text.as_str())
    }

    /// The task that is meant: that of the details, or the chosen one.
    pub(crate) fn meant(&self) -> Option<Key> {
        match (&self.details, self.view) {
            (Some(details), _) => Some(details.key),
            (None, View::Running) => self.list.chosen(&self.store).map(|task| task.key),
            (None, _) => None,
        }
    }

    /// Whether there are several endpoints, so that it matters which one.
    pub(crate) fn several(&self) -> bool {
        self.store.places().len() > 1
    }
}
