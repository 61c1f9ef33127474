//! The errors of calls.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use pm_wire::Serial;
use pm_wire::v1::Problem;

/// The error of a call. Every variant has the URL of the request.
///
/// Messages contain strings from the server, in which only whitespace is replaced: escape them before they are shown on
/// a terminal.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection could be made; nothing was sent.
    Unreachable {
        /// The URL of the request.
        url: String,
        /// The cause.
        source: io::Error,
    },
    /// The time limit passed before the call was complete. A cancel may have been recorded nevertheless.
    TimedOut {
        /// The URL of the request.
        url: String,
        /// The limit that passed.
        after: Duration,
        /// The stage that ran out of time.
        stage: Stage,
    },
    /// The server has no task with this serial or id (404).
    NotFound {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        text: String,
    },
    /// The task or its list does not allow cancellation (403).
    NotCancellable {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        text: String,
    },
    /// Several live tasks have the id, and none was cancelled (409).
    Ambiguous {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        text: String,
        /// The serials of these tasks; empty if the server does not list them.
        serials: Vec<Serial>,
    },
    /// The task is not as the request expects, and nothing was done (412).
    PreconditionFailed {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        text: String,
    },
    /// The server requires a token, or does not accept the one that was sent (401).
    Unauthorized {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        text: String,
        /// `true` if a token was sent.
        with_token: bool,
    },
    /// The caller lacks the permission, as when a token that may only read is used to cancel (403).
    Forbidden {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        text: String,
    },
    /// The server has too many requests or watchers, and nothing was done (429, or 503 with a
    /// problem or `Retry-After`).
    TooMany {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        text: String,
        /// The time to wait before another attempt, if the server names one.
        retry_after: Option<Duration>,
    },
    /// The server has no `/v1` (404). It may be a process list without it, such as VividCortex/pm.
    NoV1 {
        /// The URL of the request.
        url: String,
    },
    /// The server refused for another reason, which it explains as problem JSON (RFC 9457).
    Problem {
        /// The URL of the request.
        url: String,
        /// The server's explanation.
        problem: Box<Problem>,
    },
    /// The token cannot be read or used; nothing was sent.
    Token {
        /// The URL of the request.
        url: String,
        /// The reason, without the token.
        text: String,
        /// The cause, if the file could not be read.
        source: Option<io::Error>,
    },
    /// One side of the TLS connection does not trust the other, or a certificate or key cannot be used.
    Tls {
        /// The URL of the request.
        url: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The request cannot be encoded as HTTP; nothing was sent.
    Unsendable {
        /// The URL of the request.
        url: String,
        /// The part that cannot be encoded, and the reason.
        text: String,
    },
    /// The server redirects, which the client does not follow.
    Redirected {
        /// The URL of the request.
        url: String,
        /// The status, 300 to 399.
        status: u16,
        /// The value of `Location`, if there is one.
        location: Option<String>,
    },
    /// Any other status that is not a success.
    Status {
        /// The URL of the request.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of the body.
        excerpt: String,
    },
    /// Another program answered: with a web page, with other JSON, or not in HTTP.
    NotPm {
        /// The URL of the request.
        url: String,
        /// The content type of the answer, if it has one.
        content_type: Option<String>,
        /// The beginning of the body.
        excerpt: String,
        /// The cause, if decoding the answer failed.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The answer is declared as JSON, but is not valid JSON.
    BrokenJson {
        /// The URL of the request.
        url: String,
        /// The beginning of the body.
        excerpt: String,
        /// The cause, with its position.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection ended before the answer was complete. A cancel may have been recorded nevertheless.
    Cut {
        /// The URL of the request.
        url: String,
        /// The bytes of the body received until then.
        received: u64,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer is larger than the client accepts.
    TooLarge {
        /// The URL of the request.
        url: String,
        /// The largest body accepted, in bytes.
        limit: u64,
    },
    /// The answer, or the pages of a list together, have more of something than the client accepts, though not more
    /// bytes.
    TooMuch {
        /// The URL of the request.
        url: String,
        /// The ceiling that was met.
        ceiling: Ceiling,
        /// The most that the client accepts, in the unit of the ceiling.
        limit: u64,
    },
    /// The pages of a list do not end: one of them is empty or has the cursor that led to it, and claims that another
    /// one follows.
    EndlessPages {
        /// The URL of the request.
        url: String,
    },
}

/// A ceiling of a client besides those of bytes and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ceiling {
    /// The memory that the decoded answer or event would take, in bytes: see
    /// [`Builder::max_memory_bytes`](crate::Builder::max_memory_bytes).
    Memory,
    /// The number of tasks. The calls of this crate have no such ceiling; a caller that follows pages may.
    Tasks,
}

/// The stage of a call that ran out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Connecting.
    Connect,
    /// Receiving the answer.
    Answer,
    /// Waiting for an event or a heartbeat of a stream.
    Heartbeat,
}

impl ClientError {
    /// Returns the URL of the request.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            ClientError::Unreachable { url, .. }
            | ClientError::TimedOut { url, .. }
            | ClientError::NotFound { url, .. }
            | ClientError::NotCancellable { url, .. }
            | ClientError::Ambiguous { url, .. }
            | ClientError::PreconditionFailed { url, .. }
            | ClientError::Unauthorized { url, .. }
            | ClientError::Forbidden { url, .. }
            | ClientError::TooMany { url, .. }
            | ClientError::NoV1 { url }
            | ClientError::Problem { url, .. }
            | ClientError::Token { url, .. }
            | ClientError::Tls { url, .. }
            | ClientError::Unsendable { url, .. }
            | ClientError::Redirected { url, .. }
            | ClientError::Status { url, .. }
            | ClientError::NotPm { url, .. }
            | ClientError::BrokenJson { url, .. }
            | ClientError::Cut { url, .. }
            | ClientError::TooLarge { url, .. }
            | ClientError::TooMuch { url, .. }
            | ClientError::EndlessPages { url } => url,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable { url, .. } => write!(f, "could not connect to {url}"),
            ClientError::TimedOut { url, after, stage: Stage::Connect } => {
                write!(f, "no connection to {url} within {after:?}")
            }
            ClientError::TimedOut { url, after, stage: Stage::Answer } => {
                write!(f, "no complete answer from {url} within {after:?}")
            }
            ClientError::TimedOut { url, after, stage: Stage::Heartbeat } => {
                write!(f, "nothing from {url} for {after:?}, not even a heartbeat")
            }
            ClientError::NotFound { url, text } => with_text(f, format_args!("no such task: {url}"), text),
            ClientError::NotCancellable { url, text } => {
                with_text(f, format_args!("the task may not be cancelled: {url}"), text)
            }
            ClientError::Ambiguous { url, text, serials } => {
                with_text(f, format_args!("several tasks have this name: {url}"), text)?;
                let serials: Vec<String> = serials.iter().map(Serial::to_string).collect();
                if serials.is_empty() { Ok(()) } else { write!(f, "; name one by its serial: {}", serials.join(", ")) }
            }
            ClientError::PreconditionFailed { url, text } => {
                with_text(f, format_args!("nothing was done, as the task is not as expected: {url}"), text)?;
                f.write_str("; look at it again, then repeat the request")
            }
            ClientError::Unauthorized { url, text, with_token: false } => {
                with_text(f, format_args!("{url} requires a token and was given none"), text)?;
                f.write_str("; give it one, in PM_TOKEN or in the file that PM_TOKEN_FILE names")
            }
            ClientError::Unauthorized { url, text, with_token: true } => {
                with_text(f, format_args!("{url} does not accept this token"), text)?;
                f.write_str("; compare it with the server's token file")
            }
            ClientError::Forbidden { url, text } => {
                with_text(f, format_args!("{url} does not allow this"), text)?;
                f.write_str("; a cancel needs a token with the permission `cancel`")
            }
            ClientError::TooMany { url, text, retry_after } => {
                with_text(f, format_args!("{url} is overloaded"), text)?;
                match retry_after {
                    Some(wait) => write!(f, "; try again in {wait:?}"),
                    None => f.write_str("; try again later"),
                }
            }
            ClientError::NoV1 { url } => {
                write!(f, "no /v1 at {url}; the program may have an older pm, with only lists, histories and cancels")
            }
            ClientError::Problem { url, problem } => write!(f, "{url} refuses: {problem}"),
            ClientError::Token { url, text, .. } => write!(f, "no token for {url}: {text}"),
            ClientError::Tls { url, .. } => {
                write!(
                    f,
                    "no trusted connection to {url}; check its certificate, the CA file and the client certificate"
                )
            }
            ClientError::Unsendable { url, text } => write!(f, "cannot send a request to {url}: {text}"),
            ClientError::Redirected { url, status, location: Some(location) } => {
                write!(f, "{url} redirects to {location} (status {status}), which is not followed")
            }
            ClientError::Redirected { url, status, location: None } => {
                write!(f, "{url} redirects without saying where (status {status})")
            }
            ClientError::Status { url, status, excerpt } => {
                with_text(f, format_args!("status {status} from {url}"), excerpt)
            }
            ClientError::NotPm { url, content_type, excerpt, .. } => {
                let what = content_type.as_deref().unwrap_or("answer of no stated type");
                with_text(f, format_args!("no process list at {url}, but {what}"), excerpt)
            }
            ClientError::BrokenJson { url, excerpt, .. } => {
                with_text(f, format_args!("the JSON from {url} is broken"), excerpt)
            }
            ClientError::Cut { url, received, .. } => {
                write!(f, "the connection to {url} ended early, after {received} bytes of the body")
            }
            ClientError::TooLarge { url, limit } => {
                write!(f, "the answer of {url} is larger than {limit} bytes; ask for less, or raise the client's limit")
            }
            ClientError::TooMuch { url, ceiling: Ceiling::Memory, limit } => write!(
                f,
                "the answer of {url} would take more than {limit} bytes of memory; ask for less, or raise the client's \
                 limit"
            ),
            ClientError::TooMuch { url, ceiling: Ceiling::Tasks, limit } => {
                write!(f, "more than {limit} tasks at {url}; select fewer tasks")
            }
            ClientError::EndlessPages { url } => {
                write!(f, "the pages of {url} do not end, as one leads to itself or is empty")
            }
        }
    }
}

fn with_text(f: &mut fmt::Formatter<'_>, what: fmt::Arguments<'_>, text: &str) -> fmt::Result {
    if text.is_empty() { f.write_fmt(what) } else { write!(f, "{what} (it says: {text})") }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ClientError::Unreachable { source, .. } => Some(source),
            ClientError::BrokenJson { source, .. } | ClientError::Cut { source, .. } => Some(&**source),
            ClientError::NotPm { source: Some(source), .. } | ClientError::Tls { source, .. } => Some(&**source),
            ClientError::Token { source: Some(source), .. } => Some(source),
            _ => None,
        }
    }
}
