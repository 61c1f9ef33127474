//! A token, and the limits of tokens and their file.

use std::hint::black_box;
use std::sync::Arc;

use crate::access::Permission;

/// The length of a token, in bytes. A random one of 32 letters and digits has 160 bits or more.
pub(super) const SHORTEST: usize = 32;
pub(super) const LONGEST: usize = 512;
pub(super) const LONGEST_NAME: usize = 64;
/// The largest file, in bytes: more than a thousand tokens.
pub(super) const LARGEST: u64 = 256 << 10;

/// A token.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) digest: [u8; 32],
    pub(super) permission: Permission,
    pub(super) name: Arc<str>,
}

impl Token {
    /// Returns the parts, for comparisons.
    pub(super) fn parts(&self) -> ([u8; 32], Permission, &str) {
        (self.digest, self.permission, &self.name)
    }
}

/// Returns the digest that is stored in place of a token.
pub(super) fn digest(token: &[u8]) -> [u8; 32] {
    hmac_sha256::Hash::hash(token)
}

/// Compares in constant time.
pub(super) fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other));
    black_box(differs) == 0
}
