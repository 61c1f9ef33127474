//! What is kept with a span: the task that it is, or the one that it is part of.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pm_core::{Supervisor, TaskHandle};

use super::counters::Counts;

/// Spans below a task whose names may be its status at once. More are open only where nobody reads statuses.
const MAX_OPEN: usize = 32;

/// The attribute with the number of statuses that were left out.
const LEFT_OUT: &str = "pm.statuses_left_out";

/// What all spans of a task share.
pub(super) struct Shared {
    pub(super) handle: TaskHandle,
    /// That of the span that is the task.
    name: &'static str,
    ended: AtomicBool,
    counts: Arc<Counts>,
    max_statuses: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that were entered and have not closed, by their first entering.
    open: Vec<(u64, &'static str)>,
    /// When the second began in which `said` statuses were told.
    second: Option<Instant>,
    said: u32,
    left_out: u64,
    failing: Failing,
}

/// What was said about how it went; the first of each kind stays.
#[derive(Default)]
pub(super) struct Failing {
    /// The field `error`.
    pub(super) error: Option<String>,
    /// Whether `otel.status_code` says `ERROR`; false if it says `OK`.
    pub(super) code: Option<bool>,
    /// `otel.status_message`.
    pub(super) message: Option<String>,
    /// An event of level `ERROR`.
    event: Option<String>,
}

impl Failing {
    /// What was said on one occasion, added to what was before.
    pub(super) fn add(&mut self, said: Self) {
        self.error = self.error.take().or(said.error);
        self.code = said.code.or(self.code);
        self.message = said.message.or(self.message.take());
        self.event = self.event.take().or(said.event);
    }

    fn reason(self) -> Option<String> {
        match self.code {
            // Said explicitly: stands above what was logged on the way.
            Some(false) => self.error,
            Some(true) => self.error.or(self.message).or(self.event).or_else(|| Some(String::new())),
            None => self.error.or(self.event),
        }
    }
}

impl Shared {
    pub(super) fn new(handle: TaskHandle, name: &'static str, max_statuses: u32, counts: Arc<Counts>) -> Self {
        Self { handle, name, ended: AtomicBool::new(false), counts, max_statuses, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn failing(&self, said: Failing) {
        self.state().failing.add(said);
    }

    pub(super) fn failed_by_event(&self, message: &str) {
        let failing = &mut self.state().failing;
        if failing.event.is_none() {
            failing.event = Some(message.to_owned());
        }
    }

    /// Whether one more status may be told now; if not, it is counted.
    pub(super) fn may_say(&self) -> bool {
        self.may_say_within(&mut self.state())
    }

    fn may_say_within(&self, state: &mut State) -> bool {
        let now = Instant::now();
        if state.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            state.second = Some(now);
            state.said = 0;
        }
        if state.said < self.max_statuses {
            state.said += 1;
            return true;
        }
        if state.said == self.max_statuses && self.max_statuses > 0 {
            // What it said last is not what it does now: the list must not say so until the second is over.
            state.said += 1;
            self.handle.note("(statuses left out: too many in a second)");
        }
        state.left_out += 1;
        self.counts.left_out.fetch_add(1, Ordering::Relaxed);
        // Not each time: it costs as much as a status. The end tells exactly.
        if state.left_out.is_power_of_two() {
            self.handle.set(LEFT_OUT, state.left_out);
        }
        false
    }

    /// A span below was entered for the first time.
    pub(super) fn open(&self, span: u64, name: &'static str) {
        let mut state = self.state();
        if state.open.len() < MAX_OPEN {
            state.open.push((span, name));
            // Under the lock, so that what is told last is what is innermost. Nothing of others runs in it.
            if self.may_say_within(&mut state) {
                self.handle.note(name);
            }
        }
    }

    /// A span below has closed. If it was the innermost, the task is back at what was before.
    pub(super) fn close(&self, span: u64) {
        let mut state = self.state();
        let Some(at) = state.open.iter().rposition(|open| open.0 == span) else { return };
        state.open.remove(at);
        if at == state.open.len() && self.may_say_within(&mut state) {
            self.handle.note(state.open.last().map_or(self.name, |open| open.1));
        }
    }
}

/// A span, as one layer knows it.
pub(super) struct Node {
    layer: u64,
    pub(super) shared: Arc<Shared>,
    /// The task, if this span is one and not just below one.
    task: Option<Supervisor>,
    entered: AtomicBool,
    closed: bool,
}

impl Node {
    pub(super) fn new(layer: u64, shared: Arc<Shared>, task: Option<Supervisor>) -> Self {
        Self { layer, shared, task, entered: AtomicBool::new(false), closed: false }
    }

    pub(super) fn is_task(&self) -> bool {
        self.task.is_some()
    }

    /// Notes that the span was entered. True if it is below a task and this was the first time.
    pub(super) fn enter(&self) -> bool {
        // Relaxed: says only who was first.
        !self.is_task() && !self.entered.load(Ordering::Relaxed) && !self.entered.swap(true, Ordering::Relaxed)
    }

    /// Notes that the span has closed. True if it may have been a status of its task.
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
        let (left_out, failing) = {
            let mut state = self.shared.state();
            (state.left_out, std::mem::take(&mut state.failing))
        };
        if left_out > 0 {
            self.shared.handle.set(LEFT_OUT, left_out);
        }
        // A subscriber that goes away takes along spans that have not closed: those are dropped.
        if self.closed {
            task.finish(failing.reason().as_deref(), || ());
        }
    }
}

/// What the layers of this sort keep with a span: nearly always there is one.
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

/// Numbers of layers.
pub(super) fn next_layer() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
