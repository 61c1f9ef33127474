//! Plays a recording into a store: forwards, or to any moment from the key frame before it.

use std::io;

use super::reader::{Lines, Recording};
use crate::feed::{Store, Update};

pub(crate) struct Player {
    recording: Recording,
    lines: Lines,
    next: Option<(f64, u32, Update)>,
    /// Milliseconds since the start.
    at: f64,
}

impl Player {
    /// Starts at `at`, in milliseconds since the start.
    pub(crate) fn new(recording: Recording, store: &mut Store, at: f64) -> io::Result<Player> {
        let mut lines = recording.lines_before(at)?;
        let next = lines.next();
        let mut player = Player { recording, lines, next, at: 0.0 };
        player.advance(store, at);
        Ok(player)
    }

    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Why the recording cannot be read further, once.
    pub(crate) fn take_damage(&mut self) -> Option<String> {
        self.lines.damage.take()
    }

    /// The moment up to which updates are applied, in milliseconds since the start.
    pub(crate) fn at(&self) -> f64 {
        self.at
    }

    /// Applies all updates up to `at`, or to the end.
    pub(crate) fn advance(&mut self, store: &mut Store, at: f64) {
        self.at = at.clamp(0.0, self.recording.length);
        while let Some((reported_at, endpoint, update)) = self.next.take() {
            if reported_at > self.at {
                self.next = Some((reported_at, endpoint, update));
                break;
            }
            store.apply(endpoint, reported_at, update);
            // Lines are rebuilt after every move.
            store.sweep();
            self.next = self.lines.next();
        }
    }

    /// Moves to `at`, forwards or backwards. Returns whether the store was rebuilt from a key frame.
    pub(crate) fn seek(&mut self, store: &mut Store, at: f64) -> io::Result<bool> {
        let at = at.clamp(0.0, self.recording.length);
        let rebuild = at < self.at || self.recording.frame_before(at) > self.at;
        if rebuild {
            self.lines = self.recording.lines_before(at)?;
            self.next = self.lines.next();
            *store = Store::new(self.recording.header.endpoints.iter().cloned());
        }
        self.advance(store, at);
        Ok(rebuild)
    }
}
