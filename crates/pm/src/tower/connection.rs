//! The guard of a connection: lets a kill reach responses whose client does not read.
//!
//! An HTTP library does not poll the body of a response while what it has written is not taken, so a kill would wait
//! for the client. The guard knows the responses that are being sent over a connection, and fails its reads and writes
//! when
//!
//! - writing is stalled, or a response has not been polled for [`LATE`] since it should have been dropped, and
//! - **every** response on the connection is to be dropped: a kill never takes another request with it.
//!
//! The library then drops the bodies, and their tasks end as cancelled. A response that shares an HTTP/2 connection
//! with others that continue is dropped when its client reads, or when the others have ended. An upgraded connection
//! fails as soon as its task is to be dropped.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use http::Extensions;
use pm_core::{DropSignal, Supervisor, TaskHandle};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::current::Handover;

/// How long a response may take to notice by itself that it is to be dropped.
const LATE: Duration = Duration::from_millis(100);

/// The status of a task whose client takes no more of its response.
const WAITING: &str = "waiting for the client to read";

/// The unit of the progress of a request that is being received.
pub(super) const RECEIVED: &str = "bytes received";

/// A connection of a server that a kill can close: its stream, with a [guard](ConnectionGuard) that the layer knows.
///
/// Without it, the kill of a request whose client does not read waits until the client reads or hangs up, since HTTP
/// libraries do not poll a response while they cannot write. With it, the connection is closed at once; while the
/// client reads nothing, the status of the task is `waiting for the client to read`. The system still delivers what was
/// written before, some megabytes at most: a slow client sees the end only after them. On an HTTP/2 connection with
/// several requests, a kill never takes another one with it: a stalled response is dropped when its client reads, or
/// when every other response has ended or is killed as well; and a client that holds back one response by the flow
/// control of HTTP/2 is not recognised, so that its status stays.
///
/// An upgraded connection (such as a websocket) is the task of its request until it is closed, and a kill closes it:
/// handlers need no line for that. Use [`serve`](super::serve) for axum, and for tonic `serve_with_incoming` with a
/// stream of these (feature `tonic`). For hyper:
///
/// ```
/// # use http::{Request, Response};
/// # async fn handle(_: Request<hyper::body::Incoming>) -> Result<Response<String>, std::convert::Infallible> {
/// #     Ok(Response::new(String::new()))
/// # }
/// use hyper_util::{rt::TokioIo, service::TowerToHyperService};
/// use pm::tower::{Connection, TasksLayer};
/// use tower_layer::Layer as _;
///
/// async fn serve(listener: tokio::net::TcpListener) -> std::io::Result<()> {
///     let layer = TasksLayer::new();
///     loop {
///         let (stream, _) = listener.accept().await?;
///         let connection = Connection::new(stream);
///         let service = layer.clone().connection(&connection).layer(tower::service_fn(handle));
///         let http = hyper::server::conn::http1::Builder::new();
///         let serving = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service));
///         tokio::spawn(serving.with_upgrades());
///     }
/// }
/// ```
///
/// With TLS, wrap the encrypted stream: what the server writes to.
#[must_use = "a connection is served by an HTTP library"]
pub struct Connection<S> {
    stream: S,
    shared: Arc<Shared>,
}

/// The guard of a [`Connection`], for the layer: in the extensions of each request, or given to
/// [`TasksLayer::connection`](super::TasksLayer::connection). Cheap to clone.
#[derive(Clone)]
pub struct ConnectionGuard {
    shared: Arc<Shared>,
    /// Adds what else is known of the connection to the extensions of a request.
    extend: Option<Arc<Extend>>,
}

type Extend = dyn Fn(&mut Extensions) + Send + Sync;

struct Shared {
    state: Mutex<State>,
    /// A response may be due to be dropped.
    is_woken: AtomicBool,
    /// The client has not taken all that was written.
    is_waiting: AtomicBool,
    /// The connection was closed by a kill.
    is_closed: AtomicBool,
    /// The bytes that are received are those of a request's body.
    is_receiving: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The wakers of what reads and of what writes: an HTTP library, or the two halves of an upgraded connection.
    wakers: [Option<Waker>; 2],
    responses: Vec<Watched>,
    next_key: u64,
    /// Counts the bytes of a request as the progress of its task.
    receiving: Option<Receiving>,
    /// The upgraded connection's task.
    upgraded: Option<(Handover, DropSignal)>,
}

/// The body of a request that is being received.
struct Receiving {
    task: TaskHandle,
    done: u64,
    total: u64,
    /// When to report again.
    next: u64,
}

impl Receiving {
    /// Counts bytes. Returns `false` if the task has a progress of its own, which says more.
    fn add(&mut self, bytes: u64) -> bool {
        self.done += bytes;
        if self.done < self.next {
            return true;
        }
        let is_other =
            self.task.view(|task| task.progress().is_some_and(|progress| progress.unit.as_str() != RECEIVED));
        if is_other != Some(false) {
            return false;
        }
        // A total that was exceeded is unknown.
        let total = if self.done > self.total { 0 } else { self.total };
        self.task.progress(self.done, total, RECEIVED);
        self.next = self.done + (self.done / 64).max(1);
        true
    }
}

/// A response that is being sent.
struct Watched {
    key: u64,
    task: TaskHandle,
    signal: DropSignal,
    /// The status before the client stopped reading.
    before: Option<String>,
}

impl Watched {
    /// Shows that the client does not read.
    fn wait(&mut self) {
        self.before = self.task.view(|task| task.status().to_string());
        self.task.note(WAITING);
    }

    /// Shows the former status again, unless there is a newer one.
    fn resume(&mut self) {
        if let Some(before) = self.before.take()
            && self.task.view(|task| task.status().to_string() == WAITING) == Some(true)
        {
            self.task.note(&before);
        }
    }
}

impl<S> Connection<S> {
    /// Guards a connection that is to be served.
    pub fn new(stream: S) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            is_woken: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_receiving: AtomicBool::new(false),
        };
        Self { stream, shared: Arc::new(shared) }
    }

    /// Returns the guard, for the layer.
    #[must_use]
    pub fn guard(&self) -> ConnectionGuard {
        ConnectionGuard { shared: Arc::clone(&self.shared), extend: None }
    }

    /// Returns the stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S> From<&Connection<S>> for ConnectionGuard {
    fn from(connection: &Connection<S>) -> Self {
        connection.guard()
    }
}

impl ConnectionGuard {
    #[cfg(feature = "tonic")]
    pub(super) fn with_extension(mut self, extend: impl Fn(&mut Extensions) + Send + Sync + 'static) -> Self {
        self.extend = Some(Arc::new(extend));
        self
    }

    /// Adds what is known of the connection to the extensions of a request.
    pub(super) fn extend(&self, extensions: &mut Extensions) {
        if let Some(extend) = &self.extend {
            extend(extensions);
        }
    }

    /// `is_shared`: other requests may be answered over the connection at the same time.
    pub(super) fn on_connection(&self, is_shared: bool) -> OnConnection {
        OnConnection { shared: Arc::clone(&self.shared), key: None, is_shared }
    }
}

/// The place of a response among those that are sent over a connection.
pub(super) struct OnConnection {
    shared: Arc<Shared>,
    key: Option<u64>,
    is_shared: bool,
}

impl OnConnection {
    /// Lets a kill of the task close the connection.
    pub(super) fn watch(&mut self, supervisor: &Supervisor) {
        if self.key.is_some() {
            return;
        }
        let (task, signal) = (supervisor.handle(), supervisor.drop_signal());
        let mut state = self.shared.state();
        state.next_key += 1;
        let key = state.next_key;
        state.responses.push(Watched { key, task, signal, before: None });
        self.key = Some(key);
        // A kill has to wake the connection also if its client never stops reading.
        self.shared.look(&mut state, LATE);
    }

    /// Shows the bytes of the request's body as the progress of the task, of `total` (0: unknown), until the response
    /// begins or the task has a progress of its own. Those that arrive with the head are not counted.
    pub(super) fn receive(&self, task: TaskHandle, total: u64) {
        if self.is_shared {
            return;
        }
        self.shared.state().receiving = Some(Receiving { task, done: 0, total, next: 0 });
        self.shared.is_receiving.store(true, Ordering::Relaxed);
    }

    /// Ends the count of [`receive`](Self::receive).
    pub(super) fn end_receiving(&self) {
        if !self.is_shared && self.shared.is_receiving.swap(false, Ordering::Relaxed) {
            self.shared.state().receiving = None;
        }
    }

    /// Lets the upgraded connection be the task, until it is closed or a future continues the task.
    pub(super) fn upgrade(&self, supervisor: &Supervisor, handover: Handover) {
        if self.is_shared {
            return;
        }
        let mut state = self.shared.state();
        state.upgraded = Some((handover, supervisor.drop_signal()));
        self.shared.look(&mut state, Duration::ZERO);
    }
}

impl Drop for OnConnection {
    fn drop(&mut self) {
        self.end_receiving();
        let Some(key) = self.key else { return };
        let mut state = self.shared.state();
        state.responses.retain(|response| response.key != key);
        // What remains may be due now.
        let is_due = !state.responses.is_empty() && self.shared.look(&mut state, LATE);
        drop(state);
        if is_due {
            Arc::clone(&self.shared).wake();
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        // Relaxed: the lock below orders it.
        self.is_woken.store(true, Ordering::Relaxed);
        let wakers = std::mem::take(&mut self.state().wakers);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Shared {
    /// Only core functions are called under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` if all that uses the connection is to be dropped. Otherwise the waker of the connection is woken
    /// when that may have changed.
    fn look(self: &Arc<Self>, state: &mut State, late: Duration) -> bool {
        let waker = Waker::from(Arc::clone(self));
        if let Some((_, signal)) = &mut state.upgraded {
            return signal.is_due(&waker, Duration::ZERO);
        }
        state.responses.retain(|response| response.task.is_live());
        !state.responses.is_empty() && state.responses.iter_mut().all(|response| response.signal.is_due(&waker, late))
    }

    /// Returns `true` if the connection is to be closed, as it is not ready and its responses are to be dropped.
    fn is_killed(self: &Arc<Self>, context: &Context<'_>, direction: Direction) -> bool {
        let is_stalled = direction == Direction::Write;
        let mut state = self.state();
        let old = match &mut state.wakers[direction as usize] {
            Some(waker) if waker.will_wake(context.waker()) => None,
            waker => waker.replace(context.waker().clone()),
        };
        let is_woken = self.is_woken.swap(false, Ordering::Relaxed);
        if is_stalled && !state.responses.is_empty() && !self.is_waiting.swap(true, Ordering::Relaxed) {
            state.responses.iter_mut().for_each(Watched::wait);
        }
        let late = if is_stalled { Duration::ZERO } else { LATE };
        let is_killed = (is_stalled || is_woken) && self.look(&mut state, late);
        let upgraded = if is_killed { state.upgraded.take() } else { None };
        let wakers = if is_killed { std::mem::take(&mut state.wakers) } else { [None, None] };
        self.is_closed.fetch_or(is_killed, Ordering::Relaxed);
        drop(state);
        // Code of the program runs without the lock.
        drop(old);
        wakers.into_iter().flatten().for_each(Waker::wake);
        if let Some((handover, _)) = upgraded {
            handover.kill();
        }
        is_killed
    }

    /// Counts bytes of a request's body.
    #[cold]
    fn received(&self, bytes: u64) {
        let mut state = self.state();
        let continues = state.receiving.as_mut().is_some_and(|receiving| receiving.add(bytes));
        if !continues {
            self.is_receiving.store(false, Ordering::Relaxed);
        }
    }

    /// The client has taken all that was written.
    fn flushed(&self) {
        if self.is_waiting.load(Ordering::Relaxed) {
            self.is_waiting.store(false, Ordering::Relaxed);
            self.state().responses.iter_mut().for_each(Watched::resume);
        }
    }
}

/// The direction in which a connection is not ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

fn closed<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the request was cancelled")))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Reads or writes, unless a kill has closed the connection.
    #[inline]
    fn transfer<T>(
        &mut self,
        context: &mut Context<'_>,
        direction: Direction,
        transfer: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.shared.is_closed.load(Ordering::Relaxed) {
            return closed();
        }
        let polled = transfer(Pin::new(&mut self.stream), context);
        if polled.is_pending() && self.shared.is_killed(context, direction) {
            // Best effort: the stream may be held for longer by the code that gets the error.
            let _ = Pin::new(&mut self.stream).poll_shutdown(context);
            return closed();
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.transfer(context, Direction::Read, |stream, context| stream.poll_read(context, buffer));
        if self.shared.is_receiving.load(Ordering::Relaxed) {
            self.shared.received((buffer.filled().len() - before) as u64);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transfer(context, Direction::Write, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transfer(context, Direction::Write, |stream, context| stream.poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.transfer(context, Direction::Write, |stream, context| stream.poll_flush(context));
        if flushed.is_ready() {
            self.shared.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transfer(context, Direction::Write, |stream, context| stream.poll_shutdown(context))
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        // Ends the task of an upgraded connection, unless a future continues it.
        let upgraded = self.shared.state().upgraded.take();
        drop(upgraded);
    }
}

impl<S: fmt::Debug> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl fmt::Debug for ConnectionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionGuard").finish_non_exhaustive()
    }
}
