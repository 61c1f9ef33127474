//! The audit records of an attempt to cancel.
//!
//! One that was allowed is recorded when the request reached the task, and again with the verdict if the client waits
//! for it. One that was refused is recorded with the code of the refusal. In strict mode a record is written first, and
//! nothing is cancelled if that fails.

use std::time::SystemTime;

use http::StatusCode;
use pm_core::Serial;

use crate::access::{Caller, Identity};
use crate::audit::{Action, Audit, Record};
use crate::request::{Requester, State};
use crate::response::Failure;

/// The results in records before a cancel request is made, and after.
const ASKING: &str = "asking";
const ASKED: &str = "asked";

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    audit: Audit,
    record: Record,
}

/// 503 for a cancel without a record.
pub(crate) fn not_recorded(why: &str) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "audit-unavailable", why)
        .hint("no task was cancelled; make the audit file writable")
        .retry_after(5)
}

impl Attempt {
    /// An attempt to cancel one task, named as far as it is known.
    pub(crate) fn one(state: &State, requester: &Requester, task: Option<String>, reason: &str) -> Self {
        Self::new(state, requester, Action::Cancel, reason).with_task(state, task)
    }

    /// An attempt to cancel all tasks that match a filter.
    pub(crate) fn many(state: &State, requester: &Requester, filter: String, reason: &str) -> Self {
        let mut attempt = Self::new(state, requester, Action::CancelMany, reason);
        attempt.record.filter = Some(state.list.redacted(&filter).into_owned());
        attempt
    }

    fn new(state: &State, requester: &Requester, action: Action, reason: &str) -> Self {
        let Caller { identity, permission } = requester.caller.clone();
        let record = Record {
            at: SystemTime::now(),
            peer: requester.peer(),
            permission: (identity != Identity::Unknown).then_some(permission),
            identity,
            action,
            task: None,
            serial: None,
            filter: None,
            reason: state.list.redacted(reason).into_owned(),
            result: String::new(),
            allowed: true,
            refused_before: 0,
        };
        Self { audit: state.audit().clone(), record }
    }

    fn with_task(mut self, state: &State, task: Option<String>) -> Self {
        self.record.task = task.map(|task| state.list.redacted(&task).into_owned());
        self
    }

    /// Names the task once it is found.
    pub(crate) fn of(mut self, serial: Serial, id: Option<&str>) -> Self {
        self.record.serial = Some(serial);
        if let Some(id) = id {
            self.record.task = Some(id.to_owned());
        }
        self
    }

    /// The attempt to cancel one of the tasks that a filter selects.
    pub(crate) fn target(&self, serial: Serial, id: &str) -> Self {
        let mut target = self.clone().of(serial, Some(id));
        target.record.action = Action::Cancel;
        target
    }

    fn with(&self, result: &str, allowed: bool) -> Record {
        Record { at: SystemTime::now(), result: result.to_owned(), allowed, ..self.record.clone() }
    }

    /// In strict mode, writes a record before anything is cancelled.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        if !self.audit.is_strict() {
            return Ok(());
        }
        self.audit.record(self.with(ASKING, true)).await.map_err(|error| not_recorded(&error.to_string()))
    }

    /// Records that the cancel request reached the task.
    pub(crate) fn asked(&self) {
        self.note(ASKED);
    }

    /// Records a result.
    pub(crate) fn note(&self, result: &str) {
        // The record is queued before the future is polled; nothing waits until it is written.
        drop(self.audit.record(self.with(result, true)));
    }

    /// Records a refusal.
    pub(crate) fn refused(&self, failure: &Failure) {
        drop(self.audit.record(self.with(failure.code(), false)));
    }
}
