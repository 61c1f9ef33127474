//! Drives the screen of a replay: speed, pause and jumps.

use std::io;

use super::app::{App, Replayed, Seek};
use crate::record::Player;

/// The slowest and the fastest speed.
const SPEEDS: (f64, f64) = (1.0 / 16.0, 64.0);

pub(crate) struct Playback {
    player: Player,
    speed: f64,
    /// When it last advanced, on the local clock.
    advanced_at: Option<f64>,
}

impl Playback {
    pub(crate) fn new(player: Player) -> Playback {
        Playback { player, speed: 1.0, advanced_at: None }
    }

    /// Advances by the time since the last call, unless paused, and returns the moment that is shown.
    pub(crate) fn advance(&mut self, app: &mut App, now: f64) -> f64 {
        let passed = self.advanced_at.replace(now).map_or(0.0, |before| (now - before).max(0.0));
        if app.paused.is_none() {
            self.player.advance(&mut app.store, self.player.at() + passed * self.speed);
            app.store_changed();
        }
        if let Some(why) = self.player.take_damage() {
            app.say(format!("{why}; the recording ends there"));
        }
        self.show_position(app);
        self.player.at()
    }

    /// Jumps to another moment, or changes the speed.
    pub(crate) fn seek(&mut self, app: &mut App, seek: Seek) -> io::Result<()> {
        let recording = self.player.recording();
        let at = match seek {
            Seek::Speed(factor) => {
                self.speed = (self.speed * factor).clamp(SPEEDS.0, SPEEDS.1);
                self.show_position(app);
                return Ok(());
            }
            Seek::By(millis) => self.player.at() + millis,
            Seek::Clock(seconds) => {
                let at = recording.at_clock(seconds);
                if at > recording.length {
                    app.say(format!("the recording is {}", recording.range()));
                    return Ok(());
                }
                at
            }
        };
        if self.player.seek(&mut app.store, at)? {
            app.list.forget_order();
        }
        app.store_changed();
        app.now = self.player.at();
        app.refresh_lines();
        self.show_position(app);
        Ok(())
    }

    fn show_position(&self, app: &mut App) {
        let (recording, at) = (self.player.recording(), self.player.at());
        app.replayed =
            Some(Replayed { at: recording.moment(at), elapsed: at, length: recording.length, speed: self.speed });
    }
}
