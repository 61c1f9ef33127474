//! The built-in client: a mix of fast, slow and stuck requests over real HTTP, at a steady rate.

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

const PATIENCE: Duration = Duration::from_secs(10);
const STUCK_PATIENCE: Duration = Duration::from_secs(20);
const MAX_OPEN: usize = 64;
const MAX_STUCK: usize = 3;
const WORDS: [&str; 5] = ["task", "return", "error", "the+same", "%C3%A9"];

/// How the requests went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Answered as asked.
    pub(super) answered: u64,
    /// Cancelled by somebody, or by the end of the demo.
    pub(super) cancelled: u64,
    /// Left by the client, whose patience was over.
    pub(super) given_up: u64,
    /// Anything else: refused, broken off.
    pub(super) failed: u64,
    /// Not sent, because too many were open.
    pub(super) skipped: u64,
}

enum Outcome {
    Answered,
    Cancelled,
    GivenUp,
    Failed,
}

/// Sends `rate` requests a second until `stopped`; returns when all are answered or left.
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
            () = super::end_of(&mut stopped) => break,
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
                let patience = if is_stuck { STUCK_PATIENCE } else { PATIENCE };
                open.spawn(async move { (request(service, &target, Instant::now() + patience).await, is_stuck) });
            }
        }
    }
    while let Some(ended) = open.join_next().await {
        tally.count(ended.ok(), &mut stuck);
    }
    tally
}

/// The next request of the mix; the same in every run.
fn target(number: u32, may_be_stuck: bool) -> String {
    match number % 20 {
        1 if may_be_stuck => "/stuck".to_owned(),
        3 => "/checksum?path=.".to_owned(),
        5 | 11 | 17 => "/report".to_owned(),
        9 => "/transfer".to_owned(),
        15 if number % 60 == 15 => "/await".to_owned(),
        15 if number % 60 == 35 => "/deaf?seconds=8".to_owned(),
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

/// One request on a connection of its own, which closes when this is dropped: that is how a client gives up.
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
        // The connection may end together with the last byte of an answer, which is then there at once.
        _ = connection.as_mut() => exchange.await,
    }
}
