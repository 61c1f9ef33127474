//! Changes as they happen, for watchers.

use std::time::Duration;

use http::{HeaderMap, Response};
use pm_wire::duration;
use pm_wire::filter::Filter;

use crate::feed::{Format, Watch};
use crate::request::query::{self, invalid, invalid_filter, once};
use crate::request::{State, header};
use crate::response::{self, Body, Failure};

/// The shortest and the longest interval between two updates.
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
                return Err(invalid("interval", format!("interval must be a duration from {least} to {most}")));
            }
        },
    };
    let format = if header(headers, "accept").contains("application/x-ndjson") { Format::Lines } else { Format::Sse };
    let watch = Watch { filter, fields: query::fields(fields.as_deref(), view.as_deref())?, interval, format };
    let last_event = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let stream = state.feed.subscribe(watch, last_event)?;
    Ok(response::events(stream, format.content_type()))
}
