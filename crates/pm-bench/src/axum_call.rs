//! A request to an axum service in this thread, as hyper calls it.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use http::header::{HOST, HeaderValue};
use http::{Request, Uri};
use tower_service::Service;

/// Sends one request for a path, and reads its answer to the last byte.
pub fn call(router: &mut Router, path: &'static str) {
    let mut context = Context::from_waker(Waker::noop());
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(path);
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost:8080"));
    let answer = pin!(Service::<Request<Body>>::call(router, black_box(request)));
    let Poll::Ready(Ok(answer)) = answer.poll(&mut context) else { unreachable!("the service never waits") };
    let mut body = black_box(answer).into_body();
    while let Poll::Ready(Some(frame)) = http_body::Body::poll_frame(Pin::new(&mut body), &mut context) {
        drop(black_box(frame));
        if http_body::Body::is_end_stream(&body) {
            break;
        }
    }
}
