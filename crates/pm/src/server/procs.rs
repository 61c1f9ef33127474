//! The answers of the `/procs/` routes: the list, a history, a cancel.

use std::fmt;

use bytes::Bytes;
use http::{Response, StatusCode};
use pm_core::{CancelError, ProcessList, Scan, Serial};
use pm_wire::rows::{self, ListWriter};

use super::reply::{self, Body};

/// How much of a list is written at a time. What fits is sent in one piece, with its length.
const PART: usize = 64 << 10;

/// All live tasks, oldest first.
pub(super) fn list(list: &ProcessList) -> Response<Body> {
    let mut body = ListBody::new(list);
    let part = body.write_part();
    if body.scan.is_none() {
        return reply::json(part);
    }
    body.first = part;
    reply::list(body)
}

/// A list on its way: rows are copied and written as their reader takes them.
pub(super) struct ListBody {
    /// Gone when the last row was written.
    scan: Option<Scan>,
    writer: ListWriter,
    first: Vec<u8>,
    begun: bool,
}

impl ListBody {
    fn new(list: &ProcessList) -> Self {
        Self { scan: Some(list.scan()), writer: ListWriter::new(), first: Vec::new(), begun: false }
    }

    pub(super) fn next_part(&mut self) -> Option<Bytes> {
        let part = if self.first.is_empty() { self.write_part() } else { std::mem::take(&mut self.first) };
        (!part.is_empty()).then(|| part.into())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.scan.is_none() && self.first.is_empty()
    }

    fn write_part(&mut self) -> Vec<u8> {
        let Some(scan) = &mut self.scan else { return Vec::new() };
        if !self.begun {
            self.begun = true;
            self.writer.begin();
        }
        while self.writer.len() < PART {
            match scan.next() {
                Some(task) => self.writer.row(&task),
                None => {
                    self.writer.end(scan.moment().unix_nanos());
                    self.scan = None;
                    break;
                }
            }
        }
        self.writer.take()
    }
}

impl fmt::Debug for ListBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListBody").field("scan", &self.scan).finish_non_exhaustive()
    }
}

/// What a task did so far.
pub(super) fn history(list: &ProcessList, id: &str, serial: Option<Serial>) -> Response<Body> {
    let found = list.find(id);
    let serial = match (serial, &found[..]) {
        (Some(serial), found) if found.contains(&serial) => serial,
        (None, &[serial]) => serial,
        (None, several @ [_, _, ..]) => return ambiguous(several),
        (Some(_), _) | (None, []) => return no_such_task(serial),
    };
    // It may have ended meanwhile.
    let Some(history) = list.history(serial) else { return no_such_task(None) };
    reply::json(rows::history(&history))
}

/// Asks a task to stop.
pub(super) fn cancel(list: &ProcessList, id: &str, serial: Option<Serial>, reason: &str) -> Response<Body> {
    let result = match serial {
        Some(serial) if !list.find(id).contains(&serial) => Err(CancelError::NotFound),
        Some(serial) => list.cancel_serial(serial, reason),
        None => list.cancel(id, reason).map(drop),
    };
    match result {
        Ok(()) => reply::done(),
        Err(CancelError::Ambiguous { serials, .. }) => ambiguous(&serials),
        Err(error @ CancelError::NotCancellable { .. }) => reply::error(StatusCode::FORBIDDEN, &error.to_string()),
        Err(_) => no_such_task(serial),
    }
}

pub(super) fn no_such_task(serial: Option<Serial>) -> Response<Body> {
    match serial {
        Some(serial) => reply::not_found(&format!("no live task has this id and the serial {serial}")),
        None => reply::not_found("no live task has this id"),
    }
}

fn ambiguous(serials: &[Serial]) -> Response<Body> {
    const SHOWN: usize = 20;
    let shown: Vec<String> = serials.iter().take(SHOWN).map(Serial::to_string).collect();
    let more = if serials.len() > SHOWN { ", ..." } else { "" };
    let words = format!(
        "{} live tasks have this id; add ?serial=N to say which one: {}{more}",
        serials.len(),
        shown.join(", ")
    );
    reply::error(StatusCode::CONFLICT, &words)
}
