//! The data stored with a span: the task that it is, or the task that it is part of.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pm_core::{Supervisor, TaskHandle};

use super::counters::Counts;

/// The number of open spans per task whose names may become its status; further ones are ignored.
const MAX_OPEN: usize = 32;

/// The attribute with the number of statuses that were left out.
const LEFT_OUT: &str = "pm.statuses_left_out";

/// Shared by all spans of a task.
pub(super) struct SpanTask {
    pub(super) handle: TaskHandle,
    /// The name of the span that is the task.
    name: &'static str,
    ended: AtomicBool,
    counts: Arc<Counts>,
    max_statuses: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Spans that were entered and have not closed, in the order in which they were first entered.
    open: Vec<(u64, &'static str)>,
    /// The start of the second that `statuses` counts.
    second: Option<Instant>,
    statuses: u32,
    left_out: u64,
    failure: Failure,
}

/// Fields and events that mark a task as failed; the first of each sort is kept.
#[derive(Default)]
pub(super) struct Failure {
    /// The field `error`.
    pub(super) error: Option<String>,
    /// The field `otel.status_code`: `true` for `ERROR`, `false` for `OK`.
    pub(super) code: Option<bool>,
    /// The field `otel.status_message`.
    pub(super) message: Option<String>,
    /// The first event of level `ERROR`.
    event: Option<String>,
}

impl Failure {
    /// Adds the fields of one occasion to the earlier ones.
    pub(super) fn add(&mut self, later: Self) {
        self.error = self.error.take().or(later.error);
        self.code = later.code.or(self.code);
        self.message = later.message.or(self.message.take());
        self.event = self.event.take().or(later.event);
    }

    fn reason(self) -> Option<String> {
        match self.code {
            // Explicit, so it takes precedence over events.
            Some(false) => self.error,
            Some(true) => self.error.or(self.message).or(self.event).or_else(|| Some(String::new())),
            None => self.error.or(self.event),
        }
    }
}

impl SpanTask {
    pub(super) fn new(handle: TaskHandle, name: &'static str, max_statuses: u32, counts: Arc<Counts>) -> Self {
        Self { handle, name, ended: AtomicBool::new(false), counts, max_statuses, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn add_failure(&self, failure: Failure) {
        self.state().failure.add(failure);
    }

    pub(super) fn failed_by_event(&self, message: &str) {
        let failure = &mut self.state().failure;
        if failure.event.is_none() {
            failure.event = Some(message.to_owned());
        }
    }

    /// Returns `true` if the task may take one more status now; otherwise counts it as left out.
    pub(super) fn takes_status(&self) -> bool {
        self.takes_status_locked(&mut self.state())
    }

    fn takes_status_locked(&self, state: &mut State) -> bool {
        let now = Instant::now();
        if state.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            state.second = Some(now);
            state.statuses = 0;
        }
        if state.statuses < self.max_statuses {
            state.statuses += 1;
            return true;
        }
        if state.statuses == self.max_statuses && self.max_statuses > 0 {
            // The previous status is out of date: the list must not show it for the rest of the second.
            state.statuses += 1;
            self.handle.note("(statuses left out: too many in a second)");
        }
        state.left_out += 1;
        self.counts.left_out.fetch_add(1, Ordering::Relaxed);
        // Not each time, since it costs as much as a status. The end sets the exact number.
        if state.left_out.is_power_of_two() {
            self.handle.set(LEFT_OUT, state.left_out);
        }
        false
    }

    /// Records that a span below was entered for the first time.
    pub(super) fn open(&self, span: u64, name: &'static str) {
        let mut state = self.state();
        if state.open.len() < MAX_OPEN {
            state.open.push((span, name));
            // Under the lock, so that the last status is that of the innermost span. No user code runs in it.
            if self.takes_status_locked(&mut state) {
                self.handle.note(name);
            }
        }
    }

    /// Records that a span below has closed. If it was the innermost, the task returns to the status before.
    pub(super) fn close(&self, span: u64) {
        let mut state = self.state();
        let Some(at) = state.open.iter().rposition(|open| open.0 == span) else { return };
        state.open.remove(at);
        if at == state.open.len() && self.takes_status_locked(&mut state) {
            self.handle.note(state.open.last().map_or(self.name, |open| open.1));
        }
    }
}

/// The data that one layer stores with a span.
pub(super) struct Node {
    layer: u64,
    pub(super) shared: Arc<SpanTask>,
    /// The task, if this span is one, and not only below one.
    task: Option<Supervisor>,
    entered: AtomicBool,
    closed: bool,
}

impl Node {
    pub(super) fn new(layer: u64, shared: Arc<SpanTask>, task: Option<Supervisor>) -> Self {
        Self { layer, shared, task, entered: AtomicBool::new(false), closed: false }
    }

    pub(super) fn is_task(&self) -> bool {
        self.task.is_some()
    }

    /// Records that the span was entered. Returns `true` if it is below a task and this was the first time.
    pub(super) fn enter(&self) -> bool {
        // Relaxed: decides only which thread was first.
        !self.is_task() && !self.entered.load(Ordering::Relaxed) && !self.entered.swap(true, Ordering::Relaxed)
    }

    /// Records that the span has closed. Returns `true` if it may have been a status of its task.
    pub(super) fn close(&mut self) -> bool {
        self.closed = true;
        if self.is_task() {
            self.shared.ended.store(true, Ordering::Relaxed);
        }
        !self.is_task() && *self.entered.get_mut()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(mut task) = self.task.take() else { return };
        self.shared.ended.store(true, Ordering::Relaxed);
        let (left_out, failure) = {
            let mut state = self.shared.state();
            (state.left_out, std::mem::take(&mut state.failure))
        };
        if left_out > 0 {
            self.shared.handle.set(LEFT_OUT, left_out);
        }
        // Spans that are still open when the subscriber is dropped end as dropped.
        if self.closed {
            task.finish(failure.reason().as_deref(), || ());
        }
    }
}

/// The data of all our layers with a span; nearly always there is one layer.
pub(super) struct Nodes {
    first: Node,
    others: Vec<Node>,
}

impl Nodes {
    pub(super) fn new(first: Node) -> Self {
        Self { first, others: Vec::new() }
    }

    pub(super) fn push(&mut self, node: Node) {
        self.others.push(node);
    }

    pub(super) fn of(&self, layer: u64) -> Option<&Node> {
        std::iter::once(&self.first).chain(&self.others).find(|node| node.layer == layer)
    }

    pub(super) fn of_mut(&mut self, layer: u64) -> Option<&mut Node> {
        std::iter::once(&mut self.first).chain(&mut self.others).find(|node| node.layer == layer)
    }
}

/// Returns a new layer number.
pub(super) fn next_layer() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
