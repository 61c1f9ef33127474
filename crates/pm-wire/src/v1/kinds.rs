//! Statistics by the kind of task.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::as_json::{is_false, millis};
use crate::timestamp::Timestamp;

/// Statistics of all kinds: the answer to `GET /v1/kinds`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct KindReport {
    /// An entry for each kind; that with the most tasks comes first.
    #[serde(deserialize_with = "crate::as_json::at_most::<1_000_000, _, _>")]
    pub kinds: Vec<KindStats>,
    /// The server's clock when the report was made.
    pub server_time: Timestamp,
}

impl KindReport {
    /// Returns advice to the program's developers, if many requests of HTTP have no route and none has one: then all
    /// that have the same method share a kind.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        const METHODS: [&str; 10] =
            ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER"];
        /// From how many requests on.
        const LEAST: u64 = 10;
        let mut without = 0;
        for stats in &self.kinds {
            let kind = stats.kind.as_deref().unwrap_or_default();
            match kind.split_once(' ') {
                None if METHODS.contains(&kind) => without += stats.started,
                Some((method, route)) if METHODS.contains(&method) && route.starts_with('/') => return None,
                _ => {}
            }
        }
        (without >= LEAST)
            .then_some("no request has a route, so kinds are methods only: set TasksLayer::routes or TasksLayer::route")
    }
}

/// Statistics of one kind, since the list was created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct KindStats {
    /// The kind; absent for tasks without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// True in the entry for all kinds without an entry of their own.
    #[serde(skip_serializing_if = "is_false")]
    pub other: bool,
    /// The number of tasks that run now.
    pub running: u64,
    /// The number of tasks that were started.
    pub started: u64,
    /// The number of tasks that finished.
    pub finished: u64,
    /// The number of tasks that failed.
    pub failed: u64,
    /// The number of tasks that stopped because they were cancelled.
    pub cancelled: u64,
    /// The number of tasks that panicked.
    pub aborted: u64,
    /// The number of tasks whose owner dropped them.
    pub dropped: u64,
    /// How long they ran.
    pub latency: Latency,
    /// The time that they spent in each status; the most time comes first.
    pub statuses: Vec<StatusTime>,
}

/// How long tasks ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Latency {
    /// The number of tasks that ended.
    pub count: u64,
    /// The mean.
    #[serde(rename = "meanMs", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub mean: Option<Duration>,
    /// The median: half of them took no longer.
    #[serde(rename = "p50Ms", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub p50: Option<Duration>,
    /// The 90th percentile.
    #[serde(rename = "p90Ms", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub p90: Option<Duration>,
    /// The 95th percentile.
    #[serde(rename = "p95Ms", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub p95: Option<Duration>,
    /// The 99th percentile.
    #[serde(rename = "p99Ms", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub p99: Option<Duration>,
    /// The longest.
    #[serde(rename = "maxMs", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub max: Option<Duration>,
    /// The histogram, from the shortest duration to the longest, without empty buckets.
    pub buckets: Vec<Bucket>,
}

/// A bucket of a histogram: the number of tasks that ran for a time between two bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Bucket {
    /// The lower bound, inclusive.
    #[serde(rename = "leastMs", with = "millis")]
    pub lower: Duration,
    /// The upper bound, exclusive; absent if there is none.
    #[serde(rename = "belowMs", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub upper: Option<Duration>,
    /// The number of tasks.
    pub count: u64,
}

/// The time that tasks of a kind spent in one status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct StatusTime {
    /// The status; absent in the entry for all statuses without an entry of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How often it was set.
    pub entered: u64,
    /// The time spent in it.
    #[serde(rename = "timeMs", with = "millis")]
    pub time: Duration,
}

impl KindReport {
    /// Makes a report of a list's statistics.
    #[must_use]
    pub fn new(kinds: &[pm_core::KindStats], server_time: Timestamp) -> Self {
        Self { kinds: kinds.iter().map(KindStats::from).collect(), server_time }
    }
}

impl From<&pm_core::KindStats> for KindStats {
    fn from(stats: &pm_core::KindStats) -> Self {
        let status = |status: &pm_core::StatusTime| StatusTime {
            status: status.status.clone(),
            entered: status.entered,
            time: status.time,
        };
        Self {
            kind: stats.kind.clone(),
            other: stats.is_other,
            running: stats.running,
            started: stats.started,
            finished: stats.finished,
            failed: stats.failed,
            cancelled: stats.cancelled,
            aborted: stats.aborted,
            dropped: stats.dropped,
            latency: Latency::from(&stats.latency),
            statuses: stats.statuses.iter().map(status).collect(),
        }
    }
}

impl From<&pm_core::Latency> for Latency {
    fn from(latency: &pm_core::Latency) -> Self {
        let quantile = |part| Some(latency.quantile(part));
        let bucket =
            |bucket: &pm_core::Bucket| Bucket { lower: bucket.lower, upper: Some(bucket.upper), count: bucket.count };
        Self {
            count: latency.count(),
            mean: Some(latency.mean()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: Some(latency.max()),
            buckets: latency.buckets().iter().map(bucket).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_advised_when_many_requests_have_none() {
        let hint = |kinds: &[(&str, u64)]| {
            let stats =
                |&(kind, started): &(&str, u64)| KindStats { kind: Some(kind.into()), started, ..Default::default() };
            KindReport { kinds: kinds.iter().map(stats).collect(), ..Default::default() }.hint().is_some()
        };
        assert!(hint(&[("GET", 7), ("POST", 3)]) && hint(&[("GET", 90), ("GET api.example.com", 90), ("import", 1)]));
        assert!(!hint(&[("GET", 7)]) && !hint(&[]), "too few to say");
        assert!(!hint(&[("GET", 90), ("GET /hosts/{id}", 1)]), "those are of unknown paths");
        assert!(!hint(&[("import", 90), ("GET api.example.com", 90)]));
    }
}
