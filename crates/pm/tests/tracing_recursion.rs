//! What logs and opens spans while spans are recorded or closed.
//!
//! By themselves, as the process has one subscriber for all threads and never one for a single thread: where there was ever
//! one of those, tracing keeps what is within a call of a subscriber from all subscribers.

use std::fmt;
use std::sync::OnceLock;

use pm::ProcessList;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

/// The list of a layer that is the global default.
fn list() -> ProcessList {
    static LIST: OnceLock<ProcessList> = OnceLock::new();
    let install = || {
        let list = ProcessList::new();
        tracing_subscriber::registry().with(pm::tracing_layer().list(&list)).init();
        list
    };
    LIST.get_or_init(install).clone()
}

fn said(list: &ProcessList, id: &str) -> Vec<String> {
    list.history(list.find(id)[0]).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

/// Logs, and opens spans that are tasks, when it is formatted.
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
    assert_eq!(said(&list, "formats"), ["init", "formatted"]);
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
    // The span of the hook has closed: else its parent could not.
    assert_eq!(said(&list, "hooks"), ["init", "it ended", "hook", "outer"]);
    drop(outer);
    assert_eq!(list.find_ended("hooks").len(), 1);
    assert_eq!(list.find_ended("of a hook").len(), 1);
    drop(hook);
}
