//! One record of the audit log, and how it is written.

use std::time::SystemTime;

use pm_core::Serial;
use pm_wire::Timestamp;
use pm_wire::v1::AuditRecord;
use serde::Serialize;

use crate::access::{Identity, Permission};

/// The longest string of a record, in bytes; the limits of ids, statuses and reasons in a list.
pub(super) const LONGEST: usize = 1024;

/// The kind of a cancel request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// To cancel one task.
    Cancel,
    /// To cancel all tasks that match a filter.
    CancelMany,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::CancelMany => "cancelMany",
        }
    }
}

/// An attempt to cancel, and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) at: SystemTime,
    /// The address that the request came from.
    pub(crate) peer: String,
    pub(crate) identity: Identity,
    /// `None` for a caller that may do nothing. The records call it `scope`.
    pub(crate) permission: Option<Permission>,
    pub(crate) action: Action,
    /// The id that the request names, or that the task has.
    pub(crate) task: Option<String>,
    pub(crate) serial: Option<Serial>,
    pub(crate) filter: Option<String>,
    pub(crate) reason: String,
    /// A verdict, or the code of an error.
    pub(crate) result: String,
    /// `false` if the caller lacks the permission, or the cancel was refused.
    pub(crate) allowed: bool,
    /// Refused attempts before this one that have no record.
    pub(crate) refused_before: u64,
}

impl Record {
    /// Returns the record as `/v1/audit` shows it.
    pub(crate) fn shown(&self) -> AuditRecord {
        let mut record = AuditRecord::default();
        record.at = Timestamp::try_from(self.at).ok();
        record.peer.clone_from(&self.peer);
        record.identity = self.identity.to_string();
        record.permission = self.permission.map(|permission| permission.name().into());
        record.action = Some(self.action.name().into());
        record.task.clone_from(&self.task);
        record.serial = self.serial;
        record.filter.clone_from(&self.filter);
        record.reason.clone_from(&self.reason);
        record.result.clone_from(&self.result);
        record.refused_before = (self.refused_before > 0).then_some(self.refused_before);
        record
    }

    /// Truncates long strings.
    pub(super) fn cut(mut self) -> Self {
        let strings = [Some(&mut self.peer), self.task.as_mut(), self.filter.as_mut()];
        strings.into_iter().flatten().chain([&mut self.reason, &mut self.result]).for_each(cut);
        self
    }

    /// The memory that the record takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let strings =
            [Some(&self.peer), self.task.as_ref(), self.filter.as_ref(), Some(&self.reason), Some(&self.result)];
        size_of::<Self>() + strings.into_iter().flatten().map(String::len).sum::<usize>()
    }

    /// Emits the record as an event of the target `pm::audit`.
    #[cfg(feature = "tracing")]
    pub(super) fn trace(&self) {
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: "pm::audit",
                    peer = self.peer,
                    identity = %self.identity,
                    scope = self.permission.map(Permission::name),
                    action = self.action.name(),
                    task = self.task,
                    serial = self.serial.map(Serial::get),
                    filter = self.filter,
                    reason = self.reason,
                    result = self.result,
                    "{}",
                    if self.allowed { "cancel requested" } else { "cancel refused" },
                )
            };
        }
        if self.allowed { event!(info) } else { event!(warn) }
    }
}

fn cut(text: &mut String) {
    if text.len() > LONGEST {
        let end = (0..=LONGEST - "…".len()).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}

/// Returns a record as a line of the file; `lost` records before it were not written.
pub(super) fn line(record: &Record, lost: u64, because: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'l> {
        #[serde(flatten)]
        record: AuditRecord,
        #[serde(skip_serializing_if = "Option::is_none")]
        lost_before: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        lost_because: Option<&'l str>,
    }
    let (lost_before, lost_because) = (lost > 0).then(|| (lost, because.unwrap_or_default())).unzip();
    let line = Line { record: record.shown(), lost_before, lost_because };
    let mut line = pm_wire::to_json(&line);
    line.push(b'\n');
    line
}
