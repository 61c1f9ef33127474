//! Spans of the crate `tracing` as tasks: feature `tracing`.
//!
//! For programs that say in spans what they do, and need not hear of this crate but where they set up their subscriber:
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! let list = pm::ProcessList::new();
//! let subscriber = tracing_subscriber::registry().with(pm::tracing_layer().list(&list).target("shop"));
//! # tracing::subscriber::with_default(subscriber, || {
//! // .init(), and then, anywhere in the program:
//! let request = tracing::info_span!(target: "shop", "request", pm.id = "req-1", path = "/hosts/db1").entered();
//! tracing::info!("looking it up");
//! let tasks = list.snapshot();
//! let task = tasks.get(0).unwrap();
//! assert_eq!(task.id(), "req-1");
//! assert_eq!(task.kind().unwrap(), "request");
//! assert_eq!(task.status().to_string(), "looking it up");
//! # drop(request);
//! # });
//! ```
//!
//! | in the program | in the list |
//! |---|---|
//! | a span that is chosen: [`TasksLayer`] says how; by default only those with a field `pm.id` or `pm.kind` | a task |
//! | its field `pm.id`, else that of [`id_from`](TasksLayer::id_from), else nothing | its id; if there is none, one is made |
//! | its field `pm.kind`, else its name | its kind |
//! | its other fields, also those recorded later | attributes, typed; not `message` |
//! | a span below that is no task, when it is entered first | a status of the nearest task above: the span's name |
//! | that span closes, and was the newest | whatever was said in it: again the name of the one before that is open, or the task's |
//! | an event of level `INFO` or above, in it or below | a status: the message, or the field `error` |
//! | too many of these | `(statuses left out: ..)`, and the attribute `pm.statuses_left_out` |
//! | the span is entered | the task is [`current`](crate::current): tasks started meanwhile are its children |
//! | the span closes | the task ends: as finished, or failed, see [`TasksLayer::fail_on_error_events`] |
//!
//! The layer filters nothing and takes nothing from other layers; with a per-layer filter it sees what that lets through. A
//! value whose `Debug` panics is recorded as `(its Debug panicked)` and [counted](TracingCounters::panics); the panic goes no
//! further, save where `panic = "abort"`.
//!
//! # What spans can't tell
//!
//! - **A kill is only asked.** Code that never heard of this crate can't hear it; `pm::current().checkpoint()?` anywhere
//!   within the span does, and `pm::current().cancelled().await`. An instrumented future is not dropped: for that, run it by
//!   [`TaskBuilder::run`](crate::TaskBuilder::run), or use the layer of your server. A task that was killed and ends
//!   without having heard of it has finished, or failed, as it did.
//! - **An instrumented future that is dropped** closes its span like one that is done: the task has finished. A span that
//!   closes in a panic is an aborted task.
//! - **A span closes when the spans below it have closed**, too: work that was spawned with a span of its own keeps the
//!   task alive, as it keeps the span.
//! - **What a task says by itself is its own.** Where a task that is no span (`pm::run`, `SpawnExt`) is current, spans and events
//!   leave its status alone.

mod choice;
mod counters;
mod fields;
mod format;
mod layer;
mod marks;
mod node;
mod stack;

pub use counters::TracingCounters;
pub use format::WithTask;
pub use layer::{TasksLayer, tracing_layer};
