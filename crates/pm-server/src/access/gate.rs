//! Whom a request comes from: the door it came in by tells, or a token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{AUTHORIZATION, HeaderMap};
use http::{HeaderValue, StatusCode};

use super::throttle::Throttle;
use super::tokens::Tokens;
use super::{Caller, Identity};
use crate::response::Failure;

/// Decides who a caller is. Clones share what they know.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    tokens: Option<Arc<Tokens>>,
    /// Being on this machine, or being let in at all, is not enough.
    token_required: bool,
    throttle: Arc<Throttle>,
}

impl Gate {
    pub(crate) fn new(tokens: Option<Tokens>, token_required: bool) -> Self {
        Self { tokens: tokens.map(Arc::new), token_required, throttle: Arc::default() }
    }

    /// The tokens there are.
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_deref()
    }

    /// Who asks; `by_door` is what is known without a token. A token that is given counts, and must be right.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        by_door: Option<&Caller>,
        peer: Option<IpAddr>,
        now: Instant,
    ) -> Result<Caller, Failure> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        if let (Some(tokens), Some(first)) = (&self.tokens, given.next()) {
            if let Some(seconds) = peer.and_then(|peer| self.throttle.check(peer, now).err()) {
                let words = "too many wrong tokens came from this address";
                return Err(
                    Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", words).retry_after(seconds)
                );
            }
            let token = bearer(first).filter(|_| given.next().is_none());
            let caller = token.and_then(|token| tokens.check(token, now));
            return caller.ok_or_else(|| {
                if let Some(peer) = peer {
                    self.throttle.failed(peer, now);
                }
                unauthorized("the token is not known here, or not written as `Authorization: Bearer TOKEN`")
            });
        }
        match by_door {
            Some(caller) if !(self.token_required && is_anonymous(&caller.identity)) => Ok(caller.clone()),
            _ => Err(unauthorized("a token is needed: `Authorization: Bearer TOKEN`")),
        }
    }
}

/// Whether nothing is known of somebody but how they came.
fn is_anonymous(identity: &Identity) -> bool {
    matches!(identity, Identity::Nobody | Identity::Loopback | Identity::Anyone)
}

fn unauthorized(words: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", words)
        .hint("the file with the tokens is known to who runs the program; pm reads PM_TOKEN or PM_TOKEN_FILE")
}

/// The token in an Authorization header (RFC 6750, 2.1).
fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}
