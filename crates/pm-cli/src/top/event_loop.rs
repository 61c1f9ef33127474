//! The event loop of the screen: handles keys, updates, replies, signals and time in turn, and draws frames.
//!
//! A key is drawn at once. Updates are applied as they arrive, but drawn at most once per interval, except for the
//! first ones and for changes of endpoints.

use std::io;
use std::time::{Duration, Instant};

use ratatui_crossterm::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant as Deadline, sleep_until};

use super::app::{App, Effect};
use super::playback::Playback;
use super::request::Reply;
use super::requester::Requester;
use super::screen::Guard;
use super::view::Renderer;
use crate::feed::EndpointUpdate;

/// The shortest time between two frames, except after a key.
const MIN_FRAME_TIME: Duration = Duration::from_millis(50);
/// Updates applied in a row before keys are checked again.
const MAX_UPDATES: usize = 64;

/// How the screen ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Quit,
    /// By the signal with this number.
    Signal(i32),
}

/// The inputs of the screen besides keys.
pub(crate) struct Inputs {
    pub(crate) updates: Receiver<EndpointUpdate>,
    pub(crate) replies: Receiver<Reply>,
    /// `None` in a replay.
    pub(crate) requester: Option<Requester>,
    pub(crate) interval: Duration,
    /// `Some` in a replay.
    pub(crate) playback: Option<Playback>,
}

/// Shows the screen until the user quits or a signal arrives, then restores the terminal.
///
/// # Errors
///
/// The terminal cannot be used or is closed, or the recording can no longer be read.
pub(crate) async fn run(mut app: App, mut inputs: Inputs) -> io::Result<End> {
    let mut signals = Signals::new()?;
    let mut guard = Guard::new(app.mouse)?;
    let (send, mut keys) = channel(64);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&send))?;
    let started = Instant::now();
    let clock = move || started.elapsed().as_secs_f64() * 1e3;
    let mut renderer = Renderer::default();

    let mut drawn_at = Deadline::now();
    let mut next = drawn_at;
    let mut is_open = true;
    loop {
        let updates = async {
            match is_open {
                true => inputs.updates.recv().await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::End(number) => return Ok(End::Signal(number)),
                Signal::Stop => signals.suspend(&mut guard).await?,
                // Continued after a SIGSTOP, during which the terminal may have changed.
                Signal::Continue => guard.take()?,
            },
            key = keys.recv() => {
                let event = match key {
                    Some(event) => event?,
                    None => return Ok(End::Quit),
                };
                if inputs.playback.is_none() {
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
                match run_effects(&mut app, &mut guard, &mut inputs, effects)? {
                    Next::Quit => return Ok(End::Quit),
                    Next::Suspend => signals.suspend(&mut guard).await?,
                    Next::Continue => {}
                }
                // Requests the data that a key has opened at once.
                if next > Deadline::now() {
                    draw(&mut app, &mut renderer, &mut guard, &mut inputs, clock())?;
                }
                continue;
            }
            update = updates => match update {
                Some((endpoint, update)) => {
                    let now = clock();
                    let mut changed = app.apply(endpoint, now, update);
                    for _ in 1..MAX_UPDATES {
                        let Ok((endpoint, update)) = inputs.updates.try_recv() else { break };
                        changed = changed.and(app.apply(endpoint, now, update));
                    }
                    if changed.endpoint {
                        next = next.min((drawn_at + MIN_FRAME_TIME).max(Deadline::now()));
                    }
                    if next > Deadline::now() {
                        continue;
                    }
                }
                None => {
                    is_open = false;
                    continue;
                }
            },
            reply = inputs.replies.recv(), if inputs.requester.is_some() => {
                if let Some(reply) = reply {
                    app.answer(clock(), reply);
                    next = next.min((drawn_at + MIN_FRAME_TIME).max(Deadline::now()));
                }
                continue;
            }
            () = sleep_until(next) => {}
        }
        draw(&mut app, &mut renderer, &mut guard, &mut inputs, clock())?;
        drawn_at = Deadline::now();
        next = drawn_at + inputs.interval;
    }
}

fn draw(app: &mut App, renderer: &mut Renderer, guard: &mut Guard, inputs: &mut Inputs, now: f64) -> io::Result<()> {
    let now = match &mut inputs.playback {
        Some(playback) => playback.advance(app, now),
        None => now,
    };
    let effects = app.refresh(now);
    run_effects(app, guard, inputs, effects)?;
    let mut drawn = None;
    guard.screen.draw(|frame| drawn = Some(renderer.draw(app, frame)))?;
    if let Some(drawn) = drawn {
        app.set_drawn(drawn);
    }
    Ok(())
}

/// The next action after a key.
enum Next {
    Continue,
    Suspend,
    Quit,
}

/// Performs the effects outside the app.
fn run_effects(app: &mut App, guard: &mut Guard, inputs: &mut Inputs, effects: Vec<Effect>) -> io::Result<Next> {
    let mut next = Next::Continue;
    for effect in effects {
        match effect {
            Effect::Quit => return Ok(Next::Quit),
            Effect::Suspend => next = Next::Suspend,
            Effect::Redraw => guard.clear()?,
            Effect::Mouse(mouse) => guard.set_mouse(mouse)?,
            Effect::Copy(text) => guard.copy(&text)?,
            Effect::Request(request) => {
                if let Some(requester) = &inputs.requester {
                    requester.send(request);
                }
            }
            Effect::Replay(seek) => {
                if let Some(playback) = &mut inputs.playback {
                    playback.seek(app, seek)?;
                }
            }
        }
    }
    Ok(next)
}

/// Forwards terminal events until the receiver is dropped or the terminal is closed.
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

    /// Stops the process until it is continued.
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
        // Without signals there is only Ctrl-C.
        let _ = tokio::signal::ctrl_c().await;
        Signal::End(2)
    }
}
