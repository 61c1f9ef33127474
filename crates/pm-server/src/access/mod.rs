//! Who asks, and what they may do.
//!
//! A request comes from somebody, who is named in the audit log, and has a scope: reading is less than cancelling. Where
//! that comes from is told by the listener (loopback, the user at the other end of a unix socket, a certificate) or by a
//! token, which counts wherever it is given.
//!
//! | room | what |
//! |---|---|
//! | `mod.rs` | [`Permission`], [`Identity`], [`Caller`] |
//! | `gate.rs` | whom a request comes from |
//! | `tokens.rs` | the token file: read, checked, read again when it changes |
//! | `throttle.rs` | who guesses tokens has to wait |

pub(crate) mod gate;
pub(crate) mod guard;
mod throttle;
pub(crate) mod tokens;

use std::fmt;
use std::sync::Arc;

/// What a caller may do; each scope includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Permission {
    /// Look at tasks.
    Read,
    /// Look at them, and ask them to stop.
    Cancel,
}

impl Permission {
    /// Whether one who has this may do what needs `needed`.
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
        [Self::Read, Self::Cancel].into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who somebody is, as the audit log names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Nobody known: no token, or a wrong one.
    Nobody,
    /// Somebody on this machine.
    Loopback,
    /// Somebody beyond this machine, let in without being known.
    Anyone,
    /// A user at the other end of a unix socket.
    Uid(u32),
    /// Who has the token of this name.
    Token(Arc<str>),
    /// Who has the key of the certificate with this SHA-256 fingerprint.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "without TLS there are no certificates"))]
    Certificate([u8; 32]),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Loopback => f.write_str("loopback"),
            Self::Anyone => f.write_str("anyone"),
            Self::Uid(uid) => write!(f, "uid:{uid}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Certificate(fingerprint) => write!(f, "cert:{}", short_hex(fingerprint)),
        }
    }
}

/// As much of a digest as tells it from others.
fn short_hex(digest: &[u8; 32]) -> String {
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Somebody who asks, and what they may do.
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
            (Identity::Nobody, "nobody"),
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
