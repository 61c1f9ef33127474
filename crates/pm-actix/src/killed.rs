//! The response of a request that was killed.

use std::fmt::{self, Write as _};

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use pm_core::Cancelled;

/// The error of a request that was killed before its response: `503 Service Unavailable`, as problem JSON (RFC 9457)
/// with the code `cancelled` and the reason as its detail.
///
/// Handlers that observe a cancellation can return it, too:
///
/// ```
/// async fn report() -> Result<String, pm_actix::Killed> {
///     pm_core::current().status("reading")?;
///     Ok("done".into())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed(Cancelled);

impl Killed {
    /// Returns the cancellation.
    #[must_use]
    pub fn cancelled(&self) -> &Cancelled {
        &self.0
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

impl ResponseError for Killed {
    fn status_code(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let detail = if self.0.reason().is_empty() { "the request was cancelled" } else { self.0.reason() };
        let (detail, serial) = (escaped(detail), self.0.serial());
        HttpResponse::ServiceUnavailable().content_type("application/problem+json").body(format!(
            concat!(
                r#"{{"type":"urn:pm:problem:cancelled","title":"Service Unavailable","status":503,"#,
                r#""detail":"{detail}","code":"cancelled","serial":"{serial}"}}"#
            ),
            detail = detail,
            serial = serial
        ))
    }
}

/// Escapes a string for JSON.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            ..' ' => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_with_any_characters_becomes_valid_json() {
        assert_eq!(escaped("say \"no\" \\ 100 %\n\u{1}ü"), r#"say \"no\" \\ 100 %\u000a\u0001ü"#);
    }
}
