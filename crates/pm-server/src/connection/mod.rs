//! One connection: requests in, responses out, and its end when the client takes too long.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | serves a connection, or refuses it |
//! | `limits.rs` | the limits of connections |
//! | `pulse.rs` | its activity, and the watchdog |
//! | `socket.rs` | the stream, which records its activity |
//! | `accept.rs` | accepts connections, up to the limits |
//!
//! A connection is in its *head* (the next request has begun to arrive), or else it is idle or answering. The time
//! limit of a head starts with its first byte; every other limit starts with the last byte in either direction. One
//! timer watches both. If a connection is closed while the client still sends, the client's system discards the last
//! response; so what arrives after it is read for a while and ignored.

pub(crate) mod accept;
pub(crate) mod limits;
mod pulse;
mod socket;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body::Body as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use self::limits::{LINGER, Limits, MAX_HEAD, MAX_HEADERS, SEND_BUFFER};
use self::pulse::{Phase, Pulse, Watchdog};
use self::socket::Socket;
use crate::access::Caller;
use crate::listen::Incoming;
use crate::request::ConnectionInfo;
use crate::response::{Body, Failure};
use crate::service::Service;

/// Serves a connection to its end, once it is known who connects.
async fn accepted(
    incoming: Incoming,
    pulse: Arc<Pulse>,
    service: Service,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    match incoming {
        Incoming::Tcp(stream, caller) => {
            let info = tcp_info(&stream, caller);
            serve_at(pulse, stream, info, service, limits, stop).await;
        }
        #[cfg(unix)]
        Incoming::Unix(stream, caller) => {
            let info = ConnectionInfo { local: None, peer: None, caller: Some(caller) };
            serve_at(pulse, stream, info, service, limits, stop).await;
        }
        // Refused before.
        #[cfg(unix)]
        Incoming::AnotherUser(..) => {}
        #[cfg(feature = "tls")]
        Incoming::Tls(stream, handshake) => {
            let mut info = tcp_info(&stream, None);
            if let Ok(Some((stream, caller))) = timeout(limits::HANDSHAKE, Box::pin(handshake.complete(stream))).await {
                info.caller = caller;
                // The state of TLS is large, and most connections have none.
                Box::pin(serve_at(pulse, stream, info, service, limits, stop)).await;
            }
        }
    }
}

fn tcp_info(stream: &TcpStream, caller: Option<Caller>) -> ConnectionInfo {
    // Responses are written in few large pieces, so delaying small ones only costs time.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_send_buffer_size(SEND_BUFFER);
    let ip = |address: io::Result<std::net::SocketAddr>| address.ok().map(|address| address.ip());
    ConnectionInfo { local: ip(stream.local_addr()), peer: ip(stream.peer_addr()), caller }
}

/// Refuses a connection, and says why.
async fn refuse(incoming: Incoming, why: Failure) {
    let message = why.closing_message();
    match incoming {
        Incoming::Tcp(stream, _) => close_with(Socket::new(stream, Arc::new(Pulse::new())), message).await,
        #[cfg(unix)]
        Incoming::Unix(stream, _) | Incoming::AnotherUser(stream, _) => {
            close_with(Socket::new(stream, Arc::new(Pulse::new())), message).await
        }
        // A message would take a handshake.
        #[cfg(feature = "tls")]
        Incoming::Tls(..) => {}
    }
}

/// Serves a stream to its end.
#[cfg(test)]
pub(crate) async fn serve<S>(
    stream: S,
    info: ConnectionInfo,
    service: Service,
    limits: Limits,
    stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    serve_at(Arc::new(Pulse::new()), stream, info, service, limits, stop).await;
}

/// Serves a stream to its end, and records its activity.
async fn serve_at<S>(
    pulse: Arc<Pulse>,
    stream: S,
    info: ConnectionInfo,
    service: Service,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = Socket::new(stream, Arc::clone(&pulse));
    let service = &service;
    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
        let has_body = !request.body().is_end_stream();
        pulse.set(if has_body { Phase::Body } else { Phase::Answering });
        pulse.is_owed.store(true, Relaxed);
        let guard = IdleOnDrop(Arc::clone(&pulse));
        let is_v1 = service.is_v1(request.uri().path());
        // A proxy in front may disagree about where a chunked body ends, or whether there is a tunnel (RFC 9112, 6.1
        // and 11.2): nothing after such a request is read as another request.
        let is_last = request.headers().contains_key(header::TRANSFER_ENCODING) || request.method() == Method::CONNECT;
        let answer = timeout(limits.body_timeout, service.handle(request, info.clone()));
        async move {
            // Only the body of the request can take time, an audit file, and waiting for a verdict.
            let answer = answer.await;
            guard.0.set(Phase::Answering);
            let mut response = match answer {
                Ok(answer) => answer.response().await,
                Err(_) => service.timed_out().response(is_v1),
            };
            guard.0.endless.store(response.body().is_endless(), Relaxed);
            if is_last {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            // Not every body is read to its end.
            if has_body || response.headers().contains_key(header::CONNECTION) {
                guard.0.linger.store(true, Relaxed);
            }
            Ok::<_, Infallible>(response.map(|body| GuardedBody { body, _guard: guard }))
        }
    });
    let mut http = http1::Builder::new();
    // The watchdog limits the time of the head: unlike hyper, it distinguishes an idle client.
    http.header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS).half_close(true);
    let mut connection = http.serve_connection(TokioIo::new(socket), answer);
    let mut watchdog = Watchdog::new(Arc::clone(&pulse), limits);
    let mut stopping = pin!(async { stop.wait_for(|&stopping| stopping).await.is_ok() });
    let mut is_stopping = false;
    let refusal = poll_fn(|context| {
        if !is_stopping && stopping.as_mut().poll(context).is_ready() {
            is_stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(context) {
            return Poll::Ready(result.err().filter(hyper::Error::is_parse).map(|error| malformed(&error)));
        }
        watchdog.poll(context).map(|in_head| in_head.then(head_timed_out))
    })
    .await;
    if let Some(refusal) = refusal
        && !pulse.is_blocked()
        && !pulse.is_owed.load(Relaxed)
    {
        close_with(connection.into_parts().io.into_inner(), refusal.closing_message()).await;
    }
}

/// 400 or 431 for a head that the HTTP library can't parse.
fn malformed(error: &hyper::Error) -> Failure {
    if error.is_parse_too_large() {
        let detail = format!("the head exceeds {MAX_HEAD} bytes, or has more than {MAX_HEADERS} fields");
        return Failure::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail);
    }
    Failure::bad("malformed-head", format!("the head of the request is not valid HTTP/1.1: {error}"))
        .hint("within path and query write `\"` as %22, `<` as %3C, `>` as %3E, and a space as %20")
}

/// 408 for a head that has begun, or not even that.
fn head_timed_out() -> Failure {
    let detail = "the head of the request did not arrive in time";
    Failure::new(StatusCode::REQUEST_TIMEOUT, "head-timed-out", detail)
}

/// Sends a closing message if the client is still reading, then closes the connection.
async fn close_with<S: AsyncRead + AsyncWrite + Unpin>(mut socket: Socket<S>, message: String) {
    socket.pulse.linger.store(true, Relaxed);
    let mut rest = message.as_bytes();
    socket.pulse.is_owed.store(true, Relaxed);
    let send = poll_fn(|context| {
        while !rest.is_empty() {
            match ready!(Pin::new(&mut socket).poll_write(context, rest)) {
                Ok(count) if count > 0 => rest = &rest[count..],
                _ => return Poll::Ready(()),
            }
        }
        Pin::new(&mut socket).poll_shutdown(context).map(drop)
    });
    let _ = timeout(LINGER.0, send).await;
}

/// A response body that makes the connection idle when it is sent or dropped.
struct GuardedBody {
    body: Body,
    _guard: IdleOnDrop,
}

struct IdleOnDrop(Arc<Pulse>);

impl Drop for IdleOnDrop {
    fn drop(&mut self) {
        self.0.set(Phase::Idle);
    }
}

impl http_body::Body for GuardedBody {
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

#[cfg(test)]
mod tests;
