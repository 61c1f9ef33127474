//! Hooks: callbacks for tasks that end, are cancelled, or do not stop.
//!
//! Called on the thread where it happens, when no lock of the list is held. A panic of a hook is counted and caught.
//! What a hook does to other tasks calls no hooks, so that hooks cannot call each other indefinitely.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering as StdOrdering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::sync::Mutex;
use crate::store::counters::AtomicCounters;
use crate::view::task_view::TaskView;

type Call = dyn Fn(&TaskView<'_>) + Send + Sync;

/// A hook for tasks that do not stop.
pub(crate) struct StuckHook {
    pub(crate) after: Duration,
    pub(crate) hook: Hook,
}

pub(crate) struct Hook {
    open: AtomicBool,
    call: Box<Call>,
}

impl Hook {
    fn new(call: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Self {
        Self { open: AtomicBool::new(true), call: Box::new(call) }
    }

    pub(crate) fn call(&self, counters: &AtomicCounters, task: &TaskView<'_>) {
        if self.open.load(StdOrdering::Acquire) {
            counters.catch_panic(|| (self.call)(task));
        }
    }
}

/// The hooks of a list.
pub(crate) struct Hooks {
    /// The number of hooks: nearly always 0.
    count: AtomicUsize,
    ends: Mutex<Vec<Arc<Hook>>>,
    pub(crate) cancels: Mutex<Vec<Arc<Hook>>>,
    pub(crate) stuck: Mutex<Vec<Arc<StuckHook>>>,
}

std::thread_local! {
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Marks that this thread is in a hook.
pub(crate) struct InHook;

impl InHook {
    pub(crate) fn enter() -> Option<Self> {
        (!IN_HOOK.try_with(|in_hook| in_hook.replace(true)).unwrap_or(true)).then_some(Self)
    }
}

impl Drop for InHook {
    fn drop(&mut self) {
        let _ = IN_HOOK.try_with(|in_hook| in_hook.set(false));
    }
}

impl Hooks {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            ends: Mutex::new(Vec::new()),
            cancels: Mutex::new(Vec::new()),
            stuck: Mutex::new(Vec::new()),
        }
    }

    /// Returns `true` if there are any hooks.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        self.count.load(StdOrdering::Relaxed) > 0
    }

    pub(crate) fn wants_ends(&self) -> bool {
        self.any() && !self.ends.lock().is_empty()
    }

    /// Removes the hooks of the previous list, for a list that takes over its memory.
    pub(crate) fn clear(&self) {
        self.count.store(0, StdOrdering::Relaxed);
        let gone = (
            std::mem::take(&mut *self.ends.lock()),
            std::mem::take(&mut *self.cancels.lock()),
            std::mem::take(&mut *self.stuck.lock()),
        );
        drop(gone);
    }

    pub(crate) fn ended(&self, counters: &AtomicCounters, task: &TaskView<'_>) {
        let hooks = self.ends.lock().clone();
        if let Some(_in_hook) = InHook::enter() {
            hooks.iter().for_each(|hook| hook.call(counters, task));
        }
    }
}

/// A hook that is called as long as this lives.
///
/// Once this is dropped the hook is no longer called; a call that began on another thread may still be running.
#[must_use = "the hook is called as long as this lives; `keep` keeps it for the life of the list"]
pub struct Subscription {
    which: Which,
    hooks: &'static Hooks,
}

enum Which {
    End(Weak<Hook>),
    Cancel(Weak<Hook>),
    Stuck(Weak<StuckHook>),
    Kept,
}

impl Subscription {
    pub(crate) fn on_end(hooks: &'static Hooks, call: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Self {
        let hook = Arc::new(Hook::new(call));
        let which = Which::End(Arc::downgrade(&hook));
        hooks.ends.lock().push(hook);
        Self::counted(hooks, which)
    }

    pub(crate) fn on_cancel(hooks: &'static Hooks, call: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Self {
        let hook = Arc::new(Hook::new(call));
        let which = Which::Cancel(Arc::downgrade(&hook));
        hooks.cancels.lock().push(hook);
        Self::counted(hooks, which)
    }

    pub(crate) fn on_stuck(
        hooks: &'static Hooks,
        after: Duration,
        call: impl Fn(&TaskView<'_>) + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(StuckHook { after, hook: Hook::new(call) });
        let which = Which::Stuck(Arc::downgrade(&hook));
        hooks.stuck.lock().push(hook);
        Self::counted(hooks, which)
    }

    fn counted(hooks: &'static Hooks, which: Which) -> Self {
        hooks.count.fetch_add(1, StdOrdering::Relaxed);
        Self { which, hooks }
    }

    /// Keeps the hook as long as the list lives.
    pub fn keep(mut self) {
        self.which = Which::Kept;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Taken out under the lock, dropped after it: that may run code of the program.
        fn take<T>(list: &Mutex<Vec<Arc<T>>>, hook: &Arc<T>) -> Option<Arc<T>> {
            let mut list = list.lock();
            let place = list.iter().position(|other| Arc::ptr_eq(other, hook))?;
            Some(list.swap_remove(place))
        }
        let hooks = self.hooks;
        let close = |hook: &Hook| hook.open.store(false, StdOrdering::Release);
        let taken = match &self.which {
            Which::End(hook) => hook.upgrade().map(|hook| (close(&hook), take(&hooks.ends, &hook).is_some()).1),
            Which::Cancel(hook) => hook.upgrade().map(|hook| (close(&hook), take(&hooks.cancels, &hook).is_some()).1),
            Which::Stuck(hook) => hook.upgrade().map(|hook| (close(&hook.hook), take(&hooks.stuck, &hook).is_some()).1),
            Which::Kept => None,
        };
        if taken == Some(true) {
            hooks.count.fetch_sub(1, StdOrdering::Relaxed);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
