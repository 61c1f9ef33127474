//! A status for the duration of a block.
#![cfg(not(loom))]

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use pm_core::{Options, ProcessList, TaskHandle, scope};

fn statuses(list: &ProcessList, task: TaskHandle) -> Vec<String> {
    list.history(task.serial()).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

fn status(list: &ProcessList, task: TaskHandle) -> String {
    list.view(task.serial(), |task| task.status().to_string()).unwrap()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn nested_scopes_restore_step_by_step() {
    let list = ProcessList::new();
    let task = list.start("job");
    let _ = task.status("waiting");
    {
        let _outer = task.scope("importing");
        {
            let _inner = scope!(task, "reading {}", 1);
            let _ = task.status("reading 1, half");
        }
    }
    let expected = ["init", "waiting", "importing", "reading 1", "reading 1, half", "importing", "waiting"];
    assert_eq!(statuses(&list, task.handle()), expected);
}

#[test]
fn scopes_that_end_out_of_order_never_restore_an_ended_status() {
    let list = ProcessList::new();
    let task = list.start("job");
    let (a, b, c) = (task.scope("a"), task.scope("b"), task.scope("c"));
    drop(a);
    assert_eq!(status(&list, task.handle()), "c");
    drop(c);
    assert_eq!(status(&list, task.handle()), "b");
    drop(b);
    assert_eq!(status(&list, task.handle()), "init");
}

#[test]
fn a_cancellation_request_is_not_a_status_to_restore() {
    let list = ProcessList::new();
    for count in [0, 10, 200] {
        let task = list.start("job");
        for number in 0..count {
            let _ = task.status(&format!("status {number}"));
        }
        list.cancel(task.serial(), "why").unwrap();
        drop(task.scope("tidying up"));
        let expected = if count == 0 { "init".to_owned() } else { format!("status {}", count - 1) };
        assert_eq!(status(&list, task.handle()), expected);
        task.finish();
    }
    assert_eq!(list.counters().finished, 3);
}

#[test]
fn a_scope_does_not_observe_a_cancellation() {
    let list = ProcessList::new();
    let task = list.start("job");
    list.cancel("job", "").unwrap();
    drop(task.scope("reading"));
    drop(task);
    assert_eq!(list.counters().finished, 1);
}

#[test]
fn a_panic_leaves_the_status_where_it_was() {
    let list = ProcessList::new();
    let serial = list.start("other").serial();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        list.run_sync("job", |task| {
            let _scope = task.scope("reading");
            if task.serial() > serial {
                panic!("in the scope");
            }
            Ok(())
        })
    }));
    assert!(panicked.is_err());
    let ended = list.find_ended("job");
    assert_eq!(ended.get(0).unwrap().status().to_string(), "reading");
}

#[test]
fn a_scope_opened_while_unwinding_is_closed() {
    struct TidyUp<'t>(&'t pm_core::Task);
    impl Drop for TidyUp<'_> {
        fn drop(&mut self) {
            drop(self.0.scope("tidying up"));
        }
    }
    let list = ProcessList::new();
    let task = list.start("job");
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _tidy = TidyUp(&task);
        panic!("unwinding");
    }));
    assert_eq!(statuses(&list, task.handle()), ["init", "tidying up", "init"]);
}

#[test]
fn a_future_cancelled_within_a_scope_ends_as_killed() {
    let list = ProcessList::new();
    let mut running = pin!(list.task("job").run(async {
        let _scope = pm_core::current().scope("reading");
        pending::<()>().await;
    }));
    assert!(poll(running.as_mut()).is_pending());
    let task = running.handle();
    assert_eq!(status(&list, task), "reading");
    list.cancel("job", "why").unwrap();
    assert!(poll(running.as_mut()).is_ready());
    assert_eq!(statuses(&list, task), ["init", "reading", "[cancel request: why]", "init", "killed: why"]);
}

#[test]
fn a_scope_may_outlive_its_task_and_affects_no_other() {
    let list = ProcessList::with_options(Options::new().keep_ended(0));
    let task = list.start("job");
    let scope = task.scope("reading");
    drop(task);
    let others: Vec<_> = (0..100).map(|_| list.start("other")).collect();
    drop(scope);
    assert!(others.iter().all(|other| status(&list, other.handle()) == "init"));
    drop(pm_core::current().scope("of no task"));
}

#[test]
fn scopes_beyond_the_limit_set_their_status_without_restoring() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut scopes: Vec<_> = (0..100).map(|number| scope!(task, "{number}")).collect();
    assert_eq!(status(&list, task.handle()), "99");
    scopes.truncate(64);
    assert_eq!(status(&list, task.handle()), "99");
    scopes.pop();
    assert_eq!(status(&list, task.handle()), "62");
    drop(scopes);
    assert_eq!(status(&list, task.handle()), "init");
}

#[test]
fn scopes_of_several_threads_restore_the_first_status() {
    let list = ProcessList::new();
    let task = list.start("job");
    std::thread::scope(|threads| {
        for number in 0..4 {
            let task = &task;
            threads.spawn(move || {
                for round in 0..200 {
                    let _outer = scope!(task, "{number}: {round}");
                    let _inner = scope!(task, "{number}: {round}, within");
                }
            });
        }
    });
    assert_eq!(status(&list, task.handle()), "init");
}

#[test]
fn restored_statuses_are_masked_and_truncated_too() {
    let list = ProcessList::with_options(Options::new().max_status(16));
    let task = list.start("job");
    let _ = task.status("a?token=b");
    let before = status(&list, task.handle());
    drop(task.scope(&"long".repeat(100)));
    assert_eq!(status(&list, task.handle()), before);
    assert_eq!((list.counters().texts_cut, list.counters().redacted), (1, 1));
}
