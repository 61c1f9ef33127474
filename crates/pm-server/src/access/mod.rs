//! Callers: their identity, and their permission.
//!
//! The caller of a request has an identity, which the audit log shows, and a permission: to read, or to cancel as well.
//! Both come from the listener (loopback, the user at the other end of a unix socket, a certificate), or from a token,
//! which takes precedence.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | [`Permission`], [`Identity`], [`Caller`] |
//! | `guard.rs` | refuses requests for other hosts, and of cross-site pages |
//! | `gate.rs` | identifies the caller of a request |
//! | `tokens/` | the token file: parsed, checked, reloaded when it changes |
//! | `throttle.rs` | delays callers that guess tokens |

pub(crate) mod gate;
pub(crate) mod guard;
mod throttle;
pub(crate) mod tokens;

use std::fmt;
use std::sync::Arc;

/// The permission of a caller. Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Permission {
    /// To list tasks.
    Read,
    /// To list tasks and cancel them.
    Cancel,
}

impl Permission {
    /// Returns `true` if this permission includes the needed one.
    pub(crate) fn includes(self, needed: Self) -> bool {
        self >= needed
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Cancel => "cancel",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Read, Self::Cancel].into_iter().find(|permission| permission.name() == name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The identity of a caller, as the audit log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// No token, or a wrong one. Shown as `nobody`.
    Unknown,
    /// A caller on this machine.
    Loopback,
    /// A caller on another machine that needs no token.
    Anyone,
    /// The user at the other end of a unix socket.
    Uid(u32),
    /// A caller with the token of this name.
    Token(Arc<str>),
    /// A caller with the certificate of this SHA-256 fingerprint.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "without TLS there are no certificates"))]
    Certificate([u8; 32]),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("nobody"),
            Self::Loopback => f.write_str("loopback"),
            Self::Anyone => f.write_str("anyone"),
            Self::Uid(uid) => write!(f, "uid:{uid}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Certificate(fingerprint) => write!(f, "cert:{}", short_hex(fingerprint)),
        }
    }
}

/// The first bytes of a digest, enough to distinguish it from others.
fn short_hex(digest: &[u8; 32]) -> String {
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The sender of a request, and its permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) permission: Permission,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_includes_reading_but_not_the_other_way_round() {
        assert!(Permission::Cancel.includes(Permission::Read) && Permission::Cancel.includes(Permission::Cancel));
        assert!(Permission::Read.includes(Permission::Read) && !Permission::Read.includes(Permission::Cancel));
        assert_eq!(
            (Permission::parse("read"), Permission::parse("cancel")),
            (Some(Permission::Read), Some(Permission::Cancel))
        );
        assert_eq!((Permission::parse("Read"), Permission::parse("")), (None, None));
    }

    #[test]
    fn callers_are_named_as_the_audit_log_shows_them() {
        let shown = [
            (Identity::Unknown, "nobody"),
            (Identity::Loopback, "loopback"),
            (Identity::Anyone, "anyone"),
            (Identity::Uid(1000), "uid:1000"),
            (Identity::Token("deploy".into()), "token:deploy"),
            (Identity::Certificate([0xab; 32]), "cert:abababababababab"),
        ];
        for (identity, text) in shown {
            assert_eq!(identity.to_string(), text);
        }
    }
}
