//! Runs the screen: keys, news, answers, signals and time come here, one after the other, and frames go out.
//!
//! Keys are drawn at once. News are taken in as they come, but drawn at most once an interval, except the first ones and
//! what concerns endpoints, which people wait for.

use std::io;
use std::time::{Duration, Instant};

use ratatui_crossterm::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant as Moment, sleep_until};

use super::app::{App, Effect};
use super::ask::{Asker, Reply};
use super::feed::Told;
use super::screen::Guard;
use super::view;

/// Two frames are at least this far apart, unless somebody pressed a key.
const CALM: Duration = Duration::from_millis(50);
/// News that are taken in before keys are looked at again.
const AT_ONCE: usize = 64;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Quit,
    /// By a signal of this number.
    Signal(i32),
}

/// What drives the screen besides keys.
pub(crate) struct Drive {
    pub(crate) news: Receiver<Told>,
    pub(crate) replies: Receiver<Reply>,
    /// None in a replay: nobody can be asked.
    pub(crate) asker: Option<Asker>,
    pub(crate) interval: Duration,
    pub(crate) player: Option<crate::record::Player>,
}

/// Shows the application until it is to end. The terminal is as before then, whatever happened.
///
/// # Errors
///
/// The terminal cannot be used, or has gone away; a recording can no longer be read.
pub(crate) async fn run(mut app: App, mut drive: Drive) -> io::Result<End> {
    let mut signals = Signals::new()?;
    let mut guard = Guard::new(app.mouse)?;
    let (send, mut keys) = channel(64);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&send))?;
    let begun = Instant::now();
    let clock = move || begun.elapsed().as_secs_f64() * 1e3;

    let mut drawn_at = Moment::now();
    let mut next = drawn_at;
    let mut heard = true;
    loop {
        let news = async {
            match heard {
                true => drive.news.recv().await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::End(number) => return Ok(End::Signal(number)),
                Signal::Stop => signals.suspend(&mut guard).await?,
                // Continued after a stop that we could not see; whoever had the terminal may have changed it.
                Signal::Continue => guard.take()?,
            },
            key = keys.recv() => {
                let event = match key {
                    Some(event) => event?,
                    None => return Ok(End::Quit),
                };
                if drive.player.is_none() {
                    app.now = clock();
                }
                let effects = match event {
                    Event::Key(key) if key.kind != KeyEventKind::Release => app.key(key),
                    Event::Mouse(mouse) => app.mouse(mouse),
                    Event::Paste(text) => {
                        app.paste(&text);
                        Vec::new()
                    }
                    Event::Resize(..) => Vec::new(),
                    _ => continue,
                };
                match run_effects(&mut app, &mut guard, &mut drive, effects)? {
                    Next::Quit => return Ok(End::Quit),
                    Next::Suspend => signals.suspend(&mut guard).await?,
                    Next::Go => {}
                }
                // What a key opens is asked for at once.
                if next > Moment::now() {
                    draw(&mut app, &mut guard, &mut drive, clock())?;
                }
                continue;
            }
            told = news => match told {
                Some((endpoint, news)) => {
                    let now = clock();
                    let mut changed = app.take(endpoint, now, news);
                    for _ in 1..AT_ONCE {
                        let Ok((endpoint, news)) = drive.news.try_recv() else { break };
                        changed = changed.and(app.take(endpoint, now, news));
                    }
                    if changed.place {
                        next = next.min((drawn_at + CALM).max(Moment::now()));
                    }
                    if next > Moment::now() {
                        continue;
                    }
                }
                None => {
                    heard = false;
                    continue;
                }
            },
            reply = drive.replies.recv(), if drive.asker.is_some() => {
                if let Some(reply) = reply {
                    app.answer(clock(), reply);
                    next = next.min((drawn_at + CALM).max(Moment::now()));
                }
                continue;
            }
            () = sleep_until(next) => {}
        }
        draw(&mut app, &mut guard, &mut drive, clock())?;
        drawn_at = Moment::now();
        next = drawn_at + drive.interval;
    }
}

fn draw(app: &mut App, guard: &mut Guard, drive: &mut Drive, now: f64) -> io::Result<()> {
    let now = match &mut drive.player {
        Some(player) => player.play(app, now)?,
        None => now,
    };
    let effects = app.refresh(now);
    run_effects(app, guard, drive, effects)?;
    guard.screen.draw(|frame| view::draw(app, frame)).map(drop)
}

/// How it goes on after a key.
enum Next {
    Go,
    Suspend,
    Quit,
}

/// Does what is to be done outside.
fn run_effects(app: &mut App, guard: &mut Guard, drive: &mut Drive, effects: Vec<Effect>) -> io::Result<Next> {
    let mut next = Next::Go;
    for effect in effects {
        match effect {
            Effect::Quit => return Ok(Next::Quit),
            Effect::Suspend => next = Next::Suspend,
            Effect::Redraw => guard.clear()?,
            Effect::Mouse(mouse) => guard.set_mouse(mouse)?,
            Effect::Copy(text) => guard.copy(&text)?,
            Effect::Ask(request) => {
                if let Some(asker) = &drive.asker {
                    asker.ask(request);
                }
            }
            Effect::Replay(seek) => {
                if let Some(player) = &mut drive.player {
                    player.seek(app, seek)?;
                }
            }
        }
    }
    Ok(next)
}

/// Hands on what is typed until nobody wants it or the terminal has gone.
fn read_keys(send: &Sender<io::Result<Event>>) {
    loop {
        let event = event::read();
        let is_end = event.is_err();
        if send.blocking_send(event).is_err() || is_end {
            return;
        }
    }
}

enum Signal {
    End(i32),
    Stop,
    Continue,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    stop: tokio::signal::unix::Signal,
    resume: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use rustix::process::Signal as Number;
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stop: signal(SignalKind::from_raw(Number::TSTP.as_raw()))?,
            resume: signal(SignalKind::from_raw(Number::CONT.as_raw()))?,
        })
    }

    /// Stops the process until it is told to go on.
    async fn suspend(&mut self, guard: &mut Guard) -> io::Result<()> {
        guard.suspend()?;
        self.resume.recv().await;
        guard.take()
    }

    async fn next(&mut self) -> Signal {
        use rustix::process::Signal as Number;
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End(Number::INT.as_raw()),
            _ = self.terminate.recv() => Signal::End(Number::TERM.as_raw()),
            _ = self.hang_up.recv() => Signal::End(Number::HUP.as_raw()),
            _ = self.stop.recv() => Signal::Stop,
            _ = self.resume.recv() => Signal::Continue,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn suspend(&mut self, _guard: &mut Guard) -> io::Result<()> {
        Ok(())
    }

    async fn next(&mut self) -> Signal {
        // Where there are no signals, Ctrl-C is all there is.
        let _ = tokio::signal::ctrl_c().await;
        Signal::End(2)
    }
}
