//! The routes of VividCortex/pm: the list, a history, a cancel.
//!
//! | module | content |
//! |---|---|
//! | `list.rs` | the list, written while it is sent |
//! | `params.rs` | the query |

mod list;
mod params;

use std::time::Duration;

use http::{Response, StatusCode};
use pm_core::{CancelError, CancelHandle, ProcessList, Serial};
use pm_wire::{VerdictReply, rows};

pub(crate) use self::list::list;
pub(crate) use self::params::Params;
use crate::cancel::{self, Attempt, ambiguous, no_live_task};
use crate::request::{Answer, Requester, State};
use crate::response::{self, Body, Failure};

/// The history of a task.
pub(crate) fn history(list: &ProcessList, id: &str, serial: Option<Serial>) -> Result<Response<Body>, Failure> {
    let found = list.find(id);
    let serial = match (serial, &found[..]) {
        (Some(serial), found) if found.contains(&serial) => serial,
        (None, &[serial]) => serial,
        (None, several @ [_, _, ..]) => return Err(ambiguous(several, ADD_SERIAL)),
        (Some(_), _) | (None, []) => match find_ended(list, id, serial) {
            Some(ended) => ended,
            None => return Err(no_live_task(serial)),
        },
    };
    // It may have ended since, and is then retained for a while.
    let history = list.history(serial).ok_or_else(|| no_live_task(None))?;
    Ok(response::json(rows::history(&history)))
}

/// The newest ended task with this id, or the one that also has this serial.
fn find_ended(list: &ProcessList, id: &str, serial: Option<Serial>) -> Option<Serial> {
    let ended = list.find_ended(id);
    ended.iter().rev().map(|task| task.serial()).find(|found| serial.is_none_or(|serial| serial == *found))
}

/// Cancels a task.
pub(crate) async fn cancel(
    state: &State,
    id: String,
    params: Params,
    reason: String,
    requester: Requester,
) -> Result<Answer, Failure> {
    let (list, by) = (state.list.clone(), requester.name());
    let Params { serial, wait, min_age, status } = params;
    let attempt = Attempt::one(state, &requester, Some(id.clone()), &reason);
    attempt.begin().await?;
    let work = move |attempt: Attempt| -> Result<(CancelHandle, Attempt), Failure> {
        let request = cancel::request(&reason, &by, min_age, status.as_deref());
        let result = match serial {
            Some(serial) if !list.find(&id).contains(&serial) => Err(CancelError::NotFound),
            Some(serial) => list.cancel(serial, request),
            None => list.cancel(&id, request),
        };
        let asked = result.map_err(|error| {
            let failure = match error {
                CancelError::NotFound => no_live_task(serial),
                error => cancel::refused(&error, ADD_SERIAL),
            };
            attempt.refused(&failure);
            failure
        })?;
        let attempt = attempt.of(asked.serial(), None);
        attempt.asked();
        Ok((asked, attempt))
    };
    let (asked, attempt) = cancel::elsewhere(state, &requester, &attempt, work).await?;
    Ok(match wait {
        Some(wait) => Answer::Later(Box::pin(verdict(asked, wait, attempt))),
        None => Answer::ready(response::done()),
    })
}

async fn verdict(asked: CancelHandle, wait: Duration, attempt: Attempt) -> Response<Body> {
    let (serial, below) = (asked.serial(), asked.below());
    let verdict = asked.wait(wait).await;
    attempt.note(verdict.as_str());
    response::serialized(StatusCode::OK, &VerdictReply::new(&verdict, serial, below))
}

/// How a client of these routes names one of several tasks.
const ADD_SERIAL: &str = "add ?serial=N to say which one";
