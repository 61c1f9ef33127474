//! The activity of a connection, and the watchdog that times it out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::Limits;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Head,
    /// The body of a request is read.
    Body,
    Answering,
}

/// The phase of a connection and its last activity; written as bytes move, read by the watchdog.
pub(super) struct Pulse {
    opened: Instant,
    /// Milliseconds since the connection was opened, and the phase in the two lowest bits.
    beat: AtomicU64,
    /// The client currently reads nothing.
    pub(super) blocked: AtomicBool,
    /// The client has closed its end, as far as was looked ahead: it is gone, or waits for the last response.
    pub(super) half_closed: AtomicBool,
    /// The client may still be sending when the connection is closed.
    pub(super) linger: AtomicBool,
    /// The response ends only when its reader leaves.
    pub(super) endless: AtomicBool,
    /// A request is being answered, or its answer is not yet handed to the system in full. What is written otherwise is
    /// an error of the HTTP library's own.
    pub(super) is_owed: AtomicBool,
    /// Notified when the connection is to make space for another.
    pub(super) evicted: Notify,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let beat = AtomicU64::new(Phase::Head as u64);
        let flag = || AtomicBool::new(false);
        Self {
            opened: Instant::now(),
            beat,
            blocked: flag(),
            half_closed: flag(),
            linger: flag(),
            endless: flag(),
            is_owed: flag(),
            evicted: Notify::new(),
        }
    }

    /// Returns how well the connection can be done without, the best first: it has no whole request, or its client is
    /// likely gone, or reads nothing; each by its last activity. `None` if it is of use.
    pub(super) fn expendable(&self) -> Option<(u8, Instant)> {
        let (phase, since) = self.beat();
        let rank = match phase {
            Phase::Idle | Phase::Head | Phase::Body => 0,
            Phase::Answering if self.endless.load(Relaxed) => return None,
            Phase::Answering if self.half_closed.load(Relaxed) => 1,
            Phase::Answering if self.is_blocked() => 2,
            Phase::Answering => return None,
        };
        Some((rank, since))
    }

    /// Returns since when the client has not read what is sent to it; `None` if it reads, or if nothing is sent.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        let (phase, since) = self.beat();
        (phase == Phase::Answering && self.is_blocked() && !self.endless.load(Relaxed)).then_some(since)
    }

    pub(super) fn beat(&self) -> (Phase, Instant) {
        let beat = self.beat.load(Relaxed);
        let phase = match beat & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            _ => Phase::Answering,
        };
        (phase, self.opened + Duration::from_millis(beat >> 2))
    }

    pub(super) fn set(&self, phase: Phase) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.beat.store(millis << 2 | phase as u64, Relaxed);
    }

    pub(super) fn received(&self) {
        match self.beat().0 {
            Phase::Idle => self.set(Phase::Head),
            // The time limit of a head starts with its first byte.
            Phase::Head => {}
            phase => self.set(phase),
        }
    }

    pub(super) fn sent(&self) {
        match self.beat().0 {
            Phase::Head => {}
            phase => self.set(phase),
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }
}

/// Times out a connection.
pub(super) struct Watchdog {
    pulse: Arc<Pulse>,
    limits: Limits,
    sleep: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(pulse: Arc<Pulse>, limits: Limits) -> Self {
        let sleep = Box::pin(sleep_until(pulse.opened + limits.head_timeout));
        Self { pulse, limits, sleep }
    }

    /// Ready when the time is over; `true` if that is within a head that had begun.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            let (phase, since) = self.pulse.beat();
            let limit = if phase == Phase::Head { self.limits.head_timeout } else { self.limits.idle_timeout };
            let until = since + limit;
            // A later deadline is noticed when the timer fires, so that most requests do not reset the timer.
            if until < self.sleep.deadline() {
                self.sleep.as_mut().reset(until);
            }
            ready!(self.sleep.as_mut().poll(context));
            if Instant::now() >= until {
                return Poll::Ready(phase == Phase::Head);
            }
            self.sleep.as_mut().reset(until);
        }
    }
}
