//! The cost of the layer that turns spans into tasks: a span that it ignores, and one that becomes a task.
//!
//! The yardstick of the former is a registry with a layer that does nothing. A registry without any layer is measured
//! as well: it never frees a span, so each one needs new memory.

use std::hint::black_box;

use pm::{ProcessList, tracing_layer};
use pm_bench::work;
use tracing::{Dispatch, dispatcher, info, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::Registry;

use crate::harness::{Effort, compare};
use crate::report::{Goal, Report};

/// A layer that does nothing.
struct Idle;

impl Layer<Registry> for Idle {}

/// Tasks that live while other spans are made.
const LIVE: usize = 100;

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("tracing");
    let list = work::list();
    let bare = Dispatch::new(tracing_subscriber::registry());
    let idle = Dispatch::new(tracing_subscriber::registry().with(Idle));
    let ours = || Dispatch::new(tracing_subscriber::registry().with(tracing_layer().list(&list)));
    let (alone, among) = (ours(), ours());
    let others: Vec<_> =
        dispatcher::with_default(&among, || (0..LIVE).map(|id| info_span!("request", pm.id = id)).collect());
    let medians = compare(
        effort,
        &mut [
            &mut spans(&bare),
            &mut spans(&idle),
            &mut spans(&alone),
            &mut spans(&among),
            &mut events(&idle),
            &mut events(&alone),
            &mut tasks(&alone),
            &mut plain(&list),
            &mut below(&idle),
            &mut below(&alone),
        ],
    );
    drop(others);
    let idle = ("a layer that does nothing", medians[1]);
    report.beside(
        "registry alone, any span",
        medians[0],
        "ns",
        ("with a layer that does nothing", medians[1]),
        Goal::None,
    );
    report.beside("span that is not a task", medians[2], "ns", ("registry alone", medians[0]), Goal::Over(5.0));
    report.beside("the same", medians[2], "ns", idle, Goal::Over(5.0));
    report.beside("the same, 100 tasks live", medians[3], "ns", idle, Goal::Over(5.0));
    report.beside("event within no task", medians[5], "ns", ("a layer that does nothing", medians[4]), Goal::Over(5.0));
    report.beside("span that is a task", medians[6], "ns", ("plain task", medians[7]), Goal::None);
    report.beside("the same, beside a span that is none", medians[6], "ns", idle, Goal::None);
    report.beside("span below a task", medians[9], "ns", ("a layer that does nothing", medians[8]), Goal::None);
    let note = "tracing: a span is made, entered, left and closed, with one number as its field; a task has an id, a \
                kind and the number. Each row has a subscriber of its own, which is the thread's default. A span below \
                a task has two statuses, of which 100 are reported in a second; the rest is counted";
    report.note(note);
}

fn spans(subscriber: &Dispatch) -> impl FnMut(u64) {
    move |count| {
        dispatcher::with_default(subscriber, || {
            for at in 0..count {
                let span = info_span!("request", rows = at).entered();
                drop(black_box(span));
            }
        });
    }
}

fn events(subscriber: &Dispatch) -> impl FnMut(u64) {
    move |count| dispatcher::with_default(subscriber, || (0..count).for_each(|at| info!(rows = at, "reading")))
}

fn tasks(subscriber: &Dispatch) -> impl FnMut(u64) {
    move |count| {
        dispatcher::with_default(subscriber, || {
            for at in 0..count {
                let span = info_span!("request", pm.id = "req-1", rows = at).entered();
                drop(black_box(span));
            }
        });
    }
}

/// Starts and ends such a task by hand.
fn plain(list: &ProcessList) -> impl FnMut(u64) {
    move |count| {
        for at in 0..count {
            let task = list.task("req-1").kind("request").attr("rows", at).start();
            let entered = task.enter();
            drop(black_box(entered));
        }
    }
}

/// Spans below another one, which is a task where there is a layer for it.
fn below(subscriber: &Dispatch) -> impl FnMut(u64) {
    move |count| {
        dispatcher::with_default(subscriber, || {
            let _task = info_span!("request", pm.id = "req-1").entered();
            for at in 0..count {
                let span = info_span!("db.query", rows = at).entered();
                drop(black_box(span));
            }
        });
    }
}
