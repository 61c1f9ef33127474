//! All tasks at once: copied in one go, or one after the other.

use std::fmt;

use crate::clock::Moment;
use crate::list::{Inner, ProcessList};
use crate::read::{Detail, Scratch, TaskView, copy_row, started_ticks};
use crate::slot::{STARTED, acquire};

/// Values of all tasks, copied at one moment; oldest task first.
///
/// Holds no lock and keeps no task from anything.
pub struct Snapshot {
    rows: Vec<u8>,
    /// Start, in ticks, and where the row begins.
    order: Vec<(u64, usize)>,
    moment: Moment,
}

impl Snapshot {
    pub(crate) fn take(inner: &'static Inner) -> Self {
        let mut live = 0;
        inner.slab.each_tag(|_, _| {
            live += 1;
            true
        });
        let mut rows = Vec::with_capacity(live * 240);
        let mut order = Vec::with_capacity(live);
        let mut scratch = Scratch::default();
        inner.slab.each_tag(|index, _| {
            let start = rows.len();
            if copy_row(inner.slab, index, Detail::Newest, &mut scratch, &mut rows) {
                order.push((started_ticks(&rows[start..]), start));
            }
            true
        });
        order.sort_unstable();
        Self { rows, order, moment: inner.timer.moment() }
    }

    /// The tasks, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TaskView<'_>> + DoubleEndedIterator {
        self.order.iter().map(|&(_, start)| TaskView::new(&self.rows[start..], self.moment))
    }

    /// How many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no task was live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The task at this place, counted from the oldest.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<TaskView<'_>> {
        let &(_, start) = self.order.get(index)?;
        Some(TaskView::new(&self.rows[start..], self.moment))
    }

    /// When the snapshot was taken.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.moment
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Tasks whose order is worked out at a time.
const WINDOW: usize = 65_536;

/// All tasks that were live when the scan began, oldest first, one by one; a task that ends before its turn is left out.
///
/// The memory it takes has a ceiling of about 4 MiB while it looks for the next tasks in order and 256 KiB otherwise,
/// however many tasks there are; nothing of it holds up a task. A scan may rest between two tasks for as long as it likes.
pub struct Scan {
    list: ProcessList,
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
        let moment = list.now();
        Self {
            list,
            moment,
            window: Vec::new(),
            seen: None,
            complete: false,
            row: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// When the scan began: what all its ages and dates are relative to.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// The next task; `None` at the end.
    #[allow(clippy::should_implement_trait, reason = "the row is lent, which `Iterator` can't say")]
    pub fn next(&mut self) -> Option<TaskView<'_>> {
        let slab = self.list.inner().slab;
        loop {
            while let Some(index) = self.window.pop() {
                self.row.clear();
                if copy_row(slab, index, Detail::Newest, &mut self.scratch, &mut self.row)
                    && started_ticks(&self.row) <= self.moment.ticks()
                {
                    return Some(TaskView::new(&self.row, self.moment));
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
        let slab = self.list.inner().slab;
        let limit = self.moment.ticks();
        let mut keys: Vec<(u64, u32)> = Vec::new();
        self.complete = true;
        slab.each_tag(|index, _| {
            let key = (acquire(slab.chunk(index).word(STARTED)), index);
            if key.0 <= limit && self.seen.is_none_or(|seen| key > seen) {
                keys.push(key);
                if keys.len() == 2 * WINDOW {
                    keep_first(&mut keys);
                    self.complete = false;
                }
            }
            true
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
        f.debug_struct("Scan").field("moment", &self.moment).finish_non_exhaustive()
    }
}
