//! Changes as they happen, for those who watch: a snapshot, then what changed since.
//!
//! No task knows that it is watched. While somebody watches, one thread of ours looks through the list a few times a
//! second and compares what it finds with what it found before; with nobody, there is no such thread. What changed twice
//! between two looks is told once, with what is true then. Since the list itself is looked at, nothing that is told can
//! be of a task that is not there, and what a watcher missed is made good by a new snapshot.
//!
//! | room | what |
//! |---|---|
//! | `feed.rs` | the thread, and who watches what |
//! | `look.rs` | one look: what it found is compared with what was found before |
//! | `channel.rs` | what all who watch the same have in common: the newest frames |
//! | `stream.rs` | one watcher: snapshot, frames, gap, end |
//!
//! A *frame* is what one look found for one channel, as bytes that all its watchers share. Its last event bears its
//! number, so that who was cut off within a frame gets all of it again.

mod channel;
mod feed;
mod look;
mod stream;

use std::time::Duration;

use http::{HeaderMap, Response};
use pm_wire::duration;
use pm_wire::filter::Filter;

use self::channel::{Format, Watch};
use super::failure::Failure;
use super::query::{self, invalid, invalid_filter, once};
use super::reply::{self, Body};
use super::service::State;
use super::v1::{fields_of, header};

pub(super) use feed::Feed;
pub(super) use stream::EventStream;

/// How often a watcher may want to be told, and how seldom.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

/// The answer to `GET /v1/events`.
pub(super) fn watch(state: &State, text: Option<&str>, headers: &HeaderMap) -> Result<Response<Body>, Failure> {
    const KNOWN: &[&str] = &["interval", "fields", "view"];
    let mut filter = Filter::default();
    let (mut interval, mut fields, mut view) = (None, None, None);
    for (name, value) in query::pairs(text)? {
        match name.as_str() {
            "interval" => once("interval", &mut interval, value)?,
            "fields" => once("fields", &mut fields, value)?,
            "view" => once("view", &mut view, value)?,
            name if Filter::is_name(name) => {
                filter.add(name, &value).map_err(|error| invalid_filter(&error, name))?;
            }
            name => return Err(query::unknown(name, KNOWN, true)),
        }
    }
    let interval = match interval {
        None => INTERVAL.0,
        Some(text) => match duration::parse(&text) {
            Ok(interval) if (INTERVAL.0..=INTERVAL.1).contains(&interval) => interval,
            _ => {
                let [least, most] = [INTERVAL.0, INTERVAL.1].map(duration::show);
                return Err(invalid("interval", format!("interval is a length of time from {least} to {most}")));
            }
        },
    };
    let format = if header(headers, "accept").contains("application/x-ndjson") { Format::Lines } else { Format::Sse };
    let watch = Watch { filter, fields: fields_of(fields.as_deref(), view.as_deref())?, interval, format };
    let last_event = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let stream = state.feed.subscribe(watch, last_event)?;
    Ok(reply::events(stream, format.content_type()))
}
