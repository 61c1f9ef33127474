//! Requests, as the handlers see them.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | the connection and the caller of a request; a call of an operation; its answer |
//! | `route.rs` | the raw path, taken apart; the table of operations |
//! | `query.rs` | the query, taken apart |
//! | `idempotency.rs` | repeated requests with an `Idempotency-Key` |
//! | `state.rs` | state that all requests share |
//! | `cost.rs` | the cost of an answer, and the threads that it is made on |

mod cost;
pub(crate) mod idempotency;
pub(crate) mod query;
pub(crate) mod route;
mod state;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use http::{HeaderMap, Response, StatusCode};

use self::route::{Operation, TaskRef};
pub(crate) use self::state::State;
use crate::access::{Caller, Identity, Permission};
use crate::address::{is_loopback, network};
use crate::response::{Body, Failure};
use crate::workers::Client;

/// The addresses of a connection, and its caller, as far as the listener knows them.
#[derive(Clone)]
pub(crate) struct ConnectionInfo {
    pub(crate) local: Option<IpAddr>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) caller: Option<Caller>,
}

impl ConnectionInfo {
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.caller, Some(Caller { identity: Identity::Uid(_), .. }))
    }

    /// A connection of the server around the service, which decides by itself what it lets pass.
    pub(crate) fn of_other_server() -> Self {
        let caller = Caller { identity: Identity::Anyone, permission: Permission::Cancel };
        Self { local: None, peer: None, caller: Some(caller) }
    }
}

/// The caller of a request, and the peer that it came from.
#[derive(Clone, Debug)]
pub(crate) struct Requester {
    peer: Option<IpAddr>,
    is_unix: bool,
    pub(crate) caller: Caller,
}

impl Requester {
    /// A requester that has not been identified.
    pub(crate) fn unidentified(connection: &ConnectionInfo) -> Self {
        let caller = Caller { identity: Identity::Unknown, permission: Permission::Read };
        Self { peer: connection.peer, is_unix: connection.is_unix(), caller }
    }

    /// The address of the peer, or `unix`; empty if it is unknown.
    pub(crate) fn peer(&self) -> String {
        match self.peer {
            Some(peer) => peer.to_string(),
            None if self.is_unix => "unix".to_owned(),
            None => String::new(),
        }
    }

    /// Checks that the caller has a permission.
    pub(crate) fn require(&self, needed: Permission) -> Result<(), Failure> {
        if self.caller.permission.includes(needed) {
            return Ok(());
        }
        let what = if matches!(self.caller.identity, Identity::Certificate(_)) { "certificate" } else { "token" };
        let detail = format!("this {what} may {}, not {needed}", self.caller.permission);
        Err(Failure::new(StatusCode::FORBIDDEN, "insufficient-scope", detail)
            .hint("use a token with the permission `cancel`"))
    }

    /// The client that takes turns with others on threads; `None` if it is on this machine, where clients can't be
    /// distinguished.
    pub(crate) fn client(&self) -> Option<Client> {
        match (&self.caller.identity, self.peer) {
            (Identity::Token(_) | Identity::Certificate(_), _) => Some(self.name().into()),
            (_, Some(peer)) if !is_loopback(peer) => Some(network(peer).to_string().into()),
            _ => None,
        }
    }

    /// The name of the caller in cancel requests: its identity if it has one, or else the peer.
    pub(crate) fn name(&self) -> String {
        match &self.caller.identity {
            Identity::Loopback | Identity::Anyone | Identity::Unknown => self.peer(),
            known => known.to_string(),
        }
    }
}

/// A call of an operation outside of `/procs/`.
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    pub(crate) task: Option<TaskRef>,
    pub(crate) query: Option<String>,
}

/// The answer to a request.
pub(crate) enum Answer {
    Ready(Box<Response<Body>>),
    /// Makes a cancel request, and waits for the verdict.
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Answer {
    pub(crate) fn ready(response: Response<Body>) -> Self {
        Self::Ready(Box::new(response))
    }

    /// An answer that takes time: `answer` resolves to it, or to a failure.
    pub(crate) fn later(is_v1: bool, answer: impl Future<Output = Result<Self, Failure>> + Send + 'static) -> Self {
        Self::Later(Box::pin(async move {
            match answer.await {
                Ok(answer) => answer.response().await,
                Err(failure) => failure.response(is_v1),
            }
        }))
    }

    /// Waits for the response.
    pub(crate) async fn response(self) -> Response<Body> {
        match self {
            Self::Ready(response) => *response,
            Self::Later(response) => response.await,
        }
    }
}

/// A header, if it is there and readable; otherwise an empty string.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
