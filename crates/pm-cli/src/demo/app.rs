//! The service: each request is a task, from its head to its response.
//!
//! Most handlers have access to their task and return with `?` when a status or checkpoint reports a cancel; the
//! response is then 503 with the reason. Some do not handle cancels and run as futures, which a cancel drops at an
//! await. One has neither checkpoints nor awaits, so a cancel has no effect. A client that disconnects ends its task.

use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pm::sync::Semaphore;
use pm::{Cancelled, Task};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::checksum::checksum;
use super::files::{PathError, Tree};
use super::index::Index;
use super::stop::end_of;

const PAUSE: Duration = Duration::from_millis(50);
const STEP: Duration = Duration::from_millis(250);
const MAX_SLOW: f64 = 300.0; // seconds
const TRANSFER_WAIT: Duration = Duration::from_secs(1);
const TRANSFER_STEPS: u64 = 12; // of `STEP` each
const MAX_QUERY: usize = 200; // bytes of a text to search
const MAX_CONNECTIONS: usize = 256;
const PAGES: usize = 5;
const WORDS_PER_PAGE: usize = 20;
const PAGE_TIME: Duration = Duration::from_millis(100);

const HELP: &str = "GET /search?q=text            lines that contain the text
GET /checksum?path=dir        checksums of the subdirectories
GET /report                   the most frequent words; two at a time, others wait
GET /slow?seconds=3           takes that long
GET /stuck                    waits to be cancelled
GET /await                    waits forever without handling cancels: it is dropped
GET /transfer                 has a protected section
GET /unresponsive?seconds=15  has neither checkpoints nor awaits
";

/// The shared state of all requests.
pub(super) struct App {
    tree: Tree,
    index: Arc<Index>,
    report_pool: Semaphore,
    requests: AtomicU64,
    stopped: watch::Receiver<bool>,
}

impl App {
    pub(super) fn new(tree: Tree, index: Arc<Index>, stopped: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Self {
            tree,
            index,
            report_pool: Semaphore::new("report pool", 2),
            requests: AtomicU64::new(0),
            stopped,
        })
    }

    async fn route(self: Arc<Self>, task: &Arc<Task>, path: &str, query: &str) -> Result<String, Refusal> {
        match path {
            "/" => Ok(HELP.to_owned()),
            "/search" => self.search(task, query).await,
            "/checksum" => self.checksum(task, query).await,
            "/slow" => slow(task, query).await,
            "/stuck" => stuck(task).await,
            "/unresponsive" => unresponsive(task, query, self.stopped.clone()).await,
            _ => Err(Refusal::NotFound("no such page; / lists all".to_owned())),
        }
    }

    async fn search(self: Arc<Self>, task: &Arc<Task>, query: &str) -> Result<String, Refusal> {
        let text = parameter(query, "q").filter(|text| (1..=MAX_QUERY).contains(&text.len()));
        let text = text.ok_or_else(|| Refusal::Bad(format!("add ?q=text with 1 to {MAX_QUERY} bytes")))?;
        task.set("q", &text);
        blocking(task, move |task| self.tree.search(task, &text)).await
    }

    async fn checksum(self: Arc<Self>, task: &Arc<Task>, query: &str) -> Result<String, Refusal> {
        let path = parameter(query, "path").unwrap_or_else(|| ".".to_owned());
        task.set("folder", &path);
        let folder = self.tree.folder(&path).map_err(|error| match error {
            PathError::Outside => Refusal::Forbidden("the path is outside the served directory".to_owned()),
            PathError::NotFound => Refusal::NotFound("no such directory".to_owned()),
        })?;
        blocking(task, move |task| checksum(task, &self.tree, &folder)).await
    }

    async fn report(self: Arc<Self>) -> Result<String, Refusal> {
        let task = pm::current();
        let permit = self.report_pool.acquire().await;
        let _permit = permit.map_err(|_| Refusal::Failed("the report pool is closed".to_owned()))?;
        let words = self.index.words();
        let mut report = String::new();
        for (number, page) in (1..=PAGES).zip(words.chunks(WORDS_PER_PAGE).chain(std::iter::repeat(&[][..]))) {
            pm::status!(task, "rendering page {number}")?;
            task.progress(number as u64 - 1, PAGES as u64, "pages");
            sleep(PAGE_TIME).await;
            for (word, count) in page {
                // Writing to a string cannot fail.
                let _ = writeln!(report, "{count:>8} {word}");
            }
        }
        Ok(report)
    }
}

/// The duration in the query.
fn seconds(query: &str, default: f64) -> Result<Duration, Refusal> {
    let seconds = parameter(query, "seconds").map_or(Ok(default), |text| text.parse());
    match seconds {
        Ok(seconds) if (0.0..=MAX_SLOW).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(Refusal::Bad(format!("seconds must be a number from 0 to {MAX_SLOW}"))),
    }
}

async fn slow(task: &Task, query: &str) -> Result<String, Refusal> {
    let duration = seconds(query, 3.0)?;
    task.set("seconds", duration.as_secs_f64());
    let steps = duration.div_duration_f64(STEP).ceil() as u64;
    for step in 1..=steps {
        pm::status!(task, "step {step} of {steps}")?;
        unless_cancelled(task, sleep(STEP)).await?;
    }
    Ok(format!("{steps} steps\n"))
}

async fn stuck(task: &Task) -> Result<String, Refusal> {
    task.status("waiting to be cancelled")?;
    unless_cancelled(task, std::future::pending()).await
}

/// Waits for `future`, unless the task is cancelled first.
async fn unless_cancelled<T>(task: &Task, future: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::select! {
        value = future => Ok(value),
        cancelled = task.cancelled() => Err(cancelled.into()),
    }
}

/// Waits forever.
async fn only_awaits() -> String {
    let _ = pm::current().status("waiting forever");
    std::future::pending().await
}

/// Moves money from one account to another, which must not be interrupted.
async fn transfer() -> String {
    // Cancels are not handled here: one drops this future at an await.
    let set_status = |status: &str| drop(pm::current().status(status));
    set_status("waiting for both accounts");
    sleep(TRANSFER_WAIT).await;
    pm::protect(async {
        set_status("moving the money, protected");
        for step in 1..=TRANSFER_STEPS {
            sleep(STEP).await;
            pm::current().progress(step, TRANSFER_STEPS, "steps");
        }
    })
    .await;
    set_status("notifying both owners");
    sleep(TRANSFER_WAIT).await;
    "the money has moved\n".to_owned()
}

/// Blocks its thread without checkpoints, as legacy code does.
async fn unresponsive(task: &Arc<Task>, query: &str, stopped: watch::Receiver<bool>) -> Result<String, Refusal> {
    let seconds = seconds(query, 15.0)?;
    blocking(task, move |task| {
        let _ = task.status("computing without checkpoints");
        let until = std::time::Instant::now() + seconds;
        // Only the end of the program interrupts it.
        while std::time::Instant::now() < until && !*stopped.borrow() {
            std::thread::sleep(PAUSE);
        }
        Ok("done\n".to_owned())
    })
    .await
}

/// Runs `work` on a blocking thread with the task as the current one. The task lives until the work returns.
async fn blocking<T: Send + 'static>(
    task: &Arc<Task>,
    work: impl FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
) -> Result<T, Refusal> {
    let own = Arc::clone(task);
    let result = spawn_blocking(task.carry(move || work(&own)));
    Ok(result.await.map_err(|_| Refusal::Failed("the work panicked".to_owned()))??)
}

/// Serves until `stopped`, then finishes the open requests.
pub(super) async fn serve(listener: TcpListener, app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let until = stopped.clone();
    loop {
        tokio::select! {
            () = end_of(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, Arc::clone(&app), until.clone()));
                }
                // Probably out of file descriptors, which is temporary.
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, peer: SocketAddr, app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(answer(app, request, peer).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5)).max_buf_size(16 << 10);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    // Errors of a connection do not matter.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = end_of(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(app: Arc<App>, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
    let (method, path) = (request.method(), request.uri().path());
    let known = matches!(
        path,
        "/" | "/search" | "/checksum" | "/report" | "/slow" | "/stuck" | "/await" | "/transfer" | "/unresponsive"
    );
    let task = pm::task(&format!("req-{}", app.requests.fetch_add(1, Relaxed) + 1))
        .kind(&if known { format!("{method} {path}") } else { "other".to_owned() })
        .attr("method", method.as_str())
        .attr("path", path)
        .attr("peer", &peer.to_string());
    let refusal = match () {
        () if method != http::Method::GET => Some(Refusal::Method),
        () if !is_local(&request) => Some(Refusal::Misdirected),
        () => None,
    };
    // These run as futures, which a cancel drops.
    match (&refusal, path) {
        (None, "/await") => return respond(task.run(only_awaits()).await.map_err(Refusal::from)),
        (None, "/report") => return respond(task.try_run(app.report()).await),
        (None, "/transfer") => return respond(task.run(transfer()).await.map_err(Refusal::from)),
        _ => {}
    }
    let mut open = Open { task: Some(Arc::new(task.start())) };
    let result = match &open.task {
        _ if refusal.is_some() => Err(refusal.unwrap_or(Refusal::Method)),
        Some(task) => app.route(task, path, request.uri().query().unwrap_or("")).await,
        None => unreachable!("the task was put in above"),
    };
    // The work has returned, so there is no other reference to the task.
    let task = open.task.take().and_then(Arc::into_inner);
    // A cancelled task ends as cancelled on drop.
    if let (Err(refusal), Some(task)) = (&result, task)
        && !matches!(refusal, Refusal::Cancelled(_))
    {
        task.fail(&refusal.to_string());
    }
    respond(result)
}

fn respond(result: Result<String, Refusal>) -> Response<Full<Bytes>> {
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => (refusal.status(), format!("{refusal}\n")),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
    }
    response
}

/// Returns whether the Host header is a local one, to prevent DNS rebinding by cross-site pages.
fn is_local(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// A request without a response. Hyper drops it when the client disconnects; then the task ends, too.
struct Open {
    task: Option<Arc<Task>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        let serial = task.serial();
        match Arc::into_inner(task) {
            Some(task) => task.fail("the client disconnected"),
            // A blocking thread still uses the task, and ends it when it observes the cancel.
            None => drop(pm::global().cancel(serial, "the client disconnected")),
        }
    }
}

/// An error response.
enum Refusal {
    Cancelled(Cancelled),
    Bad(String),
    Forbidden(String),
    NotFound(String),
    Method,
    Misdirected,
    Failed(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Cancelled(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(cancelled) => cancelled.fmt(f),
            Self::Bad(why) | Self::Forbidden(why) | Self::NotFound(why) | Self::Failed(why) => f.write_str(why),
            Self::Method => f.write_str("only GET is served"),
            Self::Misdirected => f.write_str("this host is not served here"),
        }
    }
}

impl From<Cancelled> for Refusal {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

/// The decoded first value of a query parameter; `None` if it is missing or not UTF-8.
fn parameter(query: &str, name: &str) -> Option<String> {
    let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|&(key, _)| key == name)?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [byte, after @ ..] = rest {
        let hex = after.first_chunk::<2>().filter(|_| *byte == b'%').and_then(|&[high, low]| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(high)? << 4 | digit(low)?).ok()
        });
        bytes.push(hex.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        rest = if hex.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(parameter("a=1&q=two+words%21&q=x", "q").as_deref(), Some("two words!"));
        assert_eq!(parameter("q=%C3%A9%2", "q").as_deref(), Some("é%2"));
        assert_eq!(parameter("q=%+1", "q").as_deref(), Some("% 1"));
        assert_eq!(parameter("q=%ff", "q"), None);
        assert_eq!(parameter("p=1", "q"), None);
    }
}
