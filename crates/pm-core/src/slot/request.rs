//! The cancel request of a task, and its protected sections.

use super::gate::{NoSpace, Writer};
use crate::base::sync::{Ordering, own};
use crate::layout::chunk::WORDS;
use crate::layout::record;
use crate::layout::record::Record;
use crate::layout::words::*;

/// A cancel request as it is stored in a slot.
pub(crate) struct Request<'a> {
    pub(crate) reason: &'a str,
    pub(crate) by: &'a str,
    /// The task that the request was made for, if that is another one.
    pub(crate) origin: Option<u64>,
}

impl Writer {
    /// Stores a cancel request, unless there is one. Returns the earlier cancel word; `None` if there was a request
    /// already.
    pub(crate) fn request_cancel(&self, request: &Request<'_>) -> Option<u64> {
        let cancel = self.slot.cancel();
        if cancel::is_asked(own(cancel)) {
            return None;
        }
        let mark = Record::cancel_mark(self.stamp());
        let at = self.slot.chunk.get(NEWEST);
        // The strings first, so that they are complete when the cancel word refers to them.
        let chain = self.append_request(request, at).map_or(cancel::NO_CHAIN, |first| u64::from(first) + 1);
        if self.entry(&mark).is_err() {
            self.slot.store.counters.statuses_dropped.fetch_add(1, Ordering::Relaxed);
        }
        // AcqRel: pairs with the task's checkpoint, so that a task that sees the request sees its reason; and with a
        // child that marks its parent, so that it is seen here or sees the request (see `cancel/tree.rs`).
        Some(cancel.fetch_or(chain, Ordering::AcqRel))
    }

    pub(super) fn append_request(&self, request: &Request<'_>, at: u64) -> Result<u32, NoSpace> {
        let number = |name, value| Record::attr_number(name, record::U64, value);
        let grown = self.append(Tail(0), &number(request.by, at), |_| None)?;
        let first = grown.first_new;
        let rest = [number("", request.origin.unwrap_or(self.serial)), Record::text(record::KIND, request.reason)];
        let mut tail = grown.tail;
        for record in rest {
            match self.append(tail, &record, |_| None) {
                Ok(grown) => tail = grown.tail,
                Err(NoSpace) => {
                    self.free_chain(Some(first));
                    return Err(NoSpace);
                }
            }
        }
        Ok(first)
    }

    /// Returns the words of the request's chain, as bytes.
    pub(crate) fn request_bytes(&self, word: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut next = cancel_chain(word);
        while let Some(index) = next {
            let chunk = self.slot.store.slab.chunks.get(index);
            (PAYLOAD..WORDS).for_each(|at| bytes.extend_from_slice(&chunk.peek(at).to_le_bytes()));
            next = next_of(chunk);
        }
        bytes
    }

    /// Counts one protected section more or less. Returns `false` when there are too many.
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
