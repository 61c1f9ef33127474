//! The threads on which answers are made: those of one sort are all held, and what needs one of them waits, while all
//! else is answered.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use pm_core::{Options, ProcessList, Task};
use tower_service::Service as _;

use crate::request::State;
use crate::response::Body;
use crate::service::{Service, service};
use crate::workers::{Sort, Workers};

const ALL: [Sort; 5] = [Sort::Cancels, Sort::Lists, Sort::Reports, Sort::Pieces, Sort::Parts];

/// Returns a service with a thread of each sort.
fn served(list: &ProcessList) -> Service {
    let mut service = service(list);
    service.state = State::with_workers(list, |sort| Workers::with_threads(sort, 1));
    service
}

/// Holds the thread of a sort for as long as the sender lives.
fn hold(service: &Service, sort: Sort) -> mpsc::Sender<()> {
    let state = &service.state;
    let workers = match sort {
        Sort::Cancels => &state.cancels,
        Sort::Lists => &state.lists,
        Sort::Reports => &state.reports,
        Sort::Pieces => &*state.pieces,
        Sort::Parts => &*state.parts,
    };
    let (go, held) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    drop(workers.run(None, move || {
        begun.send(()).unwrap();
        held.recv().unwrap_err();
    }));
    has_begun.recv().unwrap();
    go
}

fn call(
    service: &mut Service,
    (method, target, body): (&str, &str, &'static str),
) -> impl Future<Output = Response<Body>> + use<> {
    let request = Request::builder().method(method).uri(target).header("host", "localhost");
    let response = service.call(request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap());
    async move { response.await.unwrap() }
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn many(list: &ProcessList, count: usize) -> Vec<Task> {
    (0..count).map(|number| list.task(&number.to_string()).kind("work").start()).collect()
}

/// Requests about a long list, the threads that they need, and the status of their answers.
const LONG: [(Sort, (&str, &str, &str), u16); 19] = [
    (Sort::Lists, ("GET", "/v1/tasks", ""), 200),
    (Sort::Lists, ("GET", "/v1/tasks?sort=status&kind=work", ""), 200),
    (Sort::Reports, ("GET", "/v1/tree", ""), 200),
    (Sort::Reports, ("GET", "/v1/kinds", ""), 200),
    (Sort::Reports, ("GET", "/metrics", ""), 200),
    (Sort::Reports, ("POST", "/v1/cancel", r#"{"filter":"kind=work","max":10000,"dryRun":true}"#), 200),
    (Sort::Reports, ("POST", "/v1/cancel", r#"{"filter":"kind=work","dryRun":true}"#), 409),
    (Sort::Pieces, ("GET", "/v1/info", ""), 200),
    (Sort::Pieces, ("GET", "/v1/tasks/none", ""), 404),
    (Sort::Pieces, ("GET", "/v1/tasks/none/history", ""), 404),
    (Sort::Pieces, ("GET", "/procs/none/history", ""), 404),
    (Sort::Pieces, ("GET", "/procs/1/history?serial=1", ""), 404),
    (Sort::Cancels, ("POST", "/v1/cancel", r#"{"filter":"kind=work"}"#), 409),
    (Sort::Cancels, ("POST", "/v1/cancel", r#"{"filter":"id=7"}"#), 200),
    (Sort::Cancels, ("POST", "/v1/tasks/none/cancel", ""), 404),
    (Sort::Cancels, ("POST", "/v1/tasks/id:8/cancel", ""), 202),
    (Sort::Cancels, ("POST", "/v1/tasks/id:9/cancel", r#"{"wait":"1ms"}"#), 202),
    (Sort::Cancels, ("DELETE", "/procs/9", ""), 200),
    (Sort::Cancels, ("DELETE", "/procs/none", ""), 404),
];

#[tokio::test]
async fn what_takes_long_waits_for_its_threads_and_nothing_else_does() {
    let list = ProcessList::new();
    let _tasks = many(&list, 6_000);
    for (sort, request, status) in LONG {
        let mut service = served(&list);
        // Until it is known that no task waits for anything.
        call(&mut service, ("GET", "/metrics", "")).await;
        let held = hold(&service, sort);
        let mut answer = pin!(call(&mut service, request));
        assert!(now(answer.as_mut()).is_none(), "{request:?} is answered without {sort:?}");
        for other in ["/healthz", "/v1/tasks/id:5", "/v1/tasks/id:5/history", "/procs/5/history", "/v1/audit"] {
            let response = now(call(&mut service, ("GET", other, "")));
            assert_eq!(response.map(|response| response.status()), Some(StatusCode::OK), "{request:?} {other}");
        }
        let others = LONG.iter().filter(|(other, ..)| *other != sort && *other != Sort::Cancels);
        for (_, other, status) in others {
            assert_eq!(call(&mut service, *other).await.status(), *status, "{request:?} {other:?}");
        }
        drop(held);
        assert_eq!(answer.await.status(), status, "{request:?}");
    }
}

#[tokio::test]
async fn parts_of_a_long_list_are_written_by_threads() {
    let list = ProcessList::new();
    let _tasks = many(&list, 6_000);
    for target in ["/procs/", "/v1/events"] {
        let mut service = served(&list);
        let mut body = call(&mut service, ("GET", target, "")).await.into_body();
        if target == "/v1/events" {
            let retry = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(retry.starts_with(b"retry"), "{retry:?}");
        }
        let held = hold(&service, Sort::Parts);
        // The first look of the feed may take a while.
        while service.state.parts.waiting() == 0 {
            assert!(now(body.frame()).is_none(), "{target}");
            tokio::task::yield_now().await;
        }
        assert!(now(body.frame()).is_none(), "{target}");
        assert_eq!(now(call(&mut service, ("GET", "/healthz", ""))).unwrap().status(), StatusCode::OK);
        drop(held);
        let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(part.len() > 10_000, "{target}: {}", part.len());
    }
}

#[tokio::test]
async fn histories_that_may_be_long_are_written_by_threads() {
    let list = ProcessList::with_options(Options::new().history(16, 1_000));
    let _task = list.start("job");
    for target in ["/v1/tasks/job/history", "/procs/job/history"] {
        let mut service = served(&list);
        let held = hold(&service, Sort::Pieces);
        let mut answer = pin!(call(&mut service, ("GET", target, "")));
        assert!(now(answer.as_mut()).is_none(), "{target}");
        drop(held);
        assert_eq!(answer.await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_long_response_is_compressed_by_threads() {
    let list = ProcessList::new();
    let _tasks = many(&list, 1_000);
    let mut service = served(&list);
    let held = hold(&service, Sort::Pieces);
    let request = Request::get("/v1/tasks?limit=1000").header("host", "localhost").header("accept-encoding", "gzip");
    let mut answer = pin!(service.call(request.body(Full::new(Bytes::new())).unwrap()));
    assert!(now(answer.as_mut()).is_none());
    assert!(now(call(&mut service, ("GET", "/v1/tasks?limit=1000", ""))).is_some(), "without compression");
    drop(held);
    let Ok(response) = answer.await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn a_short_list_is_read_without_any_thread() {
    let list = ProcessList::new();
    let _tasks = many(&list, 10);
    list.start("ended").finish();
    let mut service = served(&list);
    let _held = ALL.map(|sort| hold(&service, sort));
    for target in [
        "/healthz",
        "/procs/",
        "/procs/5/history",
        "/procs/none/history",
        "/v1/tasks",
        "/v1/tasks/id:5",
        "/v1/tasks/ended",
        "/v1/tasks/none",
        "/v1/tasks/id:5/history",
        "/v1/ended",
        "/v1/tree",
        "/v1/kinds",
        "/v1/waits",
        "/v1/info",
        "/v1/audit",
        "/metrics",
        "/",
        "/openapi.json",
    ] {
        assert!(now(call(&mut service, ("GET", target, ""))).is_some(), "{target}");
    }
}
