//! The list as a service inside another server, without a runtime of ours.

#![cfg(feature = "server")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use pm::ProcessList;
use tower_service::Service as _;

/// Polls a future that never waits until it is ready.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// Waits on this thread: cancels are made and long lists are read by threads of the server.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

fn call(service: &mut pm::server::Service, request: Request<Full<&'static [u8]>>) -> (Response<()>, String) {
    let Ok(response) = block_on(service.call(request));
    let (head, body) = response.into_parts();
    let Ok(body) = now(body.collect());
    (Response::from_parts(head, ()), String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

fn request(method: &str, target: &str, body: &'static str) -> Request<Full<&'static [u8]>> {
    let host = Request::builder().method(method).uri(target).header("host", "localhost:8080");
    host.body(Full::new(body.as_bytes())).unwrap()
}

#[test]
fn it_answers_without_any_runtime() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut service = pm::service(&list);
    assert!(matches!(
        tower_service::Service::<Request<Full<&'static [u8]>>>::poll_ready(
            &mut service,
            &mut Context::from_waker(Waker::noop())
        ),
        Poll::Ready(Ok(()))
    ));
    let (head, body) = call(&mut service, request("GET", "/procs/", ""));
    assert_eq!(head.status(), 200);
    assert!(body.contains(r#""id":"job""#), "{body}");
    let (head, _) = call(&mut service, request("DELETE", "/procs/job", r#"{"message":"m"}"#));
    assert_eq!(head.status(), 200);
    assert_eq!(task.checkpoint().unwrap_err().reason(), "m");
}

#[test]
fn it_works_under_a_prefix_and_redirects_to_the_list() {
    let list = ProcessList::new();
    for prefix in ["/debug/pm", "debug/pm/"] {
        let mut service = pm::service(&list).prefix(prefix);
        assert_eq!(call(&mut service, request("GET", "/debug/pm/procs/", "")).0.status(), 200);
        let (head, _) = call(&mut service, request("GET", "/debug/pm/procs?a=b", ""));
        assert_eq!(
            (head.status().as_u16(), &head.headers()["location"]),
            (301, &"/debug/pm/procs/?a=b".parse().unwrap())
        );
        let (head, _) = call(&mut service, request("GET", "/debug/pm", ""));
        assert_eq!((head.status().as_u16(), &head.headers()["location"]), (301, &"/debug/pm/".parse().unwrap()));
        let (head, body) = call(&mut service, request("GET", "/procs/", ""));
        assert_eq!(head.status(), 404);
        assert!(body.contains("/debug/pm/procs/"), "{body}");
        assert_eq!(call(&mut service, request("GET", "/debug/pmx/procs/", "")).0.status(), 404);
    }
}

#[test]
fn it_accepts_only_the_given_host_names() {
    let mut service = pm::service(&ProcessList::new()).allow_host("pm.example.org");
    let mut status = |host: &str| {
        let request = Request::get("/procs/").header("host", host).body(Full::new(&b""[..])).unwrap();
        call(&mut service, request).0.status().as_u16()
    };
    assert_eq!(status("pm.example.org:443"), 200);
    assert_eq!(status("127.0.0.1"), 200);
    assert_eq!(status("evil.example"), 421);
}

#[test]
fn a_body_beyond_its_limit_is_413() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut service = pm::service(&list).max_body(4);
    assert_eq!(call(&mut service, request("DELETE", "/procs/job", "12345")).0.status(), 413);
    assert!(!task.is_cancelled());
    assert_eq!(call(&mut service, request("DELETE", "/procs/job", "1234")).0.status(), 200);
}

#[test]
fn a_long_list_takes_no_more_memory_than_a_part_of_it() {
    let list = ProcessList::new();
    let tasks: Vec<_> = (0..10_000).map(|number| list.task("job").attr("number", number).start()).collect();
    let Ok(response) = block_on(pm::service(&list).call(request("GET", "/procs/", "")));
    let mut body = response.into_body();
    let (mut total, mut parts) = (0, 0);
    while let Some(frame) = block_on(body.frame()) {
        let Ok(frame) = frame;
        let part = frame.into_data().unwrap();
        assert!(part.len() < 80 << 10, "{}", part.len());
        total += part.len();
        parts += 1;
    }
    assert!(parts > 10 && total > 100 * tasks.len(), "{parts} {total}");
}

#[tokio::test]
async fn a_server_that_cannot_start_within_a_runtime_returns_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = pm::serve(address).unwrap_err();
    assert_eq!(error.to_string(), format!("could not listen on {address}: the port is in use"));
}

#[test]
fn an_abandoned_watch_frees_its_place() {
    let mut service = pm::service(&ProcessList::new());
    let mut watch = |number: usize| {
        let Ok(response) = now(service.call(request("GET", &format!("/v1/events?id={number}"), "")));
        response
    };
    for number in 0..200 {
        assert_eq!(watch(number).status(), 200, "{number}");
    }
    let held: Vec<_> = (1_000..1_064).map(&mut watch).collect();
    assert!(held.iter().all(|response| response.status() == 200));
    let response = watch(2_000);
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    drop(held);
    assert_eq!(watch(2_001).status(), 200);
}
