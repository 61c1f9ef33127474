//! A spawned task of the runtime, from its start to its end, as it is and with what shows it.

use std::future::Future;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use await_tree::InstrumentAwait;
use pm_bench::work;
use tokio::runtime::{Builder, Runtime};
use tracing::Instrument;

use crate::harness::{Effort, compare, median};
use crate::ours;
use crate::polls::trace;
use crate::report::{Goal, Report};

/// So many live at once.
const BATCH: u64 = 64;
/// Names the program that measures console-subscriber, which needs a tokio of its own.
const CONSOLE: &str = "PM_BENCH_CONSOLE";

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("spawns");
    trace();
    if let Some(medians) = on(effort, report, Builder::new_current_thread().build()) {
        rows(report, "", &medians);
        console(effort, report, medians[1] - medians[0]);
    }
    if let Some(medians) = on(effort, report, Builder::new_multi_thread().worker_threads(2).build()) {
        rows(report, ", 2 workers", &medians);
    }
    let note = "spawns: tokio::spawn, four polls (three yields) and the end, 64 tasks at a time, spawned by a task of \
                the same runtime";
    report.note(note);
}

/// Three yields: four polls.
async fn yields() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// Nanoseconds per task: plain, ours, tracing, await-tree.
fn on(effort: Effort, report: &mut Report, runtime: std::io::Result<Runtime>) -> Option<Vec<f64>> {
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            report.note(format!("spawns: no runtime: {error}"));
            return None;
        }
    };
    let (list, keys) = (work::list(), Arc::new(AtomicU64::new(0)));
    let trees = await_tree::Registry::new(await_tree::Config::default());
    let medians = compare(
        effort,
        &mut [
            &mut spawns(&runtime, yields),
            &mut spawns(&runtime, move || ours::tracked(&list, yields())),
            &mut spawns(&runtime, || yields().instrument(tracing::info_span!("background"))),
            &mut spawns(&runtime, move || {
                let key = keys.fetch_add(1, Ordering::Relaxed);
                trees.register(key, "background").instrument(yields().instrument_await("yields"))
            }),
        ],
    );
    Some(medians.into_iter().map(|median| median / BATCH as f64).collect())
}

/// Does whole batches, of which one is an operation: the way into the runtime is long, and no part of a task's cost.
fn spawns<F: Future<Output: Send> + Send + 'static>(
    runtime: &Runtime,
    make: impl Fn() -> F + Clone + Send + 'static,
) -> impl FnMut(u64) {
    move |batches| {
        let make = make.clone();
        let all = async move {
            let mut tasks = Vec::with_capacity(BATCH as usize);
            for _ in 0..batches {
                tasks.extend((0..BATCH).map(|_| tokio::spawn(make())));
                for task in tasks.drain(..) {
                    let _ = task.await;
                }
            }
        };
        let _ = runtime.block_on(runtime.spawn(all));
    }
}

fn rows(report: &mut Report, workers: &str, medians: &[f64]) {
    for (&median, (name, goal)) in medians[1..].iter().zip([
        ("tracked", Goal::MostTimes(1.5)),
        ("tracing span, registry", Goal::None),
        ("await-tree, a root and a span", Goal::None),
    ]) {
        report.beside(format!("{name}{workers}"), median, "ns", ("plain", medians[0]), goal);
    }
}

fn console(effort: Effort, report: &mut Report, ours: f64) {
    let Some(program) = std::env::var_os(CONSOLE) else {
        report.note("spawns: console-subscriber is not measured: PM_BENCH_CONSOLE does not name pm-bench-console");
        return;
    };
    // Each run measures plain tasks first and then those that are watched, for a program can't go back.
    let mut added = Vec::new();
    for _ in 0..effort.pick(3, 9) {
        let output = Command::new(&program).output();
        let text = output.ok().filter(|output| output.status.success()).and_then(|o| String::from_utf8(o.stdout).ok());
        let Some((plain, console)) = text.as_deref().and_then(two_numbers) else {
            report.note("spawns: console-subscriber is not measured: pm-bench-console did not end well");
            return;
        };
        added.push(console - plain);
    }
    let added = median(&mut added);
    report.beside("console-subscriber, added cost", added, "ns", ("ours, added", ours), Goal::LeastTimes(30.0));
    let note = "spawns: console-subscriber as `init` sets it up, no console connected, in a program with a tokio of \
                its own; the median of runs that each watch some thousand tasks on one thread";
    report.note(note);
}

fn two_numbers(text: &str) -> Option<(f64, f64)> {
    let (first, second) = text.trim().split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}
