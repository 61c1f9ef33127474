//! Records of the audit log as events of a subscriber that blocks. In a file of its own, as the subscriber is that of
//! the whole process.

mod common;

use std::sync::Mutex;
use std::sync::mpsc;

use common::{delete, get, post, served};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Says when it gets a record, and returns when it may.
struct Blocking {
    called: mpsc::Sender<()>,
    may_go: Mutex<mpsc::Receiver<()>>,
}

impl Subscriber for Blocking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "pm::audit"
    }

    fn event(&self, _: &Event<'_>) {
        self.called.send(()).unwrap();
        self.may_go.lock().unwrap().recv().unwrap();
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_subscriber_that_blocks_delays_neither_cancels_nor_other_requests() {
    let ((called, is_called), (go, may_go)) = (mpsc::channel(), mpsc::channel());
    tracing::subscriber::set_global_default(Blocking { called, may_go: Mutex::new(may_go) }).unwrap();
    let (list, server) = served();
    let task = list.start("job");
    assert_eq!(delete(&server, "/procs/none", "").status, 404);
    is_called.recv().unwrap();
    // The subscriber blocks until the end.
    assert_eq!(delete(&server, "/procs/job", "").status, 200);
    assert!(task.is_cancelled());
    assert_eq!(post(&server, "/v1/tasks/none/cancel", "").status, 404);
    assert_eq!(get(&server, "/healthz").status, 200);
    assert_eq!(get(&server, "/v1/audit").json()["records"].as_array().unwrap().len(), 3);
    for _ in 0..2 {
        go.send(()).unwrap();
        is_called.recv().unwrap();
    }
    go.send(()).unwrap();
}
