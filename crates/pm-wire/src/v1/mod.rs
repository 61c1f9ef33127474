//! The shapes of `/v1`, a type for each, which servers, clients and the proxies between them read and write.
//!
//! Readers ignore members that they do not know. An absent member is unknown. Words have an `Unknown` variant, which is
//! written as it was read.

mod audit;
mod cancel;
mod event;
mod info;
mod kinds;
mod page;
mod problem;
mod row;
mod waits;

pub use crate::words::{AuditAction, ByeReason, GapReason, Outcome, Permission, ResourceKind, TaskState, Verdict};
pub use audit::{AuditRecord, AuditReport};
pub use cancel::{BulkCancel, BulkReply, CancelOptions, Expect, FilterBody, FilterValue, TaskVerdict};
pub use event::{Event, Snapshot};
pub use info::{AuditHealth, Counters, Dropped, Info, Limits, ListSettings, Own, TlsHealth, TokensHealth};
pub use kinds::{Bucket, KindReport, KindStats, Latency, StatusTime};
pub use page::{
    Group, GroupBy, GroupByError, History, HistoryEntry, Missing, SortBy, SortError, SortKey, TaskPage, TaskReply,
};
pub use problem::Problem;
pub use row::{CancelRequest, Row};
pub use waits::{BlockedTask, Cycle, CycleStep, ResourceHolder, WaitReport, WaitTreeRow, Waiter};
