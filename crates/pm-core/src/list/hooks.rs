//! Hooks of a list.

use std::time::Duration;

use super::process_list::ProcessList;
use crate::shared::hooks::Subscription;
use crate::view::task_view::TaskView;

impl ProcessList {
    /// Calls `hook` with each task that ends, right after its end, on the thread where it ended.
    ///
    /// Hooks are called when no lock of the list is held, and may use it. What they do to other tasks calls no hook.
    /// A panic of a hook is caught and counted; with `panic = "abort"` it ends the program, as any panic does. The task
    /// that is shown is complete, with its history.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    ///
    /// let list = pm_core::ProcessList::new();
    /// let slow = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&slow);
    /// let hook = list.on_end(move |task| {
    ///     if task.age().as_secs() >= 10 {
    ///         counter.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// });
    /// drop(list.start("job-1"));
    /// drop(hook); // called no more
    /// assert_eq!(slow.load(Ordering::Relaxed), 0);
    /// ```
    pub fn on_end(&self, hook: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Subscription {
        Subscription::on_end(&self.shared().hooks, hook)
    }

    /// Calls `hook` with each task that is asked to stop, for the first time, on the thread that asks. See
    /// [`on_end`](Self::on_end).
    pub fn on_cancel(&self, hook: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Subscription {
        Subscription::on_cancel(&self.shared().hooks, hook)
    }

    /// Calls `hook` with each task that still runs so long after it was asked to stop, once, on a thread of its own,
    /// which also meets deadlines: be quick. See [`on_end`](Self::on_end).
    pub fn on_stuck(&self, after: Duration, hook: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Subscription {
        Subscription::on_stuck(&self.shared().hooks, after, hook)
    }
}
