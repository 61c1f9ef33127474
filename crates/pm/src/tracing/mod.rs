//! A `tracing` layer that shows spans as tasks.
//!
//! For programs that describe their work in spans already: only the code that sets up the subscriber uses this crate.
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! let list = pm::ProcessList::new();
//! let subscriber = tracing_subscriber::registry().with(pm::tracing_layer().list(&list).target("shop"));
//! # tracing::subscriber::with_default(subscriber, || {
//! // after .init(), anywhere in the program:
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
//! | in the program | in the process list |
//! |---|---|
//! | a selected span: by default those with a field `pm.id` or `pm.kind`, see [`SpansLayer`] | a task |
//! | its field `pm.id`, else the field chosen with [`id_from`](SpansLayer::id_from) | its id; generated if absent |
//! | its field `pm.kind`, else its name | its kind |
//! | its other fields, including those recorded later | typed attributes; not `message` |
//! | a span below it that is not a task, when first entered | a status of the nearest task above: the span's name |
//! | that span closes, and was the most recent | a status: the name of the previous open span, or of the task's span |
//! | an event of level `INFO` or above, within it | a status: the message, or the field `error` |
//! | too many of these | the status `(statuses left out: ..)`, and the attribute `pm.statuses_left_out` |
//! | the span is entered | the task is [`current`](crate::current): tasks started within are its children |
//! | the span closes | the task ends as finished, or as failed, see [`SpansLayer::fail_on_error_events`] |
//!
//! The layer does not filter, and does not affect other layers; a per-layer filter applies to it as usual. A value
//! whose `Debug` panics is recorded as `(its Debug panicked)` and [counted](TracingCounters::panics); the panic does
//! not propagate, except with `panic = "abort"`.
//!
//! # Limitations
//!
//! - **Cancellation is cooperative.** Code that does not use this crate does not observe it;
//!   `pm::current().checkpoint()?` anywhere within the span does, and so does `pm::current().cancelled().await`. An
//!   instrumented future is not dropped: for that, run it with [`TaskBuilder::run`](crate::TaskBuilder::run), or use
//!   the layer for your server. A task that was cancelled and ends without having observed it ends as finished or
//!   failed.
//! - **An instrumented future that is dropped** closes its span like one that completes: the task ends as finished. A
//!   span that closes during a panic is an aborted task.
//! - **A span closes only when all spans below it have closed:** spawned work with a span of its own keeps the task
//!   running, as it keeps the span open.
//! - **Other tasks keep their own statuses.** Where a task that is not a span (`pm::run`, `SpawnExt`) is current, spans
//!   and events do not change its status.

mod counters;
mod fields;
mod format;
mod layer;
mod marks;
mod node;
mod selection;
mod stack;

pub use counters::TracingCounters;
pub use format::WithTask;
pub use layer::{SpansLayer, tracing_layer};
