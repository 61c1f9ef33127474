//! Spans as tasks in a process with one global subscriber: spans that move between the threads of a runtime, and code
//! that logs and opens spans while others are recorded or closed.
//!
//! In a file of its own, as no thread may ever have had its own subscriber: from then on, tracing hides events within a
//! call of a subscriber from all subscribers.

use std::fmt;
use std::sync::OnceLock;

use pm::ProcessList;
use tracing::{Instrument, info, info_span, instrument};
use tracing_subscriber::prelude::*;

/// Returns the list of the layer that is the global default.
fn list() -> ProcessList {
    static LIST: OnceLock<ProcessList> = OnceLock::new();
    let install = || {
        let list = ProcessList::new();
        tracing_subscriber::registry().with(pm::tracing_layer().list(&list)).init();
        list
    };
    LIST.get_or_init(install).clone()
}

fn statuses(list: &ProcessList, id: &str) -> Vec<String> {
    list.history(list.find(id)[0]).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

/// A value that logs, and opens spans that are tasks, when it is formatted.
struct Chatty;

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _span = info_span!("inner", pm.id = "of a field", value = ?"inner").entered();
        info!("formatting");
        f.write_str("formatted")
    }
}

#[test]
fn a_field_may_itself_log_and_open_spans_when_it_is_formatted() {
    let list = list();
    let span = info_span!("outer", pm.id = "formats", chatty = ?Chatty).entered();
    span.record("chatty", tracing::field::debug(Chatty));
    info!("{:?}", Chatty);
    assert_eq!(statuses(&list, "formats"), ["init", "formatted"]);
    list.view(list.find("formats")[0], |task| {
        let attrs: Vec<_> = task.attrs().map(|(name, value)| format!("{name}={value:?}")).collect();
        assert_eq!(attrs, ["chatty=Text(\"formatted\")"]);
    });
    drop(span);
    assert_eq!(list.find_ended("of a field").len(), 3);
}

#[test]
fn a_hook_may_log_and_open_spans_when_a_task_ends() {
    let list = list();
    let hook = list.on_end(|task| {
        if task.id() == "hooked" {
            info!("it ended");
            let _span = info_span!("hook").entered();
            drop(info_span!("inner", pm.id = "of a hook").entered());
        }
    });
    let outer = info_span!("outer", pm.id = "hooks").entered();
    drop(info_span!("inner", pm.id = "hooked").entered());
    // The span of the hook has closed: otherwise its parent could not.
    assert_eq!(statuses(&list, "hooks"), ["init", "it ended", "hook", "outer"]);
    drop(outer);
    assert_eq!(list.find_ended("hooks").len(), 1);
    assert_eq!(list.find_ended("of a hook").len(), 1);
    drop(hook);
}

#[instrument(fields(pm.id = id))]
async fn request(id: &str) -> String {
    for _ in 0..10 {
        query().await;
        assert_eq!(current().as_deref(), Some(id));
    }
    // A child with its own span, on any thread.
    let child = tokio::spawn(async { current() }.instrument(info_span!("child", pm.id = format!("{id} child"))));
    child.await.unwrap().unwrap()
}

#[instrument(name = "db.query")]
async fn query() {
    let before = current();
    tokio::task::yield_now().await;
    assert_eq!(current(), before);
}

fn current() -> Option<String> {
    pm::current().view(|task| task.id().to_string())
}

#[test]
fn spans_that_move_between_the_threads_of_a_runtime_stay_current() {
    const REQUESTS: usize = 200;
    let list = list();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let requests: Vec<_> = (0..REQUESTS)
            .map(|number| {
                tokio::spawn(async move {
                    let id = format!("req-{number}");
                    assert_eq!(request(&id).await, format!("{id} child"));
                    assert_eq!(current(), None);
                })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
    });
    for number in 0..REQUESTS {
        let id = format!("req-{number}");
        let ended = (list.find_ended(&id), list.find_ended(&format!("{id} child")));
        assert_eq!((ended.0.len(), ended.1.len()), (1, 1));
        let (parent, child) = (ended.0.get(0).unwrap(), ended.1.get(0).unwrap());
        assert_eq!(child.parent(), Some(parent.serial()));
        let history = list.history(parent.serial()).unwrap().entries;
        assert_eq!(history.iter().filter(|entry| entry.status == "db.query").count(), 10);
        assert_eq!(history.iter().filter(|entry| entry.status == "request").count(), 10);
    }
}
