//! One record of the audit log, and how it is written.

use std::time::{SystemTime, UNIX_EPOCH};

use pm_core::Serial;

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
}

impl Record {
    /// The record as a JSON object.
    pub(crate) fn json(&self) -> String {
        let mut json = String::with_capacity(256);
        self.begin_json(&mut json);
        json.push('}');
        json
    }

    /// Writes all but the closing brace.
    fn begin_json(&self, json: &mut String) {
        let nanos = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let at = pm_wire::time::rfc3339(u64::try_from(nanos).unwrap_or(u64::MAX));
        json.push_str("{\"at\":\"");
        json.push_str(at.as_str());
        json.push('"');
        let identity = self.identity.to_string();
        let serial = self.serial.map(|serial| serial.to_string());
        let members = [
            ("peer", Some(self.peer.as_str())),
            ("identity", Some(&identity)),
            ("scope", self.permission.map(Permission::name)),
            ("action", Some(self.action.name())),
            ("task", self.task.as_deref()),
            ("serial", serial.as_deref()),
            ("filter", self.filter.as_deref()),
            ("reason", Some(&self.reason)),
            ("result", Some(&self.result)),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                push_member(json, name, value);
            }
        }
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

fn push_member(json: &mut String, name: &str, value: &str) {
    json.push_str(",\"");
    json.push_str(name);
    json.push_str("\":");
    // Serializing a string can't fail.
    json.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "\"\"".to_owned()));
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
pub(super) fn line(record: &Record, lost: u64, because: Option<&str>) -> String {
    let mut line = String::with_capacity(256);
    record.begin_json(&mut line);
    if lost > 0 {
        line.push_str(&format!(",\"lostBefore\":{lost}"));
        push_member(&mut line, "lostBecause", because.unwrap_or_default());
    }
    line.push_str("}\n");
    line
}
