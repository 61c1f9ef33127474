//! The state of the screen, and how updates, replies and time change it.

use ratatui_core::layout::Rect;

use super::boards::Boards;
use super::details::Details;
use super::drawn::{Drawn, Hit};
use super::kill::Kill;
use super::view::View;
use crate::feed::{Changed, Key, Store, Update};
use crate::top::complete::Offer;
use crate::top::edit::Edit;
use crate::top::model::{Column, Held, List, Scroll};
use crate::top::request::{Reply, Request};
use crate::top::theme::{Glyphs, Theme};

/// How long a message at the bottom stays, in milliseconds.
const MESSAGE_TIME: f64 = 6_000.0;
/// The most tasks that are gone before the lines are rebuilt, which frees their slots.
const MAX_GONE: usize = 50_000;

/// Where keys go.
#[derive(Debug)]
pub(crate) enum Mode {
    Normal,
    Filter {
        edit: Edit,
        /// The filter to restore on Escape.
        before: String,
        offers: Vec<Offer>,
        /// The length of the word that an offer replaces, in characters.
        word: usize,
        selected: Option<usize>,
        error: Option<String>,
    },
    Sort(usize),
    Columns(usize),
    Kill(Box<Kill>),
    Help(usize),
    /// The time of day to jump to in a recording.
    Goto(Edit),
}

/// An action outside the app.
#[derive(Debug)]
pub(crate) enum Effect {
    Quit,
    Suspend,
    /// Redraws the whole screen.
    Redraw,
    Mouse(bool),
    Request(Request),
    /// Copies text to the clipboard of the terminal.
    Copy(String),
    Replay(Seek),
}

/// A jump in a recording, or a change of speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Seek {
    /// By milliseconds from the current position.
    By(f64),
    /// To a time of day, in seconds since midnight, UTC.
    Clock(u32),
    /// Multiplies the speed.
    Speed(f64),
}

/// The position in a recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replayed {
    /// The moment that is shown.
    pub(crate) at: pm_wire::Timestamp,
    /// Milliseconds since the start.
    pub(crate) elapsed: f64,
    /// Milliseconds from the start to the end.
    pub(crate) length: f64,
    pub(crate) speed: f64,
}

/// Initial settings.
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
    /// The local clock, in milliseconds.
    pub(crate) now: f64,
    /// When the screen was paused, and the updates since.
    pub(crate) paused: Option<(f64, Held)>,
    pub(crate) replayed: Option<Replayed>,
    /// The message at the bottom, and until when it stays.
    message: Option<(String, f64)>,
    /// The clickable areas of the last frame.
    pub(super) hits: Vec<(Rect, Hit)>,
    /// Rows by which Page Up and Page Down move.
    pub(super) page: usize,
}

impl App {
    pub(crate) fn new(store: Store, list: List, options: Options) -> App {
        let endpoints = store.endpoints().len();
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
            message: None,
            hits: Vec::new(),
            page: 20,
        }
    }

    /// The moment that is shown: while paused, that of the pause.
    pub(crate) fn shown_at(&self) -> f64 {
        match &self.paused {
            // A paused recording can still be moved by jumps.
            Some((at, _)) if self.replayed.is_none() => *at,
            _ => self.now,
        }
    }

    /// Applies an update, or holds it back while paused.
    pub(crate) fn apply(&mut self, endpoint: u32, now: f64, update: Update) -> Changed {
        if endpoint as usize >= self.store.endpoints().len() {
            return Changed::default();
        }
        let changed = match &mut self.paused {
            Some((_, held)) => held.apply(&mut self.store, endpoint, now, update),
            None => self.store.apply(endpoint, now, update),
        };
        self.list.note(changed);
        if self.paused.as_ref().is_some_and(|(_, held)| held.is_full()) {
            self.pause();
            self.say("the pause has ended, as too many tasks have changed since");
        }
        if self.store.gone() > MAX_GONE {
            self.refresh_lines();
        }
        changed
    }

    /// Applies a reply.
    pub(crate) fn answer(&mut self, now: f64, reply: Reply) {
        match reply {
            Reply::Details { key, result } => {
                if let Some(details) = self.details.as_mut().filter(|details| details.key == key) {
                    details.answer(result);
                }
            }
            Reply::Verdict { key, text, role, fate } => {
                if let Mode::Kill(kill) = &mut self.mode {
                    kill.verdict(key, text, role, fate);
                }
            }
            reply => self.boards.answer(now, reply),
        }
    }

    /// Advances the time: rebuilds the lines if necessary, and requests again what is shown.
    pub(crate) fn refresh(&mut self, now: f64) -> Vec<Effect> {
        self.now = now;
        if self.message.as_ref().is_some_and(|(_, until)| now > *until) {
            self.message = None;
        }
        let shown_at = self.shown_at();
        self.list.refresh(&mut self.store, shown_at);
        if let Mode::Kill(kill) = &mut self.mode {
            kill.update(&self.store, now);
        }
        let mut effects = Vec::new();
        if self.replayed.is_some() {
            self.boards.show_ended(&self.store);
        } else if self.paused.is_none() {
            effects.extend(self.boards.due(self.view, now).map(Effect::Request));
            if let Some(details) = &mut self.details {
                effects.extend(details.due(&self.store, now).map(Effect::Request));
            }
        }
        effects
    }

    /// Notes that the store was changed from outside.
    pub(crate) fn store_changed(&mut self) {
        self.list.note(Changed { tasks: true, text: true, endpoint: true });
    }

    /// Rebuilds the lines now instead of at the next refresh.
    pub(crate) fn refresh_lines(&mut self) {
        let shown_at = self.shown_at();
        self.list.refresh(&mut self.store, shown_at);
    }

    /// Takes over what a frame showed: areas for clicks, and positions that it corrected.
    pub(crate) fn set_drawn(&mut self, drawn: Drawn) {
        (self.hits, self.page) = (drawn.hits, drawn.page);
        match (&mut self.details, self.view) {
            (Some(details), _) => details.top = drawn.body.top,
            (None, View::Running) => self.list.set_top(drawn.body.top),
            (None, view) => *self.boards.scroll_mut(view) = drawn.body,
        }
        if let Mode::Help(top) = &mut self.mode {
            *top = drawn.help_top;
        }
    }

    /// The position of the body, before it is drawn.
    pub(crate) fn scroll(&self) -> Scroll {
        match (&self.details, self.view) {
            (Some(details), _) => Scroll { cursor: 0, top: details.top },
            (None, View::Running) => self.list.scroll(),
            (None, view) => self.boards.scroll(view),
        }
    }

    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.message = Some((text.into(), self.now + MESSAGE_TIME));
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|(text, _)| text.as_str())
    }

    /// The task that keys refer to: that of the details, or the selected one.
    pub(super) fn current_task(&self) -> Option<Key> {
        match (&self.details, self.view) {
            (Some(details), _) => Some(details.key),
            (None, View::Running) => self.list.selected(&self.store).map(|task| task.key),
            (None, _) => None,
        }
    }

    /// Returns whether there are several endpoints, so that they must be named.
    pub(crate) fn has_several_endpoints(&self) -> bool {
        self.store.endpoints().len() > 1
    }
}
