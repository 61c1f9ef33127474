//! The attributes of a task, each name once.

use super::records::{RecordView, Records};
use super::values::{Text, ValueView};

/// The attributes of a task; made by [`TaskView::attrs`](crate::TaskView::attrs).
#[derive(Clone, Copy, Debug)]
pub struct Attrs<'a> {
    pub(super) records: Records<'a>,
    /// Records about attributes that are still to come.
    pub(super) left: usize,
    /// Some name may come twice.
    pub(super) repeat: bool,
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (Text<'a>, ValueView<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let Some((name, value)) = self.records.next()?.attr() else { continue };
            self.left -= 1;
            // The newest record of a name counts. Names repeat only where a value was set again.
            let superseded = self.repeat && self.records.filter_map(RecordView::attr).any(|(later, _)| later == name);
            if let (false, Some(value)) = (superseded, value) {
                return Some((name, value));
            }
        }
        None
    }
}
