//! How answers look: their bodies, their headers, and errors as plain text.
//!
//! Every answer says that it must not be kept or taken for something else. None carries a CORS header: no foreign web
//! page may read it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::procs::ListBody;

const TEXT: &str = "text/plain; charset=utf-8";

/// The body of an answer: complete, or a list that is written while it is sent.
///
/// It never fails, and holds no lock. Read on as slowly as you like: no task waits for it.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Bytes),
    List(Box<ListBody>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => None,
            Kind::Whole(bytes) => Some(std::mem::take(bytes)),
            Kind::List(list) => list.next_part(),
        };
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::List(list) => list.is_complete(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::List(_) => SizeHint::default(),
        }
    }
}

fn response(status: StatusCode, content_type: Option<&'static str>, body: Kind) -> Response<Body> {
    let mut response = Response::new(Body(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 200 with a JSON text.
pub(super) fn json(text: Vec<u8>) -> Response<Body> {
    response(StatusCode::OK, Some("application/json"), Kind::Whole(text.into()))
}

/// 200 with a list that may be too long to be held.
pub(super) fn list(body: ListBody) -> Response<Body> {
    response(StatusCode::OK, Some("application/json"), Kind::List(Box::new(body)))
}

/// 200 with nothing to say.
pub(super) fn done() -> Response<Body> {
    response(StatusCode::OK, None, Kind::Whole(Bytes::new()))
}

/// 200 that tells the methods.
pub(super) fn methods(allow: &'static str) -> Response<Body> {
    let mut response = done();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// The name of the status on a line of its own, as the first pm has it, and one more line in our words.
pub(super) fn error(status: StatusCode, words: &str) -> Response<Body> {
    response(status, Some(TEXT), Kind::Whole(error_text(status, words).into()))
}

fn error_text(status: StatusCode, words: &str) -> String {
    format!("{}\n{words}\n", status.canonical_reason().unwrap_or_default())
}

/// 405, and what would be allowed.
pub(super) fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, &format!("this path allows {allow}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// 301 to another path of ours. A path that no header can hold is not found.
pub(super) fn moved(to: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::try_from(to) else { return not_found("nothing is served at this path") };
    let mut response = error(StatusCode::MOVED_PERMANENTLY, "the list is there");
    response.headers_mut().insert(LOCATION, location);
    response
}

/// 404.
pub(super) fn not_found(words: &str) -> Response<Body> {
    error(StatusCode::NOT_FOUND, words)
}

/// 408. What is still on its way has no end, so the connection does.
pub(super) fn body_timed_out() -> Response<Body> {
    closing(error(StatusCode::REQUEST_TIMEOUT, "the body of the request did not come in time"))
}

/// 413, for the same reason at the end of its connection.
pub(super) fn body_too_large(limit: usize) -> Response<Body> {
    closing(error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body may have {limit} bytes at most")))
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An error as the bytes of a whole response, for a connection that gets no other and is closed after it.
pub(super) fn last(status: StatusCode, words: &str) -> String {
    let body = error_text(status, words);
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {TEXT}\r\nX-Content-Type-Options: nosniff\r\n\
         Cache-Control: no-store\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
