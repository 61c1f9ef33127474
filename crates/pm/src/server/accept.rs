//! Taking connections: no more than there may be, and none lost to a passing lack of file descriptors.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

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
                    service.state.connections.store(connections.len() + 1, Relaxed);
                    if busy < most {
                        connections.spawn(connection::welcome(incoming, service.clone(), limits, stopping.clone()));
                    } else if refusals.len() < MAX_REFUSALS {
                        refusals.spawn(connection::refuse(incoming));
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
