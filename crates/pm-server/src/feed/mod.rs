//! Changes as they happen, for watchers: a snapshot, then what changed since.
//!
//! Watching adds no work to the tasks. While there are watchers, one thread looks through the list a few times a second
//! and compares what it finds with what it found before; without watchers, there is no such thread. What changed twice
//! between two looks is reported once, in its latest state. Since each look reads the list itself, no event can be
//! about a task that does not exist, and a new snapshot makes up for whatever a watcher missed.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | [`Feed`]: the thread, the channels and their watchers |
//! | `look.rs` | one look, compared with the one before |
//! | `channel.rs` | a channel: the newest frames, which all watchers with the same filter and format share |
//! | `stream.rs` | one watcher: snapshot, frames, gap, end |
//!
//! A *frame* is what one look found for one channel, as bytes that all its watchers share. Its last event has its
//! number as id, so that a watcher that was disconnected within a frame gets all of it again.

mod channel;
mod look;
mod stream;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http::StatusCode;
use pm_core::ProcessList;
use pm_wire::v1::ByeReason;

use self::channel::{Channel, Found};
pub(crate) use self::channel::{Format, Watch};
use self::look::{Looker, look, table_bytes};
use self::stream::EventStream;
use crate::response::{Failure, Memory, Run};
use crate::sync::{lock, wait_timeout};

/// Watchers at a time, by default.
const MAX_WATCHERS: usize = 1_000;
/// Channels, which differ in filter, fields, format or interval; each costs a comparison with every task.
const MAX_CHANNELS: usize = 64;
/// How long a channel without watchers is retained, so that a disconnected watcher can resume.
const LINGER: Duration = Duration::from_secs(30);
/// The interval of heartbeats in a channel without events.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between two looks the thread sleeps this many times as long as the first of them took.
const REST: u32 = 9;

/// The changes of a list, for its watchers. Closed when it is dropped.
pub(crate) struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    list: ProcessList,
    memory: Arc<Memory>,
    /// Where long snapshots are written.
    run: Run,
    boot: String,
    state: Mutex<Watches>,
    /// A channel was added, or the feed closed.
    changed: Condvar,
    max_watchers: AtomicUsize,
    watchers: AtomicUsize,
    next_watcher: AtomicU64,
    /// In milliseconds.
    heartbeat: AtomicU64,
    looks: AtomicU64,
    /// In nanoseconds.
    last_look: AtomicU64,
}

#[derive(Default)]
struct Watches {
    channels: Vec<Arc<Channel>>,
    has_thread: bool,
    closed: bool,
}

/// Counters of the feed.
pub(crate) struct Status {
    pub(crate) max_watchers: usize,
    pub(crate) watchers: usize,
    pub(crate) channels: usize,
    pub(crate) bytes: usize,
    pub(crate) looks: u64,
    pub(crate) last_look: Duration,
}

impl Feed {
    pub(crate) fn new(list: &ProcessList, boot: &str, memory: &Arc<Memory>, run: Run) -> Self {
        Self {
            shared: Arc::new(Shared {
                list: list.clone(),
                memory: Arc::clone(memory),
                run,
                boot: boot.to_owned(),
                state: Mutex::default(),
                changed: Condvar::new(),
                max_watchers: AtomicUsize::new(MAX_WATCHERS),
                watchers: AtomicUsize::new(0),
                next_watcher: AtomicU64::new(0),
                heartbeat: AtomicU64::new(HEARTBEAT.as_millis() as u64),
                looks: AtomicU64::new(0),
                last_look: AtomicU64::new(0),
            }),
        }
    }

    pub(crate) fn set_max_watchers(&self, count: usize) {
        self.shared.max_watchers.store(count, Ordering::Relaxed);
    }

    /// Shortens the interval of heartbeats, so that no connection is idle for this long.
    pub(crate) fn keep_alive(&self, idle: Duration) {
        let heartbeat = HEARTBEAT.min(idle / 2).max(Duration::from_millis(10));
        self.shared.heartbeat.store(heartbeat.as_millis() as u64, Ordering::Relaxed);
    }

    /// Adds a watcher; `last_event` is the last id that it received before it was disconnected.
    pub(crate) fn subscribe(&self, watch: Watch, last_event: Option<&str>) -> Result<EventStream, Failure> {
        let shared = &self.shared;
        let most = shared.max_watchers.load(Ordering::Relaxed);
        if shared.watchers.fetch_add(1, Ordering::Relaxed) >= most {
            shared.watchers.fetch_sub(1, Ordering::Relaxed);
            let detail = format!("there are {most} watchers already, the limit");
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-watchers", detail).retry_after(5));
        }
        match shared.join(watch) {
            Ok(channel) => {
                let seat = Seat {
                    shared: Arc::clone(shared),
                    channel,
                    number: shared.next_watcher.fetch_add(1, Ordering::Relaxed),
                };
                let resume = last_event.map(|id| shared.number_of(id));
                Ok(EventStream::new(seat, resume))
            }
            Err(failure) => {
                shared.watchers.fetch_sub(1, Ordering::Relaxed);
                Err(failure)
            }
        }
    }

    pub(crate) fn watchers(&self) -> usize {
        self.shared.watchers.load(Ordering::Relaxed)
    }

    pub(crate) fn status(&self) -> Status {
        let channels = self.shared.watches().channels.clone();
        Status {
            max_watchers: self.shared.max_watchers.load(Ordering::Relaxed),
            watchers: self.shared.watchers.load(Ordering::Relaxed),
            bytes: channels.iter().map(|channel| channel.bytes()).sum(),
            channels: channels.len(),
            looks: self.shared.looks.load(Ordering::Relaxed),
            last_look: Duration::from_nanos(self.shared.last_look.load(Ordering::Relaxed)),
        }
    }

    /// Sends a closing message to all watchers. No watcher can be added from now on.
    pub(crate) fn close(&self) {
        let channels = {
            let mut state = self.shared.watches();
            state.closed = true;
            std::mem::take(&mut state.channels)
        };
        self.shared.changed.notify_all();
        for channel in channels {
            channel.close(ByeReason::Shutdown).into_iter().for_each(std::task::Waker::wake);
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn watches(&self) -> MutexGuard<'_, Watches> {
        lock(&self.state)
    }

    /// Returns the id of a look, for watchers.
    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.boot)
    }

    /// Returns the number in an id; `None` if it is from another feed.
    fn number_of(&self, id: &str) -> Option<u64> {
        let (boot, number) = id.split_once('-')?;
        number.parse().ok().filter(|_| boot == self.boot)
    }

    /// Returns the channel for a watch, and starts the thread if there is none.
    fn join(self: &Arc<Self>, watch: Watch) -> Result<Arc<Channel>, Failure> {
        let unavailable =
            |code, detail: String| Failure::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(5);
        let key = watch.key();
        let mut state = self.watches();
        if state.closed {
            return Err(unavailable("shutting-down", "the server is shutting down".to_owned()));
        }
        if let Some(channel) = state.channels.iter().find(|channel| channel.key == key) {
            channel.join();
            return Ok(Arc::clone(channel));
        }
        if state.channels.len() >= MAX_CHANNELS {
            // One without watchers makes space.
            let idle = (0..state.channels.len()).filter_map(|at| Some((state.channels[at].idle_since()?, at))).min();
            if let Some((_, at)) = idle {
                state.channels.remove(at);
            }
        }
        if state.channels.len() >= MAX_CHANNELS {
            let detail = format!("{MAX_CHANNELS} different filters are watched already, the limit");
            return Err(unavailable("too-many-watches", detail));
        }
        // One with a filter starts small, as it may select few.
        let tasks = if watch.filter.is_empty() { self.list.counters().live } else { 0 };
        let held = self.memory.hold_for_response(table_bytes(tasks as usize))?;
        if !state.has_thread {
            let shared = Arc::clone(self);
            let thread = pm_core::spawn_thread("pm-feed", move || shared.run());
            if let Err(error) = thread {
                return Err(unavailable("no-thread", format!("no thread could be started: {error}")));
            }
            state.has_thread = true;
        }
        let channel = Arc::new(Channel::new(watch, held));
        state.channels.push(Arc::clone(&channel));
        drop(state);
        self.changed.notify_all();
        Ok(channel)
    }

    /// Runs the thread: looks whenever a channel is due, and ends when there is none.
    fn run(&self) {
        let mut looking = Looking::default();
        loop {
            let until = {
                let mut state = self.watches();
                loop {
                    let now = Instant::now();
                    state.channels.retain(|channel| !channel.is_closed() && !channel.is_idle(now, LINGER));
                    looking.keep(&state.channels, now, &self.memory);
                    if state.closed || state.channels.is_empty() {
                        state.has_thread = false;
                        return;
                    }
                    match looking.due() {
                        Some(due) if due > now => {
                            state = wait_timeout(&self.changed, state, due - now);
                        }
                        _ => break now,
                    }
                }
            };
            looking.look(self, until);
        }
    }
}

/// The state of the thread.
#[derive(Default)]
struct Looking {
    lookers: Vec<(Looker, Instant)>,
    /// The number of the last look; numbers are never reused.
    number: u64,
}

impl Looking {
    /// Removes channels that are gone, and adds new ones.
    fn keep(&mut self, channels: &[Arc<Channel>], now: Instant, memory: &Arc<Memory>) {
        self.lookers.retain(|(looker, _)| channels.iter().any(|channel| Arc::ptr_eq(channel, &looker.channel)));
        for channel in channels {
            if !self.lookers.iter().any(|(looker, _)| Arc::ptr_eq(channel, &looker.channel)) {
                self.lookers.push((Looker::new(Arc::clone(channel), memory, now), now));
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.lookers.iter().map(|(looker, _)| looker.due).min()
    }

    /// Looks for all channels that are due at `now`, and wakes their watchers. Those without enough memory are closed.
    fn look(&mut self, shared: &Shared, now: Instant) {
        let began = Instant::now();
        self.number = shared.looks.fetch_add(1, Ordering::Relaxed) + 1;
        let mut due: Vec<&mut Looker> =
            self.lookers.iter_mut().map(|(looker, _)| looker).filter(|looker| looker.due <= now).collect();
        look(&shared.list, &shared.memory, &mut due, self.number);
        let heartbeat = Duration::from_millis(shared.heartbeat.load(Ordering::Relaxed));
        let id = shared.id(self.number);
        let took = began.elapsed();
        shared.last_look.store(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut wakers = Vec::new();
        for (looker, last_frame) in self.lookers.iter_mut().filter(|(looker, _)| looker.due <= now) {
            if looker.is_starved {
                wakers.extend(looker.channel.close(ByeReason::OutOfMemory));
                continue;
            }
            let mut found = looker.take(&id);
            if matches!(found, Found::Nothing) && now.saturating_duration_since(*last_frame) >= heartbeat {
                let mut bytes = Vec::new();
                looker.channel.watch.format.write_heartbeat(&mut bytes, &id);
                found = Found::Frame(shared.memory.hold_anyway(bytes.len() as u64).of(bytes.into()));
            }
            if !matches!(found, Found::Nothing) {
                *last_frame = now;
            }
            wakers.extend(looker.channel.push(self.number, found));
            let rest = looker.channel.watch.interval.min(heartbeat).max(took * REST);
            // Due together with others, where that is early enough.
            looker.due = now + rest;
        }
        // Woken when no lock is held.
        wakers.into_iter().for_each(std::task::Waker::wake);
    }
}

/// The place of a watcher, until it is dropped.
struct Seat {
    shared: Arc<Shared>,
    channel: Arc<Channel>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.channel.leave(self.number, Instant::now());
        self.shared.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}
