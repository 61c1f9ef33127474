//! The JSON of pm: one type for each shape, which servers, clients and the proxies between them read and write.
//!
//! ```
//! use pm_wire::v1::{TaskPage, TaskState};
//!
//! let json = r#"{"tasks":[{"serial":"7","id":"import-42","state":"running","ageMs":1500}],
//!                "serverTime":"2026-11-24T04:03:39.894954412Z","total":1,"truncated":false}"#;
//! let page: TaskPage = serde_json::from_str(json)?;
//! assert_eq!(page.tasks[0].state, Some(TaskState::Running));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! - [`v1`]: the shapes of `/v1`: tasks, statistics, waits, audit records, cancels, events, problems.
//! - [`TaskList`], [`HistoryReply`], [`CancelBody`], [`VerdictReply`]: the shapes of `/procs/`, which are those of the
//!   Go package VividCortex/pm with optional members added.
//! - [`filter`]: the grammar that selects tasks, in queries, in bodies and on the command line.
//! - [`Timestamp`], [`duration`], [`attr_text`], [`encode_id`]: values as strings: times, durations, attributes, and
//!   ids in paths.
//! - [`rows`], [`v1_rows`], [`time`]: tasks written straight from the list's copies, for servers with many tasks.
//! - [`to_json`]: a shape as JSON whose strings no terminal obeys.
//! - [`memory_of`]: a bound of the memory that JSON takes once it is read.
//! - [`members_of`], [`nearest`]: the names of a shape's members, and the known name that is closest to a misspelt one.
//!
//! Readers ignore members that they do not know. An absent member is unknown. A word that a newer server adds is kept.
//! Golden files in `tests/golden` show each shape; tests read each file and write it back byte for byte.
//!
//! HTTP and connections are in [`pm-client`](https://docs.rs/pm-client). `serde_json::Value` is the one third-party
//! type in the public interface: the value of an attribute, a filter as JSON, and an unknown event.

mod as_json;
mod attr;
mod body;
pub mod duration;
pub mod filter;
mod id;
mod json;
mod members;
mod memory;
mod out;
pub mod rows;
mod suggest;
pub mod time;
mod timestamp;
mod types;
pub mod v1;
pub mod v1_rows;
mod words;

pub use attr::attr_text;
pub use body::CancelBody;
pub use id::{DecodeIdError, decode_id, encode_id};
pub use json::to_json;
pub use members::members_of;
pub use memory::memory_of;
pub use pm_core::Serial;
pub use suggest::nearest;
pub use timestamp::{Timestamp, TimestampError};
pub use types::{CancelInfo, HistoryEntry, HistoryReply, Progress, TaskList, TaskRow, VerdictReply};
