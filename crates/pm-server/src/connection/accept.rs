//! Accepts connections, up to the limits; a temporary lack of file descriptors loses none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::limits::Limits;
use super::pulse::Pulse;
use super::{accepted, refuse};
use crate::address::network;
use crate::listen::{Incoming, Listener};
use crate::response::Failure;
use crate::service::Service;
use crate::sync::lock;

/// The first and the longest wait after a failed accept.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Connections beyond the limit that only unix sockets may have.
const RESERVED: usize = 16;
/// A client that has taken nothing for so long gives way when others need the memory that is held for it. One that
/// takes 30 KB/s makes progress twice in this time.
const STALLED: Duration = Duration::from_secs(3);
/// Refused connections that get a message at the same time; more are just closed.
const MAX_REFUSALS: usize = 64;

/// Serves until `stopped` receives how long open responses may still take, and that time is over.
pub(crate) async fn run(
    listeners: Vec<Listener>,
    service: Service,
    limits: Limits,
    stopped: oneshot::Receiver<Duration>,
) {
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let remote_peers = RemotePeers::default();
    let mut open = Open::default();
    let mut wait = BACK_OFF.0;
    let mut not_before = Instant::now();
    let mut stalled_at = Instant::now();
    let mut next = 0;
    tokio::pin!(stopped);
    let grace = loop {
        tokio::select! {
            grace = &mut stopped => break grace.unwrap_or_default(),
            // Only to remove them: how a connection ended matters to the client alone.
            Some(_) = connections.join_next() => service.state.connections.store(connections.len(), Relaxed),
            Some(_) = refusals.join_next() => {}
            () = service.state.memory.is_short() => {
                open.evict_stalled();
                stalled_at = Instant::now() + STALLED / 3;
            }
            // Those that wait do not ask again.
            () = sleep_until(stalled_at), if service.state.memory.is_waited_for() => {
                open.evict_stalled();
                stalled_at = Instant::now() + STALLED / 3;
            }
            // One after the other: each that makes space for another is gone before the next is accepted.
            incoming = accept(&listeners, &mut next, not_before), if !open.is_one_leaving() => match incoming {
                Ok(incoming) => {
                    wait = BACK_OFF.0;
                    // Watchers have a limit of their own, and unix sockets have places in reserve.
                    while connections.try_join_next().is_some() {}
                    service.state.connections.store(connections.len(), Relaxed);
                    let busy = connections.len().saturating_sub(service.state.feed.watchers());
                    let limit = limits.connections + if incoming.is_unix() { RESERVED } else { 0 };
                    let place = remote_peers.admit(incoming.remote_peer(), limits.per_address);
                    let refusal = match (incoming.another_user(), place) {
                        (Some(uid), _) => another_user(uid),
                        (None, Some(_)) if busy >= limit && !open.evict() => too_many("too many connections"),
                        (None, Some(place)) => {
                            let pulse = open.add();
                            let connection =
                                accepted(incoming, Arc::clone(&pulse), service.clone(), limits, stopping.clone());
                            connections.spawn(async move {
                                tokio::select! {
                                    () = connection => {}
                                    () = pulse.evicted.notified() => {}
                                }
                                drop(place);
                            });
                            service.state.connections.store(connections.len(), Relaxed);
                            continue;
                        }
                        (None, None) => too_many("too many connections from this address"),
                    };
                    if refusals.len() < MAX_REFUSALS {
                        refusals.spawn(refuse(incoming, refusal));
                    }
                }
                Err(error) if is_about_the_client(&error) => {}
                Err(_) => {
                    // Most likely the process has no file descriptors left, and the next attempt fails as well.
                    not_before = Instant::now() + wait;
                    wait = (wait * 2).min(BACK_OFF.1);
                }
            },
        }
    };
    drop(listeners);
    service.state.feed.close();
    stop.send_replace(true);
    let _ = timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
}

fn too_many(detail: &str) -> Failure {
    let detail = format!("{detail}; close some and try again");
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-connections", detail)
}

fn another_user(uid: u32) -> Failure {
    let detail = format!("this socket is for the user of the program, and you are the user {uid}");
    Failure::new(StatusCode::FORBIDDEN, "another-user", detail)
        .hint("ask as that user, or name yours with Builder::allow_uid")
}

/// The open connections, to find one that makes room for another.
#[derive(Default)]
struct Open {
    pulses: Vec<Weak<Pulse>>,
    /// The one that was evicted last.
    leaving: Weak<Pulse>,
}

impl Open {
    fn add(&mut self) -> Arc<Pulse> {
        // Those that are gone are removed now and then.
        if self.pulses.len() == self.pulses.capacity() {
            self.pulses.retain(|pulse| pulse.strong_count() > 0);
        }
        let pulse = Arc::new(Pulse::new());
        self.pulses.push(Arc::downgrade(&pulse));
        pulse
    }

    /// Returns `true` if a connection was evicted and is not yet closed.
    fn is_one_leaving(&self) -> bool {
        self.leaving.strong_count() > 0
    }

    /// Closes the connection that can best be done without; returns `false` if there is none.
    fn evict(&mut self) -> bool {
        self.pulses.retain(|pulse| pulse.strong_count() > 0);
        let pulses = self.pulses.iter().enumerate();
        let expendable = pulses.filter_map(|(at, pulse)| Some((pulse.upgrade()?.expendable()?, at)));
        let Some((_, at)) = expendable.min() else { return false };
        self.close(at);
        true
    }

    /// Closes the connection whose client has taken nothing for the longest time, to give back what is held for it.
    fn evict_stalled(&mut self) {
        let stalled = self.pulses.iter().enumerate();
        let stalled = stalled.filter_map(|(at, pulse)| Some((pulse.upgrade()?.stalled_since()?, at))).min();
        if let Some((_, at)) = stalled.filter(|(since, _)| since.elapsed() >= STALLED) {
            self.close(at);
        }
    }

    fn close(&mut self, at: usize) {
        self.leaving = self.pulses.swap_remove(at);
        if let Some(pulse) = self.leaving.upgrade() {
            pulse.evicted.notify_one();
        }
    }
}

/// Counts the connections from each address of another machine.
#[derive(Clone, Default)]
struct RemotePeers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// Counts a connection until it is dropped.
struct Place(Option<(RemotePeers, IpAddr)>);

impl RemotePeers {
    /// Counts one more, unless there are `limit`. A peer on this machine (`None`) always has a place.
    fn admit(&self, peer: Option<IpAddr>, limit: usize) -> Option<Place> {
        let Some(address) = peer.map(network) else { return Some(Place(None)) };
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), address))))
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        lock(&self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, address)) = self.0.take() else { return };
        if let Entry::Occupied(mut count) = peers.counts().entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Returns the next connection of any listener; they take turns.
async fn accept(listeners: &[Listener], next: &mut usize, not_before: Instant) -> io::Result<Incoming> {
    sleep_until(not_before).await;
    poll_fn(|context| {
        for _ in 0..listeners.len() {
            *next = (*next + 1) % listeners.len();
            if let Poll::Ready(accepted) = listeners[*next].poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns `true` if one client left too early, which says nothing about the next one.
fn is_about_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_from_an_address_are_limited_until_they_end() {
        let peers = RemotePeers::default();
        let from = |address: &str| peers.admit(Some(address.parse().unwrap()), 2);
        let one = from("192.0.2.1");
        let two = from("::ffff:192.0.2.1");
        assert!(one.is_some() && two.is_some() && from("192.0.2.1").is_none());
        assert!(from("192.0.2.2").is_some(), "other addresses have their own");
        let network = (from("2001:db8::1"), from("2001:db8::2"));
        assert!(from("2001:db8::3").is_none() && from("2001:db8:0:1::3").is_some());
        assert!((0..9).all(|_| peers.admit(None, 2).is_some()), "this machine has no limit");
        drop(one);
        assert!(from("192.0.2.1").is_some());
        drop((two, network));
        assert!(peers.counts().is_empty());
    }
}
