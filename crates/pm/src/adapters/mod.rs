//! Types of other crates as tasks, or at the service of one: a file for each, behind a feature.
//!
//! | file | feature | gives |
//! |---|---|---|
//! | `spawn` | `tokio` | a task that tokio runs |
//! | `token` | `tokio-util` | a `CancellationToken` for a task, and a task that follows one |
//! | `stream` | `stream` | a stream that runs as a task |
//! | `stream_progress` | `stream` | a stream that a task works through: progress, and an end on cancellation |
//! | `body` | `http-body` | an HTTP body that runs as a task |
//! | `bar` | `indicatif` | a progress bar that is a task's progress, too |
//!
//! They know pm-core and their one crate, not each other. The crate root re-exports what is public.

#[cfg(feature = "indicatif")]
pub(crate) mod bar;
#[cfg(feature = "http-body")]
pub(crate) mod body;
#[cfg(feature = "tokio")]
pub(crate) mod spawn;
#[cfg(feature = "stream")]
pub(crate) mod stream;
#[cfg(feature = "stream")]
pub(crate) mod stream_progress;
#[cfg(feature = "tokio-util")]
pub(crate) mod token;

/// Keeps extension traits to the types that have them here, so that methods can be added to the traits.
#[cfg(any(feature = "tokio", feature = "stream", feature = "http-body", feature = "tokio-util"))]
mod sealed {
    pub trait Sealed {}

    impl Sealed for pm_core::TaskBuilder<'_> {}
    impl Sealed for pm_core::TaskHandle {}
    impl Sealed for pm_core::Task {}
}
