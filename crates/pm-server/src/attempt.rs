//! An attempt to cancel, from the request to its audit records.
//!
//! One that was allowed is recorded when the task was asked, and once more with the verdict if somebody waited for it. One
//! that was refused is recorded with the code of the refusal. In strict mode there is a record before anything is asked;
//! without it nothing is.

use std::time::SystemTime;

use http::StatusCode;
use pm_core::Serial;

use super::access::{Caller, Identity};
use super::audit::{Action, Audit, Record};
use super::failure::Failure;
use super::service::{Requester, State};

/// What is recorded before anything is asked, and after.
const ASKING: &str = "asking";
const ASKED: &str = "asked";

#[derive(Clone, Debug)]
pub(super) struct Attempt {
    audit: Audit,
    record: Record,
}

impl Attempt {
    /// Somebody wants to cancel one task, as far as it was named.
    pub(super) fn one(state: &State, who: &Requester, task: Option<String>, reason: &str) -> Self {
        Self::new(state, who, Action::Cancel, reason).with_task(state, task)
    }

    /// Somebody wants to cancel all that match a filter.
    pub(super) fn many(state: &State, who: &Requester, filter: String, reason: &str) -> Self {
        let mut attempt = Self::new(state, who, Action::CancelMany, reason);
        attempt.record.filter = Some(state.list.redacted(&filter).into_owned());
        attempt
    }

    fn new(state: &State, who: &Requester, action: Action, reason: &str) -> Self {
        let Caller { identity, scope } = who.caller.clone();
        let record = Record {
            at: SystemTime::now(),
            peer: who.peer(),
            scope: (identity != Identity::Nobody).then_some(scope),
            identity,
            action,
            task: None,
            serial: None,
            filter: None,
            reason: state.list.redacted(reason).into_owned(),
            result: String::new(),
            allowed: true,
        };
        Self { audit: state.audit().clone(), record }
    }

    fn with_task(mut self, state: &State, task: Option<String>) -> Self {
        self.record.task = task.map(|task| state.list.redacted(&task).into_owned());
        self
    }

    /// The same about a task that was found.
    pub(super) fn of(mut self, serial: Serial, id: Option<&str>) -> Self {
        self.record.serial = Some(serial);
        if let Some(id) = id {
            self.record.task = Some(id.to_owned());
        }
        self
    }

    /// The same about one of those that a filter named.
    pub(super) fn victim(&self, serial: Serial, id: &str) -> Self {
        let mut victim = self.clone().of(serial, Some(id));
        victim.record.action = Action::Cancel;
        victim
    }

    fn with(&self, result: &str, allowed: bool) -> Record {
        Record { at: SystemTime::now(), result: result.to_owned(), allowed, ..self.record.clone() }
    }

    /// Before anything is asked: in strict mode there must be a record of it first.
    pub(super) async fn begin(&self) -> Result<(), Failure> {
        if !self.audit.is_strict() {
            return Ok(());
        }
        self.audit.record(self.with(ASKING, true)).await.map_err(|error| {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "audit-unavailable", error.to_string())
                .hint("nothing was asked to stop; see that the audit file can be written")
                .retry_after(5)
        })
    }

    /// The task was asked.
    pub(super) fn asked(&self) {
        self.note(ASKED);
    }

    /// This came of it.
    pub(super) fn note(&self, result: &str) {
        // It was handed on; that it is written, nobody waits for.
        drop(self.audit.record(self.with(result, true)));
    }

    /// It was refused.
    pub(super) fn refused(&self, failure: &Failure) {
        drop(self.audit.record(self.with(failure.code(), false)));
    }
}
