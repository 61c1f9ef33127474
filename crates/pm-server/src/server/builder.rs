//! Describes a server: its list, listeners, access and limits.

use std::fmt::{self, Debug};
use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pm_core::ProcessList;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::Server;
use crate::access::Permission;
use crate::access::tokens::{Sources, Tokens, VARIABLE};
use crate::address::is_loopback;
use crate::audit::Audit;
use crate::connection::accept;
use crate::connection::limits::{Limits, share_of_files};
#[cfg(feature = "tls")]
use crate::listen::tls::Tls;
use crate::listen::{self, Address, Exposure, Listener};
use crate::service::Service;
use crate::start_error::StartError;

/// Describes a [`Server`]; created by [`Server::builder`].
///
/// ```
/// let list = pm::ProcessList::new();
/// let server = pm::Server::builder().list(&list).listen("127.0.0.1:0").max_connections(64).start()?;
/// server.shutdown();
/// # Ok::<(), pm::server::StartError>(())
/// ```
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    service: Service,
    listen: Vec<Listen>,
    #[cfg(unix)]
    uids: Vec<u32>,
    beyond_loopback: bool,
    limits: Limits,
    watchers: Option<usize>,
    memory: Option<u64>,
    tokens: Sources,
    require_token: bool,
    audit: Option<PathBuf>,
    strict_audit: bool,
}

enum Listen {
    Address(Address),
    Listener(TcpListener),
    #[cfg(unix)]
    Unix(PathBuf),
    #[cfg(feature = "tls")]
    Tls(Address, Tls),
}

impl Server {
    /// Returns a builder with the defaults: no address, no token, an audit log in memory.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            service: Service::new(pm_core::global()),
            listen: Vec::new(),
            #[cfg(unix)]
            uids: Vec::new(),
            beyond_loopback: false,
            limits: Limits::default(),
            watchers: None,
            memory: None,
            tokens: Sources::default(),
            require_token: false,
            audit: None,
            strict_audit: false,
        }
    }

    /// Sets the list to serve. Default: [`global`](pm_core::global).
    pub fn list(mut self, list: &ProcessList) -> Self {
        self.service = self.service.with_list(list);
        self
    }

    /// Adds an address to listen on. If a name resolves to several, the first that can be used is taken.
    pub fn listen(mut self, address: impl ToSocketAddrs + Debug) -> Self {
        self.listen.push(Listen::Address(Address::of(address)));
        self
    }

    /// Adds a unix socket to listen on. The user of this process has access, and users of
    /// [`allow_uid`](Self::allow_uid); they need no token. The file has the mode 0600, and is removed when the server
    /// stops. A socket that is there already is replaced if no process listens on it.
    ///
    /// `curl --unix-socket PATH http://localhost/v1/tasks`
    #[cfg(unix)]
    pub fn listen_unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.listen.push(Listen::Unix(path.into()));
        self
    }

    /// Gives another user, by id, access to the unix sockets. The folder and the mode of the file must allow it, too.
    #[cfg(unix)]
    pub fn allow_uid(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    /// Adds an address to listen on with TLS. Callers need a token, or a client certificate if [`Tls::clients`] accepts
    /// them: also from this machine.
    #[cfg(feature = "tls")]
    pub fn listen_tls(mut self, address: impl ToSocketAddrs + Debug, tls: Tls) -> Self {
        self.listen.push(Listen::Tls(Address::of(address), tls));
        self
    }

    /// Sets the file with the tokens: one per line, as `PERMISSION TOKEN [NAME]`, where the permission is `read` or
    /// `cancel` and the token has at least 32 characters; `#` begins a comment. No other user may have access (`chmod
    /// 600`), except that a group may read a file that is read-only (0440), as mounted secrets are; see
    /// [`allow_shared_token_file`](Self::allow_shared_token_file). A missing file is created, with one random token
    /// of 256 bits that may cancel; its folder must exist. A changed file is reloaded within a second; if it can't be
    /// used, the tokens from before stay valid.
    ///
    /// With tokens, the server can listen on addresses other than loopback. Requests send one as
    /// `Authorization: Bearer TOKEN`.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tokens.file = Some(path.into());
        self
    }

    /// Accepts a [`token_file`](Self::token_file) that other users can read, such as a secret of Docker with the mode
    /// 0444, or one of Kubernetes with 0640 or 0644. It must not be writable by them. Default `false`: a file is for
    /// its owner, or, if it is read-only, for its group as well (0440).
    pub fn allow_shared_token_file(mut self, allowed: bool) -> Self {
        self.tokens.is_shared = allowed;
        self
    }

    /// Adds a token of the program's own, for instance from its configuration; besides those of the
    /// [`token_file`](Self::token_file) and of the variable `PM_TOKENS`. The name is for the audit log: letters, digits
    /// and `-._@`. The token has at least 32 characters: letters, digits and `-._~+/=`; text that is not a token is an
    /// error of [`start`](Self::start).
    ///
    /// ```
    /// use pm::server::Permission;
    ///
    /// let secret = "4f0c6a1e8b5d4c3f9a7e2b1d0c8f6e5a"; // not in the source, of course
    /// let server = pm::Server::builder()
    ///     .listen("127.0.0.1:0")
    ///     .token(Permission::Cancel, "deploy", secret)
    ///     .require_token(true)
    ///     .start()?;
    /// # Ok::<(), pm::server::StartError>(())
    /// ```
    pub fn token(mut self, permission: Permission, name: &str, token: &str) -> Self {
        self.tokens.given.push((permission, name.to_owned(), token.to_owned()));
        self
    }

    /// Requires a token on loopback addresses, too. Default `false`: everyone who can reach a loopback address may list
    /// and cancel.
    pub fn require_token(mut self, required: bool) -> Self {
        self.require_token = required;
        self
    }

    /// Appends each attempt to cancel to this file, as a line of JSON, whether it was allowed or not. A missing file is
    /// created with the mode 0600. A line that can't be written is counted, and the cancel proceeds.
    pub fn audit_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit = Some(path.into());
        self
    }

    /// Refuses a cancel (503) that can't be written to the [audit file](Self::audit_file) first. Default `false`.
    pub fn strict_audit(mut self, strict: bool) -> Self {
        self.strict_audit = strict;
        self
    }

    /// Adds a listener that is open already, for instance one that a service manager passed on.
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listen.push(Listen::Listener(listener));
        self
    }

    /// Allows addresses that other machines can reach, without a token. **Everyone who can reach the port can then list
    /// and cancel tasks**; a warning on stderr says so at the start. Not needed with a
    /// [`token_file`](Self::token_file). Host names in requests must be [allowed](Self::allow_host). Default `false`.
    pub fn dangerously_listen_beyond_loopback(mut self, allowed: bool) -> Self {
        self.beyond_loopback = allowed;
        self
    }

    /// Allows a host name in requests, besides `localhost` and the address that is listened on. It has no port, and
    /// case does not matter: `pm.example.org`. Needed behind a proxy that passes on the name it was called by. Behind a
    /// forwarded port, allow the address that is forwarded, such as `192.0.2.7` or `[2001:db8::7]`.
    pub fn allow_host(mut self, name: &str) -> Self {
        self.service = self.service.allow_host(name);
        self
    }

    /// Allows the origin of web pages from which tasks may be cancelled, such as `https://pm.example.org`: scheme,
    /// name, and the port unless it is the scheme's own. Needed for the page behind a proxy that changes the Host
    /// header, as the origin of the page is then another one. Only this origin, exactly; there are no wildcards, and
    /// no CORS headers. Default: the origin that equals the host of the request.
    ///
    /// Text that is not an origin is an error of [`start`](Self::start).
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.service = self.service.allow_origin(origin);
        self
    }

    /// Writes the values of attributes as strings in the list of `/procs/`; see [`Service::text_attrs`]. Default
    /// `false`.
    pub fn text_attrs(mut self, text: bool) -> Self {
        self.service = self.service.text_attrs(text);
        self
    }

    /// Sets the path prefix, where a proxy in front does not strip it: with `/tools/pm`, the list is at
    /// `/tools/pm/v1/tasks`, and the page at `/tools/pm/`. Default: none.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.service = self.service.prefix(prefix);
        self
    }

    /// Limits the connections at a time. Default 512; at least 1. One more takes the place of one that is idle, half
    /// open, gone or stalled; if there is none, it gets 503 and is closed.
    ///
    /// No more than a quarter of the files that the program may have open (`ulimit -n`, where `/proc` has it) are
    /// taken by connections, and no more than another quarter by watchers.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = count.max(1);
        self
    }

    /// Limits the connections from one address of another machine (for IPv6, from one network of 64 bits), watchers
    /// included. Default 64; at least 1. Raise it behind a proxy, whose address all clients share.
    pub fn max_connections_per_address(mut self, count: usize) -> Self {
        self.limits.per_address = count.max(1);
        self
    }

    /// Limits the clients that watch (`/v1/events`) at a time; they do not count as connections. Default 1,000. One
    /// more gets 503.
    pub fn max_watchers(mut self, count: usize) -> Self {
        self.watchers = Some(count);
        self
    }

    /// Limits the memory of all responses together, in bytes: what is held for clients until they have read it, lists
    /// and snapshots that are written while they are sent, events, what watchers know of the tasks, and what a page,
    /// a tree or the verdicts on many tasks take while they are put together. Default 64 MiB.
    ///
    /// A response beyond it is 503, unless it is shorter than 8 KiB, and a watcher waits for its snapshot. Besides,
    /// each connection takes up to 32 KiB.
    ///
    /// Below 1 MiB not every page fits.
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Limits the time for the head of a request, from its first byte or from the opening of the connection.
    /// Default 5 s.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.limits.head_timeout = limit;
        self
    }

    /// Limits the time for the body of a request. Default 10 s.
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.limits.body_timeout = limit;
        self
    }

    /// Limits how long a connection may be idle, between two requests or because the client reads nothing.
    /// Default 30 s.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = limit;
        self
    }

    /// Limits the body of a request, in bytes. Default 64 KiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.service = self.service.max_body(bytes);
        self
    }

    /// Starts the server; it answers when this returns.
    ///
    /// If the environment has the variable `PM_TOKENS`, its tokens are valid, too, as if they were in a
    /// [`token_file`](Self::token_file): `cancel TOKEN NAME`, with `;`, `,` or a line break between several. It is read
    /// once. Programs that this one starts inherit it.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the address and the reason. Nothing listens then.
    pub fn start(mut self) -> Result<Server, StartError> {
        let failed = |source| StartError::Thread { source };
        if let Some(origin) = self.service.bad_origin() {
            return Err(StartError::Origin { origin: origin.to_owned() });
        }
        let tokens = Tokens::obtain(&self.tokens, std::env::var_os(VARIABLE).as_deref())?;
        let exposure = match (self.beyond_loopback, &tokens) {
            (true, _) => Exposure::Open,
            (false, Some(_)) => Exposure::Authenticated,
            (false, None) => Exposure::Loopback,
        };
        if self.require_token && tokens.is_none() {
            let source =
                "require_token is set without a token: add a `token_file` or a `token`, or set PM_TOKENS".into();
            return Err(StartError::Tokens { source });
        }
        let audit = match (self.audit.take(), self.strict_audit) {
            (Some(path), strict) => {
                Audit::with_file(&path, strict).map_err(|source| StartError::Audit { path, source })?
            }
            (None, true) => {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "strict_audit is set without an audit_file");
                return Err(StartError::Audit { path: PathBuf::new(), source });
            }
            (None, false) => Audit::in_memory(),
        };
        #[cfg(feature = "tracing")]
        let audit = audit.with_thread_for_events();
        let service = self.service.with_access(tokens, self.require_token).with_audit(audit);
        let runtime = Background::new().map_err(failed)?;
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        {
            let _inside = runtime.0.as_ref().map(Runtime::enter);
            for listen in self.listen {
                let listener = match listen {
                    Listen::Address(address) => listen::open(address, exposure)?,
                    Listen::Listener(listener) => {
                        listen::allowed(listener.local_addr().map_err(failed)?, exposure)?;
                        listener
                    }
                    #[cfg(unix)]
                    Listen::Unix(path) => {
                        let (listener, file) = listen::unix::open(&path)?;
                        let unix = |source| StartError::Unix { path, source };
                        listeners.push(Listener::Unix(
                            listen::unix::Listener::new(listener, file, &self.uids).map_err(unix)?,
                        ));
                        continue;
                    }
                    #[cfg(feature = "tls")]
                    Listen::Tls(address, tls) => {
                        // A caller without a token or a certificate has no access, so any address is allowed.
                        let listener = listen::open(address, Exposure::Authenticated)?;
                        addresses.push(listener.local_addr().map_err(failed)?);
                        let health = service.state.tls.get_or_init(Default::default).clone();
                        listeners.push(Listener::Tls(listen::tls::Listener::new(listener, tls, health)?));
                        continue;
                    }
                };
                let address = listener.local_addr().map_err(failed)?;
                if matches!(exposure, Exposure::Open) && !is_loopback(address.ip()) {
                    warn(format!("everyone who can reach {address} can list and cancel the tasks of this program"));
                }
                addresses.push(address);
                listeners.push(Listener::tcp(listener, exposure).map_err(failed)?);
            }
        }
        if listeners.is_empty() {
            return Err(StartError::NoAddress);
        }
        let mut limits = self.limits;
        if let Some(share) = share_of_files() {
            limits.connections = limits.connections.min(share);
            let feed = &service.state.feed;
            feed.set_max_watchers(self.watchers.unwrap_or(feed.status().max_watchers).min(share));
        } else if let Some(count) = self.watchers {
            service.state.feed.set_max_watchers(count);
        }
        service.state.max_connections.store(limits.connections, Ordering::Relaxed);
        service.state.feed.keep_alive(limits.idle_timeout);
        if let Some(bytes) = self.memory {
            service.state.memory.set_max(bytes);
        }
        let list = service.state.list.clone();
        let (stop, stopped) = oneshot::channel();
        let thread = pm_core::spawn_thread("pm-server", move || {
            if let Some(runtime) = &runtime.0 {
                runtime.block_on(accept::run(listeners, service, limits, stopped));
            }
        })
        .map_err(failed)?;
        Ok(Server { list, addresses, stop: Some(stop), thread: Some(thread) })
    }
}

/// Writes a warning to stderr. From a thread that takes no signals: if stderr is a pipe that nothing reads, the program
/// would end by `SIGPIPE`.
fn warn(text: String) {
    if let Ok(thread) = pm_core::spawn_thread("pm-warning", move || eprintln!("pm: {text}")) {
        let _ = thread.join();
    }
}

/// A runtime that may be dropped anywhere, also within another one. Requests without a response by then get none.
struct Background(Option<Runtime>);

impl Background {
    fn new() -> io::Result<Self> {
        tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map(|runtime| Self(Some(runtime)))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
