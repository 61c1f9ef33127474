//! The public face of the crate: auto traits of its types, and the names that it re-exports from `pm-core`.

#![allow(dead_code, reason = "each helper is used by some of the features only")]

use std::collections::BTreeSet;

fn is_send<T: Send>() {}
fn is_send_and_sync<T: Send + Sync>() {}
fn is_unpin<T: Unpin>() {}

#[cfg(feature = "stream")]
#[test]
fn streams_are_send_if_what_they_run_is() {
    type Inner = std::pin::Pin<Box<dyn futures_core::Stream<Item = Result<u8, pm::Cancelled>> + Send>>;
    is_send::<pm::TaskStream<Inner>>();
    is_send::<pm::TryTaskStream<Inner>>();
    is_send::<pm::ProgressStream<Inner>>();
    is_send::<pm::CheckedStream<Inner>>();
    is_unpin::<pm::TaskStream<Inner>>();
    is_unpin::<pm::TryTaskStream<Inner>>();
    is_unpin::<pm::ProgressStream<Inner>>();
    is_unpin::<pm::CheckedStream<Inner>>();
}

#[cfg(feature = "http-body")]
#[test]
fn bodies_are_send_if_what_they_run_is() {
    type Inner = http_body_util::Full<bytes::Bytes>;
    is_send::<pm::TaskBody<Inner>>();
    is_unpin::<pm::TaskBody<Inner>>();
    is_send_and_sync::<pm::BodyError<std::io::Error>>();
}

#[cfg(feature = "indicatif")]
#[test]
fn threads_share_a_bar() {
    is_send_and_sync::<pm::Bar>();
}

#[cfg(feature = "sync")]
#[test]
fn threads_share_locks_and_channels() {
    use pm::sync::{Mutex, MutexGuard, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
    use pm::sync::{OwnedSemaphorePermit, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit};
    use pm::sync::{mpsc, oneshot};

    is_send_and_sync::<Mutex<String>>();
    is_send_and_sync::<MutexGuard<'static, String>>();
    is_send_and_sync::<OwnedMutexGuard<String>>();
    is_send_and_sync::<RwLock<String>>();
    is_send_and_sync::<RwLockReadGuard<'static, String>>();
    is_send_and_sync::<RwLockWriteGuard<'static, String>>();
    is_send_and_sync::<OwnedRwLockReadGuard<String>>();
    is_send_and_sync::<OwnedRwLockWriteGuard<String>>();
    is_send_and_sync::<Semaphore>();
    is_send_and_sync::<SemaphorePermit<'static>>();
    is_send_and_sync::<OwnedSemaphorePermit>();
    is_send_and_sync::<mpsc::Sender<String>>();
    is_send_and_sync::<mpsc::Receiver<String>>();
    is_send_and_sync::<mpsc::UnboundedSender<String>>();
    is_send_and_sync::<mpsc::UnboundedReceiver<String>>();
    is_send_and_sync::<oneshot::Receiver<String>>();
    is_unpin::<oneshot::Receiver<String>>();
}

#[cfg(feature = "tracing")]
#[test]
fn threads_share_the_layer_of_spans() {
    is_send_and_sync::<pm::tracing::SpansLayer>();
    is_send_and_sync::<pm::tracing::TracingCounters>();
    is_send_and_sync::<pm::tracing::WithTask<String>>();
}

#[cfg(feature = "tower")]
#[test]
fn layers_are_shared_and_what_they_return_is_send() {
    use pm::tower::{CallFuture, Calls, CallsLayer, CancelledResponse, CurrentTask};
    use pm::tower::{ResponseBody, ResponseFuture, Tasks, TasksLayer, Upgraded};

    type Inner = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    is_send_and_sync::<TasksLayer>();
    is_send_and_sync::<Tasks<String>>();
    is_send_and_sync::<CallsLayer>();
    is_send_and_sync::<Calls<String>>();
    is_send_and_sync::<CurrentTask>();
    is_send_and_sync::<CancelledResponse>();
    is_send::<ResponseFuture<Inner>>();
    is_send::<CallFuture<Inner>>();
    is_send::<Upgraded<Inner>>();
    is_send::<ResponseBody<http_body_util::Full<bytes::Bytes>>>();
    is_unpin::<ResponseBody<http_body_util::Full<bytes::Bytes>>>();
}

/// Returns the names in all documented `pub use` items that begin with `prefix`.
fn public_names(source: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let source = source.replace("#[doc(hidden)]\npub use ", "");
    for item in source.split("pub use ").skip(1) {
        let item = item.split(';').next().unwrap_or_default();
        let Some(path) = item.strip_prefix(prefix) else { continue };
        let list = match path.split_once('{') {
            Some((_, list)) => list.trim_end_matches('}'),
            None => path.rsplit("::").next().unwrap_or_default(),
        };
        names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    names
}

#[test]
fn every_public_name_of_the_core_is_here_and_nothing_more() {
    let core = include_str!("../../pm-core/src/lib.rs");
    let mut expected = public_names(core, "");
    expected
        .extend(core.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned));
    // Macros are at the root of the crate wherever they are defined.
    expected.extend(["scope".to_owned(), "status".to_owned()]);
    assert_eq!(public_names(include_str!("../src/lib.rs"), "pm_core::"), expected);
}
