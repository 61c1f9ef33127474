//! Recordings.

use std::io;

use crate::top::app::{App, Seek};

/// Plays a recording.
pub(crate) struct Player;

impl Player {
    pub(crate) fn play(&mut self, _app: &mut App, _now: f64) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn seek(&mut self, _app: &mut App, _seek: Seek) -> io::Result<()> {
        Ok(())
    }
}
