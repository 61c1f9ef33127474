//! The details of one task.

use std::time::Duration;

use pm_client::Row;

use crate::feed::{Key, Store, Task};
use crate::top::request::{Request, Target, TaskDetails};

/// The poll interval, in milliseconds.
const INTERVAL: f64 = 1_000.0;
/// When a missing reply is given up, in milliseconds.
const TIMEOUT: f64 = 15_000.0;

/// How much the dates of a task may differ between two replies, as a program corrects its clock.
const TOLERANCE: Duration = Duration::from_secs(2);

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
    /// The program was restarted: what has this serial now is another task, so the last known state stays.
    pub(crate) is_of_ended_run: bool,
}

impl Details {
    pub(crate) fn new(key: Key, row: Row, is_original: bool) -> Details {
        let target = Target { key, serial: row.serial, id: row.id.clone(), is_original, min_age: Duration::ZERO };
        Details {
            key,
            target,
            row,
            reply: None,
            error: None,
            top: 0,
            requested_at: f64::NEG_INFINITY,
            is_waiting: false,
            is_of_ended_run: false,
        }
    }

    /// The task in the list, unless it is that of another run of the program.
    pub(crate) fn live<'s>(&self, store: &'s Store) -> Option<&'s Task> {
        store.find(self.key).filter(|task| !self.is_of_ended_run && self.is_same(&task.row))
    }

    /// Returns whether this may be the same task: after a restart, the serial is that of a task with another id, or of
    /// one that started later.
    fn is_same(&self, row: &Row) -> bool {
        let is_later = match (self.row.started_at, row.started_at) {
            (Some(before), Some(now)) => now.since(before) > TOLERANCE,
            _ => false,
        };
        self.row.id == row.id && !is_later
    }

    pub(super) fn due(&mut self, store: &Store, now: f64) -> Option<Request> {
        // A task that has ended no longer changes.
        let has_ended = self.reply.as_ref().is_some_and(|reply| reply.found.row.has_ended());
        let wait = if self.is_waiting { TIMEOUT } else { INTERVAL };
        if has_ended
            || self.is_of_ended_run
            || !store.endpoint(self.key).is_up()
            || now - self.requested_at < wait - 1.0
        {
            return None;
        }
        (self.requested_at, self.is_waiting) = (now, true);
        Some(Request::Details(self.target.clone()))
    }

    pub(super) fn answer(&mut self, result: Result<Box<TaskDetails>, String>) {
        self.is_waiting = false;
        match result {
            Ok(reply) if !self.is_same(&reply.found.row) => {
                self.is_of_ended_run = true;
                self.error = Some("the program was restarted; this is the last known state of the task".to_owned());
            }
            Ok(reply) => {
                self.row = reply.found.row.clone();
                (self.reply, self.error) = (Some(*reply), None);
            }
            Err(error) => self.error = Some(error),
        }
    }
}
