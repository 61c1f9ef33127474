//! A row that owns its memory.

use super::task_view::TaskView;
use crate::base::clock::Moment;
use crate::slot::copy::{Detail, Scratch, Wanted, copy_row};
use crate::slot::gate::Slot;
use crate::store::kinds::Kinds;

/// A row by itself, with all that is needed to look at it.
pub(crate) struct Row {
    bytes: Vec<u8>,
    moment: Moment,
    kinds: std::sync::Arc<Kinds>,
}

impl Row {
    /// Copies the task in a slot; `None` when there is no such task in it.
    pub(crate) fn copy(slot: Slot, wanted: Wanted, detail: Detail) -> Option<Self> {
        Self::timeless(slot, wanted, detail).map(|row| Self { moment: slot.inner.timer.moment(), ..row })
    }

    /// The same for who looks at no times.
    pub(crate) fn timeless(slot: Slot, wanted: Wanted, detail: Detail) -> Option<Self> {
        let mut bytes = Vec::new();
        copy_row(slot, wanted, detail, &mut Scratch::default(), &mut bytes).then(|| Self {
            bytes,
            moment: Moment::NONE,
            kinds: slot.inner.slab.kinds(),
        })
    }

    pub(crate) fn view(&self) -> TaskView<'_> {
        TaskView::new(&self.bytes, self.moment, &self.kinds)
    }
}
