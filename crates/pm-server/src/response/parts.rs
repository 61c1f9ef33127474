//! Bodies that are written part by part, on another thread if a part may take long.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::compress::Compressor;
use super::memory::{Held, Memory, OutOfMemory, STREAM};

/// A list of more tasks is read on other threads, as other requests would wait for it.
pub(crate) const LONG: u64 = 5_000;

/// Writes a body part by part.
pub(crate) trait WriteParts: fmt::Debug + Send {
    /// Writes the next part; an empty one is for others to get a turn. `None` at the end.
    fn next_part(&mut self) -> Option<Vec<u8>>;

    /// Returns `true` if it is known that no part follows.
    fn is_complete(&self) -> bool {
        false
    }
}

type Piece = Box<dyn FnOnce() + Send>;

/// Runs a piece of work on another thread.
pub(crate) type Run = Arc<dyn Fn(Piece) + Send + Sync>;

/// Parts, as they are written.
pub(crate) struct Parts {
    state: State,
    /// `None` to write them in place.
    run: Option<Run>,
    held: Option<Arc<Held>>,
    /// Where the memory for the parts is taken from, before the first one is written.
    memory: Option<Arc<Memory>>,
}

/// The writer of a part, and the part.
type Written = (Box<dyn WriteParts>, Option<Vec<u8>>);

enum State {
    Here(Box<dyn WriteParts>),
    /// A part is being written on another thread.
    Away(oneshot::Receiver<Written>),
    Ended,
    /// Writing has panicked.
    Broken,
}

impl Parts {
    pub(crate) fn new(writer: impl WriteParts + 'static, run: Option<Run>) -> Self {
        Self { state: State::Here(Box::new(writer)), run, held: None, memory: None }
    }

    /// Compresses the parts; before the first one is polled for.
    pub(super) fn compressed(self) -> Self {
        let state = match self.state {
            State::Here(writer) => State::Here(Box::new(Compressed { writer, compressor: Compressor::new() })),
            other => other,
        };
        Self { state, ..self }
    }

    /// Counts the parts, together with what writes them, until the last of them was sent.
    pub(crate) fn counted(self, held: Held) -> Self {
        Self { held: Some(Arc::new(held)), ..self }
    }

    /// As [`counted`](Self::counted), in memory of a budget. Parts that are written elsewhere wait until it has enough:
    /// they are those of many clients at once, and each is sent soon.
    ///
    /// # Errors
    ///
    /// The budget has no space for them.
    pub(super) fn counted_in(self, memory: &Arc<Memory>) -> Result<Self, OutOfMemory> {
        if self.run.is_some() && memory.may_hold(STREAM) {
            return Ok(Self { memory: Some(Arc::clone(memory)), ..self });
        }
        Ok(self.counted(memory.hold_for_response(STREAM)?))
    }

    /// Polls for the next part, which is not empty; `None` at the end.
    pub(crate) fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(memory) = &self.memory {
            self.held = Some(Arc::new(ready!(memory.poll_hold(STREAM, context))));
            self.memory = None;
        }
        loop {
            let (writer, part) = match std::mem::replace(&mut self.state, State::Ended) {
                State::Here(writer) if self.run.is_some() => {
                    self.write_elsewhere(writer);
                    continue;
                }
                State::Here(mut writer) => {
                    let part = writer.next_part();
                    (writer, part)
                }
                State::Away(mut written) => match Pin::new(&mut written).poll(context) {
                    Poll::Pending => {
                        self.state = State::Away(written);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(written)) => written,
                    Poll::Ready(Err(_)) => {
                        self.state = State::Broken;
                        return Poll::Ready(None);
                    }
                },
                ended => {
                    self.state = ended;
                    return Poll::Ready(None);
                }
            };
            let Some(part) = part else { return Poll::Ready(None) };
            if writer.is_complete() {
                self.state = State::Here(writer);
            } else {
                // The next part is written while this one is sent.
                self.write_elsewhere(writer);
            }
            if !part.is_empty() {
                let part = Bytes::from(part);
                return Poll::Ready(Some(match &self.held {
                    Some(held) => held.part(part),
                    None => part,
                }));
            }
        }
    }

    /// Has the next part written, if that is not done in place.
    fn write_elsewhere(&mut self, mut writer: Box<dyn WriteParts>) {
        let Some(run) = &self.run else {
            self.state = State::Here(writer);
            return;
        };
        let (done, written) = oneshot::channel();
        run(Box::new(move || {
            let part = writer.next_part();
            // The response may have been dropped.
            drop(done.send((writer, part)));
        }));
        self.state = State::Away(written);
    }

    /// Returns `true` if it is known that no part follows.
    pub(crate) fn is_complete(&self) -> bool {
        match &self.state {
            State::Here(writer) => writer.is_complete(),
            State::Away(_) => false,
            State::Ended | State::Broken => true,
        }
    }

    /// Returns `true` if the parts ended before all was written.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Here(writer) => writer.fmt(f),
            State::Away(_) => f.write_str("Away"),
            State::Ended => f.write_str("Ended"),
            State::Broken => f.write_str("Broken"),
        }
    }
}

/// Compresses parts as they are written.
#[derive(Debug)]
struct Compressed {
    writer: Box<dyn WriteParts>,
    compressor: Compressor,
}

impl WriteParts for Compressed {
    fn next_part(&mut self) -> Option<Vec<u8>> {
        match self.writer.next_part() {
            Some(part) => Some(self.compressor.add(&part)),
            None => Some(self.compressor.finish()).filter(|rest| !rest.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::task::Waker;

    use super::*;
    use crate::sync::lock;

    #[derive(Debug)]
    struct Script(Vec<Option<&'static str>>);

    impl WriteParts for Script {
        fn next_part(&mut self) -> Option<Vec<u8>> {
            if self.0.is_empty() { None } else { Some(self.0.remove(0).expect("a part").into()) }
        }
    }

    fn poll(parts: &mut Parts) -> Poll<Option<Bytes>> {
        parts.poll_part(&mut Context::from_waker(Waker::noop()))
    }

    fn ready(text: &'static str) -> Poll<Option<Bytes>> {
        Poll::Ready(Some(Bytes::from_static(text.as_bytes())))
    }

    #[test]
    fn parts_are_written_by_what_runs_them_and_never_while_they_are_polled_for() {
        let work: Arc<Mutex<VecDeque<Piece>>> = Arc::default();
        let run: Run = {
            let work = Arc::clone(&work);
            Arc::new(move |piece| lock(&work).push_back(piece))
        };
        let next = || lock(&work).pop_front().expect("it waits to be written")();
        let mut parts = Parts::new(Script(vec![Some("one"), Some(""), Some("two"), None]), Some(run));
        assert!(poll(&mut parts).is_pending() && poll(&mut parts).is_pending());
        next();
        assert_eq!(poll(&mut parts), ready("one"));
        assert_eq!(lock(&work).len(), 1, "the next one is written while this one is sent");
        next();
        assert!(poll(&mut parts).is_pending(), "others had a turn");
        next();
        assert_eq!(poll(&mut parts), ready("two"));
        assert!(!parts.is_broken() && !parts.is_complete());
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(next)).is_err());
        assert_eq!(poll(&mut parts), Poll::Ready(None));
        assert!(parts.is_broken() && lock(&work).is_empty());
    }

    #[test]
    fn parts_in_place_need_no_other_thread() {
        let mut parts = Parts::new(Script(vec![Some("one"), Some(""), Some("two")]), None);
        assert_eq!([poll(&mut parts), poll(&mut parts)], [ready("one"), ready("two")]);
        assert_eq!(poll(&mut parts), Poll::Ready(None));
        assert!(parts.is_complete() && !parts.is_broken());
    }
}
