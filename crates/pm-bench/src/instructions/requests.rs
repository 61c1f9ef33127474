//! Requests to `pm::service` in this process, each with its whole answer.
//!
//! Clocks stand still, so that ages have the same digits in each run.

use std::hint::black_box;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use pm::ProcessList;
use pm::server::Service;
use pm_bench::pending::block_on;
use pm_bench::work::{self, ID};
use tower_service::Service as _;

use crate::operation::{Operation, Repeat, repeat, resting_list};

/// The id of the first of the tasks that [`work::fill`] starts.
const FIRST: &str = "aaaaaaaaaaaaaaaa";

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("GET /procs/ with 10 tasks", || get(10, "/procs/")).times(512),
    Operation::new("GET /procs/{id}/history", || get(10, &format!("/procs/{FIRST}/history"))).times(512),
    Operation::new("GET /v1/tasks with 10 tasks", || get(10, "/v1/tasks")).times(512),
    Operation::new("GET /v1/tasks?limit=200 with 100,000 tasks", page).times(2),
    Operation::new("GET /v1/tasks/{id}", || get(10, &format!("/v1/tasks/{FIRST}"))).times(512),
    Operation::new("GET /v1/tasks/{id}/history", || get(10, &format!("/v1/tasks/{FIRST}/history"))).times(512),
    Operation::new("GET /v1/kinds with 10 tasks", || get(10, "/v1/kinds")).times(256),
    Operation::new("GET /metrics with 10 tasks", || get(10, "/metrics")).times(256),
    Operation::new("GET /healthz", || get(10, "/healthz")).times(512),
    Operation::new("GET of a task that does not exist", || missing()).times(512),
    Operation::new("start, DELETE /procs/{id}, end", || cancels(Method::DELETE, &format!("/procs/{ID}"))).times(1024),
    Operation::new("start, POST /v1/tasks/{id}/cancel, end", || {
        cancels(Method::POST, &format!("/v1/tasks/{ID}/cancel"))
    })
    .times(1024),
];

fn get(live: u64, path: &str) -> Repeat {
    let list = resting_list();
    let (tasks, path) = (work::fill(&list, live), path.to_owned());
    let mut service = pm::service(&list);
    repeat(move |_| {
        assert!(exchange(&mut service, Method::GET, &path));
        black_box(&tasks);
    })
}

/// Tasks without attributes, of which 200 are written.
fn page() -> Repeat {
    let list = resting_list();
    let tasks: Vec<_> = (0..100_000).map(|number| list.start(work::id(number, &mut [0; 16]))).collect();
    let mut service = pm::service(&list);
    repeat(move |_| {
        assert!(exchange(&mut service, Method::GET, "/v1/tasks?limit=200"));
        black_box(&tasks);
    })
}

fn missing() -> Repeat {
    let mut service = pm::service(&resting_list());
    repeat(move |_| assert!(!exchange(&mut service, Method::GET, "/v1/tasks/no-such-task")))
}

fn cancels(method: Method, path: &str) -> Repeat {
    let (list, path): (ProcessList, _) = (resting_list(), path.to_owned());
    let mut service = pm::service(&list);
    repeat(move |_| {
        let task = list.start(ID);
        assert!(exchange(&mut service, method.clone(), &path));
        black_box(task.checkpoint().is_err());
    })
}

/// Sends a request, and reads the answer to its end; returns `true` if it is a good one.
fn exchange(service: &mut Service, method: Method, path: &str) -> bool {
    let request = Request::builder().method(method).uri(path).header("host", "localhost").body(Empty::<Bytes>::new());
    let answer = block_on(service.call(request.expect("the request is valid"))).expect("the service never fails");
    let is_good = answer.status().is_success();
    black_box(block_on(answer.into_body().collect()).is_ok());
    is_good
}
