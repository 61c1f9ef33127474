//! The built-in client: a mix of fast, slow and stuck requests over real HTTP, at a constant rate.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::stop::end_of;

const TIMEOUT: Duration = Duration::from_secs(10);
const STUCK_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_OPEN: usize = 64;
const MAX_STUCK: usize = 3;
const WORDS: [&str; 5] = ["task", "return", "error", "the+same", "%C3%A9"];

/// Counts of requests by outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Successful.
    pub(super) answered: u64,
    /// Cancelled, possibly by the end of the demo.
    pub(super) cancelled: u64,
    /// Given up by the client after a timeout.
    pub(super) given_up: u64,
    /// Refused, disconnected, or otherwise failed.
    pub(super) failed: u64,
    /// Not sent, as too many were open.
    pub(super) skipped: u64,
}

enum Outcome {
    Answered,
    Cancelled,
    GivenUp,
    Failed,
}

/// Sends `rate` requests per second until `stopped`, then waits for the open ones.
pub(super) async fn drive(service: SocketAddr, rate: u32, mut stopped: watch::Receiver<bool>) -> Tally {
    let mut tally = Tally::default();
    if rate == 0 {
        return tally;
    }
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = JoinSet::new();
    let (mut number, mut stuck) = (0_u32, 0);
    loop {
        tokio::select! {
            () = end_of(&mut stopped) => break,
            Some(ended) = open.join_next() => tally.count(ended.ok(), &mut stuck),
            _ = ticks.tick() => {
                if open.len() >= MAX_OPEN {
                    tally.skipped += 1;
                    continue;
                }
                let target = target(number, stuck < MAX_STUCK);
                let is_stuck = target == "/stuck";
                stuck += usize::from(is_stuck);
                number = number.wrapping_add(1);
                let timeout = if is_stuck { STUCK_TIMEOUT } else { TIMEOUT };
                open.spawn(async move { (request(service, &target, Instant::now() + timeout).await, is_stuck) });
            }
        }
    }
    while let Some(ended) = open.join_next().await {
        tally.count(ended.ok(), &mut stuck);
    }
    tally
}

/// The request with this number; the same in every run.
fn target(number: u32, may_be_stuck: bool) -> String {
    match number % 20 {
        1 if may_be_stuck => "/stuck".to_owned(),
        3 => "/checksum?path=.".to_owned(),
        5 | 11 | 17 => "/report".to_owned(),
        9 => "/transfer".to_owned(),
        15 if number % 60 == 15 => "/await".to_owned(),
        15 if number % 60 == 35 => "/unresponsive?seconds=8".to_owned(),
        7 | 13 | 19 => format!("/slow?seconds={}", 0.5 * f64::from(1 + number % 6)),
        _ => format!("/search?q={}", WORDS[number as usize % WORDS.len()]),
    }
}

impl Tally {
    fn count(&mut self, ended: Option<(Outcome, bool)>, stuck: &mut usize) {
        let (outcome, was_stuck) = ended.unwrap_or((Outcome::Failed, false));
        *stuck -= usize::from(was_stuck);
        *match outcome {
            Outcome::Answered => &mut self.answered,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::GivenUp => &mut self.given_up,
            Outcome::Failed => &mut self.failed,
        } += 1;
    }
}

async fn request(service: SocketAddr, target: &str, until: Instant) -> Outcome {
    match timeout_at(until, get(service, target)).await {
        Ok(Some(StatusCode::OK)) => Outcome::Answered,
        Ok(Some(StatusCode::SERVICE_UNAVAILABLE)) => Outcome::Cancelled,
        Ok(_) => Outcome::Failed,
        Err(_) => Outcome::GivenUp,
    }
}

/// Sends a request on its own connection, which closes when the future is dropped: so a client gives up.
async fn get(service: SocketAddr, target: &str) -> Option<StatusCode> {
    let stream = TcpStream::connect(service).await.ok()?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(target).header(header::HOST, service.to_string()).body(Empty::new()).ok()?;
    let exchange = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        response.into_body().collect().await.ok()?;
        Some(status)
    };
    let (mut exchange, mut connection) = (std::pin::pin!(exchange), std::pin::pin!(connection));
    tokio::select! {
        biased;
        status = exchange.as_mut() => status,
        // The connection may end with the last byte of a response, which is then ready.
        _ = connection.as_mut() => exchange.await,
    }
}
