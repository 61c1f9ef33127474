//! Cancelling tasks, as the handlers of `/procs/` and `/v1` both do it.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | cancel requests, and where they are made; refusals |
//! | `attempt.rs` | the audit records of an attempt to cancel |

mod attempt;

use std::time::Duration;

use http::StatusCode;
use pm_core::{CancelError, CancelRequest, Serial};

pub(crate) use self::attempt::{Attempt, not_recorded};
use crate::request::{Requester, State};
use crate::response::Failure;

/// Does what an attempt to cancel leads to, away from the thread that answers requests: hooks, wakers and deep trees of
/// the program take their time. It is done, and recorded, also if the client leaves. `work` records what it refuses.
pub(crate) async fn elsewhere<T: Send + 'static>(
    state: &State,
    requester: &Requester,
    attempt: &Attempt,
    work: impl FnOnce(Attempt) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let recorded = attempt.clone();
    let result = state.cancels.run(requester.client().as_ref(), move || work(recorded)).await;
    result.inspect_err(|failure| attempt.refused(failure))?
}

/// A cancel request, with its preconditions.
pub(crate) fn request<'a>(
    reason: &'a str,
    by: &'a str,
    min_age: Option<Duration>,
    status: Option<&'a str>,
) -> CancelRequest<'a> {
    let request = CancelRequest::new(reason).by(by);
    let request = min_age.map_or(request, |age| request.min_age(age));
    status.map_or(request, |status| request.status(status))
}

/// The response to a cancel that did nothing.
pub(crate) fn refused(error: &CancelError, how_to_name: &str) -> Failure {
    let (status, code) = match error {
        CancelError::Ambiguous { serials, .. } => return ambiguous(serials, how_to_name),
        CancelError::NotCancellable { .. } | CancelError::LookOnly { .. } => (StatusCode::FORBIDDEN, "not-cancellable"),
        CancelError::TooYoung { .. } | CancelError::OtherStatus { .. } => {
            (StatusCode::PRECONDITION_FAILED, "precondition-failed")
        }
        _ => return no_live_task(None),
    };
    Failure::new(status, code, error.to_string())
}

/// 404: no live task is meant.
pub(crate) fn no_live_task(serial: Option<Serial>) -> Failure {
    let detail = match serial {
        Some(serial) => format!("no live task has this id and the serial {serial}"),
        None => "no live task has this id".to_owned(),
    };
    Failure::not_found("task-not-found", detail)
}

/// 409: several live tasks have the id.
pub(crate) fn ambiguous(serials: &[Serial], how_to_name: &str) -> Failure {
    const SHOWN: usize = 20;
    let shown: Vec<String> = serials.iter().take(SHOWN).map(Serial::to_string).collect();
    let more = if serials.len() > SHOWN { ", ..." } else { "" };
    let detail = format!("{} live tasks have this id; {how_to_name}: {}{more}", serials.len(), shown.join(", "));
    Failure::new(StatusCode::CONFLICT, "ambiguous-id", detail).serials(&serials[..serials.len().min(SHOWN)])
}
