//! All tasks at once: copied in one go, or one after the other.

use std::fmt;
use std::sync::Arc;

use crate::clock::Moment;
use crate::ended::NOTABLE_STAYS;
use crate::kinds::Kinds;
use crate::list::{Inner, ProcessList};
use crate::read::{Detail, Scratch, TaskView, Wanted, copy_row, started_ticks};
use crate::slot::{STARTED, Slot, acquire};

/// Values of all tasks, copied at one moment; oldest task first.
///
/// Holds no lock and keeps no task from anything.
pub struct Snapshot {
    rows: Vec<u8>,
    /// Start, in ticks, and where the row begins.
    order: Vec<(u64, usize)>,
    moment: Moment,
    kinds: Arc<Kinds>,
}

impl Snapshot {
    pub(crate) fn take(inner: &'static Inner) -> Self {
        let mut live = 0;
        inner.slab.each_live(|_| live += 1);
        let mut rows = Vec::with_capacity(live * 256);
        let mut order = Vec::with_capacity(live);
        let mut scratch = Scratch::default();
        inner.slab.each_live(|index| {
            let start = rows.len();
            if copy_row(Slot::at(inner, index), Wanted::Live, Detail::Newest, &mut scratch, &mut rows) {
                order.push((started_ticks(&rows[start..]), start));
            }
        });
        order.sort_unstable();
        Self { rows, order, moment: inner.timer.moment(), kinds: inner.slab.kinds() }
    }

    /// The tasks that ended and are kept, in order of their end.
    pub(crate) fn take_ended(inner: &'static Inner, mut wanted: impl FnMut(&TaskView<'_>) -> bool) -> Self {
        let kinds = inner.slab.kinds();
        let (mut rows, mut order, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
        let mut found: Vec<u32> = Vec::new();
        inner.slab.each_ended(|index| found.push(index));
        let moment = inner.timer.moment();
        let (max_age, since) = (inner.limits.ended_for, inner.first_serial());
        let mut notable = 0;
        for index in found {
            let start = rows.len();
            if !copy_row(Slot::at(inner, index), Wanted::Ended, Detail::History, &mut scratch, &mut rows) {
                continue;
            }
            let task = TaskView::new(&rows[start..], moment, &kinds);
            let age = moment.age_nanos(task.ended_ticks());
            let is_notable = task.is_notable();
            let stays = max_age.saturating_mul(if is_notable { NOTABLE_STAYS } else { 1 });
            if task.serial().get() >= since && age <= stays && wanted(&task) {
                notable += usize::from(is_notable);
                order.push((task.ended_ticks(), task.serial(), start, is_notable));
            } else {
                rows.truncate(start);
            }
        }
        order.sort_unstable();
        // A thread holds on to a few more than the limit; they are not shown. The oldest go first, the ordinary before
        // the notable.
        let limit = inner.limits.ended as usize;
        let mut surplus = order.len().saturating_sub(limit);
        let mut surplus_notable = notable.saturating_sub(limit);
        order.retain(|&(.., is_notable)| {
            let spare = if is_notable { &mut surplus_notable } else { &mut surplus };
            let goes = *spare > 0;
            *spare -= usize::from(goes);
            !goes
        });
        let order = order.into_iter().map(|(ended, _, start, _)| (ended, start)).collect();
        Self { rows, order, moment, kinds }
    }

    /// The tasks, oldest first; ended ones in order of their end.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TaskView<'_>> + DoubleEndedIterator {
        self.order.iter().map(|&(_, start)| TaskView::new(&self.rows[start..], self.moment, &self.kinds))
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
        Some(TaskView::new(&self.rows[start..], self.moment, &self.kinds))
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
        let moment = list.now();
        Self {
            kinds: list.inner().slab.kinds(),
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
        let inner = self.list.inner();
        loop {
            while let Some(index) = self.window.pop() {
                self.row.clear();
                if copy_row(Slot::at(inner, index), Wanted::Live, Detail::Newest, &mut self.scratch, &mut self.row)
                    && started_ticks(&self.row) <= self.moment.ticks()
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
        let slab = self.list.inner().slab;
        let limit = self.moment.ticks();
        let mut keys: Vec<(u64, u32)> = Vec::new();
        self.complete = true;
        slab.each_live(|index| {
            let key = (acquire(slab.chunk(index).word(STARTED)), index);
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
        f.debug_struct("Scan").field("moment", &self.moment).finish_non_exhaustive()
    }
}
