//! What travels between a program with a process list and those who look: plain types, read and written as JSON.
//!
//! ```
//! let reply = r#"{"procs":[],"serverTime":"2026-11-24T04:03:39.894954412Z"}"#;
//! let list: pm_wire::TaskList = serde_json::from_str(reply).unwrap();
//! assert!(list.procs.is_empty());
//! ```
//!
//! - [`TaskList`], [`TaskRow`], [`Progress`]: the answer to `GET /procs/`.
//! - [`HistoryReply`], [`HistoryEntry`]: the answer to `GET /procs/{id}/history`.
//! - [`CancelBody`]: the body of `DELETE /procs/{id}`.
//! - [`Timestamp`]: times as text and as numbers.
//! - [`rows`], [`time`]: the same replies, written without anything in between.
//! - [`v1_rows`]: tasks as `/v1` shows them.
//! - [`VerdictReply`]: the answer to `DELETE /procs/{id}?wait=10s`.
//! - [`filter`]: which tasks, in queries, bodies and on the command line.
//! - [`duration`]: lengths of time as text.
//! - [`attr_text`]: the value of an attribute, as filters compare it.
//! - [`nearest`]: what was meant by a name that there is not.
//! - [`encode_id`], [`decode_id`]: an id as one segment of a path.
//!
//! The replies are those of the Go package VividCortex/pm with optional fields added, so that its clients can read
//! ours and ours can read its. No HTTP here, and no connection.
//!
//! `serde_json::Value` is the one foreign type in the public face: the value of an attribute, and a filter as JSON.

mod attr;
mod body;
pub mod duration;
pub mod filter;
mod id;
mod out;
pub mod rows;
mod suggest;
pub mod time;
mod timestamp;
mod types;
pub mod v1_rows;

pub use attr::attr_text;
pub use body::CancelBody;
pub use id::{DecodeIdError, decode_id, encode_id};
pub use suggest::nearest;
pub use timestamp::{Timestamp, TimestampError};
pub use types::{CancelInfo, HistoryEntry, HistoryReply, Progress, TaskList, TaskRow, VerdictReply};
