//! The answers of the `/procs/` routes: the list, a history, a cancel.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use pm_core::{Asked, CancelError, CancelRequest, ProcessList, Scan, Serial, Within};
use pm_wire::VerdictReply;
use pm_wire::rows::{self, ListWriter};

use super::reply::{self, Body};
use super::route::Params;
use super::service::Begun;

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
        (Some(_), _) | (None, []) => match find_ended(list, id, serial) {
            Some(ended) => ended,
            None => return no_such_task(serial),
        },
    };
    // It may have ended meanwhile, and is kept for a while.
    let Some(history) = list.history(serial) else { return no_such_task(None) };
    reply::json(rows::history(&history))
}

/// The newest of the tasks that ended and bear this id, or the one with this serial.
fn find_ended(list: &ProcessList, id: &str, serial: Option<Serial>) -> Option<Serial> {
    let ended = list.find_ended(id);
    ended.iter().rev().map(|task| task.serial()).find(|found| serial.is_none_or(|serial| serial == *found))
}

/// Asks a task to stop; `by` is who asks.
pub(super) fn cancel(list: &ProcessList, id: &str, params: &Params, reason: &str, by: &str) -> Begun {
    let mut request = CancelRequest::new(reason).by(by);
    if let Some(age) = params.min_age {
        request = request.least_age(age);
    }
    if let Some(status) = &params.status {
        request = request.status(status);
    }
    let result = match params.serial {
        Some(serial) if !list.find(id).contains(&serial) => Err(CancelError::NotFound),
        Some(serial) => list.request_cancel(serial, &request),
        None => list.request_cancel(id, &request),
    };
    let response = match (result, params.wait) {
        (Ok(asked), Some(wait)) => return Begun::Waits(Waits::new(asked, wait)),
        (Ok(_), None) => reply::done(),
        (Err(CancelError::Ambiguous { serials, .. }), _) => ambiguous(&serials),
        (Err(error @ CancelError::NotCancellable { .. }), _) => reply::error(StatusCode::FORBIDDEN, &error.to_string()),
        (Err(error @ (CancelError::TooYoung { .. } | CancelError::OtherStatus { .. })), _) => {
            reply::error(StatusCode::PRECONDITION_FAILED, &error.to_string())
        }
        (Err(_), _) => no_such_task(params.serial),
    };
    Begun::Done(Box::new(response))
}

/// Somebody who waits for what comes of a cancel.
pub(super) struct Waits {
    serial: Serial,
    below: u64,
    within: Within,
}

impl Waits {
    fn new(asked: Asked, wait: Duration) -> Self {
        Self { serial: asked.serial(), below: asked.below(), within: asked.within(wait) }
    }

    pub(super) async fn reply(self) -> Response<Body> {
        let verdict = self.within.await;
        let reply = VerdictReply::new(&verdict, self.serial, self.below);
        match serde_json::to_vec(&reply) {
            Ok(json) => reply::json(json),
            Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
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
