//! All tasks at once, live or ended, copied in one go.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

use super::process_list::ProcessList;
use crate::base::clock::Moment;
use crate::base::timestamp::Timestamp;
use crate::cancel::timer;
use crate::shared::state::Shared;
use crate::slot::copy::{Detail, Scratch, Wanted, copy_row};
use crate::slot::gate::Slot;
use crate::store::ended::NOTABLE_STAYS;
use crate::store::kinds::Kinds;
use crate::view::task_view::{TaskView, started_ticks};

impl ProcessList {
    /// Returns all live tasks, oldest first.
    ///
    /// Includes every task that was live during the whole call; one that started or ended during it may or may not
    /// appear. No task waits for it. It takes some 300 bytes for each of them; where the program has no memory for
    /// all, as under a limit of its address space, the rest is [counted](Snapshot::not_copied).
    /// [`for_each`](Self::for_each) and [`scan`](Self::scan) need none.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        timer::help();
        Snapshot::take(self.shared())
    }

    /// Calls `look` with each live task, in no given order, in one pass and in memory that does not grow with their
    /// number: for finding a few among many. Returns the time that all ages are relative to.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("job-1");
    /// let mut oldest = None;
    /// list.for_each(|task| oldest = oldest.max(Some(task.age())));
    /// assert!(oldest.is_some());
    /// ```
    pub fn for_each(&self, mut look: impl FnMut(&TaskView<'_>)) -> Timestamp {
        timer::help();
        let shared = self.shared();
        let (moment, kinds) = (shared.store.clock.moment(), shared.store.slab.kinds());
        let (mut scratch, mut row) = (Scratch::default(), Vec::new());
        shared.store.slab.chunks.each_live(|index| {
            row.clear();
            if copy_row(Slot::at(&shared.store, index), Wanted::Live, Detail::Newest, &mut scratch, &mut row) {
                look(&TaskView::new(&row, moment, &kinds));
            }
        });
        moment.timestamp()
    }

    /// Returns the tasks that ended and are retained, in order of their end.
    ///
    /// [`Options::keep_ended`](crate::Options::keep_ended) and its neighbours set how many are retained, and for how
    /// long. Their [outcome](TaskView::outcome) is known, and the last entry of their [`history`](Self::history).
    ///
    /// ```
    /// use pm_core::{Outcome, ProcessList};
    ///
    /// let list = ProcessList::new();
    /// list.start("import-42").fail("no such file");
    /// let ended = list.ended();
    /// assert_eq!(ended.get(0).unwrap().outcome(), Some(Outcome::Failed));
    /// ```
    #[must_use]
    pub fn ended(&self) -> Snapshot {
        self.ended_where(|_| true)
    }

    /// Returns the retained tasks that `wanted` selects, in order of their end. See [`ended`](Self::ended).
    #[must_use]
    pub fn ended_where(&self, wanted: impl FnMut(&TaskView<'_>) -> bool) -> Snapshot {
        let mut found = Vec::new();
        self.shared().store.slab.chunks.each_ended(|index| found.push(index));
        Snapshot::take_ended(self.shared(), found, wanted)
    }
}

/// Values of all tasks, copied at one moment; oldest task first.
///
/// Holds no lock and keeps no task from anything.
pub struct Snapshot {
    rows: Vec<u8>,
    /// Start, in ticks, and where the row begins.
    order: Vec<(u64, usize)>,
    not_copied: u64,
    moment: Moment,
    kinds: Arc<Kinds>,
}

/// Appends a row, if there is memory for it, and returns where it begins.
fn append(rows: &mut Vec<u8>, row: &[u8]) -> Option<usize> {
    let start = rows.len();
    rows.try_reserve(row.len()).or_else(|_| rows.try_reserve_exact(row.len())).ok()?;
    rows.extend_from_slice(row);
    Some(start)
}

impl Snapshot {
    pub(crate) fn take(shared: &'static Shared) -> Self {
        let mut live = 0;
        shared.store.slab.chunks.each_live(|_| live += 1);
        let (mut rows, mut order, mut not_copied) = (Vec::new(), Vec::new(), 0);
        // Without memory for all at once, there may be some for a part.
        let _ = rows.try_reserve_exact(live * 256);
        let _ = order.try_reserve_exact(live);
        let (mut scratch, mut row) = (Scratch::default(), Vec::new());
        shared.store.slab.chunks.each_live(|index| {
            row.clear();
            if copy_row(Slot::at(&shared.store, index), Wanted::Live, Detail::Newest, &mut scratch, &mut row) {
                match order.try_reserve(1).ok().and_then(|()| append(&mut rows, &row)) {
                    Some(start) => order.push((started_ticks(&row), start)),
                    None => not_copied += 1,
                }
            }
        });
        order.sort_unstable();
        Self { rows, order, not_copied, moment: shared.store.clock.moment(), kinds: shared.store.slab.kinds() }
    }

    /// Returns the tasks of some slots that ended and are retained, in order of their end.
    pub(crate) fn take_ended(
        shared: &'static Shared,
        slots: Vec<u32>,
        mut wanted: impl FnMut(&TaskView<'_>) -> bool,
    ) -> Self {
        let kinds = shared.store.slab.kinds();
        let (mut rows, mut order, mut not_copied) = (Vec::new(), Vec::new(), 0);
        let (mut scratch, mut row) = (Scratch::default(), Vec::new());
        let moment = shared.store.clock.moment();
        let (max_age, since) = (shared.store.limits.ended_for, shared.first_serial());
        let mut notable = 0;
        for index in slots {
            row.clear();
            if !copy_row(Slot::at(&shared.store, index), Wanted::Ended, Detail::History, &mut scratch, &mut row) {
                continue;
            }
            let task = TaskView::new(&row, moment, &kinds);
            let age = moment.age_nanos(task.ended_ticks());
            let is_notable = task.is_notable();
            let stays = max_age.saturating_mul(if is_notable { NOTABLE_STAYS } else { 1 });
            if task.serial().get() >= since && age <= stays && wanted(&task) {
                match append(&mut rows, &row) {
                    Some(start) => {
                        notable += usize::from(is_notable);
                        order.push((task.ended_ticks(), task.serial(), start, is_notable));
                    }
                    None => not_copied += 1,
                }
            }
        }
        order.sort_unstable();
        // A thread holds on to a few more than the limit; they are not shown. The oldest go first, the ordinary before
        // the notable.
        let limit = shared.store.limits.ended as usize;
        let mut surplus = order.len().saturating_sub(limit);
        let mut surplus_notable = notable.saturating_sub(limit);
        order.retain(|&(.., is_notable)| {
            let spare = if is_notable { &mut surplus_notable } else { &mut surplus };
            let goes = *spare > 0;
            *spare -= usize::from(goes);
            !goes
        });
        let order = order.into_iter().map(|(ended, _, start, _)| (ended, start)).collect();
        Self { rows, order, not_copied, moment, kinds }
    }

    /// Returns an iterator over the tasks, oldest first; over ended ones in order of their end.
    pub fn iter(&self) -> SnapshotIter<'_> {
        SnapshotIter { snapshot: self, order: self.order.iter() }
    }

    fn task_at(&self, start: usize) -> TaskView<'_> {
        TaskView::new(&self.rows[start..], self.moment, &self.kinds)
    }

    /// Returns the number of tasks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Returns `true` if there are no tasks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the task at this index, counted from the oldest.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<TaskView<'_>> {
        let &(_, start) = self.order.get(index)?;
        Some(self.task_at(start))
    }

    /// Returns how many tasks are missing because the program had no memory for them.
    #[must_use]
    pub fn not_copied(&self) -> u64 {
        self.not_copied
    }

    /// Returns when the snapshot was taken; its ages are relative to this.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.moment.timestamp()
    }
}

impl<'s> IntoIterator for &'s Snapshot {
    type Item = TaskView<'s>;
    type IntoIter = SnapshotIter<'s>;

    fn into_iter(self) -> SnapshotIter<'s> {
        self.iter()
    }
}

/// An iterator over the tasks of a [`Snapshot`]; made by [`Snapshot::iter`].
#[derive(Clone)]
#[must_use = "iterators do nothing unless they are used"]
pub struct SnapshotIter<'s> {
    snapshot: &'s Snapshot,
    order: std::slice::Iter<'s, (u64, usize)>,
}

impl<'s> Iterator for SnapshotIter<'s> {
    type Item = TaskView<'s>;

    #[inline]
    fn next(&mut self) -> Option<TaskView<'s>> {
        self.order.next().map(|&(_, start)| self.snapshot.task_at(start))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.order.size_hint()
    }
}

impl DoubleEndedIterator for SnapshotIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.order.next_back().map(|&(_, start)| self.snapshot.task_at(start))
    }
}

impl ExactSizeIterator for SnapshotIter<'_> {}

impl FusedIterator for SnapshotIter<'_> {}

impl fmt::Debug for SnapshotIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
