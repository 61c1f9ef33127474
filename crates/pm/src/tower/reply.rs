//! The response of a cancelled request, and the header with the task's serial.

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use pm_core::{Cancelled, TaskHandle};
use pm_wire::v1::Problem;

use super::grpc::{self, Grpc};

pub(super) const PM_TASK_ID: HeaderName = HeaderName::from_static("pm-task-id");

/// Adds the header with the task's serial, if the task is listed.
pub(super) fn add_task_id(headers: &mut HeaderMap, task: TaskHandle) {
    let Some(serial) = task.serial() else { return };
    // Formatting the digits first makes the value one allocation of the exact size.
    let (mut digits, mut at, mut rest) = ([0; 20], 20, serial.get());
    while at == 20 || rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if let Ok(value) = HeaderValue::from_bytes(&digits[at..]) {
        headers.insert(PM_TASK_ID, value);
    }
}

/// A response for handlers that observe a cancellation: `503 Service Unavailable`, as problem JSON (RFC 9457) with the
/// code `cancelled` and the reason as its detail.
///
/// [`TasksLayer`](super::TasksLayer) sends it when a handler was dropped. With the feature `axum`, handlers can return
/// it:
///
/// ```
/// async fn report() -> Result<String, pm::tower::CancelledResponse> {
///     pm::current().status("reading")?;
///     Ok("done".into())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledResponse(Cancelled);

impl CancelledResponse {
    /// Returns the cancellation.
    #[must_use]
    pub fn cancelled(&self) -> &Cancelled {
        &self.0
    }

    /// Converts this into an HTTP response.
    ///
    /// ```
    /// let list = pm::ProcessList::new();
    /// let task = list.start("req-1");
    /// list.cancel("req-1", "too slow").unwrap();
    /// let cancelled = pm::tower::CancelledResponse::from(task.checkpoint().unwrap_err());
    /// let response: http::Response<String> = cancelled.into_response();
    /// assert_eq!(response.status(), 503);
    /// assert!(response.body().contains(r#""detail":"too slow""#));
    /// ```
    #[must_use]
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.problem()));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
        response
    }

    fn problem(&self) -> String {
        const STATUS: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        let detail = if self.0.reason().is_empty() { "the request was cancelled" } else { self.0.reason() };
        let title = STATUS.canonical_reason().unwrap_or_default();
        let mut problem = Problem::new(STATUS.as_u16(), title, "cancelled", detail);
        problem.serial = Some(self.0.serial());
        String::from_utf8(pm_wire::to_json(&problem)).unwrap_or_default()
    }
}

impl From<Cancelled> for CancelledResponse {
    fn from(cancelled: Cancelled) -> Self {
        Self(cancelled)
    }
}

impl fmt::Display for CancelledResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for CancelledResponse {}

/// Returns head and body of the response of a cancelled request.
pub(super) fn cancelled(cancelled: Cancelled, grpc: &Grpc) -> (Response<()>, Option<Vec<u8>>) {
    let content_type = match grpc {
        Grpc::No => {
            let (head, text) = CancelledResponse(cancelled).into_response::<String>().into_parts();
            return (Response::from_parts(head, ()), Some(text.into_bytes()));
        }
        Grpc::Native(content_type) | Grpc::Web(content_type) => content_type,
    };
    // A trailers-only response, in gRPC's terms: one block of fields.
    let mut response = Response::new(());
    *response.headers_mut() = grpc::trailers(&cancelled);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::clone(content_type));
    (response, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancelled_for(reason: &str) -> Cancelled {
        let list = pm_core::ProcessList::new();
        let task = list.start("a");
        list.cancel("a", reason).unwrap();
        task.checkpoint().unwrap_err()
    }

    #[test]
    fn a_reason_with_any_characters_becomes_valid_json() {
        let reason = "say \"no\" \\ 100 %\n\u{1}ü";
        let text = CancelledResponse(cancelled_for(reason)).problem();
        assert!(text.contains(r#""detail":"say \"no\" \\ 100 %\n\u0001ü","code""#), "{text}");
        assert!(CancelledResponse(cancelled_for("")).problem().contains(r#""detail":"the request was cancelled""#));
    }
}
