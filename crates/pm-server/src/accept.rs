//! Taking connections: no more than there may be, and none lost to a passing lack of file descriptors.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::access::throttle::network;
use super::connection::{self, Limits};
use super::listen::{Door, Incoming};
use super::service::Service;

/// Waits after a failed accept: the first, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Connections beyond the limit that only the owner of the program can have.
const RESERVED: usize = 16;
/// Surplus connections that are told so at a time; beyond that they are just closed.
const MAX_REFUSALS: usize = 64;

/// Serves until `stopped` tells how long open answers may still take, and that time is over.
pub(super) async fn run(doors: Vec<Door>, service: Service, limits: Limits, stopped: oneshot::Receiver<Duration>) {
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let strangers = Strangers::default();
    let mut wait = BACK_OFF.0;
    let mut not_before = Instant::now();
    let mut next = 0;
    tokio::pin!(stopped);
    let grace = loop {
        tokio::select! {
            grace = &mut stopped => break grace.unwrap_or_default(),
            // Only to forget them: how a connection ended is the client's affair.
            Some(_) = connections.join_next() => service.state.connections.store(connections.len(), Relaxed),
            Some(_) = refusals.join_next() => {}
            accepted = accept(&doors, &mut next, not_before) => match accepted {
                Ok(incoming) => {
                    wait = BACK_OFF.0;
                    // Who watches is counted for itself, and who may come in by the unix socket can always do so.
                    let busy = connections.len().saturating_sub(service.state.feed.watchers());
                    let most = limits.connections + if incoming.is_owner() { RESERVED } else { 0 };
                    let words = match strangers.admit(incoming.stranger(), limits.per_address) {
                        Some(_) if busy >= most => "too many connections; close some and try it again",
                        Some(place) => {
                            let welcome = connection::welcome(incoming, service.clone(), limits, stopping.clone());
                            connections.spawn(async move {
                                welcome.await;
                                drop(place);
                            });
                            service.state.connections.store(connections.len(), Relaxed);
                            continue;
                        }
                        None => "too many connections from this address; close some and try it again",
                    };
                    if refusals.len() < MAX_REFUSALS {
                        refusals.spawn(connection::refuse(incoming, words));
                    }
                }
                Err(error) if is_about_the_client(&error) => {}
                Err(_) => {
                    // Most likely the process has no file descriptors left, and the next try fails as well.
                    not_before = Instant::now() + wait;
                    wait = (wait * 2).min(BACK_OFF.1);
                }
            },
        }
    };
    drop(doors);
    service.state.feed.close();
    stop.send_replace(true);
    let _ = timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
}

/// How many connections there are from each address beyond this machine.
#[derive(Clone, Default)]
struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that is counted until this is dropped.
struct Place(Option<(Strangers, IpAddr)>);

impl Strangers {
    /// Counts one more, unless there are `most`; who is on this machine always has a place.
    fn admit(&self, stranger: Option<IpAddr>, most: usize) -> Option<Place> {
        let Some(address) = stranger.map(network) else { return Some(Place(None)) };
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), address))))
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((strangers, address)) = self.0.take() else { return };
        if let Entry::Occupied(mut count) = strangers.counts().entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The next connection of any door; each has its turn.
async fn accept(doors: &[Door], next: &mut usize, not_before: Instant) -> io::Result<Incoming> {
    sleep_until(not_before).await;
    poll_fn(|context| {
        for _ in 0..doors.len() {
            *next = (*next + 1) % doors.len();
            if let Poll::Ready(accepted) = doors[*next].poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Whether one client went away too early, which says nothing about the next one.
fn is_about_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_of_connections_and_gets_them_back() {
        let strangers = Strangers::default();
        let from = |address: &str| strangers.admit(Some(address.parse().unwrap()), 2);
        let one = from("192.0.2.1");
        let two = from("::ffff:192.0.2.1");
        assert!(one.is_some() && two.is_some() && from("192.0.2.1").is_none());
        assert!(from("192.0.2.2").is_some(), "others have their own");
        let network = (from("2001:db8::1"), from("2001:db8::2"));
        assert!(from("2001:db8::3").is_none() && from("2001:db8:0:1::3").is_some());
        assert!((0..9).all(|_| strangers.admit(None, 2).is_some()), "this machine has no share");
        drop(one);
        assert!(from("192.0.2.1").is_some());
        drop((two, network));
        assert!(strangers.counts().is_empty());
    }
}
