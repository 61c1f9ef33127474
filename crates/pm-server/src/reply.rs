//! How answers look: their bodies, their headers, and errors as plain text.
//!
//! Every answer says that it must not be kept or taken for something else. None carries a CORS header: no foreign web
//! page may read it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::compress::{self, Packer};
#[cfg(feature = "dashboard")]
use super::dashboard::{self, File};
use super::events::EventStream;
use super::procs::ListBody;

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// The body of an answer: complete, or a list that is written while it is sent.
///
/// It never fails, and holds no lock. Read on as slowly as you like: no task waits for it.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Bytes),
    List(Box<ListBody>),
    Events(Box<EventStream>),
    Packed(Box<ListBody>, Box<Packer>),
    #[cfg(feature = "dashboard")]
    File(&'static File),
}

impl Body {
    /// Whether it goes on for as long as its reader wants.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self.0, Kind::Events(_))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = match &mut self.0 {
            #[cfg(feature = "dashboard")]
            Kind::File(file) => {
                let text = file.text();
                self.0 = Kind::Whole(Bytes::new());
                Some(text)
            }
            Kind::Whole(bytes) if bytes.is_empty() => None,
            Kind::Whole(bytes) => Some(std::mem::take(bytes)),
            Kind::List(list) => list.next_part(),
            Kind::Events(events) => ready!(events.poll_next(context)),
            Kind::Packed(list, packer) => next_packed(list, packer),
        };
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::List(list) => list.is_complete(),
            // The end of a packed one is known when it was written.
            Kind::Events(_) | Kind::Packed(..) => false,
            #[cfg(feature = "dashboard")]
            Kind::File(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            #[cfg(feature = "dashboard")]
            Kind::File(file) => SizeHint::with_exact(file.text().len() as u64),
            Kind::List(_) | Kind::Events(_) | Kind::Packed(..) => SizeHint::default(),
        }
    }
}

fn next_packed(list: &mut ListBody, packer: &mut Packer) -> Option<Bytes> {
    loop {
        let packed = match list.next_part() {
            Some(part) => packer.pack(&part),
            None => {
                let last = packer.finish();
                return (!last.is_empty()).then(|| last.into());
            }
        };
        if !packed.is_empty() {
            return Some(packed.into());
        }
    }
}

/// The same answer in fewer bytes, if that is worth it.
pub(super) fn packed(response: Response<Body>) -> Response<Body> {
    let (mut head, Body(kind)) = response.into_parts();
    let (kind, is_packed) = match kind {
        Kind::Whole(text) if text.len() >= compress::WORTHWHILE => match compress::whole(&text) {
            Some(packed) => (Kind::Whole(packed), true),
            None => (Kind::Whole(text), false),
        },
        #[cfg(feature = "dashboard")]
        Kind::File(file) => (Kind::Whole(file.packed()), true),
        Kind::List(list) => (Kind::Packed(list, Box::new(Packer::new())), true),
        other => (other, false),
    };
    if is_packed {
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    Response::from_parts(head, Body(kind))
}

/// What every answer says: it is not to be kept, framed, sniffed, run, or shown to another site.
static SAFETY: [(HeaderName, HeaderValue); 8] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

fn response(status: StatusCode, content_type: Option<&'static str>, body: Kind) -> Response<Body> {
    let mut response = Response::new(Body(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(SAFETY.len() + 4);
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in &SAFETY {
        headers.insert(name, value.clone());
    }
    response
}

/// 200 with a JSON text.
pub(super) fn json(text: Vec<u8>) -> Response<Body> {
    response(StatusCode::OK, Some(JSON), Kind::Whole(text.into()))
}

/// A whole text of some type.
pub(super) fn whole(status: StatusCode, content_type: &'static str, text: Bytes) -> Response<Body> {
    response(status, Some(content_type), Kind::Whole(text))
}

/// A value as JSON.
pub(super) fn serialized(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    whole(status, JSON, value.to_string().into())
}

/// 200 with a list that may be too long to be held.
pub(super) fn list(body: ListBody) -> Response<Body> {
    response(StatusCode::OK, Some(JSON), Kind::List(Box::new(body)))
}

/// 200 with a file of the page, whose name tells what is in it: browsers may keep it.
#[cfg(feature = "dashboard")]
pub(super) fn file(file: &'static File) -> Response<Body> {
    let mut response = response(StatusCode::OK, Some(file.content_type()), Kind::File(file));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(dashboard::FOR_EVER));
    response
}

/// 200 with the page itself, which is asked for anew each time. What is no browser gets something else at the same place.
#[cfg(feature = "dashboard")]
pub(super) fn index(file: &'static File) -> Response<Body> {
    let mut response = response(StatusCode::OK, Some(file.content_type()), Kind::File(file));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(dashboard::POLICY));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// 200 with what happens, until the reader goes away.
pub(super) fn events(events: EventStream, content_type: &'static str) -> Response<Body> {
    let mut response = response(StatusCode::OK, Some(content_type), Kind::Events(Box::new(events)));
    // Proxies that gather answers before they hand them on would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// 200 with nothing to say.
pub(super) fn done() -> Response<Body> {
    response(StatusCode::OK, None, Kind::Whole(Bytes::new()))
}

/// 200 that tells the methods.
pub(super) fn methods(allow: &str) -> Response<Body> {
    let mut response = done();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The name of the status on a line of its own, as the first pm has it, and one more line in our words.
pub(super) fn error(status: StatusCode, words: &str) -> Response<Body> {
    response(status, Some(TEXT), Kind::Whole(error_text(status, words).into()))
}

fn error_text(status: StatusCode, words: &str) -> String {
    format!("{}\n{words}\n", status.canonical_reason().unwrap_or_default())
}

/// 301 to another path of ours; none if no header can hold it.
pub(super) fn moved(to: &str) -> Option<Response<Body>> {
    let location = HeaderValue::try_from(to).ok()?;
    let mut response = error(StatusCode::MOVED_PERMANENTLY, "the list is there");
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}

/// An error as the bytes of a whole response, for a connection that gets no other and is closed after it.
pub(super) fn last(status: StatusCode, words: &str) -> String {
    let body = error_text(status, words);
    let safety: String =
        SAFETY.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap_or_default())).collect();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {TEXT}\r\n{safety}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
