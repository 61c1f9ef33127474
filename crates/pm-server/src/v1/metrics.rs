//! Metrics for Prometheus.
//!
//! The text format 0.0.4, or OpenMetrics 1.0 for clients that accept it. Kinds are the only label whose values the
//! program chooses; beyond a limit they are counted together.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use pm_core::terminal::is_unsafe;
use pm_core::{BlockedTask, KindStats};

use crate::request::State;
use crate::response::{self, Body};

/// The kinds with series of their own: those with the most tasks.
const MAX_KINDS: usize = 100;
/// The label of all other kinds, and of tasks without a kind.
const OTHER: &str = "other";
/// Upper bounds of the latency histogram, in seconds: many tasks take microseconds, some take minutes.
#[rustfmt::skip]
const BOUNDS: [f64; 20] = [
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
];

/// One kind, or several that are counted together.
#[derive(Default)]
struct Series {
    running: u64,
    cancelling: u64,
    oldest: Duration,
    /// finished, failed, cancelled, aborted, dropped
    ended: [u64; 5],
    count: u64,
    sum: Duration,
    buckets: [u64; BOUNDS.len()],
}

const OUTCOMES: [&str; 5] = ["finished", "failed", "cancelled", "aborted", "dropped"];

impl Series {
    fn add(&mut self, stats: &KindStats) {
        let KindStats { finished, failed, cancelled, aborted, dropped, latency, .. } = stats;
        for (sum, count) in self.ended.iter_mut().zip([finished, failed, cancelled, aborted, dropped]) {
            *sum += count;
        }
        self.count += latency.count();
        self.sum += latency.sum();
        for bucket in latency.buckets() {
            // Durations are below the upper end of their bucket, so none is reported as shorter than it was.
            let below = bucket.upper.as_secs_f64();
            for (count, bound) in self.buckets.iter_mut().zip(BOUNDS) {
                *count += if below <= bound { bucket.count } else { 0 };
            }
        }
    }
}

/// The answer to `GET /metrics`.
pub(super) fn metrics(state: &State, accept: &str) -> Response<Body> {
    let is_open = accept.contains("application/openmetrics-text");
    let text = Text { out: String::with_capacity(8 << 10), is_open };
    let content_type = if is_open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    response::whole(StatusCode::OK, content_type, Bytes::from(write(state, text)))
}

fn series(state: &State) -> Vec<(String, Series)> {
    let mut all: Vec<(String, Series)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for stats in state.all_kinds() {
        let name = match &stats.kind {
            Some(kind) if !stats.is_other && all.len() < MAX_KINDS => kind.clone(),
            _ => OTHER.to_owned(),
        };
        let at = *places.entry(name.clone()).or_insert_with(|| {
            all.push((name, Series::default()));
            all.len() - 1
        });
        all[at].1.add(&stats);
    }
    state.list.for_each(|task| {
        let kind = task.kind().map(|kind| kind.to_string());
        let at = kind.and_then(|kind| places.get(&kind).copied()).or_else(|| places.get(OTHER).copied());
        let at = at.unwrap_or_else(|| {
            // Its kind has just been added.
            all.push((OTHER.to_owned(), Series::default()));
            places.insert(OTHER.to_owned(), all.len() - 1);
            all.len() - 1
        });
        let series = &mut all[at].1;
        *if task.is_cancelling() { &mut series.cancelling } else { &mut series.running } += 1;
        series.oldest = series.oldest.max(task.age());
    });
    all
}

fn write(state: &State, mut text: Text) -> String {
    let kinds = series(state);
    let counters = state.list.counters();

    text.family("pm_tasks", "gauge", "Live tasks.");
    for (kind, series) in &kinds {
        text.sample("pm_tasks", &[("kind", kind), ("state", "running")], series.running as f64);
        text.sample("pm_tasks", &[("kind", kind), ("state", "cancelling")], series.cancelling as f64);
    }
    text.family("pm_task_oldest_age_seconds", "gauge", "Age of the oldest live task.");
    for (kind, series) in &kinds {
        text.sample("pm_task_oldest_age_seconds", &[("kind", kind)], series.oldest.as_secs_f64());
    }
    text.family("pm_cancelled_still_running", "gauge", "Cancelled tasks that are still live.");
    for (kind, series) in &kinds {
        text.sample("pm_cancelled_still_running", &[("kind", kind)], series.cancelling as f64);
    }
    let waits = state.list.waits();
    state.waits.set(waits.waits.len());
    for (name, help, is_one) in [
        ("pm_waits", "Waits that tasks report.", (|_| true) as fn(&BlockedTask) -> bool),
        ("pm_waits_stuck", "Waits that last until a cycle of waiting tasks is broken.", |wait| wait.is_stuck),
    ] {
        text.family(name, "gauge", help);
        text.sample(name, &[], waits.waits.iter().filter(|wait| is_one(wait)).count() as f64);
    }
    text.counter("pm_tasks_ended", "Ended tasks.");
    for (kind, series) in &kinds {
        for (outcome, count) in OUTCOMES.iter().zip(series.ended) {
            text.count("pm_tasks_ended", &[("kind", kind), ("outcome", outcome)], count);
        }
    }
    text.family("pm_task_duration_seconds", "histogram", "Duration of ended tasks.");
    for (kind, series) in &kinds {
        for (bound, count) in BOUNDS.iter().zip(series.buckets) {
            // In full, never as `1e-5`; OpenMetrics wants whole numbers as `1.0`.
            let le = if *bound < 1.0 { bound.to_string() } else { format!("{bound:?}") };
            text.sample("pm_task_duration_seconds_bucket", &[("kind", kind), ("le", &le)], count as f64);
        }
        text.sample("pm_task_duration_seconds_bucket", &[("kind", kind), ("le", "+Inf")], series.count as f64);
        text.sample("pm_task_duration_seconds_sum", &[("kind", kind)], series.sum.as_secs_f64());
        text.sample("pm_task_duration_seconds_count", &[("kind", kind)], series.count as f64);
    }
    text.counter("pm_tasks_started", "Started tasks that the list shows.");
    text.count("pm_tasks_started", &[], counters.started);
    text.counter("pm_cancels", "Cancel requests that reached a task, without repeated ones.");
    text.count("pm_cancels", &[], counters.cancel_requests);
    text.counter("pm_cancels_forced", "Cancelled tasks whose future was dropped after their grace.");
    text.count("pm_cancels_forced", &[], counters.forced);
    text.counter("pm_dropped", "Items beyond the limits of the list, which are not shown.");
    for (what, count) in [
        ("tasks", counters.not_shown),
        ("statuses", counters.statuses_dropped),
        ("attrs", counters.attrs_dropped),
        ("texts_cut", counters.texts_cut),
        ("kinds", counters.kinds_dropped),
    ] {
        text.count("pm_dropped", &[("what", what)], count);
    }
    text.counter("pm_panics_caught", "Panics of hooks and wakers that were caught.");
    text.count("pm_panics_caught", &[], counters.panics_caught);
    text.family("pm_self_bytes", "gauge", "Memory of the list, in bytes.");
    text.sample("pm_self_bytes", &[], counters.bytes_held as f64);
    text.family("pm_self_response_bytes", "gauge", "Bytes of responses that clients have not read yet.");
    text.sample("pm_self_response_bytes", &[], state.memory.held() as f64);
    text.counter("pm_self_responses_refused", "Responses that were refused for want of memory.");
    text.count("pm_self_responses_refused", &[], state.memory.refused());
    text.family("pm_self_watchers", "gauge", "Watchers of the list.");
    text.sample("pm_self_watchers", &[], state.feed.status().watchers as f64);
    text.finish()
}

struct Text {
    out: String,
    is_open: bool,
}

impl Text {
    fn family(&mut self, name: &str, sort: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {sort}");
        if self.is_open
            && let Some(unit) = name.rsplit('_').next().filter(|unit| matches!(*unit, "seconds" | "bytes"))
        {
            let _ = writeln!(self.out, "# UNIT {name} {unit}");
        }
    }

    /// A family of counters: OpenMetrics names it without the suffix of its samples.
    fn counter(&mut self, name: &str, help: &str) {
        let end = if self.is_open { "" } else { "_total" };
        self.family(&format!("{name}{end}"), "counter", help);
    }

    fn count(&mut self, name: &str, labels: &[(&str, &str)], count: u64) {
        self.sample(&format!("{name}_total"), labels, count as f64);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.out, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            for character in text.chars() {
                match character {
                    '\\' => self.out.push_str(r"\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str(r"\n"),
                    // Not obeyed by the terminal that shows it. The backslash is escaped, as the format wants it.
                    character if is_unsafe(character) => {
                        let _ = write!(self.out, r"\\u{{{:x}}}", u32::from(character));
                    }
                    character => self.out.push(character),
                }
            }
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    fn finish(mut self) -> String {
        if self.is_open {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}
