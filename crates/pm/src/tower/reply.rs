//! What the client of a killed request is told.

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use pm_core::{Cancelled, TaskHandle};

use crate::problem::{PROBLEM_JSON, Problem};

pub(super) const PM_TASK_ID: HeaderName = HeaderName::from_static("pm-task-id");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Says which task it is, if it is shown.
pub(super) fn name_task(headers: &mut HeaderMap, task: TaskHandle) {
    let serial = task.serial().get();
    if serial == u64::MAX {
        return;
    }
    // The digits first: then the value is as long as they are, and in one piece of memory.
    let (mut digits, mut at, mut rest) = ([0; 20], 20, serial);
    while at == 20 || rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if let Ok(value) = HeaderValue::from_bytes(&digits[at..]) {
        headers.insert(PM_TASK_ID, value);
    }
}

/// [`Cancelled`] as an answer, for handlers that hear a kill by themselves: `503 Service Unavailable`, as problem JSON
/// (RFC 9457) with the code `cancelled` and the reason as its detail.
///
/// It is what [`TasksLayer`](super::TasksLayer) answers when a handler was dropped. With the feature `axum` handlers return
/// it:
///
/// ```
/// async fn report() -> Result<String, pm::tower::Killed> {
///     pm::current().status("reading")?;
///     Ok("done".into())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed(Cancelled);

impl Killed {
    /// What was asked.
    #[must_use]
    pub fn cancelled(&self) -> &Cancelled {
        &self.0
    }

    /// The answer.
    ///
    /// ```
    /// let list = pm::ProcessList::new();
    /// let task = list.start("req-1");
    /// list.cancel("req-1", "too slow").unwrap();
    /// let killed = pm::tower::Killed::from(task.checkpoint().unwrap_err());
    /// let response: http::Response<String> = killed.into_response();
    /// assert_eq!(response.status(), 503);
    /// assert!(response.body().contains(r#""detail":"too slow""#));
    /// ```
    #[must_use]
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.problem()));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }

    fn problem(&self) -> String {
        let detail = if self.0.reason().is_empty() { "the request was cancelled" } else { self.0.reason() };
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "cancelled", detail);
        problem.text("serial", &self.0.serial().to_string()).finish()
    }
}

impl From<Cancelled> for Killed {
    fn from(cancelled: Cancelled) -> Self {
        Self(cancelled)
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Killed {}

/// How a request speaks gRPC, by its content type.
#[derive(Clone, Debug)]
pub(super) enum Grpc {
    No,
    /// Its status comes in trailers.
    Native(Box<HeaderValue>),
    /// For browsers: its trailers are part of the body, where only who encodes it can write them.
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

/// The whole answer of a killed request, and its body.
pub(super) fn killed(cancelled: Cancelled, grpc: &Grpc) -> (Response<()>, Option<Vec<u8>>) {
    let content_type = match grpc {
        Grpc::No => {
            let (head, text) = Killed(cancelled).into_response::<String>().into_parts();
            return (Response::from_parts(head, ()), Some(text.into_bytes()));
        }
        Grpc::Native(content_type) | Grpc::Web(content_type) => content_type,
    };
    // What gRPC calls trailers-only: one block of fields.
    let mut response = Response::new(());
    *response.headers_mut() = trailers(&cancelled);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::clone(content_type));
    (response, None)
}

/// The end of a killed gRPC stream.
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

/// Whose fault a gRPC status is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

/// Why the task failed, if these are the fields that say so.
pub(super) fn grpc_failure(fields: &HeaderMap, side: Side) -> Option<String> {
    let code = fields.get(GRPC_STATUS)?.as_bytes();
    let is_failure = match (side, code) {
        (_, b"0") => false,
        // Unknown, deadline exceeded, unimplemented, internal, unavailable, data loss; the others are the client's doing.
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

/// What is no encoded byte stays as it is.
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
    fn a_reason_of_any_letters_is_valid_json_and_a_valid_grpc_message() {
        let reason = "say \"no\" \\ 100 %\n\u{1}ü";
        let text = Killed(cancelled(reason)).problem();
        assert!(text.contains(r#""detail":"say \"no\" \\ 100 %\n\u0001ü","code""#), "{text}");
        let fields = trailers(&cancelled(reason));
        assert_eq!(fields[GRPC_MESSAGE], "cancelled: say \"no\" \\ 100 %25%0A%01%C3%BC");
        assert_eq!(fields[GRPC_STATUS], "1");
        assert!(Killed(cancelled("")).problem().contains(r#""detail":"the request was cancelled""#));
    }

    #[test]
    fn only_the_content_types_of_grpc_are_grpc() {
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
    fn a_grpc_status_is_a_failure_of_the_server_only_if_it_is_its_fault() {
        let fields = |code: &'static str| HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(code))]);
        assert_eq!(grpc_failure(&fields("0"), Side::Client), None);
        assert_eq!(grpc_failure(&fields("5"), Side::Server), None);
        assert_eq!(grpc_failure(&fields("5"), Side::Client).as_deref(), Some("grpc-status 5"));
        assert_eq!(grpc_failure(&fields("13"), Side::Server).as_deref(), Some("grpc-status 13"));
        assert_eq!(grpc_failure(&HeaderMap::new(), Side::Server), None);
        let mut broken = fields("13");
        broken.insert(GRPC_MESSAGE, HeaderValue::from_static("50%25 of %C3%BC%zz%2"));
        assert_eq!(grpc_failure(&broken, Side::Client).as_deref(), Some("grpc-status 13 50% of ü%zz%2"));
    }
}
