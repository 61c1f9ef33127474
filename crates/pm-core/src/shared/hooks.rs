//! What a program wants to be told: that a task ended, was cancelled, or does not stop.
//!
//! Called on the thread where it happens, when no lock of ours is held. A panic of a hook is counted and goes no further.
//! What happens to other tasks within a hook is told to no hook, so that hooks can't call each other for ever.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering as StdOrdering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::state::Inner;
use crate::base::sync::Mutex;
use crate::store::counters::guard;
use crate::view::task_view::TaskView;

type Call = dyn Fn(&TaskView<'_>) + Send + Sync;

/// A hook for tasks that do not stop.
pub(crate) struct Stuck {
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

    pub(crate) fn call(&self, inner: &Inner, task: &TaskView<'_>) {
        if self.open.load(StdOrdering::Acquire) {
            guard(inner, || (self.call)(task));
        }
    }
}

/// The hooks of a list.
pub(crate) struct Hooks {
    /// How many hooks there are: none, nearly always.
    count: AtomicUsize,
    ends: Mutex<Vec<Arc<Hook>>>,
    pub(crate) cancels: Mutex<Vec<Arc<Hook>>>,
    pub(crate) stuck: Mutex<Vec<Arc<Stuck>>>,
}

std::thread_local! {
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Marks that this thread is within a hook; `None` when it was already.
pub(crate) struct Within;

impl Within {
    pub(crate) fn enter() -> Option<Self> {
        (!WITHIN.try_with(|within| within.replace(true)).unwrap_or(true)).then_some(Self)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let _ = WITHIN.try_with(|within| within.set(false));
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

    /// Whether there are hooks at all.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        self.count.load(StdOrdering::Relaxed) > 0
    }

    pub(crate) fn wants_ends(&self) -> bool {
        self.any() && !self.ends.lock().is_empty()
    }

    /// For a list that takes over what another left: its hooks are gone.
    pub(crate) fn forget(&self) {
        self.count.store(0, StdOrdering::Relaxed);
        let gone = (
            std::mem::take(&mut *self.ends.lock()),
            std::mem::take(&mut *self.cancels.lock()),
            std::mem::take(&mut *self.stuck.lock()),
        );
        drop(gone);
    }

    pub(crate) fn ended(&self, inner: &Inner, task: &TaskView<'_>) {
        let hooks = self.ends.lock().clone();
        if let Some(_within) = Within::enter() {
            hooks.iter().for_each(|hook| hook.call(inner, task));
        }
    }
}

/// A hook that is called as long as this lives.
///
/// When this is dropped the hook is called no more; a call that has begun on another thread may still be running then.
#[must_use = "the hook is called as long as this lives; `keep` keeps it for ever"]
pub struct Subscription {
    which: Which,
    inner: &'static Inner,
}

enum Which {
    End(Weak<Hook>),
    Cancel(Weak<Hook>),
    Stuck(Weak<Stuck>),
    Kept,
}

impl Subscription {
    pub(crate) fn on_end(inner: &'static Inner, call: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Self {
        let hook = Arc::new(Hook::new(call));
        let which = Which::End(Arc::downgrade(&hook));
        inner.hooks.ends.lock().push(hook);
        Self::counted(inner, which)
    }

    pub(crate) fn on_cancel(inner: &'static Inner, call: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Self {
        let hook = Arc::new(Hook::new(call));
        let which = Which::Cancel(Arc::downgrade(&hook));
        inner.hooks.cancels.lock().push(hook);
        Self::counted(inner, which)
    }

    pub(crate) fn on_stuck(
        inner: &'static Inner,
        after: Duration,
        call: impl Fn(&TaskView<'_>) + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(Stuck { after, hook: Hook::new(call) });
        let which = Which::Stuck(Arc::downgrade(&hook));
        inner.hooks.stuck.lock().push(hook);
        Self::counted(inner, which)
    }

    fn counted(inner: &'static Inner, which: Which) -> Self {
        inner.hooks.count.fetch_add(1, StdOrdering::Relaxed);
        Self { which, inner }
    }

    /// Keeps the hook as long as the list lives.
    pub fn keep(mut self) {
        self.which = Which::Kept;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Taken out under the lock, dropped after it: a hook is code of somebody else.
        fn take<T>(list: &Mutex<Vec<Arc<T>>>, hook: &Arc<T>) -> Option<Arc<T>> {
            let mut list = list.lock();
            let place = list.iter().position(|other| Arc::ptr_eq(other, hook))?;
            Some(list.swap_remove(place))
        }
        let hooks = &self.inner.hooks;
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
