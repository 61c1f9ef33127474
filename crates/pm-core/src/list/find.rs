//! Finds tasks by id and serial, and shows a single one.

use super::process_list::ProcessList;
use super::snapshot::Snapshot;
use crate::base::serial::Serial;
use crate::base::text;
use crate::layout::chunk::tag;
use crate::shared::state::TaskRef;
use crate::slot::copy::{Detail, Scratch, Wanted, copy_row};
use crate::slot::gate::Slot;
use crate::store::recorded;
use crate::view::history::History;
use crate::view::row::Row;
use crate::view::task_view::TaskView;

impl ProcessList {
    /// Returns the live tasks that have the id, oldest first.
    #[must_use]
    pub fn find(&self, id: &str) -> Vec<Serial> {
        self.find_tasks(id).into_iter().map(|task| Serial::new(task.serial)).collect()
    }

    /// Returns the tasks with this id that ended and are retained, in order of their end.
    #[must_use]
    pub fn find_ended(&self, id: &str) -> Snapshot {
        let shared = self.shared();
        let id = recorded::recorded(&shared.store, id, shared.store.limits.id).text;
        let found = shared.store.slab.slots_of(text::hash(&id), |tag| !tag::is_live(tag));
        Snapshot::take_ended(shared, found, |task| task.id().as_bytes() == id.as_bytes())
    }

    pub(super) fn find_tasks(&self, id: &str) -> Vec<TaskRef> {
        let shared = self.shared();
        // An id that was masked or cut: so is the one that is looked for.
        let id = recorded::recorded(&shared.store, id, shared.store.limits.id).text;
        let mut scratch = Scratch::default();
        let mut row = Vec::new();
        let mut found: Vec<(u64, u32, Serial)> = Vec::new();
        let (moment, kinds) = (shared.store.clock.moment(), shared.store.slab.kinds());
        for index in shared.store.slab.slots_of(text::hash(&id), tag::is_live) {
            row.clear();
            if copy_row(Slot::at(&shared.store, index), Wanted::Live, Detail::Newest, &mut scratch, &mut row) {
                let task = TaskView::new(&row, moment, &kinds);
                if task.id().as_bytes() == id.as_bytes() {
                    found.push((task.started_ticks(), index, task.serial()));
                }
            }
        }
        found.sort_unstable();
        let task = |index, serial: Serial| TaskRef::new(shared, Slot::at(&shared.store, index), serial.get());
        found.into_iter().map(|(_, index, serial)| task(index, serial)).collect()
    }

    pub(super) fn find_serial(&self, serial: Serial) -> Option<TaskRef> {
        let shared = self.shared();
        let (slab, serial) = (shared.store.slab, serial.get());
        let is_of = |index| Slot::at(&shared.store, index).is_of(serial);
        let mut found = slab.directory.slot_of(serial).filter(|&index| is_of(index));
        if found.is_none() && slab.directory.is_incomplete() {
            slab.chunks.each_tag(|index, tag| {
                if tag::has_serial(tag, serial) && is_of(index) {
                    found = Some(index);
                }
                found.is_none()
            });
        }
        let index = found.filter(|_| serial >= shared.first_serial())?;
        Some(TaskRef::new(shared, Slot::at(&shared.store, index), serial))
    }

    /// Returns the history of a task that is live, or ended and retained; `None` when there is no such task (any more).
    ///
    /// Takes a [`Serial`], or the [serial of a handle](crate::TaskHandle::serial) as it is.
    #[must_use]
    pub fn history(&self, serial: impl Into<Option<Serial>>) -> Option<History> {
        self.read(serial.into()?, Detail::History, |task| task.history(self.shared().store.limits.newest_entries))
    }

    /// Calls `look` with one task that is live, or ended and retained; `None` when there is no such task (any more).
    ///
    /// Takes a [`Serial`], or the [serial of a handle](crate::TaskHandle::serial) as it is.
    pub fn view<R>(&self, serial: impl Into<Option<Serial>>, look: impl FnOnce(&TaskView<'_>) -> R) -> Option<R> {
        self.read(serial.into()?, Detail::Newest, look)
    }

    fn read<R>(&self, serial: Serial, detail: Detail, look: impl FnOnce(&TaskView<'_>) -> R) -> Option<R> {
        let slot = self.find_serial(serial)?.slot();
        // Live first: it may end in between, but what ended never lives again.
        let row = [Wanted::Live, Wanted::Ended].into_iter().find_map(|wanted| Row::copy(slot, wanted, detail))?;
        let task = row.view();
        (task.serial() == serial).then(|| look(&task))
    }
}
