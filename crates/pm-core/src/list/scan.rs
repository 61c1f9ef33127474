//! All live tasks one by one, oldest first, in memory that does not grow with their number.

use std::fmt;
use std::sync::Arc;

use super::process_list::ProcessList;
use crate::base::clock::Moment;
use crate::base::timestamp::Timestamp;
use crate::cancel::timer;
use crate::layout::words::{STARTED, acquire};
use crate::slot::copy::{Detail, Scratch, Wanted, copy_row};
use crate::slot::gate::Slot;
use crate::store::kinds::Kinds;
use crate::view::task_view::{TaskView, started_ticks};

impl ProcessList {
    /// Returns the live tasks one by one, oldest first, in memory that does not grow with their number.
    #[must_use]
    pub fn scan(&self) -> Scan {
        timer::help();
        Scan::new(self.clone())
    }
}

/// Tasks whose order is worked out at a time.
const WINDOW: usize = 65_536;

/// All tasks that were live when the scan began, oldest first, one by one; a task that ends before its turn is left
/// out.
///
/// The memory it takes has a ceiling of about 4 MiB while it looks for the next tasks in order and 256 KiB otherwise,
/// however many tasks there are; nothing of it holds up a task. A scan may rest between two tasks for as long as it
/// likes.
pub struct Scan {
    list: ProcessList,
    kinds: Arc<Kinds>,
    moment: Moment,
    /// The slots of the next tasks, the last one first.
    window: Vec<u32>,
    /// Start and slot of the last task of the window.
    seen: Option<(u64, u32)>,
    complete: bool,
    row: Vec<u8>,
    scratch: Scratch,
}

impl Scan {
    pub(crate) fn new(list: ProcessList) -> Self {
        let moment = list.moment();
        Self {
            kinds: list.shared().store.slab.kinds(),
            list,
            moment,
            window: Vec::new(),
            seen: None,
            complete: false,
            row: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Returns when the scan began; its ages are relative to this.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.moment.timestamp()
    }

    /// Returns the next task; `None` at the end.
    #[allow(clippy::should_implement_trait, reason = "the row is lent, which `Iterator` can't say")]
    pub fn next(&mut self) -> Option<TaskView<'_>> {
        let shared = self.list.shared();
        loop {
            while let Some(index) = self.window.pop() {
                self.row.clear();
                if copy_row(
                    Slot::at(&shared.store, index),
                    Wanted::Live,
                    Detail::Newest,
                    &mut self.scratch,
                    &mut self.row,
                ) && started_ticks(&self.row) <= self.moment.ticks()
                {
                    return Some(TaskView::new(&self.row, self.moment, &self.kinds));
                }
            }
            if self.complete {
                return None;
            }
            self.look_ahead();
        }
    }

    /// Finds the next tasks in order of their start.
    fn look_ahead(&mut self) {
        let chunks = &self.list.shared().store.slab.chunks;
        let limit = self.moment.ticks();
        let mut keys: Vec<(u64, u32)> = Vec::new();
        self.complete = true;
        chunks.each_live(|index| {
            let key = (acquire(chunks.get(index).word(STARTED)), index);
            if key.0 <= limit && self.seen.is_none_or(|seen| key > seen) {
                keys.push(key);
                if keys.len() == 2 * WINDOW {
                    keep_first(&mut keys);
                    self.complete = false;
                }
            }
        });
        if keys.len() > WINDOW {
            keep_first(&mut keys);
            self.complete = false;
        }
        keys.sort_unstable();
        self.seen = keys.last().copied().or(self.seen);
        self.window.clear();
        self.window.extend(keys.iter().rev().map(|&(_, index)| index));
    }
}

/// The first tasks of a window, in any order. Slots are often in order already: that costs a look.
fn keep_first(keys: &mut Vec<(u64, u32)>) {
    if !keys.is_sorted() {
        keys.select_nth_unstable(WINDOW);
    }
    keys.truncate(WINDOW);
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("at", &self.at()).finish_non_exhaustive()
    }
}
