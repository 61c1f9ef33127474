//! What the tasks of each kind have in common, and what the list says of itself.

use std::sync::atomic::Ordering::Relaxed;

use http::{Response, StatusCode};
use pm_core::KindStats;
use pm_wire::duration::millis;
use serde_json::{Value, json};

use super::server_time;
use crate::access::Permission;
use crate::access::gate::Gate;
use crate::access::tokens::Tokens;
use crate::request::State;
use crate::request::query;
use crate::response::{self, Body, Failure};

/// All kinds, the one with the most tasks first.
pub(super) fn kinds(state: &State) -> Response<Body> {
    let kinds: Vec<Value> = state.list.kinds().iter().map(kind).collect();
    response::serialized(StatusCode::OK, &json!({ "kinds": kinds, "serverTime": server_time(state) }))
}

fn kind(stats: &KindStats) -> Value {
    let KindStats { running, started, finished, failed, cancelled, aborted, dropped, latency, .. } = stats;
    let quantile = |part| millis(latency.quantile(part));
    let buckets: Vec<Value> = latency
        .buckets()
        .iter()
        .map(|bucket| {
            json!({
                "leastMs": millis(bucket.lower),
                "belowMs": millis(bucket.upper),
                "count": bucket.count,
            })
        })
        .collect();
    let statuses: Vec<Value> = stats
        .statuses
        .iter()
        .map(|status| {
            let mut value = json!({ "entered": status.entered, "timeMs": millis(status.time) });
            if let Some(text) = &status.status {
                value["status"] = text.as_str().into();
            }
            value
        })
        .collect();
    let mut value = json!({
        "running": running, "started": started, "finished": finished, "failed": failed, "cancelled": cancelled,
        "aborted": aborted, "dropped": dropped,
        "latency": {
            "count": latency.count(),
            "meanMs": millis(latency.mean()),
            "p50Ms": quantile(0.5),
            "p90Ms": quantile(0.9),
            "p95Ms": quantile(0.95),
            "p99Ms": quantile(0.99),
            "maxMs": millis(latency.max()),
            "buckets": buckets,
        },
        "statuses": statuses,
    });
    if let Some(name) = &stats.kind {
        value["kind"] = name.as_str().into();
    }
    if stats.is_other {
        value["other"] = true.into();
    }
    value
}

/// Who tried to cancel what, newest first.
pub(super) fn audit(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    const MOST: u64 = 1000;
    let limit = query::only_limit(text, MOST)?;
    let (records, dropped) = state.audit().newest(limit.unwrap_or(100) as usize);
    let records: Vec<String> = records.iter().map(|record| record.json()).collect();
    let mut text = format!(r#"{{"records":[{}],"serverTime":"{}""#, records.join(","), server_time(state));
    if dropped > 0 {
        text += &format!(r#","dropped":{dropped}"#);
    }
    text.push('}');
    Ok(response::json(text.into_bytes()))
}

/// Version, limits, what was counted and dropped, and what the server itself takes.
pub(super) fn info(state: &State, gate: &Gate, scope: Permission) -> Response<Body> {
    let (counters, limits) = (state.list.counters(), state.list.limits());
    let feed = state.feed.status();
    let mut answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "boot": state.boot,
        "serverTime": server_time(state),
        "uptimeMs": u64::try_from(state.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        "limits": {
            "maxBytes": limits.max_bytes,
            "maxId": limits.max_id,
            "maxAttrName": limits.max_attr_name,
            "maxAttrValue": limits.max_attr_value,
            "maxStatus": limits.max_status,
            "maxAttrs": limits.max_attrs,
            "firstEntries": limits.first_entries,
            "newestEntries": limits.newest_entries,
            "keepEnded": limits.keep_ended,
            "keepEndedBytes": limits.keep_ended_bytes,
            "keepEndedForMs": u64::try_from(limits.keep_ended_for.as_millis()).unwrap_or(u64::MAX),
            "maxKinds": limits.max_kinds,
            "maxStatuses": limits.max_statuses,
            "maxWatchers": feed.max_watchers,
        },
        "counters": {
            "live": counters.live,
            "peak": counters.peak,
            "started": counters.started,
            "finished": counters.finished,
            "failed": counters.failed,
            "cancelled": counters.cancelled,
            "aborted": counters.aborted,
            "dropped": counters.dropped,
            "cancelling": counters.cancelling,
            "forced": counters.forced,
            "cancelRequests": counters.cancel_requests,
            "panicsCaught": counters.panics_caught,
            "lateCalls": counters.late_calls,
        },
        "dropped": {
            "tasksNotShown": counters.not_shown,
            "statuses": counters.statuses_dropped,
            "attrs": counters.attrs_dropped,
            "textsCut": counters.texts_cut,
            "redacted": counters.redacted,
            "endedLetGo": counters.ended_evicted,
            "kinds": counters.kinds_dropped,
        },
        "own": {
            "bytesHeld": counters.bytes_held,
            "connections": state.connections.load(Relaxed),
            "watchers": feed.watchers,
            "watches": feed.channels,
            "watchBytes": feed.bytes,
            "looks": feed.looks,
            "lastLookMs": millis(feed.last_look),
        },
    });
    answer["scope"] = scope.name().into();
    let audit = state.audit().health();
    answer["audit"] = json!({ "written": audit.written, "lost": audit.lost });
    if let Some(error) = audit.error {
        answer["audit"]["error"] = error.into();
    }
    if let Some(health) = gate.tokens().map(Tokens::health) {
        answer["tokens"] = json!({ "count": health.tokens, "reloads": health.reloads, "failures": health.failures });
        if let Some(error) = health.error {
            answer["tokens"]["error"] = error.into();
        }
    }
    #[cfg(feature = "tls")]
    if let Some(health) = state.tls.get() {
        let counts = health.counts();
        answer["tls"] = json!({ "reloads": counts.reloads, "failures": counts.failures });
        if let Some(error) = counts.error {
            answer["tls"]["error"] = error.into();
        }
    }
    response::serialized(StatusCode::OK, &answer)
}
