//! The answers of the `/procs/` routes: the list, a history, a cancel.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use pm_core::{CancelError, CancelHandle, CancelRequest, ProcessList, Scan, Serial};
use pm_wire::VerdictReply;
use pm_wire::rows::{self, ListWriter};

use super::attempt::Attempt;
use super::failure::Failure;
use super::reply::{self, Body};
use super::route::Params;
use super::service::{Begun, Requester, State};

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
pub(super) fn history(list: &ProcessList, id: &str, serial: Option<Serial>) -> Result<Response<Body>, Failure> {
    let found = list.find(id);
    let serial = match (serial, &found[..]) {
        (Some(serial), found) if found.contains(&serial) => serial,
        (None, &[serial]) => serial,
        (None, several @ [_, _, ..]) => return Err(ambiguous(several, ADD_SERIAL)),
        (Some(_), _) | (None, []) => match find_ended(list, id, serial) {
            Some(ended) => ended,
            None => return Err(no_such_task(serial)),
        },
    };
    // It may have ended meanwhile, and is kept for a while.
    let history = list.history(serial).ok_or_else(|| no_such_task(None))?;
    Ok(reply::json(rows::history(&history)))
}

/// The newest of the tasks that ended and bear this id, or the one with this serial.
fn find_ended(list: &ProcessList, id: &str, serial: Option<Serial>) -> Option<Serial> {
    let ended = list.find_ended(id);
    ended.iter().rev().map(|task| task.serial()).find(|found| serial.is_none_or(|serial| serial == *found))
}

/// Asks a task to stop.
pub(super) async fn cancel(
    state: &State,
    id: &str,
    params: &Params,
    reason: &str,
    who: &Requester,
) -> Result<Begun, Failure> {
    let (list, by) = (&state.list, who.shown());
    let attempt = Attempt::one(state, who, Some(id.to_owned()), reason);
    attempt.begin().await?;
    let request = request(reason, &by, params.min_age, params.status.as_deref());
    let result = match params.serial {
        Some(serial) if !list.find(id).contains(&serial) => Err(CancelError::NotFound),
        Some(serial) => list.request_cancel(serial, &request),
        None => list.request_cancel(id, &request),
    };
    let asked = result.map_err(|error| {
        let failure = match error {
            CancelError::NotFound => no_such_task(params.serial),
            error => refused(&error, ADD_SERIAL),
        };
        attempt.refused(&failure);
        failure
    })?;
    let attempt = attempt.of(asked.serial(), None);
    attempt.asked();
    Ok(match params.wait {
        Some(wait) => Begun::Waits(Box::pin(verdict(asked, wait, attempt))),
        None => Begun::Done(Box::new(reply::done())),
    })
}

/// A request with what it expects of the task.
pub(super) fn request<'a>(
    reason: &'a str,
    by: &'a str,
    min_age: Option<Duration>,
    status: Option<&'a str>,
) -> CancelRequest<'a> {
    let request = CancelRequest::new(reason).by(by);
    let request = min_age.map_or(request, |age| request.min_age(age));
    status.map_or(request, |status| request.status(status))
}

async fn verdict(asked: CancelHandle, wait: Duration, attempt: Attempt) -> Response<Body> {
    let (serial, below) = (asked.serial(), asked.below());
    let verdict = asked.within(wait).await;
    attempt.note(verdict.as_str());
    match serde_json::to_vec(&VerdictReply::new(&verdict, serial, below)) {
        Ok(json) => reply::json(json),
        Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// How the old routes say which of several tasks is meant.
const ADD_SERIAL: &str = "add ?serial=N to say which one";

/// Why a cancel did nothing.
pub(super) fn refused(error: &CancelError, how_to_name: &str) -> Failure {
    let (status, code) = match error {
        CancelError::Ambiguous { serials, .. } => return ambiguous(serials, how_to_name),
        CancelError::NotCancellable { .. } => (StatusCode::FORBIDDEN, "not-cancellable"),
        CancelError::TooYoung { .. } | CancelError::OtherStatus { .. } => {
            (StatusCode::PRECONDITION_FAILED, "precondition-failed")
        }
        _ => return no_such_task(None),
    };
    Failure::new(status, code, error.to_string())
}

pub(super) fn no_such_task(serial: Option<Serial>) -> Failure {
    let words = match serial {
        Some(serial) => format!("no live task has this id and the serial {serial}"),
        None => "no live task has this id".to_owned(),
    };
    Failure::not_found("task-not-found", words)
}

/// 409: several tasks bear the id.
pub(super) fn ambiguous(serials: &[Serial], how_to_name: &str) -> Failure {
    const SHOWN: usize = 20;
    let shown: Vec<String> = serials.iter().take(SHOWN).map(Serial::to_string).collect();
    let more = if serials.len() > SHOWN { ", ..." } else { "" };
    let words = format!("{} live tasks have this id; {how_to_name}: {}{more}", serials.len(), shown.join(", "));
    Failure::new(StatusCode::CONFLICT, "ambiguous-id", words).with("serials", shown)
}
