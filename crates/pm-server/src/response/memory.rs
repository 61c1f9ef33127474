//! The memory of responses: one budget for all that is held for clients, however slow or greedy they are.
//!
//! A response counts as long as its bytes are in memory: from when it was written until the last of them was passed to
//! the system, or its client left. One that is written while it is sent, such as a list or a snapshot for a watcher,
//! counts with what it needs at most at a time. What does not fit any more is refused before it costs anything, or
//! waits if it is a watcher's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use memmap2::MmapMut;
use tokio::sync::Notify;

use crate::sync::lock;

/// The budget by default, in bytes.
const MAX: u64 = 64 << 20;

/// The bytes of a response that is written while it is sent: its place in the list, the part that is written, and the
/// one that is sent.
pub(crate) const STREAM: u64 = 512 << 10;

/// Responses up to this many bytes are never refused: a check of the health must not fail because others read slowly. A
/// connection has one or two of them.
const SMALL: u64 = 8 << 10;

/// Responses of so many bytes are held in mappings of their own, which go back to the system when they were sent:
/// allocators retain what is freed between blocks of the program, and then the peak of an attack would stay.
const MAPPED: usize = 128 << 10;

fn mapped(bytes: Bytes) -> Bytes {
    let Ok(mut map) = MmapMut::map_anon(bytes.len()) else { return bytes };
    map.copy_from_slice(&bytes);
    Bytes::from_owner(map)
}

/// Longer pieces leave a quarter of the budget to those that are not: slow readers of lists must not keep others from
/// asking for one task.
const SHORT: u64 = 64 << 10;

/// The budget has less left than a response needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    pub(super) needed: u64,
    pub(super) held: u64,
    pub(super) max: u64,
}

/// The budget, and what is held of it.
pub(crate) struct Memory {
    max: AtomicU64,
    held: AtomicU64,
    refused: AtomicU64,
    /// Notified when a response was refused, or has to wait.
    short: Notify,
    /// Watchers and long lists that wait for some of it.
    waiting: Mutex<VecDeque<Waker>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            max: AtomicU64::new(MAX),
            held: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            short: Notify::new(),
            waiting: Mutex::default(),
        }
    }
}

impl Memory {
    pub(crate) fn set_max(&self, bytes: u64) {
        self.max.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Returns the bytes that are held.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns how many responses did not fit.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns `true` if a response waits for memory and there is not enough.
    pub(crate) fn is_waited_for(&self) -> bool {
        // Some that wait may have left.
        self.held() + STREAM > self.max_with(STREAM) && !lock(&self.waiting).is_empty()
    }

    /// Waits until a response was refused, or has to wait.
    pub(crate) async fn is_short(&self) {
        self.short.notified().await;
    }

    /// Returns the most that may be held when so many bytes are taken.
    fn max_with(&self, bytes: u64) -> u64 {
        if bytes <= SHORT { self.max() } else { self.max() / 4 * 3 }
    }

    /// Returns `true` if the budget has so many bytes when nothing else is held.
    pub(super) fn may_hold(&self, bytes: u64) -> bool {
        bytes <= self.max_with(bytes)
    }

    /// Takes so many bytes of the budget, if they are left.
    pub(crate) fn hold(self: &Arc<Self>, bytes: u64) -> Option<Held> {
        let max = self.max_with(bytes);
        let take = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= max);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Held { memory: Arc::clone(self), bytes })
    }

    /// Takes so many bytes for a response. Few are never refused.
    pub(crate) fn hold_for_response(self: &Arc<Self>, bytes: u64) -> Result<Held, OutOfMemory> {
        if bytes <= SMALL {
            return Ok(self.hold_anyway(bytes));
        }
        self.hold(bytes).ok_or_else(|| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.short.notify_one();
            OutOfMemory { needed: bytes, held: self.held(), max: self.max() }
        })
    }

    /// Takes so many bytes, also beyond the budget: for a response that must not be refused any more.
    pub(crate) fn hold_anyway(self: &Arc<Self>, bytes: u64) -> Held {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held { memory: Arc::clone(self), bytes }
    }

    /// Takes so many bytes as soon as they are left.
    pub(crate) fn poll_hold(self: &Arc<Self>, bytes: u64, context: &Context<'_>) -> Poll<Held> {
        if let Some(held) = self.hold(bytes) {
            return Poll::Ready(held);
        }
        let waker = context.waker();
        let mut waiting = lock(&self.waiting);
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push_back(waker.clone());
        }
        drop(waiting);
        self.short.notify_one();
        // Some may have been given back before the waker was there.
        self.hold(bytes).map_or(Poll::Pending, Poll::Ready)
    }

    fn give_back(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        // As many as may find enough now; who does not waits again, as the last.
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min((bytes / STREAM) as usize + 1);
        let woken: Vec<Waker> = waiting.drain(..count).collect();
        drop(waiting);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// A part of the budget, until it is dropped.
pub(crate) struct Held {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Held {
    /// Returns how much is held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes all of it out, and leaves nothing.
    pub(crate) fn take(&mut self) -> Self {
        Self { memory: Arc::clone(&self.memory), bytes: std::mem::take(&mut self.bytes) }
    }

    /// Changes how much is held. Returns `false` and changes nothing if that is not left.
    pub(crate) fn resize(&mut self, bytes: u64) -> bool {
        if bytes > self.bytes {
            let Some(mut more) = self.memory.hold(bytes - self.bytes) else { return false };
            more.bytes = 0;
        } else {
            self.memory.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
        true
    }

    /// Returns bytes that are counted until the last reference to them is gone. What they do not need is given back.
    pub(crate) fn of(mut self, bytes: Bytes) -> Bytes {
        let needed = self.bytes.min(bytes.len() as u64);
        self.resize(needed);
        let bytes = if bytes.len() >= MAPPED { mapped(bytes) } else { bytes };
        Bytes::from_owner(Counted { bytes, _held: self })
    }

    /// Returns one of the parts that count together, until the last reference to any of them is gone.
    pub(crate) fn part(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { bytes, _held: Arc::clone(self) })
    }
}

/// Bytes, and the part of the budget that they are counted in.
struct Counted<H> {
    bytes: Bytes,
    _held: H,
}

impl<H> AsRef<[u8]> for Counted<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_until_its_last_reference_is_gone() {
        let memory = Arc::new(Memory::default());
        memory.set_max(10);
        let bytes = memory.hold(7).unwrap().of(Bytes::from_static(b"seven .")).slice(3..);
        assert_eq!((memory.held(), &*bytes), (7, &b"en ."[..]));
        assert!(memory.hold(4).is_none());
        assert!(memory.hold_for_response(SMALL).is_ok(), "a short response is never refused");
        let error = memory.hold_for_response(SMALL + 1).unwrap_err();
        assert_eq!((error.needed, error.max), (SMALL + 1, 10));
        assert_eq!(memory.refused(), 1);
        let other = bytes.clone();
        drop(bytes);
        assert_eq!(memory.held(), 7);
        drop(other);
        assert_eq!(memory.held(), 0);
        let shorter = memory.hold(9).unwrap().of(Bytes::from_static(b"two"));
        assert_eq!(memory.held(), 3, "what was too much is given back");
        let parts = Arc::new(memory.hold(5).unwrap());
        let last = parts.part(Bytes::from_static(b"last"));
        drop((parts, shorter));
        assert_eq!((memory.held(), &*last), (5, &b"last"[..]), "a part outlives what wrote it");
        drop(last);
        assert_eq!(memory.held(), 0);
        assert!(memory.hold(u64::MAX).is_none(), "no sum overflows");
    }

    #[test]
    fn what_is_held_grows_within_the_budget_and_shrinks() {
        let memory = Arc::new(Memory::default());
        memory.set_max(10);
        let mut held = memory.hold(4).unwrap();
        assert!(held.resize(9) && !held.resize(11));
        assert_eq!(memory.held(), 9);
        assert!(held.resize(1));
        let (held, other) = (Arc::new(held), memory.hold(9).unwrap());
        let parts = [held.part(Bytes::from_static(b"a")), held.part(Bytes::from_static(b"b"))];
        drop((held, other));
        assert_eq!(memory.held(), 1);
        drop(parts);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn who_waits_is_woken_when_some_is_given_back() {
        use std::sync::atomic::AtomicBool;
        use std::task::Wake;

        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let memory = Arc::new(Memory::default());
        let held = memory.hold(MAX / 4 * 3).unwrap();
        let _short = memory.hold(SHORT).expect("a part is left for short ones");
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(memory.poll_hold(STREAM, &Context::from_waker(&waker)).is_pending());
        assert!(!woken.0.load(Ordering::Relaxed));
        drop(held);
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(memory.poll_hold(STREAM, &Context::from_waker(&waker)).is_ready());
    }
}
