//! Finds tasks by id and serial, and shows a single one.

use super::process_list::ProcessList;
use super::snapshot::Snapshot;
use crate::base::serial::Serial;
use crate::base::text;
use crate::layout::chunk::tag;
use crate::slot::copy::{Detail, Scratch, Wanted, copy_row};
use crate::slot::gate::Slot;
use crate::store::recorded;
use crate::view::history::History;
use crate::view::row::Row;
use crate::view::task_view::TaskView;

impl ProcessList {
    /// The live tasks that bear the id, oldest first.
    #[must_use]
    pub fn find(&self, id: &str) -> Vec<Serial> {
        self.find_slots(id).into_iter().map(|(_, serial)| serial).collect()
    }

    /// The tasks with this id that ended and are kept, in order of their end.
    #[must_use]
    pub fn find_ended(&self, id: &str) -> Snapshot {
        let inner = self.inner();
        let id = recorded::recorded(inner, id, inner.limits.id).text;
        self.ended_where(|task| task.id().as_bytes() == id.as_bytes())
    }

    pub(super) fn find_slots(&self, id: &str) -> Vec<(u32, Serial)> {
        let inner = self.inner();
        // An id that was masked or cut: so is the one that is looked for.
        let id = recorded::recorded(inner, id, inner.limits.id).text;
        let hash = text::hash(&id);
        let mut scratch = Scratch::default();
        let mut row = Vec::new();
        let mut found = Vec::new();
        let (moment, kinds) = (inner.timer.moment(), inner.slab.kinds());
        inner.slab.each_tag(|index, tag| {
            if tag & tag::LIVE != 0 && tag::has_hash(tag, hash) {
                row.clear();
                if copy_row(Slot::at(inner, index), Wanted::Live, Detail::Newest, &mut scratch, &mut row) {
                    let task = TaskView::new(&row, moment, &kinds);
                    if task.id().as_bytes() == id.as_bytes() {
                        found.push((task.started_ticks(), index, task.serial()));
                    }
                }
            }
            true
        });
        found.sort_unstable();
        found.into_iter().map(|(_, index, serial)| (index, serial)).collect()
    }

    pub(super) fn find_serial(&self, serial: Serial) -> Option<Slot> {
        let inner = self.inner();
        let mut found = None;
        inner.slab.each_tag(|index, tag| {
            if tag::has_serial(tag, serial.get()) {
                let slot = Slot::at(inner, index);
                found = slot.is_of(serial.get()).then_some(slot);
            }
            found.is_none()
        });
        found.filter(|_| serial.get() >= inner.first_serial())
    }

    /// Returns the history of a task that is live, or ended and retained; `None` when there is no such task (any more).
    ///
    /// Takes a [`Serial`], or the [serial of a handle](crate::TaskHandle::serial) as it is.
    #[must_use]
    pub fn history(&self, serial: impl Into<Option<Serial>>) -> Option<History> {
        self.read(serial.into()?, Detail::History, |task| task.history(self.inner().limits.newest_entries))
    }

    /// Calls `look` with one task that is live, or ended and retained; `None` when there is no such task (any more).
    ///
    /// Takes a [`Serial`], or the [serial of a handle](crate::TaskHandle::serial) as it is.
    pub fn view<R>(&self, serial: impl Into<Option<Serial>>, look: impl FnOnce(&TaskView<'_>) -> R) -> Option<R> {
        self.read(serial.into()?, Detail::Newest, look)
    }

    fn read<R>(&self, serial: Serial, detail: Detail, look: impl FnOnce(&TaskView<'_>) -> R) -> Option<R> {
        let slot = self.find_serial(serial)?;
        // Live first: it may end in between, but what ended never lives again.
        let row = [Wanted::Live, Wanted::Ended].into_iter().find_map(|wanted| Row::copy(slot, wanted, detail))?;
        let task = row.view();
        (task.serial() == serial).then(|| look(&task))
    }
}
