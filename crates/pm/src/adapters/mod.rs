//! Adapters for types of other crates: one file each, behind a feature.
//!
//! | file | feature | adapts |
//! |---|---|---|
//! | `spawn` | `tokio` | `tokio::spawn` and its relatives: a future or closure that runs as a task |
//! | `token` | `tokio-util` | `CancellationToken`: cancelled with a task, or cancels it |
//! | `stream` | `stream` | `Stream` that runs as a task |
//! | `stream_progress` | `stream` | `Stream` that a task consumes: reports progress, ends on cancellation |
//! | `body` | `http-body` | `Body` that runs as a task |
//! | `bar` | `indicatif` | `ProgressBar` that is also a task's progress |
//!
//! Each depends on pm-core and its own third-party crate, not on the others. The crate root re-exports the public
//! names.

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

/// Seals the extension traits, so that adding a method is not a breaking change.
#[cfg(any(feature = "tokio", feature = "stream", feature = "http-body", feature = "tokio-util"))]
mod sealed {
    pub trait Sealed {}

    impl Sealed for pm_core::TaskBuilder<'_> {}
    impl Sealed for pm_core::TaskHandle {}
}
