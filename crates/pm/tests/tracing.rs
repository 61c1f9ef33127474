//! Spans of the crate tracing as tasks: their selection, their fields, spans and events below them, and their outcome.
#![recursion_limit = "512"] // a span with 100 fields

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use pm::tracing::{SpansLayer, WithTask};
use pm::{Options, Outcome, ProcessList, ValueView, tracing_layer};
use tracing::dispatcher::{self, Dispatch};
use tracing::{Instrument, Level, Span, debug, error, info, info_span, trace_span};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::prelude::*;

/// Runs `f` with a layer over the registry as the thread's default.
fn traced<R>(layer: SpansLayer, f: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), f)
}

fn list_and_layer() -> (ProcessList, SpansLayer) {
    let list = ProcessList::new();
    let layer = tracing_layer().list(&list);
    (list, layer)
}

/// Returns the ids of the live tasks, oldest first.
fn live(list: &ProcessList) -> Vec<String> {
    list.snapshot().iter().map(|task| task.id().to_string()).collect()
}

/// Returns the kinds of the live tasks, oldest first.
fn kinds(list: &ProcessList) -> Vec<String> {
    list.snapshot().iter().map(|task| task.kind().unwrap().to_string()).collect()
}

fn status(list: &ProcessList, id: &str) -> String {
    list.view(list.find(id)[0], |task| task.status().to_string()).unwrap()
}

/// Returns all statuses of the task, live or just ended.
fn statuses(list: &ProcessList, id: &str) -> Vec<String> {
    let serial = list.find(id).first().copied();
    let serial = serial.unwrap_or_else(|| list.find_ended(id).get(0).unwrap().serial());
    list.history(serial).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

fn outcome(list: &ProcessList, id: &str) -> Outcome {
    let ended = list.find_ended(id);
    assert_eq!(ended.len(), 1, "{id} ended {} times", ended.len());
    ended.get(0).unwrap().outcome().unwrap()
}

fn attributes(list: &ProcessList, id: &str) -> Vec<(String, String)> {
    let serial = list.find(id).first().copied();
    let serial = serial.unwrap_or_else(|| list.find_ended(id).get(0).unwrap().serial());
    let look = |task: &pm::TaskView<'_>| {
        let all = task.attrs_sorted().into_iter();
        all.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect()
    };
    list.view(serial, look).unwrap()
}

/// Returns the id of the current task, and that of its parent.
fn current_and_parent(list: &ProcessList) -> (Option<String>, Option<String>) {
    let found = pm::current().view(|task| (task.id().to_string(), task.parent()));
    let parent = found.as_ref().and_then(|found| found.1);
    (found.map(|found| found.0), parent.and_then(|parent| list.view(parent, |task| task.id().to_string())))
}

fn current() -> Option<String> {
    pm::current().view(|task| task.id().to_string())
}

// Selection.

#[test]
fn by_default_only_spans_with_a_field_of_ours_are_tasks() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let _ignored = tracing::error_span!("request", id = 1, kind = "x").entered();
        info!("ignored, too");
        assert_eq!(list.counters().started, 0);
        assert_eq!(current(), None);
        let _by_id = info_span!("request", pm.id = "req-1").entered();
        let _by_kind = trace_span!("request", pm.kind = "GET /hosts/{id}").entered();
        let _without_value = info_span!("import", pm.id = tracing::field::Empty).entered();
        assert_eq!(kinds(&list), ["request", "GET /hosts/{id}", "import"]);
        assert_eq!(list.snapshot().get(0).unwrap().id(), "req-1");
    });
}

#[test]
fn a_policy_of_the_layer_applies_to_its_spans() {
    let (list, layer) = list_and_layer();
    traced(layer.on_cancel(pm::CancelPolicy::Refuse), || {
        let _span = info_span!("request", pm.id = "req-1").entered();
        assert!(list.cancel("req-1", "too slow").is_err());
    });
}

#[test]
fn spans_are_selected_by_target_name_level_field_or_a_function() {
    let (list, layer) = list_and_layer();
    let layer = layer.target("shop::jobs").name("request").level(Level::WARN).field("user");
    let layer = layer.when(|span| span.name().ends_with("-job"));
    traced(layer, || {
        for ignored in
            [info_span!("a"), info_span!(target: "shop", "b"), info_span!("my-jobs"), info_span!("c", users = 1)]
        {
            drop(ignored);
        }
        assert_eq!(list.counters().started, 0);
        let _tasks = [
            info_span!(target: "shop::jobs::nightly", "by target"),
            trace_span!("request"),
            tracing::warn_span!("by level"),
            tracing::error_span!("by level, too"),
            info_span!("by field", user = 7),
            info_span!("other-job"),
        ];
        assert_eq!(kinds(&list), ["by target", "request", "by level", "by level, too", "by field", "other-job"]);
    });
}

#[test]
fn a_panic_of_the_selecting_function_means_no_and_is_counted() {
    let (list, layer) = list_and_layer();
    let layer = layer.when(|span| if span.name() == "odd" { panic!("on purpose") } else { true });
    let counters = layer.counters();
    traced(layer, || {
        let _spans = [info_span!("odd"), info_span!("even")];
        assert_eq!(kinds(&list), ["even"]);
    });
    assert_eq!((counters.panics(), counters.tasks()), (1, 1));
}

#[test]
fn an_id_is_our_field_a_named_field_or_generated() {
    let (list, layer) = list_and_layer();
    traced(layer.name("request").id_from("request_id"), || {
        let _spans = [
            info_span!("request", pm.id = 7),
            info_span!("request", request_id = %"shown", pm.kind = ?"debugged"),
            info_span!("request", request_id = "not this", pm.id = "this"),
            info_span!("request", pm.id = "this", request_id = "not this, whatever the order"),
            info_span!("request", pm.id = ""),
        ];
        let live = live(&list);
        assert_eq!(live[..4], ["7", "shown", "this", "this"]);
        assert!(live[4].starts_with("request-"), "{live:?}");
        assert_eq!(kinds(&list)[..2], ["request", "\"debugged\""]);
        assert_eq!(attributes(&list, "shown"), []);
    });
}

#[test]
fn a_disabled_or_full_list_loses_only_its_tasks() {
    let (list, layer) = list_and_layer();
    list.set_enabled(false);
    traced(layer, || {
        let _span = info_span!("request", pm.id = "req-1").entered();
        info!("nothing");
    });
    assert_eq!(list.counters().started, 0);
    let full = ProcessList::with_options(Options::new().max_bytes(0));
    let spans = 20_000;
    traced(tracing_layer().list(&full), || {
        let spans: Vec<_> = (0..spans).map(|at| info_span!("request", pm.id = at)).collect();
        assert!(full.not_shown() > 0);
        let _span = spans.last().unwrap().enter();
        let _below = info_span!("below").entered();
        info!("a status of no task");
        assert_eq!(current(), None);
    });
    assert_eq!(full.counters().live, 0);
    assert_eq!(current(), None);
}

// Fields.

#[test]
fn fields_are_attributes_with_their_types_even_if_recorded_later() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let span = info_span!(
            "request",
            message = "a message",
            pm.id = "req-1",
            text = "t",
            signed = -7,
            unsigned = 7_u64,
            float = 0.5,
            yes = true,
            shown = %"s",
            debugged = ?Some(1),
            huge = u128::MAX,
            authToken = "secret",
            r#type = "raw",
            later = tracing::field::Empty,
            pm.kind = tracing::field::Empty,
        );
        span.record("later", 8_u64);
        span.record("signed", "now a text");
        span.record("pm.kind", "too late to be one");
        let view = |task: &pm::TaskView<'_>| {
            assert_eq!(task.kind().unwrap(), "request");
            assert!(task.attrs().any(|(name, value)| name == "unsigned" && value == ValueView::U64(7)));
        };
        list.view(list.find("req-1")[0], view).unwrap();
        let expected = [
            ("authToken", "Text(\"***\")".to_owned()),
            ("debugged", "Text(\"Some(1)\")".into()),
            ("float", "F64(0.5)".into()),
            ("huge", format!("Text(\"{}\")", u128::MAX)),
            ("later", "U64(8)".into()),
            ("pm.kind", "Text(\"too late to be one\")".into()),
            ("shown", "Text(\"s\")".into()),
            ("signed", "Text(\"now a text\")".into()),
            ("text", "Text(\"t\")".into()),
            ("type", "Text(\"raw\")".into()),
            ("unsigned", "U64(7)".into()),
            ("yes", "Bool(true)".into()),
        ];
        assert_eq!(attributes(&list, "req-1"), expected.map(|(name, value)| (name.to_owned(), value)));
    });
}

#[test]
fn a_span_with_100_fields_is_recorded_up_to_the_limits_of_the_list() {
    let wide = || {
        #[rustfmt::skip]
        let span = info_span!(
            "wide", pm.id = "wide", f00 = 0, f01 = 1, f02 = 2, f03 = 3, f04 = 4, f05 = 5, f06 = 6, f07 = 7, f08 = 8,
            f09 = 9, f10 = 10, f11 = 11, f12 = 12, f13 = 13, f14 = 14, f15 = 15, f16 = 16, f17 = 17, f18 = 18,
            f19 = 19, f20 = 20, f21 = 21, f22 = 22, f23 = 23, f24 = 24, f25 = 25, f26 = 26, f27 = 27, f28 = 28,
            f29 = 29, f30 = 30, f31 = 31, f32 = 32, f33 = 33, f34 = 34, f35 = 35, f36 = 36, f37 = 37, f38 = 38,
            f39 = 39, f40 = 40, f41 = 41, f42 = 42, f43 = 43, f44 = 44, f45 = 45, f46 = 46, f47 = 47, f48 = 48,
            f49 = 49, f50 = 50, f51 = 51, f52 = 52, f53 = 53, f54 = 54, f55 = 55, f56 = 56, f57 = 57, f58 = 58,
            f59 = 59, f60 = 60, f61 = 61, f62 = 62, f63 = 63, f64 = 64, f65 = 65, f66 = 66, f67 = 67, f68 = 68,
            f69 = 69, f70 = 70, f71 = 71, f72 = 72, f73 = 73, f74 = 74, f75 = 75, f76 = 76, f77 = 77, f78 = 78,
            f79 = 79, f80 = 80, f81 = 81, f82 = 82, f83 = 83, f84 = 84, f85 = 85, f86 = 86, f87 = 87, f88 = 88,
            f89 = 89, f90 = 90, f91 = 91, f92 = 92, f93 = 93, f94 = 94, f95 = 95, f96 = 96, f97 = 97, f98 = 98,
            f99 = 99
        );
        span
    };
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let _span = wide();
        let attributes = attributes(&list, "wide");
        assert_eq!(attributes.len(), 100);
        assert_eq!(attributes[99], ("f99".to_owned(), "I64(99)".to_owned()));
    });
    let small = ProcessList::with_options(Options::new().max_attrs(10));
    traced(tracing_layer().list(&small), || {
        let _span = wide();
        assert_eq!(attributes(&small, "wide").len(), 10);
        assert_eq!(small.counters().attrs_dropped, 90);
    });
}

/// A value that panics when it is formatted.
struct Bad;

impl fmt::Debug for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose")
    }
}

#[test]
fn a_field_whose_debug_panics_is_counted_and_nothing_else_is_affected() {
    let (list, layer) = list_and_layer();
    let counters = layer.counters();
    traced(layer, || {
        let span = info_span!("request", pm.id = "req-1", bad = ?Bad, good = 1).entered();
        span.record("good", tracing::field::debug(Bad));
        info!("{:?}", Bad);
        info!(error = ?Bad);
        let _named_badly = info_span!("request", pm.id = ?Bad);
        let _ignored = info_span!("ignored", bad = ?Bad).entered();
        info!("still here");
        assert_eq!(status(&list, "req-1"), "still here");
        let panicked = "Text(\"(its Debug panicked)\")".to_owned();
        assert_eq!(attributes(&list, "req-1"), [("bad".to_owned(), panicked.clone()), ("good".to_owned(), panicked)]);
        assert_eq!(list.counters().live, 2);
    });
    assert_eq!(counters.panics(), 5);
    assert_eq!(outcome(&list, "req-1"), Outcome::Finished);
}

// Statuses.

#[test]
fn spans_and_events_below_a_task_are_its_statuses() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let _request = info_span!("request", pm.id = "req-1").entered();
        info!(rows = 7, "authorized");
        debug!("of no interest");
        {
            let _handler = info_span!("handler").entered();
            {
                let _query = info_span!("db.query").entered();
                info!("row {}", 1);
            }
            let never_entered = info_span!("never");
            drop(never_entered);
        }
        let expected = ["init", "authorized", "handler", "db.query", "row 1", "handler", "request"];
        assert_eq!(statuses(&list, "req-1"), expected);
    });
}

#[test]
fn a_status_returns_to_the_newest_open_span_when_the_newest_closes() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let request = info_span!("request", pm.id = "req-1");
        let _entered = request.enter();
        let (first, second) = (info_span!("first"), info_span!("second"));
        first.in_scope(|| ());
        second.in_scope(|| ());
        first.in_scope(|| ()); // again: no new status
        assert_eq!(status(&list, "req-1"), "second");
        drop(first); // the newest is still open
        assert_eq!(status(&list, "req-1"), "second");
        drop(second);
        assert_eq!(status(&list, "req-1"), "request");
        assert_eq!(statuses(&list, "req-1"), ["init", "first", "second", "request"]);
    });
}

#[test]
fn the_sources_of_statuses_can_be_selected() {
    let (list, layer) = list_and_layer();
    traced(layer.spans(false).events(LevelFilter::OFF), || {
        let _request = info_span!("request", pm.id = "quiet").entered();
        let _below = info_span!("below").entered();
        info!("nothing");
        assert_eq!(statuses(&list, "quiet"), ["init"]);
    });
    traced(tracing_layer().list(&list).events(LevelFilter::DEBUG), || {
        let request = info_span!("request", pm.id = "chatty");
        debug!(parent: &request, "from afar");
        request.in_scope(|| debug!(parent: None, "of no task"));
        assert_eq!(statuses(&list, "chatty"), ["init", "from afar"]);
    });
}

#[test]
fn a_chatty_task_is_bounded_and_reports_drops() {
    let (list, layer) = list_and_layer();
    let layer = layer.max_statuses_per_second(5);
    let counters = layer.counters();
    const ALL: u64 = 1000;
    traced(layer, || {
        let _request = info_span!("request", pm.id = "chatty").entered();
        for at in 0..ALL {
            info!("row {at}");
        }
    });
    let statuses = statuses(&list, "chatty");
    let shown = statuses.iter().filter(|status| status.starts_with("row ")).count() as u64;
    let left_out = counters.statuses_left_out();
    assert_eq!(shown + left_out, ALL);
    assert!(shown >= 5 && left_out > 0, "{shown} were shown");
    assert!(statuses.iter().any(|status| status == "(statuses left out: too many in a second)"));
    assert_eq!(attributes(&list, "chatty"), [("pm.statuses_left_out".to_owned(), format!("U64({left_out})"))]);
}

// The current task, and parents.

#[test]
fn a_task_is_current_while_its_span_is_entered() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let outer = info_span!("outer", pm.id = "outer").entered();
        let plain = list.start("plain");
        let plain_parent = plain.handle().view(|task| task.parent()).unwrap();
        assert_eq!(plain_parent, list.find("outer").first().copied());
        {
            let _between = info_span!("between").entered();
            let _inner = info_span!("inner", pm.id = "inner").entered();
            assert_eq!(current_and_parent(&list), (Some("inner".into()), Some("outer".into())));
        }
        assert_eq!(current().as_deref(), Some("outer"));
        let outer = outer.exit();
        assert_eq!(current(), None);
        // A child by its explicit parent, though nothing is entered; and a root, though something is.
        let below = info_span!(parent: &outer, "below");
        info_span!(parent: &below, "far", pm.id = "far").in_scope(|| {
            assert_eq!(current_and_parent(&list), (Some("far".into()), Some("outer".into())));
        });
        outer.in_scope(|| {
            info_span!(parent: None, "root", pm.id = "root").in_scope(|| {
                assert_eq!(current_and_parent(&list), (Some("root".into()), None));
            });
        });
        // A cancellation descends.
        let inner = outer.in_scope(|| info_span!("inner", pm.id = "inner again"));
        list.cancel("outer", "too slow").unwrap();
        inner.in_scope(|| assert_eq!(pm::current().checkpoint().unwrap_err().reason(), "too slow"));
    });
}

#[test]
fn tasks_that_are_not_spans_set_their_own_statuses() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let _outer = info_span!("outer", pm.id = "outer").entered();
        let plain = list.start("plain");
        let entered = plain.enter();
        {
            let _below = info_span!("below").entered();
            info!("not shown");
            assert_eq!(current().as_deref(), Some("plain"));
            let _inner = info_span!("inner", pm.id = "inner").entered();
            assert_eq!(current_and_parent(&list), (Some("inner".into()), Some("plain".into())));
        }
        assert_eq!(statuses(&list, "plain"), ["init"]);
        drop(entered);
        assert_eq!(current().as_deref(), Some("outer"));
        info!("shown");
        assert_eq!(statuses(&list, "outer"), ["init", "shown"]);
    });
}

#[test]
fn a_span_can_be_entered_on_other_threads_and_by_several_at_once() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let dispatch = dispatcher::get_default(Dispatch::clone);
        let span = info_span!("request", pm.id = "req-1");
        let (below, here) = (span.in_scope(|| info_span!("below")), span.enter());
        thread::scope(|scope| {
            for at in 0..4 {
                let (span, below, dispatch, list) = (span.clone(), below.clone(), dispatch.clone(), &list);
                scope.spawn(move || {
                    dispatcher::with_default(&dispatch, || {
                        assert_eq!(current(), None);
                        for _ in 0..100 {
                            span.in_scope(|| {
                                assert_eq!(current().as_deref(), Some("req-1"));
                                info!("on {at}");
                                drop(info_span!("child", pm.kind = "child").entered());
                            });
                            // Also through a span below the task.
                            below.in_scope(|| assert_eq!(current().as_deref(), Some("req-1")));
                            assert_eq!(current(), None);
                        }
                        let child = span.in_scope(|| list.start("by hand"));
                        assert!(child.handle().view(|task| task.parent()).unwrap().is_some());
                    });
                });
            }
        });
        drop((here, below));
        drop(span);
        assert_eq!(current(), None);
    });
    assert_eq!(outcome(&list, "req-1"), Outcome::Finished);
    assert_eq!(list.counters().finished, 1 + 400 + 4);
}

#[test]
fn a_span_that_is_entered_twice_is_current_until_it_is_left_twice() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let (outer, inner) = (info_span!("outer", pm.id = "outer"), info_span!("inner", pm.id = "inner"));
        let (a, b, c) = (outer.enter(), inner.enter(), outer.enter());
        assert_eq!(current().as_deref(), Some("outer"));
        drop(c);
        assert_eq!(current().as_deref(), Some("inner"));
        drop(b);
        assert_eq!(current().as_deref(), Some("outer"));
        drop(a);
        assert_eq!(current(), None);
        assert_eq!(list.counters().live, 2);
    });
}

#[test]
fn spans_left_and_closed_out_of_order_leave_nothing_behind() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let before = list.start("before");
        let _before = before.enter();
        let spans = ["a", "b", "c"].map(|id| info_span!("step", pm.id = id));
        let [a, b, c] = spans.each_ref().map(Span::enter);
        drop(b);
        assert_eq!(current().as_deref(), Some("c"));
        drop(a);
        assert_eq!(current().as_deref(), Some("c"));
        drop(c);
        assert_eq!(current().as_deref(), Some("before"));
        // A span whose child is open has not closed.
        let parent = info_span!("parent", pm.id = "parent");
        let child = parent.in_scope(|| info_span!("child", pm.id = "child"));
        let grandchild = child.in_scope(|| info_span!("grandchild"));
        drop(parent);
        drop(child);
        assert_eq!(list.find("parent").len() + list.find("child").len(), 2);
        drop(grandchild);
        assert_eq!(list.find("parent").len() + list.find("child").len(), 0);
    });
    assert_eq!(current(), None);
    assert_eq!(list.counters().live, 0);
}

#[test]
fn a_cloned_span_ends_when_the_last_clone_is_dropped() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let span = info_span!("request", pm.id = "req-1");
        let (sender, receiver) = mpsc::channel::<()>();
        let elsewhere = thread::spawn({
            let span = span.clone();
            move || {
                let _ = receiver.recv();
                drop(span);
            }
        });
        drop(span);
        assert_eq!(list.find("req-1").len(), 1);
        drop(sender);
        elsewhere.join().unwrap();
        assert_eq!(outcome(&list, "req-1"), Outcome::Finished);
    });
}

#[test]
fn a_forgotten_guard_does_not_outlive_its_span() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let span = info_span!("request", pm.id = "req-1");
        thread::scope(|scope| {
            let span = &span;
            scope.spawn(move || std::mem::forget(span.enter())); // the thread ends within
        });
        assert_eq!(list.find("req-1").len(), 1);
        std::mem::forget(span.enter());
        drop(span);
        assert_eq!(outcome(&list, "req-1"), Outcome::Finished);
        info!("of no task");
        assert_eq!(current(), None);
        let _next = info_span!("next", pm.id = "next").entered();
        assert_eq!(current_and_parent(&list), (Some("next".into()), None));
    });
}

#[test]
fn instrumented_futures_are_current_at_each_poll() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let work = |id: &'static str| {
            let span = info_span!("work", pm.id = id);
            async move {
                for _ in 0..3 {
                    assert_eq!(current().as_deref(), Some(id));
                    tokio::task::yield_now().instrument(info_span!("yield")).await;
                }
            }
            .instrument(span)
        };
        let (mut a, mut b) = (pin!(work("a")), pin!(work("b")));
        let mut context = Context::from_waker(Waker::noop());
        let mut polls = 0;
        while a.as_mut().poll(&mut context).is_pending() & b.as_mut().poll(&mut context).is_pending() {
            assert_eq!(current(), None);
            assert_eq!(status(&list, "a"), "yield");
            polls += 1;
        }
        assert_eq!(polls, 3);
    });
    assert_eq!(statuses(&list, "b")[..3], ["init", "yield", "work"]);
    assert_eq!(outcome(&list, "a"), Outcome::Finished);
}

// How a task ends.

#[test]
fn a_task_fails_when_its_span_or_an_event_reports_an_error() {
    let (list, layer) = list_and_layer();
    let task = |id: &str, f: &dyn Fn(&Span)| {
        let span = info_span!(
            "request",
            pm.id = id,
            error = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
            otel.status_message = tracing::field::Empty
        );
        span.in_scope(|| f(&span));
    };
    #[tracing::instrument(err)]
    fn reads() -> Result<(), &'static str> {
        Err("no such file")
    }
    let all = |list: &ProcessList| {
        task("fine", &|_| info!("fine"));
        task("no error", &|span| _ = span.record("error", false).record("otel.status_code", "OK"));
        task("text", &|span| _ = span.record("error", "no such host"));
        task("shown", &|span| _ = span.record("error", tracing::field::display("shown error")));
        task("none", &|span| _ = span.record("error", tracing::field::debug(None::<&str>)));
        task("flag", &|span| _ = span.record("error", true));
        task("code", &|span| _ = span.record("otel.status_message", "deadline").record("otel.status_code", "ERROR"));
        task("event", &|_| {
            error!("first");
            error!("second");
        });
        task("below", &|_| _ = info_span!("below").in_scope(reads));
        task("corrected", &|span| {
            error!("tried again");
            span.record("otel.status_code", "ok");
        });
        list.ended().iter().map(|task| (task.id().to_string(), task.outcome().unwrap())).collect::<Vec<_>>()
    };
    let ended = traced(layer, || all(&list));
    for (id, how) in &ended {
        let fine = matches!(id.as_str(), "fine" | "no error" | "none" | "corrected");
        assert_eq!(*how, if fine { Outcome::Finished } else { Outcome::Failed }, "{id}");
    }
    assert_eq!(ended.len(), 10);
    for (id, reason) in [
        ("text", "failed: no such host"),
        ("shown", "failed: shown error"),
        ("flag", "failed"),
        ("code", "failed: deadline"),
        ("event", "failed: first"),
        ("below", "failed: no such file"),
    ] {
        assert_eq!(statuses(&list, id).last().unwrap(), reason);
    }
    let lenient = ProcessList::new();
    let layer = tracing_layer().list(&lenient).fail_on_error_events(false).fail_on_error_fields(false);
    traced(layer, || all(&lenient));
    assert_eq!(lenient.counters().failed, 0);
}

#[test]
fn a_span_that_closes_in_a_panic_is_aborted() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _span = info_span!("request", pm.id = "req-1").entered();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(current(), None);
    });
    assert_eq!(outcome(&list, "req-1"), Outcome::Aborted);
}

#[test]
fn a_task_ends_as_cancelled_only_if_its_code_observed_the_cancellation() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let unresponsive = info_span!("request", pm.id = "unresponsive").entered();
        list.cancel("unresponsive", "too slow").unwrap();
        info!("statuses of the layer do not count");
        drop(info_span!("below").entered());
        drop(unresponsive);
        let listens = info_span!("request", pm.id = "listens").entered();
        list.cancel("listens", "too slow").unwrap();
        let cancelled = pm::current().checkpoint().unwrap_err();
        error!("gave up: {cancelled}");
        drop(listens);
    });
    assert_eq!(outcome(&list, "unresponsive"), Outcome::Finished);
    assert_eq!(outcome(&list, "listens"), Outcome::Cancelled);
}

#[test]
fn an_instrumented_future_observes_a_cancellation_where_it_listens_and_ends_when_dropped() {
    let (list, layer) = list_and_layer();
    traced(layer, || {
        let mut context = Context::from_waker(Waker::noop());
        let listens = async { pm::current().cancelled().await.reason().to_owned() };
        let mut listens = pin!(listens.instrument(info_span!("request", pm.id = "listens")));
        assert!(listens.as_mut().poll(&mut context).is_pending());
        list.cancel("listens", "too slow").unwrap();
        assert_eq!(listens.as_mut().poll(&mut context), Poll::Ready("too slow".to_owned()));
        let mut dropped = Box::pin(pending::<()>().instrument(info_span!("request", pm.id = "dropped")));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        list.cancel("dropped", "too slow").unwrap();
        assert!(dropped.as_mut().poll(&mut context).is_pending(), "a kill drops no future of others");
        drop(dropped);
        assert_eq!(outcome(&list, "dropped"), Outcome::Finished);
    });
    // Its span is dropped with it, at the end of its scope.
    assert_eq!(outcome(&list, "listens"), Outcome::Cancelled);
}

#[test]
fn spans_that_end_with_their_subscriber_end_as_dropped() {
    let (list, layer) = list_and_layer();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    dispatcher::with_default(&dispatch, || {
        let span = info_span!("request", pm.id = "req-1");
        dispatch.clone_span(&span.id().unwrap()); // one reference that is never released
    });
    assert_eq!(list.find("req-1").len(), 1);
    drop(dispatch);
    assert_eq!(outcome(&list, "req-1"), Outcome::Dropped);
}

// Beside other layers.

#[test]
fn disabled_spans_are_not_tasks() {
    let (list, layer) = list_and_layer();
    let subscriber = tracing_subscriber::registry().with(LevelFilter::WARN).with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let off = info_span!("request", pm.id = "off");
        assert!(off.is_disabled());
        let _off = off.enter();
        let _on = tracing::warn_span!("request", pm.id = "on").entered();
        off.record("pm.id", "again");
        info!("not shown");
        assert_eq!(statuses(&list, "on"), ["init"]);
    });
    assert_eq!(list.counters().started, 1);
}

#[test]
fn a_filter_of_this_layer_hides_spans_from_no_other_layer() {
    let (list, layer) = list_and_layer();
    let written = Written::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(written.clone()).without_time().with_ansi(false);
    let filtered = layer.with_filter(filter_fn(|metadata| metadata.target() != "hidden"));
    let subscriber = tracing_subscriber::registry().with(lines).with(filtered);
    tracing::subscriber::with_default(subscriber, || {
        let _task = info_span!("request", pm.id = "req-1").entered();
        let hidden = info_span!(target: "hidden", "hidden", pm.id = "hidden").entered();
        info!(target: "hidden", "hidden, too");
        info!("shown");
        let _inner = info_span!("inner", pm.id = "inner").entered();
        assert_eq!(current_and_parent(&list), (Some("inner".into()), Some("req-1".into())));
        info_span!(parent: &hidden, "below", pm.id = "below").in_scope(|| {
            assert_eq!(current_and_parent(&list), (Some("below".into()), Some("req-1".into())));
        });
    });
    assert_eq!(statuses(&list, "req-1"), ["init", "shown", "ended"]);
    assert_eq!(list.counters().started, 3);
    assert!(written.text().contains("hidden, too"));
}

#[test]
fn two_layers_have_separate_tasks_in_separate_lists() {
    let (inner, outer) = (ProcessList::new(), ProcessList::new());
    let layers = Registry::default()
        .with(tracing_layer().list(&inner).name("request"))
        .with(tracing_layer().list(&outer).name("request").name("query"));
    tracing::subscriber::with_default(layers, || {
        let _request = info_span!("request", pm.id = "req-1", error = "bad").entered();
        {
            let _query = info_span!("query", pm.kind = "query").entered();
            info!("reading");
            assert_eq!(kinds(&inner), ["request", "query"]);
            assert_eq!(kinds(&outer), ["request", "query"]);
            for list in [&inner, &outer] {
                let tasks = list.snapshot();
                assert_eq!(tasks.get(1).unwrap().parent(), Some(tasks.get(0).unwrap().serial()));
                assert_eq!(tasks.get(1).unwrap().status().to_string(), "reading");
            }
        }
        assert_eq!(list_of_current(&inner, &outer), "outer");
    });
    assert_eq!(current(), None);
    assert_eq!((inner.counters().live, outer.counters().live), (0, 0));
    assert_eq!((outcome(&inner, "req-1"), outcome(&outer, "req-1")), (Outcome::Failed, Outcome::Failed));
}

fn list_of_current(inner: &ProcessList, outer: &ProcessList) -> &'static str {
    let serial = pm::current().serial();
    match (inner.view(serial, |_| ()), outer.view(serial, |_| ())) {
        (Some(()), None) => "inner",
        (None, Some(())) => "outer",
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_subscribers_on_one_thread_are_independent() {
    let ((first, first_layer), (second, second_layer)) = (list_and_layer(), list_and_layer());
    traced(first_layer, || {
        let _outer = info_span!("outer", pm.id = "outer").entered();
        traced(second_layer, || {
            info!("for the second, which has no task");
            let _inner = info_span!("inner", pm.id = "inner").entered();
            info!("for the second");
            assert_eq!(statuses(&second, "inner"), ["init", "for the second"]);
        });
        info!("for the first");
        assert_eq!(statuses(&first, "outer"), ["init", "for the first"]);
        assert_eq!(current().as_deref(), Some("outer"));
    });
}

// Lines of a log.

/// The output written so far.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn log_lines_begin_with_the_current_task() {
    let (list, layer) = list_and_layer();
    let written = Written::default();
    let format = tracing_subscriber::fmt::format().without_time().with_target(false).compact();
    let lines = tracing_subscriber::fmt::layer().with_writer(written.clone()).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(lines.event_format(WithTask::new(format))).with(layer);
    tracing::subscriber::with_default(subscriber, || {
        info!("before");
        {
            let _request = info_span!("request", pm.id = "req-1", pm.kind = "GET /hosts/{id}").entered();
            info!("within");
            let evil = list.start("evil\n\u{1b}[2J\u{202e}id");
            let _evil = evil.enter();
            info!("plain");
        }
        info!("after");
    });
    let text = written.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].trim_start().starts_with("INFO before"), "{text}");
    assert!(lines[1].starts_with("[task req-1 GET /hosts/{id}] "), "{text}");
    assert!(lines[1].contains("within"), "{text}");
    assert!(lines[2].starts_with(r"[task evil\u{a}\u{1b}[2J\u{202e}id] "), "{text}");
    assert!(!lines[3].contains("[task"), "{text}");
}
