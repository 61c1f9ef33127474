//! The details of one task.

use pm_client::Row;

use crate::feed::{Key, Store};
use crate::top::request::{Request, Target, TaskDetails};

/// The poll interval, in milliseconds.
const INTERVAL: f64 = 1_000.0;
/// When a missing reply is given up, in milliseconds.
const TIMEOUT: f64 = 15_000.0;

#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) key: Key,
    target: Target,
    /// The last known row.
    pub(crate) row: Row,
    pub(crate) reply: Option<TaskDetails>,
    pub(crate) error: Option<String>,
    /// The first line that is shown.
    pub(crate) top: usize,
    requested_at: f64,
    is_waiting: bool,
}

impl Details {
    pub(crate) fn new(key: Key, row: Row, is_original: bool) -> Details {
        let target =
            Target { key, serial: row.serial, id: row.id.clone(), is_original, min_age: std::time::Duration::ZERO };
        Details {
            key,
            target,
            row,
            reply: None,
            error: None,
            top: 0,
            requested_at: f64::NEG_INFINITY,
            is_waiting: false,
        }
    }

    pub(super) fn due(&mut self, store: &Store, now: f64) -> Option<Request> {
        // A task that has ended no longer changes.
        let has_ended = self.reply.as_ref().is_some_and(|reply| reply.found.row.has_ended());
        let wait = if self.is_waiting { TIMEOUT } else { INTERVAL };
        if has_ended || !store.endpoint(self.key).is_up() || now - self.requested_at < wait - 1.0 {
            return None;
        }
        (self.requested_at, self.is_waiting) = (now, true);
        Some(Request::Details(self.target.clone()))
    }

    pub(super) fn answer(&mut self, result: Result<Box<TaskDetails>, String>) {
        self.is_waiting = false;
        match result {
            Ok(reply) => {
                self.row = reply.found.row.clone();
                (self.reply, self.error) = (Some(*reply), None);
            }
            Err(error) => self.error = Some(error),
        }
    }
}
