//! `pm demo`: a small HTTP service over real files, with a process list and a client that keeps it busy.
//!
//! It is also an example of a program that uses `pm`:
//!
//! | file | contents |
//! |---|---|
//! | `app.rs` | the service: every request is a task, and a cancelled one responds with 503 |
//! | `files.rs` | walking and searching a directory tree on blocking threads |
//! | `checksum.rs` | a parent task with a child for each subdirectory |
//! | `index.rs` | a long-lived background task with named phases |
//! | `deadlock.rs` | three jobs in a deadlock of two locks and a semaphore |
//! | `stop.rs` | the signal that ends all parts |
//! | `load.rs` | the client: fast, slow and stuck requests over real HTTP |
//!
//! This file starts the parts, prints commands to try, and ends the demo by cancelling all running tasks.

mod app;
mod checksum;
mod deadlock;
mod files;
mod index;
mod load;
mod stop;

use std::fmt;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use files::Tree;

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 6680);
const APP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 6681);
// Longer than the protected section of `/transfer`.
const END_WITHIN: Duration = Duration::from_secs(5);

/// The flags of `pm demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Requests per second of the built-in client; 0 for none
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=200))]
    rate: u32,
    /// Stop after this time, as 30s or 5m, instead of at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = pm_wire::duration::parse)]
    run_for: Option<Duration>,
    /// Directory to search, sum and index
    #[arg(long, default_value = ".", value_name = "DIR")]
    root: PathBuf,
    /// Address of the process list [default: 127.0.0.1:6680]; port 0 for any free port
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the service [default: 127.0.0.1:6681]; port 0 for any free port
    #[arg(long, value_name = "ADDRESS")]
    app: Option<SocketAddr>,
    /// Unix socket of the process list, additionally
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Token file, created if missing; requires tokens
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// File for the audit log of cancels
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Additional idle tasks
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    tasks: u32,
}

/// Runs the demo until its time is over, Ctrl-C or SIGTERM. Exits with 1 if it cannot start or end.
pub(crate) fn run(args: Args) -> ExitCode {
    match demo(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pm demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(args: &Args) -> Result<(), Error> {
    let tree = Tree::open(&args.root).map_err(|cause| Error::Root { root: args.root.clone(), cause })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("demo")
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let result = runtime.block_on(serve(args, tree));
    // Blocking threads have ended by now, or never will.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(args: &Args, tree: Tree) -> Result<(), Error> {
    // First of all, so that no signal is missed.
    let over = until(signals().map_err(Error::Runtime)?, args.run_for);
    let pm =
        or_any_port(args.listen, LISTEN, "process list", |address| std::future::ready(start_pm(args, address))).await?;
    let listener = or_any_port(args.app, APP, "service", listen).await?;
    let address = listener.local_addr().map_err(|cause| Error::Listen { address: APP, cause })?;

    let (stop, stopped) = watch::channel(false);
    let index = Arc::new(index::Index::default());
    let app = app::App::new(tree.clone(), Arc::clone(&index), stopped.clone());
    let (begun, begins) = oneshot::channel();
    let indexing = tokio::task::spawn_blocking({
        let stopped = stopped.clone();
        move || index.keep(&tree, &stopped, begun)
    });
    // The banner refers to this task, so it is the first, while the list has space for it.
    let _ = begins.await;
    let serving = tokio::spawn(app::serve(listener, app, stopped.clone()));
    let waiting = tokio::spawn(deadlock::keep(stopped.clone()));
    let loading = tokio::spawn(load::drive(address, args.rate, stopped.clone()));
    let number = args.tasks;
    let idling = tokio::task::spawn_blocking(move || idle_tasks(number, &stopped));
    let running = async {
        let _idle = idling.await;
        say(&banner(pm.addr(), address));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = over => {}
        () = running => {}
    }

    stop.send_replace(true);
    let ended = async { tokio::join!(indexing, serving, waiting, loading) };
    let (_, _, _, tally) = tokio::select! {
        ended = ended => ended,
        () = cancel_all_for(END_WITHIN) => match pm::global().counters().live {
            0 => {
                say("the list was full; tasks that it does not show end with the program");
                return Ok(());
            }
            tasks => return Err(Error::StillRunning { tasks }),
        },
    };
    say(&summary(&tally.unwrap_or_default(), &pm::global().counters()));
    Ok(())
}

/// Cancels all tasks repeatedly, as pending requests may still start new ones.
async fn cancel_all_for(duration: Duration) {
    let until = Instant::now() + duration;
    while Instant::now() < until {
        for task in pm::global().snapshot().iter() {
            // It may have ended already.
            let _ = pm::global().cancel(task.serial(), "the demo is ending");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Completes at the signal, or after the time, counted from the call on.
fn until(signal: impl Future<Output = ()>, run_for: Option<Duration>) -> impl Future<Output = ()> {
    let end = run_for.and_then(|duration| Instant::now().checked_add(duration));
    async move {
        match end {
            Some(end) => drop(timeout_at(end, signal).await),
            None => signal.await,
        }
    }
}

/// Starts idle tasks, unless the demo is to end before that. Blocks: a million takes a second or more.
fn idle_tasks(number: u32, stopped: &watch::Receiver<bool>) -> Vec<pm::Task> {
    (0..number).take_while(|_| !*stopped.borrow()).map(idle_task).collect()
}

fn idle_task(number: u32) -> pm::Task {
    let task = pm::task(&format!("idle-{number}")).kind("idle").attr("number", number).start();
    // A cancel is irrelevant to an idle task.
    let _ = task.status("idle");
    task
}

fn start_pm(args: &Args, address: SocketAddr) -> Result<pm::Server, Error> {
    let mut server = pm::Server::builder().listen(address);
    #[cfg(unix)]
    if let Some(path) = &args.unix {
        server = server.listen_unix(path);
    }
    if let Some(tokens) = &args.tokens {
        server = server.token_file(tokens).require_token(true);
    }
    if let Some(audit) = &args.audit {
        server = server.audit_file(audit);
    }
    server.start().map_err(|cause| Error::Pm { cause: cause.into() })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback { address });
    }
    TcpListener::bind(address).await.map_err(|cause| Error::Listen { address, cause })
}

/// Starts at the given address only; without one, at the default address or else at any free port.
async fn or_any_port<T, F>(
    given: Option<SocketAddr>,
    default: SocketAddr,
    what: &str,
    start: impl Fn(SocketAddr) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    if let Some(given) = given {
        return start(given).await;
    }
    match start(default).await {
        Err(error) if error.is_in_use() => {
            say(&format!("{default} is in use: the {what} uses a free port"));
            start(SocketAddr::new(default.ip(), 0)).await
        }
        result => result,
    }
}

/// Completes at Ctrl-C, and on Unix at SIGTERM. Listens from the call on, not from the first poll.
#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signals() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn banner(pm: SocketAddr, app: SocketAddr) -> String {
    format!(
        "process list  http://{pm}/
service       http://{app}/

running tasks:      curl 'http://{pm}/v1/tasks?kind=GET*&minAge=1s'
live events:        curl -N http://{pm}/v1/events
one task's history: curl http://{pm}/v1/tasks/{id}/history
cancel that task:   curl -d '{{\"reason\":\"try it\",\"wait\":\"5s\"}}' http://{pm}/v1/tasks/{id}/cancel
waits, deadlocks:   curl http://{pm}/v1/waits
a request to kill:  curl http://{app}/stuck
Go original's API:  curl http://{pm}/procs/

Ctrl-C stops it.",
        id = index::ID,
    )
}

fn summary(load: &load::Tally, tasks: &pm::Counters) -> String {
    let load::Tally { answered, cancelled, given_up, failed, skipped } = load;
    format!(
        "requests: {answered} answered, {cancelled} cancelled, {given_up} given up, {failed} failed, \
         {skipped} not sent; \
         tasks: {} started, {} finished, {} cancelled, {} failed, {} aborted, {} live",
        tasks.started, tasks.finished, tasks.cancelled, tasks.failed, tasks.aborted, tasks.live,
    )
}

/// Prints a line to stdout; errors such as a closed pipe are ignored.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// An error at the start or end of the demo.
#[derive(Debug)]
enum Error {
    Root { root: PathBuf, cause: io::Error },
    Runtime(io::Error),
    Pm { cause: Box<dyn std::error::Error + Send + Sync> },
    Listen { address: SocketAddr, cause: io::Error },
    NotLoopback { address: SocketAddr },
    StillRunning { tasks: u64 },
}

impl Error {
    fn is_in_use(&self) -> bool {
        match self {
            Self::Listen { cause, .. } => cause.kind() == io::ErrorKind::AddrInUse,
            Self::Pm { cause } => {
                let mut causes = std::iter::successors(Some(&**cause as &dyn std::error::Error), |e| e.source());
                causes.any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::AddrInUse))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { root, cause } => write!(f, "could not open the directory {}: {cause}", root.display()),
            Self::Runtime(cause) => write!(f, "could not start: {cause}"),
            Self::Pm { cause } => write!(f, "could not start the process list: {cause}"),
            Self::Listen { address, cause } => write!(f, "could not listen on {address}: {cause}"),
            Self::NotLoopback { address } => {
                write!(f, "could not listen on {address}: the demo shows files, so it serves loopback addresses only")
            }
            Self::StillRunning { tasks: 1 } => f.write_str("1 task did not stop in time"),
            Self::StillRunning { tasks } => write!(f, "{tasks} tasks did not stop in time"),
        }
    }
}
