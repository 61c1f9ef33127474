//! Repeated requests: a client that got no response sends its request again with the same key, and gets the first
//! response.
//!
//! Follows the draft of the HTTPAPI working group on the Idempotency-Key header. A thousand keys are stored, for ten
//! minutes each, per caller; a request with an older key counts as new.

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
/// Longer responses are not stored, nor are their keys.
const MAX_ANSWER: usize = 64 << 10;
/// All responses that are stored, in bytes. The oldest make room.
const MAX_BYTES: usize = 2 << 20;
const KEPT_FOR: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(crate) struct Idempotency {
    known: Mutex<HashMap<(String, String), Known>>,
    hasher: RandomState,
}

struct Known {
    at: Instant,
    /// The hash of the request with the key.
    fingerprint: u64,
    answer: Option<(StatusCode, Bytes)>,
}

/// The state of a key.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The first request with it: handle it, and store the response.
    First(Ticket),
    /// A repeated request: the first response.
    Before(StatusCode, Bytes),
}

/// The right to store the response for a key.
#[derive(Debug)]
pub(crate) struct Ticket((String, String));

impl Idempotency {
    /// Looks up a key of a caller, and compares the request with the first one.
    pub(crate) fn look_up(
        &self,
        caller: &str,
        key: &str,
        request: (&str, &[u8]),
        now: Instant,
    ) -> Result<Seen, Failure> {
        if key.is_empty() || key.len() > MAX_KEY {
            let detail = format!("Idempotency-Key must have 1 to {MAX_KEY} characters");
            return Err(Failure::bad("invalid-parameter", detail).parameter("Idempotency-Key"));
        }
        let fingerprint = self.hasher.hash_one(request);
        let key = (caller.to_owned(), key.to_owned());
        let mut known = lock(&self.known);
        known.retain(|_, known| now.saturating_duration_since(known.at) < KEPT_FOR);
        if let Some(known) = known.get(&key) {
            if known.fingerprint != fingerprint {
                let detail = "another request has used this Idempotency-Key";
                return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail)
                    .hint("use a new key for each request"));
            }
            return match &known.answer {
                Some((status, body)) => Ok(Seen::Before(*status, body.clone())),
                None => {
                    let detail = "the first request with this Idempotency-Key is still in progress";
                    Err(Failure::new(StatusCode::CONFLICT, "request-under-way", detail).retry_after(1))
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

    /// Removes the key of a first request without a response.
    pub(crate) fn forget(&self, ticket: Ticket) {
        lock(&self.known).remove(&ticket.0);
    }

    /// Stores the response to a first request.
    pub(crate) fn store(&self, ticket: Ticket, status: StatusCode, body: &Bytes) {
        let mut known = lock(&self.known);
        match known.get_mut(&ticket.0) {
            // A copy, as the response counts in the budget as long as it is in memory.
            Some(known) if body.len() <= MAX_ANSWER => known.answer = Some((status, Bytes::copy_from_slice(body))),
            _ => drop(known.remove(&ticket.0)),
        }
        let bytes = |known: &Known| known.answer.as_ref().map_or(0, |(_, body)| body.len());
        while known.values().map(bytes).sum::<usize>() > MAX_BYTES {
            let oldest = known.iter().filter(|(_, known)| known.answer.is_some()).min_by_key(|(_, known)| known.at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_response_is_repeated_until_its_key_expires() {
        let (keys, now) = (Idempotency::default(), Instant::now());
        let look = |caller: &str, key: &str, body: &[u8], now| keys.look_up(caller, key, ("/v1/cancel", body), now);
        let Ok(Seen::First(ticket)) = look("me", "k", b"{}", now) else { panic!() };
        assert_eq!(look("me", "k", b"{}", now).unwrap_err().code(), "request-under-way");
        keys.store(ticket, StatusCode::OK, &Bytes::from_static(b"done"));
        assert!(matches!(look("me", "k", b"{}", now), Ok(Seen::Before(StatusCode::OK, body)) if body == "done"));
        assert_eq!(look("me", "k", b"{\"x\":1}", now).unwrap_err().code(), "idempotency-key-reused");
        assert!(matches!(look("you", "k", b"{}", now), Ok(Seen::First(_))), "another caller has keys of its own");
        assert!(matches!(look("me", "k", b"{}", now + KEPT_FOR), Ok(Seen::First(_))));
    }

    #[test]
    fn stored_responses_are_bounded_in_bytes_and_the_oldest_go_first() {
        let (keys, now) = (Idempotency::default(), Instant::now());
        let look = |number: u64| keys.look_up("", &number.to_string(), ("", b""), now + Duration::from_millis(number));
        let body = Bytes::from(vec![b'x'; MAX_ANSWER]);
        for number in 0..100 {
            let Ok(Seen::First(ticket)) = look(number) else { panic!() };
            keys.store(ticket, StatusCode::OK, &body);
        }
        assert_eq!(keys.known.lock().unwrap().len(), MAX_BYTES / MAX_ANSWER);
        assert!(matches!(look(99), Ok(Seen::Before(..))));
        assert!(matches!(look(0), Ok(Seen::First(_))));
    }

    #[test]
    fn keys_are_bounded_in_length_and_number() {
        let (keys, now) = (Idempotency::default(), Instant::now());
        for bad in ["", &"x".repeat(MAX_KEY + 1)] {
            assert_eq!(keys.look_up("", bad, ("", b""), now).unwrap_err().code(), "invalid-parameter");
        }
        for number in 0..=MAX_KEYS as u64 {
            let at = now + Duration::from_millis(number);
            assert!(matches!(keys.look_up("", &number.to_string(), ("", b""), at), Ok(Seen::First(_))));
        }
        assert_eq!(keys.known.lock().unwrap().len(), MAX_KEYS);
        assert!(matches!(keys.look_up("", "0", ("", b""), now + Duration::from_secs(2)), Ok(Seen::First(_))));
    }
}
