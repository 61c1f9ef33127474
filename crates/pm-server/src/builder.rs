//! What to serve, where, to whom, and within what limits.

use std::fmt::{self, Debug};
use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use pm_core::ProcessList;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::Server;
use super::accept;
use super::access::tokens::Tokens;
use super::audit::Audit;
use super::connection::Limits;
#[cfg(feature = "tls")]
use super::listen::tls::Tls;
use super::listen::{self, Address, Beyond, Door};
use super::service::Service;
use super::start_error::StartError;

/// Describes a [`Server`]; made by [`Server::builder`].
///
/// ```
/// let list = pm::ProcessList::new();
/// let server = pm::Server::builder().list(&list).listen("127.0.0.1:0").max_connections(64).start()?;
/// server.shutdown();
/// # Ok::<(), pm::StartError>(())
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
    tokens: Option<PathBuf>,
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
            tokens: None,
            require_token: false,
            audit: None,
            strict_audit: false,
        }
    }

    /// The list to serve. Default: [`global`](pm_core::global).
    pub fn list(mut self, list: &ProcessList) -> Self {
        self.service = self.service.with_list(list);
        self
    }

    /// An address to listen on; call it again for more. A name that stands for several is tried in their order.
    pub fn listen(mut self, address: impl ToSocketAddrs + Debug) -> Self {
        self.listen.push(Listen::Address(Address::of(address)));
        self
    }

    /// A unix socket to listen on. Only the user who runs this program gets in, and whoever [`allow_uid`](Self::allow_uid)
    /// names; they need no token. The file has the mode 0600, and goes with the server. One that is there already is
    /// replaced if it is a socket on which nobody listens.
    ///
    /// `curl --unix-socket PATH http://localhost/v1/tasks`
    #[cfg(unix)]
    pub fn listen_unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.listen.push(Listen::Unix(path.into()));
        self
    }

    /// Lets another user in through the unix sockets, by number; the folder and mode of the file must allow it, too.
    #[cfg(unix)]
    pub fn allow_uid(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    /// An address to listen on with TLS. Who comes in needs a token, or a certificate of a client if [`Tls::clients`]
    /// says so: also from this machine.
    #[cfg(feature = "tls")]
    pub fn listen_tls(mut self, address: impl ToSocketAddrs + Debug, tls: Tls) -> Self {
        self.listen.push(Listen::Tls(Address::of(address), tls));
        self
    }

    /// The file with the tokens: one a line, as `SCOPE TOKEN [NAME]`, with the scope `read` or `cancel`, and a token of 32
    /// characters or more; `#` begins a comment. It must be nobody else's business (`chmod 600`). If there is none, it is
    /// made, with one random token of 256 bits that may cancel. When it changes it is read again, within a second; if it
    /// can't be read then, the old tokens go on.
    ///
    /// With tokens, addresses beyond loopback can be listened on. Requests bear one as `Authorization: Bearer TOKEN`.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tokens = Some(path.into());
        self
    }

    /// Asks for a token on loopback, too. Without this, whoever can reach a loopback address may list and cancel.
    pub fn require_token(mut self) -> Self {
        self.require_token = true;
        self
    }

    /// Writes each attempt to cancel to this file, as a line of JSON, whether it was allowed or not. It is made with the
    /// mode 0600 if there is none. A line that can't be written is counted, and the cancel goes on.
    pub fn audit_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit = Some(path.into());
        self
    }

    /// Refuses a cancel (503) if it can't be written to the [audit file](Self::audit_file) first.
    pub fn strict_audit(mut self) -> Self {
        self.strict_audit = true;
        self
    }

    /// A listener that is open already, for instance one that was handed over at start-up.
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listen.push(Listen::Listener(listener));
        self
    }

    /// Listens beyond this machine without a token. **Everyone who reaches the port can then read the list and cancel its
    /// tasks**; a warning on stderr says so at the start. With a [`token_file`](Self::token_file) this is not needed. The names
    /// under which it may be called must be allowed by [`allow_host`](Self::allow_host).
    pub fn dangerously_listen_beyond_loopback(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    /// Answers requests for this host name, besides `localhost` and the address that is listened on. Without a port, in
    /// any case, as `pm.example.org`; needed behind a proxy that hands on the name it was called by. An address, as
    /// `192.0.2.7` or `[2001:db8::7]`, is needed behind what forwards a port of another one.
    pub fn allow_host(mut self, name: &str) -> Self {
        self.service = self.service.allow_host(name);
        self
    }

    /// The path before ours, where something in front hands requests on with it: with `/tools/pm`, the list is at
    /// `/tools/pm/v1/tasks`, and the page at `/tools/pm/`. Where it takes the path off, nothing need be said.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.service = self.service.prefix(prefix);
        self
    }

    /// How many connections there may be at a time. Default 512; at least 1. One more is told so (503) and closed.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = count.max(1);
        self
    }

    /// How many of the connections may come from one address beyond this machine (of IPv6, from one network of 64 bits),
    /// watchers included. Default 64; at least 1. Raise it behind a proxy, whose address all clients share.
    pub fn max_connections_per_address(mut self, count: usize) -> Self {
        self.limits.per_address = count.max(1);
        self
    }

    /// How many clients may watch (`/v1/events`) at a time; they do not count among the connections. Default 1,000. One
    /// more is told so (503).
    pub fn max_watchers(mut self, count: usize) -> Self {
        self.watchers = Some(count);
        self
    }

    /// How long the head of a request may take, from its first byte or from the opening of the connection. Default 5 s.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.limits.head_timeout = limit;
        self
    }

    /// How long the body of a request may take. Default 10 s.
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.limits.body_timeout = limit;
        self
    }

    /// How long a connection may stand still, between two requests or because the client takes nothing. Default 30 s.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = limit;
        self
    }

    /// How large the body of a request may be, in bytes. Default 64 KiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.service = self.service.max_body(bytes);
        self
    }

    /// Starts the server; it answers when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the address and what is wrong with it. Nothing listens then.
    pub fn start(mut self) -> Result<Server, StartError> {
        let failed = |source| StartError::Thread { source };
        let tokens = self.tokens.as_deref().map(Tokens::obtain).transpose()?;
        let beyond = match (self.beyond_loopback, &tokens) {
            (true, _) => Beyond::Dangerously,
            (false, Some(_)) => Beyond::WithToken,
            (false, None) => Beyond::Refused,
        };
        if self.require_token && tokens.is_none() {
            let source = "a token is required, but there is no token_file".into();
            return Err(StartError::Tokens { source });
        }
        let audit = match (self.audit.take(), self.strict_audit) {
            (Some(path), strict) => {
                Audit::with_file(&path, strict).map_err(|source| StartError::Audit { path, source })?
            }
            (None, true) => {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "strict_audit needs an audit_file");
                return Err(StartError::Audit { path: PathBuf::new(), source });
            }
            (None, false) => Audit::in_memory(),
        };
        let service = self.service.with_access(tokens, self.require_token).with_audit(audit);
        let runtime = Background::new().map_err(failed)?;
        let (mut doors, mut addresses) = (Vec::new(), Vec::new());
        {
            let _inside = runtime.0.as_ref().map(Runtime::enter);
            for listen in self.listen {
                let listener = match listen {
                    Listen::Address(address) => listen::open(address, beyond)?,
                    Listen::Listener(listener) => {
                        listen::allowed(listener.local_addr().map_err(failed)?, beyond)?;
                        listener
                    }
                    #[cfg(unix)]
                    Listen::Unix(path) => {
                        let (listener, file) = listen::unix::open(&path)?;
                        let unix = |source| StartError::Unix { path, source };
                        doors.push(Door::Unix(listen::unix::Door::new(listener, file, &self.uids).map_err(unix)?));
                        continue;
                    }
                    #[cfg(feature = "tls")]
                    Listen::Tls(address, tls) => {
                        // Who has neither a token nor a certificate gets nothing, so that it may be reached from anywhere.
                        let listener = listen::open(address, Beyond::WithToken)?;
                        addresses.push(listener.local_addr().map_err(failed)?);
                        let health = service.state.tls.get_or_init(Default::default).clone();
                        doors.push(Door::Tls(listen::tls::Door::new(listener, tls, health)?));
                        continue;
                    }
                };
                let address = listener.local_addr().map_err(failed)?;
                if matches!(beyond, Beyond::Dangerously) && !listen::is_loopback(address.ip()) {
                    eprintln!("pm: everyone who reaches {address} can list and cancel the tasks of this program");
                }
                addresses.push(address);
                doors.push(Door::tcp(listener, beyond).map_err(failed)?);
            }
        }
        if doors.is_empty() {
            return Err(StartError::NoAddress);
        }
        let limits = self.limits;
        service.state.feed.keep_alive(limits.idle_timeout);
        if let Some(count) = self.watchers {
            service.state.feed.set_max_watchers(count);
        }
        let list = service.state.list.clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("pm-server".to_owned())
            .spawn(move || {
                if let Some(runtime) = &runtime.0 {
                    runtime.block_on(accept::run(doors, service, limits, stopped));
                }
            })
            .map_err(failed)?;
        Ok(Server { list, addresses, stop: Some(stop), thread: Some(thread) })
    }
}

/// A runtime that may be dropped anywhere, also within another one. Whoever has not got an answer by then gets none.
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
