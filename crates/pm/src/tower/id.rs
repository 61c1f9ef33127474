//! Ids of a request: from its client, from a trace (`traceparent`), or generated.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, UPGRADE, USER_AGENT};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The header fields that describe a request, found in one pass: requests have few fields, and each lookup would hash a
/// name.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields<'h> {
    pub(super) request_id: Option<&'h HeaderValue>,
    pub(super) user_agent: Option<&'h HeaderValue>,
    pub(super) content_type: Option<&'h HeaderValue>,
    pub(super) trace: Option<TraceParent>,
    pub(super) has_trace_state: bool,
    pub(super) asks_upgrade: bool,
}

impl<'h> Fields<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        // A static, so that they are not created and dropped for each request.
        static NAMES: [HeaderName; 6] = [X_REQUEST_ID, TRACEPARENT, TRACESTATE, USER_AGENT, CONTENT_TYPE, UPGRADE];
        let [request_id, traceparent, tracestate, user_agent, content_type, upgrade] = &NAMES;
        let (mut fields, mut trace, mut traces) = (Self::default(), None, 0);
        // The first of several counts.
        for (name, value) in headers {
            if name == user_agent {
                fields.user_agent = fields.user_agent.or(Some(value));
            } else if name == content_type {
                fields.content_type = fields.content_type.or(Some(value));
            } else if name == upgrade {
                fields.asks_upgrade = true;
            } else if name == request_id {
                fields.request_id = fields.request_id.or(Some(value));
            } else if name == traceparent {
                (trace, traces) = (Some(value), traces + 1);
            } else if name == tracestate {
                fields.has_trace_state = true;
            }
        }
        // The standard has several of these ignored.
        fields.trace = trace.filter(|_| traces == 1).and_then(|trace| TraceParent::parse(trace.as_bytes()));
        fields
    }
}

/// Returns all `tracestate` fields joined into one, as the standard requires. Meaningless without a valid
/// `traceparent`.
pub(super) fn trace_state(headers: &HeaderMap) -> String {
    let states = headers.get_all(TRACESTATE).iter().filter_map(|state| text(Some(state)));
    states.collect::<Vec<_>>().join(",")
}

/// Returns the value of a field as text; `None` if it is absent, empty or not UTF-8.
pub(super) fn text(value: Option<&HeaderValue>) -> Option<&str> {
    let value = std::str::from_utf8(value?.as_bytes()).ok()?;
    (!value.is_empty()).then_some(value)
}

/// A valid `traceparent` of the W3C's Trace Context, version 00: `00-{32 digits}-{16 digits}-{2 digits}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceParent([u8; 55]);

impl TraceParent {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (text, rest) = value.split_first_chunk::<55>()?;
        let is_hex =
            |range: std::ops::Range<usize>| text[range].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |range: std::ops::Range<usize>| text[range].iter().all(|&byte| byte == b'0');
        let is_valid = [2, 35, 52].iter().all(|&at| text[at] == b'-')
            && [0..2, 3..35, 36..52, 53..55].into_iter().all(is_hex)
            && !is_zero(3..35)
            && !is_zero(36..52);
        // Later versions may have more fields; ff is invalid.
        let version_fits = match &text[..2] {
            b"00" => rest.is_empty(),
            b"ff" => false,
            _ => rest.is_empty() || rest[0] == b'-',
        };
        if !is_valid || !version_fits {
            return None;
        }
        let mut text = *text;
        text[..2].copy_from_slice(b"00");
        Some(Self(text))
    }

    /// Generates one for a new trace, with the flag `sampled` unset.
    pub(super) fn generate() -> Self {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..19], random());
        write_hex(&mut text[19..35], random());
        write_hex(&mut text[36..52], random());
        Self(text)
    }

    /// Returns a new span of the same trace.
    pub(super) fn child(mut self) -> Self {
        write_hex(&mut self.0[36..52], random());
        self
    }

    pub(super) fn as_str(&self) -> &str {
        // Only hex digits and dashes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns trace id and span id, joined by `-`.
    pub(super) fn id(&self) -> &str {
        &self.as_str()[3..52]
    }
}

/// Returns a random number other than 0: unlikely to collide, which is all that span ids need.
fn random() -> u64 {
    static SEED: OnceLock<RandomState> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only the uniqueness of the number matters.
    SEED.get_or_init(RandomState::new).hash_one(NEXT.fetch_add(1, Ordering::Relaxed)).max(1)
}

fn write_hex(to: &mut [u8], number: u64) {
    for (at, digit) in to.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_traceparent_gives_the_ids_of_trace_and_span() {
        let parent = TraceParent::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(parent.id(), "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331");
        let later = TraceParent::parse(format!("cc{}-more", &GOOD[2..]).as_bytes()).unwrap();
        assert_eq!(later, parent);
    }

    #[test]
    fn a_traceparent_that_the_standard_forbids_is_ignored() {
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("ff{}", &GOOD[2..]),
            &format!("cc{}more", &GOOD[2..]),
            &GOOD.to_uppercase(),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD.replace('-', "_"),
        ] {
            assert_eq!(TraceParent::parse(bad.as_bytes()), None, "{bad}");
        }
        let mut twice = HeaderMap::new();
        for _ in 0..2 {
            twice.append(TRACEPARENT, GOOD.parse().unwrap());
        }
        assert_eq!(Fields::of(&twice).trace, None);
        twice.insert(TRACEPARENT, GOOD.parse().unwrap());
        assert_eq!(Fields::of(&twice).trace, TraceParent::parse(GOOD.as_bytes()));
    }

    #[test]
    fn a_generated_traceparent_is_valid_and_a_child_keeps_the_trace_and_its_flags() {
        let new = TraceParent::generate();
        assert_eq!(TraceParent::parse(new.as_str().as_bytes()), Some(new));
        assert_ne!(new, TraceParent::generate());
        let parent = TraceParent::parse(GOOD.as_bytes()).unwrap();
        let child = parent.child();
        assert_eq!((&child.as_str()[..35], &child.as_str()[52..]), (&GOOD[..35], &GOOD[52..]));
        assert_ne!(child, parent);
    }
}
