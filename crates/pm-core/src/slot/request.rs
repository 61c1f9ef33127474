//! What is asked of a task: the cancel request, and sections that must not be cut.

use super::words::*;
use super::{NoRoom, Writer};
use crate::cancel::{Cancelled, Request};
use crate::chunk::WORDS;
use crate::read::RequestView;
use crate::record::{self, Record};
use crate::serial::Serial;
use crate::sync::{Ordering, own};

impl Writer {
    /// Stores a cancel request: the first one stays. `None` if there was one already; else the cancel word as it was.
    pub(crate) fn request_cancel(&self, request: &Request<'_>) -> Option<u64> {
        let cancel = self.slot.cancel();
        if cancel::is_asked(own(cancel)) {
            return None;
        }
        let mark = Record::cancel_mark(self.stamp());
        let at = self.slot.chunk.get(NEWEST);
        // The texts first: from the first word of the chain on, all is there.
        let chain = self.append_request(request, at).map_or(cancel::NO_CHAIN, |first| u64::from(first) + 1);
        if self.entry(&mark).is_err() {
            self.slot.inner.lost.statuses.fetch_add(1, Ordering::Relaxed);
        }
        // AcqRel: pairs with the task's checkpoint, so that who sees the request sees its reason; and with a child that
        // marks its parent, so that it is seen here or sees the request (see `tree.rs`).
        Some(cancel.fetch_or(chain, Ordering::AcqRel))
    }

    pub(super) fn append_request(&self, request: &Request<'_>, at: u64) -> Result<u32, NoRoom> {
        let number = |name, value| Record::attr_number(name, record::U64, value);
        let grown = self.append(Tail(0), &number(request.by, at), |_| None)?;
        let first = grown.first_new;
        let rest = [number("", request.origin.unwrap_or(self.serial)), Record::text(record::KIND, request.reason)];
        let mut tail = grown.tail;
        for record in rest {
            match self.append(tail, &record, |_| None) {
                Ok(grown) => tail = grown.tail,
                Err(NoRoom) => {
                    self.free_chain(Some(first));
                    return Err(NoRoom);
                }
            }
        }
        Ok(first)
    }

    /// The words of the request's chain, as bytes.
    pub(super) fn request_bytes(&self, word: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut next = cancel_chain(word);
        while let Some(index) = next {
            let chunk = self.slot.inner.slab.chunk(index);
            (PAYLOAD..WORDS).for_each(|at| bytes.extend_from_slice(&chunk.peek(at).to_le_bytes()));
            next = next_of(chunk);
        }
        bytes
    }

    /// What was asked of the task, if anything.
    pub(crate) fn request(&self) -> Option<Cancelled> {
        let word = acquire(self.slot.cancel());
        if !cancel::is_asked(word) {
            return None;
        }
        let moment = self.slot.inner.timer.moment();
        Some(match RequestView::parse(&self.request_bytes(word), moment) {
            Some(request) => request.to_cancelled(Serial::new(self.serial)),
            None => Cancelled::unknown(Serial::new(self.serial)),
        })
    }

    /// When the task was asked to stop, if it was.
    pub(crate) fn asked_ticks(&self) -> Option<u64> {
        let word = acquire(self.slot.cancel());
        if !cancel::is_asked(word) {
            return None;
        }
        let moment = self.slot.inner.timer.moment();
        let ticks = RequestView::parse(&self.request_bytes(word), moment).map(|request| request.ticks());
        Some(ticks.unwrap_or_else(|| self.slot.chunk.get(NEWEST)))
    }

    /// The cancel request, if there is one; marks it as heard.
    pub(crate) fn hear_cancel(&self, mark: u64) -> Option<Cancelled> {
        let asked = self.request()?;
        self.slot.cancel().fetch_or(mark, Ordering::Relaxed);
        Some(asked)
    }

    /// One protected section more or less. False when there are too many.
    pub(crate) fn add_protected(&self, more: bool) -> bool {
        let cancel = self.slot.cancel();
        if !more {
            cancel.fetch_sub(cancel::ONE_PROTECTED, Ordering::Relaxed);
        } else if own(cancel) & cancel::PROTECTED == cancel::PROTECTED {
            return false;
        } else {
            cancel.fetch_add(cancel::ONE_PROTECTED, Ordering::Relaxed);
        }
        true
    }
}
