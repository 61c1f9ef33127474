//! A row that owns its memory.

use std::sync::Arc;

use super::task_view::TaskView;
use crate::base::clock::Moment;
use crate::slot::copy::{Detail, Scratch, Wanted, copy_row};
use crate::slot::gate::Slot;
use crate::store::kinds::Kinds;

/// A row by itself, with all that is needed to look at it.
pub(crate) struct Row {
    bytes: Vec<u8>,
    moment: Moment,
    kinds: Arc<Kinds>,
}

impl Row {
    /// Copies the task in a slot; `None` when there is no such task in it.
    pub(crate) fn copy(slot: Slot, wanted: Wanted, detail: Detail) -> Option<Self> {
        Self::timeless(slot, wanted, detail).map(|row| Self { moment: slot.store.clock.moment(), ..row })
    }

    /// Copies exactly this task; `None` when it is no longer live.
    pub(crate) fn live(slot: Slot, serial: u64, detail: Detail) -> Option<Self> {
        Self::copy(slot, Wanted::Live, detail).filter(|row| row.view().serial().get() == serial)
    }

    /// Copies the task in a slot for a reader of no times, which saves reading the clocks.
    pub(crate) fn timeless(slot: Slot, wanted: Wanted, detail: Detail) -> Option<Self> {
        let mut bytes = Vec::new();
        copy_row(slot, wanted, detail, &mut Scratch::default(), &mut bytes).then(|| Self {
            bytes,
            moment: Moment::NONE,
            kinds: slot.store.slab.kinds(),
        })
    }

    pub(crate) fn view(&self) -> TaskView<'_> {
        TaskView::new(&self.bytes, self.moment, &self.kinds)
    }
}
