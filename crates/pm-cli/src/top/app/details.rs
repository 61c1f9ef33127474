//! One task: what is known of it, and the places to which one may go from there.

use pm_client::Row;

use crate::top::ask::{Aim, Known, Request};
use crate::top::model::{Key, Store};

/// How often is asked, and when an answer is no longer waited for, in milliseconds.
const EVERY: f64 = 1_000.0;
const LATE: f64 = 15_000.0;

#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) key: Key,
    pub(crate) aim: Aim,
    /// As it was last told, and when.
    pub(crate) row: Row,
    pub(crate) row_at: f64,
    pub(crate) known: Option<Known>,
    pub(crate) known_at: f64,
    pub(crate) error: Option<String>,
    /// The first line that is shown.
    pub(crate) top: usize,
    asked_at: f64,
    is_waiting: bool,
}

impl Details {
    /// For a task as it was told then.
    pub(crate) fn new(key: Key, row: Row, at: f64, is_original: bool) -> Details {
        let aim = Aim {
            key,
            serial: row.serial.clone(),
            id: row.id.clone(),
            is_original,
            min_age: std::time::Duration::ZERO,
        };
        Details {
            key,
            aim,
            row,
            row_at: at,
            known: None,
            known_at: 0.0,
            error: None,
            top: 0,
            asked_at: f64::NEG_INFINITY,
            is_waiting: false,
        }
    }

    pub(super) fn due(&mut self, store: &Store, now: f64) -> Option<Request> {
        // What has ended changes no more.
        let has_ended = self.known.as_ref().is_some_and(|known| known.found.row.state == "ended");
        let place = store.place(self.key);
        let wait = if self.is_waiting { LATE } else { EVERY };
        if has_ended || !place.is_up() || now - self.asked_at < wait - 1.0 {
            return None;
        }
        (self.asked_at, self.is_waiting) = (now, true);
        Some(Request::Details(self.aim.clone()))
    }

    pub(super) fn answer(&mut self, now: f64, result: Result<Box<Known>, String>) {
        self.is_waiting = false;
        match result {
            Ok(known) => {
                (self.row, self.row_at) = (known.found.row.clone(), now);
                (self.known, self.known_at, self.error) = (Some(*known), now, None);
            }
            Err(error) => self.error = Some(error),
        }
    }
}
