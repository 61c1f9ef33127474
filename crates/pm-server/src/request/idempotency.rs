//! The same request twice: a client that got no answer asks again with the same key, and gets the first answer.
//!
//! After the draft of the HTTPAPI working group on the Idempotency-Key header. Keys are remembered for ten minutes, a
//! thousand of them, by whom they came from; what is older is forgotten, and a request with it counts as new.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;

use crate::response::Failure;
use crate::sync::lock;

const MAX_KEYS: usize = 1000;
const MAX_KEY: usize = 200; // bytes
/// Longer answers are not remembered, nor the keys they are for.
const MAX_ANSWER: usize = 64 << 10;
const KEPT_FOR: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(crate) struct Idempotency {
    known: Mutex<HashMap<(String, String), Known>>,
    hasher: RandomState,
}

struct Known {
    at: Instant,
    /// Of the request that came with the key.
    fingerprint: u64,
    answer: Option<(StatusCode, Bytes)>,
}

/// What to do with a request that has a key.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It is the first: do it, and keep the answer.
    First(Ticket),
    /// It was done: this was the answer.
    Before(StatusCode, Bytes),
}

/// The right to keep an answer.
#[derive(Debug)]
pub(crate) struct Ticket((String, String));

impl Idempotency {
    /// Looks a key up; `who` and `request` tell by whom and with what it came.
    pub(crate) fn look(&self, who: &str, key: &str, request: (&str, &[u8]), now: Instant) -> Result<Seen, Failure> {
        if key.is_empty() || key.len() > MAX_KEY {
            let words = format!("Idempotency-Key has 1 to {MAX_KEY} characters");
            return Err(Failure::bad("invalid-parameter", words).with("parameter", "Idempotency-Key"));
        }
        let fingerprint = self.hasher.hash_one(request);
        let key = (who.to_owned(), key.to_owned());
        let mut known = lock(&self.known);
        known.retain(|_, known| now.saturating_duration_since(known.at) < KEPT_FOR);
        if let Some(known) = known.get(&key) {
            if known.fingerprint != fingerprint {
                let words = "another request came with this Idempotency-Key";
                return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", words)
                    .hint("make a new key for each request"));
            }
            return match &known.answer {
                Some((status, body)) => Ok(Seen::Before(*status, body.clone())),
                None => {
                    let words = "the first request with this Idempotency-Key is still under way";
                    Err(Failure::new(StatusCode::CONFLICT, "request-under-way", words).retry_after(1))
                }
            };
        }
        if known.len() >= MAX_KEYS {
            let oldest = known.iter().min_by_key(|(_, known)| known.at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| known.remove(&oldest));
        }
        known.insert(key.clone(), Known { at: now, fingerprint, answer: None });
        Ok(Seen::First(Ticket(key)))
    }

    /// Forgets the key of a first request that got no answer.
    pub(crate) fn forget(&self, ticket: Ticket) {
        lock(&self.known).remove(&ticket.0);
    }

    /// Keeps the answer to a first request.
    pub(crate) fn keep(&self, ticket: Ticket, status: StatusCode, body: &Bytes) {
        let mut known = lock(&self.known);
        match known.get_mut(&ticket.0) {
            Some(known) if body.len() <= MAX_ANSWER => known.answer = Some((status, body.clone())),
            _ => drop(known.remove(&ticket.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_given_again_until_it_is_too_old() {
        let (keys, now) = (Idempotency::default(), Instant::now());
        let look = |who: &str, key: &str, body: &[u8], now| keys.look(who, key, ("/v1/cancel", body), now);
        let Ok(Seen::First(ticket)) = look("me", "k", b"{}", now) else { panic!() };
        assert_eq!(look("me", "k", b"{}", now).unwrap_err().code(), "request-under-way");
        keys.keep(ticket, StatusCode::OK, &Bytes::from_static(b"done"));
        assert!(matches!(look("me", "k", b"{}", now), Ok(Seen::Before(StatusCode::OK, body)) if body == "done"));
        assert_eq!(look("me", "k", b"{\"x\":1}", now).unwrap_err().code(), "idempotency-key-reused");
        assert!(matches!(look("you", "k", b"{}", now), Ok(Seen::First(_))), "keys of others are others");
        assert!(matches!(look("me", "k", b"{}", now + KEPT_FOR), Ok(Seen::First(_))));
    }

    #[test]
    fn keys_have_a_length_and_a_number_beyond_which_the_oldest_goes() {
        let (keys, now) = (Idempotency::default(), Instant::now());
        for bad in ["", &"x".repeat(MAX_KEY + 1)] {
            assert_eq!(keys.look("", bad, ("", b""), now).unwrap_err().code(), "invalid-parameter");
        }
        for number in 0..=MAX_KEYS as u64 {
            let at = now + Duration::from_millis(number);
            assert!(matches!(keys.look("", &number.to_string(), ("", b""), at), Ok(Seen::First(_))));
        }
        assert_eq!(keys.known.lock().unwrap().len(), MAX_KEYS);
        assert!(matches!(keys.look("", "0", ("", b""), now + Duration::from_secs(2)), Ok(Seen::First(_))));
    }
}
