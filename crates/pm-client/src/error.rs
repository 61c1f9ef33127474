//! What can come instead of an answer.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a call brought no result. Every variant carries the URL that was asked.
///
/// Text that came from the server is in the message as it came, apart from blanks: show it on a terminal only after
/// taking out control characters.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection could be made; nothing was sent.
    Unreachable {
        /// What was asked.
        url: String,
        /// Why there is no connection.
        source: io::Error,
    },
    /// The time limit passed first. A cancel may have been heard all the same.
    TimedOut {
        /// What was asked.
        url: String,
        /// The limit that passed.
        after: Duration,
        /// What was being waited for.
        stage: Stage,
    },
    /// No live task has this id (404).
    NotFound {
        /// What was asked.
        url: String,
        /// What the server says.
        text: String,
    },
    /// The task, or the list, does not allow a cancel (403).
    NotCancellable {
        /// What was asked.
        url: String,
        /// What the server says.
        text: String,
    },
    /// Several live tasks bear the id, and none was cancelled (409).
    Ambiguous {
        /// What was asked.
        url: String,
        /// What the server says: the serials of the tasks.
        text: String,
    },
    /// The server points elsewhere, which is not followed.
    Redirected {
        /// What was asked.
        url: String,
        /// The status, 300 to 399.
        status: u16,
        /// Where it points, if it says.
        location: Option<String>,
    },
    /// Any other status that is not a success.
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of the body.
        excerpt: String,
    },
    /// Something answers there, but it is not a process list: a web page, other JSON, or not HTTP at all.
    NotPm {
        /// What was asked.
        url: String,
        /// What the answer says it is.
        content_type: Option<String>,
        /// The beginning of the body.
        excerpt: String,
        /// What did not fit, if it looked right at first.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The answer says it is JSON but is not.
    BrokenJson {
        /// What was asked.
        url: String,
        /// The beginning of the body.
        excerpt: String,
        /// Where it breaks.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection ended before the answer did. A cancel may have been heard all the same.
    Cut {
        /// What was asked.
        url: String,
        /// How many bytes of the body had come.
        received: u64,
        /// How the connection ended.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer is larger than the client accepts.
    TooLarge {
        /// What was asked.
        url: String,
        /// The largest body accepted, in bytes.
        limit: u64,
    },
}

/// What a call was waiting for when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// A connection.
    Connect,
    /// The answer, or the rest of it.
    Answer,
}

impl ClientError {
    /// What was asked.
    pub fn url(&self) -> &str {
        match self {
            ClientError::Unreachable { url, .. }
            | ClientError::TimedOut { url, .. }
            | ClientError::NotFound { url, .. }
            | ClientError::NotCancellable { url, .. }
            | ClientError::Ambiguous { url, .. }
            | ClientError::Redirected { url, .. }
            | ClientError::Status { url, .. }
            | ClientError::NotPm { url, .. }
            | ClientError::BrokenJson { url, .. }
            | ClientError::Cut { url, .. }
            | ClientError::TooLarge { url, .. } => url,
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
            ClientError::NotFound { url, text } => with_text(f, format_args!("no such task: {url}"), text),
            ClientError::NotCancellable { url, text } => {
                with_text(f, format_args!("the task may not be cancelled: {url}"), text)
            }
            ClientError::Ambiguous { url, text } => {
                with_text(f, format_args!("several live tasks have this id: {url}"), text)
            }
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
            ClientError::TooLarge { url, limit } => write!(f, "the answer of {url} is larger than {limit} bytes"),
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
            ClientError::NotPm { source: Some(source), .. } => Some(&**source),
            _ => None,
        }
    }
}
