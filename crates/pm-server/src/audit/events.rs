//! Records as events of `tracing`, from a thread of their own: a subscriber of the program may block, and no request
//! waits for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::record::Record;
use super::writer::WAITING;
use crate::sync::lock;

/// Emits records, in their order. There is a thread only while some wait.
#[derive(Default)]
pub(super) struct Events {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Record>>,
    has_thread: bool,
}

impl Events {
    /// Emits a record, unless the subscriber has not taken a great many before it.
    pub(super) fn emit(&self, record: Arc<Record>) {
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= WAITING {
            return;
        }
        queue.waiting.push_back(record);
        if std::mem::replace(&mut queue.has_thread, true) {
            return;
        }
        drop(queue);
        let queue = Arc::clone(&self.queue);
        if pm_core::spawn_thread("pm-audit-events", move || emit_all(&queue)).is_err() {
            emit_all(&self.queue);
        }
    }
}

fn emit_all(queue: &Mutex<Queue>) {
    loop {
        let record = {
            let mut queue = lock(queue);
            let Some(record) = queue.waiting.pop_front() else {
                queue.has_thread = false;
                return;
            };
            record
        };
        // A panic of the subscriber ends this event only.
        let _ = catch_unwind(AssertUnwindSafe(|| record.trace()));
    }
}
