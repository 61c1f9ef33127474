//! How a task observes its cancel request.

use super::cancelled::Cancelled;
use crate::base::serial::Serial;
use crate::base::sync::Ordering;
use crate::layout::words::{NEWEST, acquire, cancel};
use crate::slot::gate::Writer;
use crate::view::request::RequestView;

impl Writer {
    /// Returns the cancel request, if there is one.
    pub(crate) fn request(&self) -> Option<Cancelled> {
        let word = acquire(self.slot().cancel());
        if !cancel::is_asked(word) {
            return None;
        }
        let moment = self.slot().store.clock.moment();
        Some(match RequestView::parse(&self.request_bytes(word), moment) {
            Some(request) => Cancelled::of(&request, Serial::new(self.serial())),
            None => Cancelled::unknown(Serial::new(self.serial())),
        })
    }

    /// Returns the time of the cancel request, in ticks, if there is one.
    pub(crate) fn asked_ticks(&self) -> Option<u64> {
        let word = acquire(self.slot().cancel());
        if !cancel::is_asked(word) {
            return None;
        }
        let moment = self.slot().store.clock.moment();
        let ticks = RequestView::parse(&self.request_bytes(word), moment).map(|request| request.ticks());
        Some(ticks.unwrap_or_else(|| self.slot().chunk.get(NEWEST)))
    }

    /// Returns the cancel request, if there is one, and marks it as observed.
    pub(crate) fn observe_cancel(&self, mark: u64) -> Option<Cancelled> {
        let asked = self.request()?;
        self.slot().cancel().fetch_or(mark, Ordering::Relaxed);
        Some(asked)
    }
}
