//! One connection: requests in, answers out, and an end to it when the client takes too long.
//!
//! A connection is in its *head* (the next request has begun to arrive), or else it is idle or answering. A head has a
//! length from its first byte; everything else has a length since the last byte went in either direction. One timer
//! watches both. A connection that is closed while the client still sends would have its last answer thrown away by
//! the client's system, so what comes after it is read for a while and forgotten.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body::Body as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::access::Caller;
use super::failure::Failure;
use super::listen::Incoming;
use super::reply::{self, Body};
use super::service::{Ends, Service};

const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// How long a client may take to agree on TLS.
#[cfg(feature = "tls")]
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long the rest of what a client sends is read after the last answer, and how much of it.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 16 << 20);

/// What a client may take of us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    /// Of them, from one address beyond this machine.
    pub(super) per_address: usize,
    pub(super) head_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_address: 64,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn welcome(incoming: Incoming, service: Service, limits: Limits, stop: watch::Receiver<bool>) {
    match incoming {
        Incoming::Tcp(stream, caller) => {
            let ends = tcp_ends(&stream, caller);
            serve(stream, ends, service, limits, stop).await;
        }
        #[cfg(unix)]
        Incoming::Unix(stream, caller) => {
            let ends = Ends { local: None, peer: None, caller: Some(caller) };
            serve(stream, ends, service, limits, stop).await;
        }
        #[cfg(feature = "tls")]
        Incoming::Tls(stream, handshake) => {
            let mut ends = tcp_ends(&stream, None);
            if let Ok(Some((stream, caller))) = timeout(HANDSHAKE, Box::pin(handshake.shake(stream))).await {
                ends.caller = caller;
                // What TLS takes is large, and most connections have none.
                Box::pin(serve(stream, ends, service, limits, stop)).await;
            }
        }
    }
}

fn tcp_ends(stream: &TcpStream, caller: Option<Caller>) -> Ends {
    // Answers are written in few large pieces, so waiting for more of them only costs time.
    let _ = stream.set_nodelay(true);
    let ip = |address: io::Result<std::net::SocketAddr>| address.ok().map(|address| address.ip());
    Ends { local: ip(stream.local_addr()), peer: ip(stream.peer_addr()), caller }
}

/// Says that there is no room for one more.
pub(super) async fn refuse(incoming: Incoming, words: &str) {
    let last = reply::last(StatusCode::SERVICE_UNAVAILABLE, words);
    match incoming {
        Incoming::Tcp(stream, _) => last_words(Socket::new(stream), last).await,
        #[cfg(unix)]
        Incoming::Unix(stream, _) => last_words(Socket::new(stream), last).await,
        // To say it would take a handshake.
        #[cfg(feature = "tls")]
        Incoming::Tls(..) => {}
    }
}

/// The same, once it is known who is at the other end.
pub(super) async fn serve<S>(stream: S, ends: Ends, service: Service, limits: Limits, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = Socket::new(stream);
    let pulse = Arc::clone(&socket.pulse);
    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
        pulse.set(Phase::Answering);
        let idle_again = IdleAgain(Arc::clone(&pulse));
        let is_v1 = service.is_v1(request.uri().path());
        // Where a body with chunks ends, and whether there is a tunnel, is what a proxy before us may see otherwise (RFC
        // 9112, 6.1 and 11.2): nothing behind such a request is read as another one.
        let is_last = request.headers().contains_key(header::TRANSFER_ENCODING) || request.method() == Method::CONNECT;
        let has_body = !request.body().is_end_stream();
        let begin = timeout(limits.body_timeout, service.begin(request, ends.clone()));
        async move {
            // Only the body of the request can take time, and who waits for a verdict.
            let mut response = match begin.await {
                Ok(begun) => begun.finish().await,
                Err(_) => body_timed_out().reply(is_v1),
            };
            idle_again.0.endless.store(response.body().is_endless(), Relaxed);
            if is_last {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            // Not every body is read to its end.
            if has_body || response.headers().contains_key(header::CONNECTION) {
                idle_again.0.linger.store(true, Relaxed);
            }
            Ok::<_, Infallible>(response.map(|body| Watched { body, _idle_again: idle_again }))
        }
    });
    let mut http = http1::Builder::new();
    // The time of the head is watched here, where a client that is just idle is told apart.
    http.header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS).half_close(true);
    let mut connection = http.serve_connection(TokioIo::new(socket), answer);
    let mut watchdog = Watchdog::new(Arc::clone(&pulse), limits);
    let mut stopping = pin!(async { stop.wait_for(|&stopping| stopping).await.is_ok() });
    let mut told = false;
    let head_timed_out = poll_fn(|context| {
        if !told && stopping.as_mut().poll(context).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if Pin::new(&mut connection).poll(context).is_ready() {
            return Poll::Ready(false);
        }
        watchdog.poll(context)
    })
    .await;
    if head_timed_out && !pulse.is_blocked() {
        let words = "the head of the request did not come in time";
        last_words(connection.into_parts().io.into_inner(), reply::last(StatusCode::REQUEST_TIMEOUT, words)).await;
    }
}

/// 408. What is still on its way has no end, so the connection does.
fn body_timed_out() -> Failure {
    let words = "the body of the request did not come in time";
    Failure::new(StatusCode::REQUEST_TIMEOUT, "body-timed-out", words).closing()
}

/// Says why a connection is closed, if the client will hear it, and closes it.
pub(super) async fn last_words<S: AsyncRead + AsyncWrite + Unpin>(mut socket: Socket<S>, words: String) {
    socket.pulse.linger.store(true, Relaxed);
    let mut rest = words.as_bytes();
    let say = poll_fn(|context| {
        while !rest.is_empty() {
            match ready!(Pin::new(&mut socket).poll_write(context, rest)) {
                Ok(count) if count > 0 => rest = &rest[count..],
                _ => return Poll::Ready(()),
            }
        }
        Pin::new(&mut socket).poll_shutdown(context).map(drop)
    });
    let _ = timeout(LINGER.0, say).await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Answering,
}

/// What a connection is at, and since when; written by those who move its bytes, read by its watchdog.
struct Pulse {
    opened: Instant,
    /// Milliseconds since it was opened, and the phase in the two lowest bits.
    beat: AtomicU64,
    /// The client takes nothing at the moment.
    blocked: AtomicBool,
    /// The client may be sending still when the connection is to be closed.
    linger: AtomicBool,
    /// The answer has no end.
    endless: AtomicBool,
}

impl Pulse {
    fn beat(&self) -> (Phase, Instant) {
        let beat = self.beat.load(Relaxed);
        let phase = match beat & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Answering,
        };
        (phase, self.opened + Duration::from_millis(beat >> 2))
    }

    fn set(&self, phase: Phase) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.beat.store(millis << 2 | phase as u64, Relaxed);
    }

    fn received(&self) {
        match self.beat().0 {
            Phase::Idle => self.set(Phase::Head),
            // The time of a head counts from its first byte.
            Phase::Head => {}
            Phase::Answering => self.set(Phase::Answering),
        }
    }

    fn sent(&self) {
        match self.beat().0 {
            Phase::Head => {}
            phase => self.set(phase),
        }
    }

    fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }
}

/// Ends a connection that takes too long.
struct Watchdog {
    pulse: Arc<Pulse>,
    limits: Limits,
    sleep: Pin<Box<Sleep>>,
}

impl Watchdog {
    fn new(pulse: Arc<Pulse>, limits: Limits) -> Self {
        let sleep = Box::pin(sleep_until(pulse.opened + limits.head_timeout));
        Self { pulse, limits, sleep }
    }

    /// Ready when time is over; true if that happened in a head that had begun.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            let (phase, since) = self.pulse.beat();
            let limit = if phase == Phase::Head { self.limits.head_timeout } else { self.limits.idle_timeout };
            let until = since + limit;
            // A later end is noticed when the timer fires, so that most requests leave the timer alone.
            if until < self.sleep.deadline() {
                self.sleep.as_mut().reset(until);
            }
            ready!(self.sleep.as_mut().poll(context));
            if Instant::now() >= until {
                return Poll::Ready(phase == Phase::Head);
            }
            self.sleep.as_mut().reset(until);
        }
    }
}

/// A response body that tells when it was taken, or dropped.
struct Watched {
    body: Body,
    _idle_again: IdleAgain,
}

struct IdleAgain(Arc<Pulse>);

impl Drop for IdleAgain {
    fn drop(&mut self) {
        self.0.set(Phase::Idle);
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose every byte is a beat of its pulse.
pub(super) struct Socket<S> {
    stream: S,
    pulse: Arc<Pulse>,
    lingering: Option<Lingering>,
    /// Bytes that came while an answer without an end was sent.
    unread: usize,
}

struct Lingering {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S) -> Self {
        let beat = AtomicU64::new(Phase::Head as u64);
        let flag = || AtomicBool::new(false);
        let pulse = Pulse { opened: Instant::now(), beat, blocked: flag(), linger: flag(), endless: flag() };
        Self { stream, pulse: Arc::new(pulse), lingering: None, unread: 0 }
    }

    /// Fails when the client has closed its end, or sends what nobody will read.
    fn poll_still_there(&mut self, context: &mut Context<'_>) -> io::Result<()>
    where
        S: AsyncRead + Unpin,
    {
        let mut block = [0; 512];
        loop {
            let mut buffer = ReadBuf::new(&mut block);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) => {
                    self.unread += buffer.filled().len();
                    if buffer.filled().is_empty() || self.unread > MAX_HEAD {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                }
            }
        }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pulse.blocked.store(result.is_pending(), Relaxed);
        if result.is_ready() {
            self.pulse.sent();
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pulse.endless.load(Relaxed) {
            self.poll_still_there(context)?;
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            let in_head = this.pulse.beat().0 == Phase::Head;
            if !in_head && !this.pulse.linger.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            until: Box::pin(sleep_until(Instant::now() + LINGER.0)),
            left: LINGER.1,
        });
        let mut block = [0; 4096];
        while lingering.left > 0 && lingering.until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut block);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            lingering.left = lingering.left.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    //! Over a pipe in memory, with a clock that jumps to the next timer as soon as nobody has anything to do.

    use pm_core::ProcessList;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::super::service::service;
    use super::*;

    const LIMITS: Limits = Limits {
        connections: 1,
        per_address: 1,
        head_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(30),
    };
    const GET: &[u8] = b"GET /procs/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// A connection that is served, and how long it was served when it ended.
    struct Served {
        client: DuplexStream,
        served: tokio::task::JoinHandle<Duration>,
        stop: watch::Sender<bool>,
    }

    fn served_with(list: &ProcessList, pipe: usize) -> Served {
        let (client, server) = duplex(pipe);
        let (stop, stopping) = watch::channel(false);
        let service = service(list);
        let served = tokio::spawn(async move {
            let begin = Instant::now();
            serve(server, Ends::unknown(), service, LIMITS, stopping).await;
            begin.elapsed()
        });
        Served { client, served, stop }
    }

    fn served() -> Served {
        served_with(&ProcessList::new(), 1 << 20)
    }

    impl Served {
        /// What comes until the end, and when that was.
        async fn rest(mut self) -> (String, u64) {
            let mut text = Vec::new();
            self.client.read_to_end(&mut text).await.unwrap();
            drop(self.client);
            (String::from_utf8(text).unwrap(), self.served.await.unwrap().as_secs())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_closed_after_the_time_of_a_head() {
        let (text, seconds) = served().rest().await;
        assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
        assert!((5..=7).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_is_told_so_after_its_time_however_it_drips() {
        let mut served = served();
        served.client.write_all(b"GET /procs/ HTTP/1.1\r\nHost: local").await.unwrap();
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(1)).await;
            served.client.write_all(b"h").await.unwrap();
        }
        let (text, seconds) = served.rest().await;
        assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n") && text.ends_with("in time\n"), "{text}");
        assert!((5..=7).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_without_a_word() {
        let mut served = served();
        served.client.write_all(GET).await.unwrap();
        let (text, seconds) = served.rest().await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\"}"), "{text}");
        assert_eq!(seconds, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_head_has_its_own_time() {
        let mut served = served();
        served.client.write_all(GET).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        served.client.write_all(b"GET /").await.unwrap();
        let (text, seconds) = served.rest().await;
        assert!(text.contains("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
        assert!((25..=27).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_408_and_cancels_nothing() {
        let list = ProcessList::new();
        let task = list.start("job");
        let mut served = served_with(&list, 1 << 20);
        let head = b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{\"mes";
        served.client.write_all(head).await.unwrap();
        let (text, seconds) = served.rest().await;
        assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
        assert!(text.contains("the body of the request did not come in time"), "{text}");
        assert!((10..=12).contains(&seconds), "{seconds}");
        assert!(!task.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off_and_one_that_takes_its_time_is_not() {
        let list = ProcessList::new();
        let tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();

        let mut lazy = served_with(&list, 4 << 10);
        lazy.client.write_all(GET).await.unwrap();
        assert_eq!(lazy.served.await.unwrap().as_secs(), 30);

        let mut slow = served_with(&list, 4 << 10);
        slow.client.write_all(&[&GET[..GET.len() - 2], b"Connection: close\r\n\r\n"].concat()).await.unwrap();
        let (mut text, mut part) = (Vec::new(), [0; 4 << 10]);
        loop {
            tokio::time::sleep(Duration::from_secs(20)).await;
            match slow.client.read(&mut part).await.unwrap() {
                0 => break,
                count => text.extend_from_slice(&part[..count]),
            }
        }
        assert!(text.ends_with(b"0\r\n\r\n"));
        assert_eq!(text.windows(6).filter(|window| window == b"{\"id\":").count(), tasks.len());
        assert!(slow.served.await.unwrap().as_secs() > 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closed_its_half_gets_its_answer() {
        let list = ProcessList::new();
        let _tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();
        let mut served = served_with(&list, 4 << 10);
        served.client.write_all(GET).await.unwrap();
        served.client.shutdown().await.unwrap();
        let (text, seconds) = served.rest().await;
        assert!(text.ends_with("0\r\n\r\n"), "{text}");
        assert_eq!(seconds, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_idle_connections_at_once_and_lets_answers_end() {
        let list = ProcessList::new();
        let _tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();
        let mut idle = served();
        idle.client.write_all(GET).await.unwrap();
        let mut busy = served_with(&list, 4 << 10);
        busy.client.write_all(GET).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        idle.stop.send_replace(true);
        busy.stop.send_replace(true);
        assert_eq!(idle.rest().await.1, 1);
        let (text, seconds) = busy.rest().await;
        assert!(text.ends_with("0\r\n\r\n"), "{text}");
        assert_eq!(seconds, 1);
    }
}
