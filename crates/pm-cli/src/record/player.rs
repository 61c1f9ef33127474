//! Plays a recording into the model: forth as time passes, and to any moment from the key frame before it.

use std::io;

use super::reader::{Lines, Recording};
use crate::top::app::{App, Replayed, Seek};
use crate::top::model::{News, Store};

/// How slow and how fast it goes.
const SPEEDS: (f64, f64) = (1.0 / 16.0, 64.0);

pub(crate) struct Player {
    recording: Recording,
    lines: Lines,
    next: Option<(f64, u32, News)>,
    /// Milliseconds since the start.
    at: f64,
    speed: f64,
    /// When it was last played, by our clock.
    played_at: Option<f64>,
}

impl Player {
    /// Begins at this moment, in milliseconds since the start.
    pub(crate) fn new(recording: Recording, store: &mut Store, at: f64) -> io::Result<Player> {
        let mut lines = recording.lines_before(at)?;
        let next = lines.next();
        let mut player = Player { recording, lines, next, at: 0.0, speed: 1.0, played_at: None };
        player.advance(store, at);
        Ok(player)
    }

    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Takes all news up to this moment, or to the end.
    fn advance(&mut self, store: &mut Store, at: f64) {
        self.at = at.clamp(0.0, self.recording.length);
        while let Some((told_at, endpoint, news)) = self.next.take() {
            if told_at > self.at {
                self.next = Some((told_at, endpoint, news));
                break;
            }
            store.apply(endpoint, told_at, news);
            self.next = self.lines.next();
        }
    }

    /// Lets it go on since the last time, unless it stands still; the moment that is shown.
    pub(crate) fn play(&mut self, app: &mut App, now: f64) -> io::Result<f64> {
        let passed = self.played_at.replace(now).map_or(0.0, |before| (now - before).max(0.0));
        if app.paused.is_none() {
            let at = self.at + passed * self.speed;
            self.advance_app(app, at);
        }
        self.tell(app);
        Ok(self.at)
    }

    fn advance_app(&mut self, app: &mut App, at: f64) {
        self.advance(&mut app.store, at);
        app.moved();
    }

    /// Goes to another moment, or at another speed.
    pub(crate) fn seek(&mut self, app: &mut App, seek: Seek) -> io::Result<()> {
        let at = match seek {
            Seek::Speed(factor) => {
                self.speed = (self.speed * factor).clamp(SPEEDS.0, SPEEDS.1);
                self.tell(app);
                return Ok(());
            }
            Seek::By(millis) => self.at + millis,
            Seek::Clock(seconds) => {
                let at = self.recording.at_clock(seconds);
                if at > self.recording.length {
                    let [from, to] = [0.0, self.recording.length].map(|at| self.recording.moment(at).to_string());
                    app.say(format!("that is not in the recording, which goes from {from} to {to}"));
                    return Ok(());
                }
                at
            }
        };
        let at = at.clamp(0.0, self.recording.length);
        if at < self.at || self.recording.frame_before(at) > self.at {
            self.lines = self.recording.lines_before(at)?;
            self.next = self.lines.next();
            let names = self.recording.header.endpoints.iter().cloned();
            app.set_store(Store::new(names));
        }
        self.advance_app(app, at);
        app.now = self.at;
        app.rows();
        self.tell(app);
        Ok(())
    }

    fn tell(&self, app: &mut App) {
        let (done, length) = (self.at, self.recording.length);
        app.replayed = Some(Replayed { at: self.recording.moment(done), done, length, speed: self.speed });
    }
}
