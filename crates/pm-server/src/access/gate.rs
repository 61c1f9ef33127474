//! Identifies the caller of a request, by its listener or by a token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{AUTHORIZATION, HeaderMap};
use http::{HeaderValue, StatusCode};

use super::throttle::Throttle;
use super::tokens::Tokens;
use super::{Caller, Identity};
use crate::response::{Again, Failure};

/// Identifies callers. Clones share tokens and failures.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    tokens: Option<Arc<Tokens>>,
    /// Connecting from this machine is not enough.
    token_required: bool,
    throttle: Arc<Throttle>,
}

impl Gate {
    pub(crate) fn new(tokens: Option<Tokens>, token_required: bool) -> Self {
        Self { tokens: tokens.map(Arc::new), token_required, throttle: Arc::default() }
    }

    /// Returns the tokens, if there is a token file.
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_deref()
    }

    /// Returns a check whether the token of an admitted request is still known; `None` if it has none.
    pub(crate) fn again(&self, headers: &HeaderMap) -> Option<Again> {
        let (tokens, header) = (Arc::clone(self.tokens.as_ref()?), headers.get(AUTHORIZATION)?.clone());
        Some(Box::new(move |now| bearer(&header).is_some_and(|token| tokens.check(token, now).is_some())))
    }

    /// Returns the caller; `by_listener` is the one that the listener knows. A token takes precedence, and must be
    /// valid.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        by_listener: Option<&Caller>,
        peer: Option<IpAddr>,
        now: Instant,
    ) -> Result<Caller, Failure> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        if let (Some(tokens), Some(first)) = (&self.tokens, given.next()) {
            let token = bearer(first).filter(|_| given.next().is_none());
            // A right token is let in whatever others have sent from its address: a token has too many bits to
            // be guessed, and an address may be that of many.
            return token.and_then(|token| tokens.check(token, now)).ok_or_else(|| {
                if let Some(seconds) = peer.and_then(|peer| self.throttle.failed(peer, now).err()) {
                    let detail = "the token is wrong, as were too many from this address";
                    return Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", detail)
                        .retry_after(seconds)
                        .closing();
                }
                unauthorized("the token is unknown, or not sent as `Authorization: Bearer TOKEN`")
            });
        }
        match by_listener {
            Some(caller) if !(self.token_required && is_anonymous(&caller.identity)) => Ok(caller.clone()),
            _ => Err(unauthorized("a token is needed: `Authorization: Bearer TOKEN`")),
        }
    }
}

/// Returns `true` if nothing is known about a caller but its connection.
fn is_anonymous(identity: &Identity) -> bool {
    matches!(identity, Identity::Unknown | Identity::Loopback | Identity::Anyone)
}

fn unauthorized(detail: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        .hint("get a token from the operator of the program; the pm command reads PM_TOKEN or PM_TOKEN_FILE")
}

/// The token in an Authorization header (RFC 6750, 2.1).
fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}
