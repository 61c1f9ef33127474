//! Layers that make every request of a server, and every call of a client, a task.
//!
//! One line in a program with a tower stack, such as axum, hyper or tonic:
//!
//! - [`TasksLayer`] for incoming requests. Handlers reach their task through [`pm::current()`](crate::current) or
//!   [`CurrentTask`], and return [`CancelledResponse`] when they observe a cancellation themselves.
//! - [`CallsLayer`] for outgoing calls.
//! - [`TaskLayer`] for services of any other kind of request, such as job queues.
//! - [`Connection`], and [`serve`] for axum: a kill reaches requests whose client does not read, and websockets.
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::{BodyExt as _, Full};
//! use tower_layer::Layer as _;
//! use tower_service::Service as _;
//! # use futures_util::FutureExt as _;
//!
//! async fn handle(_: Request<()>) -> Result<Response<Full<bytes::Bytes>>, std::convert::Infallible> {
//!     pm::current().set("rows", 42);
//!     Ok(Response::new("hello".into()))
//! }
//!
//! let list = pm::ProcessList::new();
//! let layer = pm::tower::TasksLayer::new().list(&list);
//! let mut service = layer.layer(tower::service_fn(handle));
//! # async {
//! let response = service.call(Request::new(())).await?;
//! assert_eq!(list.counters().live, 1); // until the last byte is sent
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
//! assert_eq!(list.counters().finished, 1);
//! # Ok::<(), std::convert::Infallible>(()) }.now_or_never().unwrap().unwrap();
//! ```
//!
//! No runtime is needed. Of tokio, only the traits of its streams are used.

mod any_service;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod client;
mod connection;
mod current;
mod describe;
mod grpc;
mod id;
mod layer;
mod methods;
mod reply;
mod routes;
mod run;
#[cfg(feature = "axum")]
mod serve;
mod service;
#[cfg(feature = "tonic")]
mod tonic;

pub use any_service::{TaskLayer, TaskService, TaskServiceFuture};
pub use body::ResponseBody;
pub use client::{CallFuture, Calls, CallsLayer};
pub use connection::{Connection, ConnectionGuard};
pub use current::{CurrentTask, Upgraded};
pub use layer::TasksLayer;
pub use reply::CancelledResponse;
#[cfg(feature = "axum")]
pub use serve::{GuardedApp, GuardedListener, OnGuarded, serve};
pub use service::{ResponseFuture, Tasks};
