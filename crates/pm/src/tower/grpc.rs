//! The parts of gRPC that a layer needs: content types, and statuses in trailers.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use pm_core::Cancelled;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The gRPC flavour of a request, by its content type.
#[derive(Clone, Debug)]
pub(super) enum Grpc {
    No,
    /// The status is sent in trailers.
    Native(Box<HeaderValue>),
    /// gRPC-Web: the trailers are part of the encoded body, so a layer cannot add any.
    Web(Box<HeaderValue>),
}

impl Grpc {
    #[inline]
    pub(super) fn of(content_type: Option<&HeaderValue>) -> Self {
        let Some(value) = content_type else { return Self::No };
        let Some(rest) = value.as_bytes().strip_prefix(b"application/grpc") else { return Self::No };
        match rest.first() {
            None | Some(b'+' | b';') => Self::Native(Box::new(value.clone())),
            Some(b'-') => Self::Web(Box::new(value.clone())),
            Some(_) => Self::No,
        }
    }
}

/// Returns the trailers of a cancelled gRPC stream.
pub(super) fn trailers(cancelled: &Cancelled) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(4);
    fields.insert(GRPC_STATUS, HeaderValue::from_static("1"));
    let mut message = String::new();
    for &byte in cancelled.to_string().as_bytes() {
        match byte {
            b'%' | ..b' ' | 0x7f.. => message.push_str(&format!("%{byte:02X}")),
            plain => message.push(char::from(plain)),
        }
    }
    if let Ok(message) = HeaderValue::try_from(message) {
        fields.insert(GRPC_MESSAGE, message);
    }
    fields
}

/// The side of a call, which decides which gRPC statuses are failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

/// Returns why the task failed, if these fields contain a gRPC status that is a failure.
pub(super) fn failure(fields: &HeaderMap, side: Side) -> Option<String> {
    let code = fields.get(GRPC_STATUS)?.as_bytes();
    let is_failure = match (side, code) {
        (_, b"0") => false,
        // Unknown, deadline exceeded, unimplemented, internal, unavailable, data loss; the others are errors of the
        // client.
        (Side::Server, code) => [&b"2"[..], b"4", b"12", b"13", b"14", b"15"].contains(&code),
        (Side::Client, _) => true,
    };
    if !is_failure {
        return None;
    }
    let message = fields.get(GRPC_MESSAGE).map_or(&b""[..], HeaderValue::as_bytes);
    let space = if message.is_empty() { "" } else { " " };
    let message = percent_decoded(message);
    Some(format!("grpc-status {}{space}{}", String::from_utf8_lossy(code), String::from_utf8_lossy(&message)))
}

/// Returns `true` for the head of a response that only an existing method gives. Unknown methods are refused as
/// unimplemented, or before that for want of permission.
pub(super) fn is_of_a_method(status: StatusCode, fields: &HeaderMap) -> bool {
    let code = fields.get(GRPC_STATUS).map(HeaderValue::as_bytes);
    status == StatusCode::OK && !code.is_some_and(|code| [&b"7"[..], b"12", b"16"].contains(&code))
}

/// Decodes percent-encoding; invalid sequences stay as they are.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, after @ ..] = rest {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let encoded = if *first == b'%' { digit(0).zip(digit(1)) } else { None };
        // Two digits of base 16 fit.
        decoded.push(encoded.map_or(*first, |(high, low)| (high << 4 | low) as u8));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancelled(reason: &str) -> Cancelled {
        let list = pm_core::ProcessList::new();
        let task = list.start("a");
        list.cancel("a", reason).unwrap();
        task.checkpoint().unwrap_err()
    }

    #[test]
    fn a_reason_with_any_characters_becomes_a_valid_grpc_message() {
        let reason = "say \"no\" \\ 100 %\n\u{1}ü";
        let fields = trailers(&cancelled(reason));
        assert_eq!(fields[GRPC_MESSAGE], "cancelled: say \"no\" \\ 100 %25%0A%01%C3%BC");
        assert_eq!(fields[GRPC_STATUS], "1");
    }

    #[test]
    fn only_grpc_content_types_are_grpc() {
        let of = |value: &'static str| Grpc::of(Some(&HeaderValue::from_static(value)));
        for native in ["application/grpc", "application/grpc+proto", "application/grpc;x=1"] {
            assert!(matches!(of(native), Grpc::Native(value) if *value == native));
        }
        assert!(matches!(of("application/grpc-web+proto"), Grpc::Web(_)));
        for other in ["application/json", "application/grpcx", ""] {
            assert!(matches!(of(other), Grpc::No));
        }
    }

    #[test]
    fn a_grpc_status_is_a_failure_on_the_server_only_if_it_reports_a_server_error() {
        let fields = |code: &'static str| HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(code))]);
        assert_eq!(failure(&fields("0"), Side::Client), None);
        assert_eq!(failure(&fields("5"), Side::Server), None);
        assert_eq!(failure(&fields("5"), Side::Client).as_deref(), Some("grpc-status 5"));
        assert_eq!(failure(&fields("13"), Side::Server).as_deref(), Some("grpc-status 13"));
        assert_eq!(failure(&HeaderMap::new(), Side::Server), None);
        let mut broken = fields("13");
        broken.insert(GRPC_MESSAGE, HeaderValue::from_static("50%25 of %C3%BC%zz%2"));
        assert_eq!(failure(&broken, Side::Client).as_deref(), Some("grpc-status 13 50% of ü%zz%2"));
    }
}
