//! Responses of each kind, with the headers that all of them have.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use http_body::Body as _;
use serde::Serialize;

use super::body::{Admitted, Again, Body, Kind, Produce};
use super::compress;
#[cfg(feature = "dashboard")]
use super::file::File;
use super::memory::{Memory, OutOfMemory};
use super::parts::Parts;

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// Returns `true` if compressing the body takes longer than other requests should wait for.
pub(crate) fn is_long_to_compress(response: &Response<Body>) -> bool {
    const LONG: usize = 64 << 10;
    match &response.body().0 {
        Kind::Whole(text) => text.len() > LONG,
        #[cfg(feature = "dashboard")]
        Kind::File(file) => !file.is_compressed(),
        Kind::Parts(_) | Kind::Endless(_) => false,
    }
}

/// Compresses the body, if that makes it shorter.
pub(crate) fn compressed(response: Response<Body>) -> Response<Body> {
    let (mut head, Body(kind)) = response.into_parts();
    let (kind, is_compressed) = match kind {
        Kind::Whole(text) if text.len() >= compress::WORTHWHILE => match compress::whole(&text) {
            Some(compressed) => (Kind::Whole(compressed), true),
            None => (Kind::Whole(text), false),
        },
        #[cfg(feature = "dashboard")]
        Kind::File(file) => (Kind::Whole(file.compressed()), true),
        Kind::Parts(parts) => (Kind::Parts(parts.compressed()), true),
        other => (other, false),
    };
    if is_compressed {
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    Response::from_parts(head, Body(kind))
}

/// Counts the body in the budget, as long as any of it is in memory.
///
/// # Errors
///
/// The budget has no space for it.
pub(crate) fn counted(response: Response<Body>, memory: &Arc<Memory>) -> Result<Response<Body>, OutOfMemory> {
    let (head, Body(kind)) = response.into_parts();
    let kind = match kind {
        Kind::Whole(bytes) if bytes.is_empty() => Kind::Whole(bytes),
        Kind::Whole(bytes) if head.status.is_success() => {
            Kind::Whole(memory.hold_for_response(bytes.len() as u64)?.of(bytes))
        }
        // Short: among others what explains why longer ones are refused.
        Kind::Whole(bytes) => Kind::Whole(memory.hold_anyway(bytes.len() as u64).of(bytes)),
        Kind::Parts(parts) => Kind::Parts(parts.counted_in(memory)?),
        other => other,
    };
    Ok(Response::from_parts(head, Body(kind)))
}

/// Ends an endless response once its reader is not admitted any more; `again` makes the check of that, if there is one.
pub(crate) fn admitted(response: Response<Body>, again: impl FnOnce() -> Option<Again>) -> Response<Body> {
    let (head, Body(kind)) = response.into_parts();
    let kind = match kind {
        Kind::Endless(parts) => Kind::Endless(match again() {
            Some(again) => Box::new(Admitted::new(parts, again)),
            None => parts,
        }),
        other => other,
    };
    Response::from_parts(head, Body(kind))
}

/// Leaves the body out, and states its length where that is known.
pub(crate) fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, Body(Kind::Whole(Bytes::new())))
}

/// Headers of every response: it is not to be cached, framed, sniffed, run, or shown to another site.
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

/// 200 with JSON.
pub(crate) fn json(text: Vec<u8>) -> Response<Body> {
    response(StatusCode::OK, Some(JSON), Kind::Whole(exact(text)))
}

/// Returns the bytes without the space that a vector has for more: that is not counted.
fn exact(mut text: Vec<u8>) -> Bytes {
    text.shrink_to_fit();
    text.into()
}

/// A complete body of some type.
pub(crate) fn whole(status: StatusCode, content_type: &'static str, text: Bytes) -> Response<Body> {
    response(status, Some(content_type), Kind::Whole(text))
}

/// A shape of the wire, as JSON.
pub(crate) fn serialized(status: StatusCode, shape: &impl Serialize) -> Response<Body> {
    whole(status, JSON, to_json(shape))
}

/// Serializes a shape of the wire.
pub(crate) fn to_json(shape: &impl Serialize) -> Bytes {
    exact(pm_wire::to_json(shape))
}

/// 200 with JSON that is written while it is sent.
pub(crate) fn json_parts(parts: Parts) -> Response<Body> {
    response(StatusCode::OK, Some(JSON), Kind::Parts(parts))
}

/// 200 with a file.
#[cfg(feature = "dashboard")]
pub(crate) fn file(file: &'static File) -> Response<Body> {
    response(StatusCode::OK, Some(file.content_type()), Kind::File(file))
}

/// 200 with events, until the reader leaves.
pub(crate) fn events(events: impl Produce + 'static, content_type: &'static str) -> Response<Body> {
    let mut response = response(StatusCode::OK, Some(content_type), Kind::Endless(Box::new(events)));
    // A proxy that buffers responses would delay events.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// 200 without a body.
pub(crate) fn done() -> Response<Body> {
    response(StatusCode::OK, None, Kind::Whole(Bytes::new()))
}

/// 200 with the allowed methods.
pub(crate) fn methods(allow: &str) -> Response<Body> {
    let mut response = done();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The name of the status on a line of its own, as VividCortex/pm has it, and a line with the details.
pub(crate) fn error(status: StatusCode, detail: &str) -> Response<Body> {
    response(status, Some(TEXT), Kind::Whole(error_text(status, detail).into()))
}

fn error_text(status: StatusCode, detail: &str) -> String {
    format!("{}\n{detail}\n", status.canonical_reason().unwrap_or_default())
}

/// 301 to another path of this server; `None` if no header can hold it.
pub(crate) fn moved(to: &str) -> Option<Response<Body>> {
    let location = HeaderValue::try_from(to).ok()?;
    let mut response = error(StatusCode::MOVED_PERMANENTLY, "the list is at the new path");
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}

/// The bytes of a complete response, for a connection that is closed after it.
pub(super) fn closing(status: StatusCode, content_type: &str, body: &str) -> String {
    let safety: String =
        SAFETY.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap_or_default())).collect();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {content_type}\r\n{safety}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
