//! Every request of an actix-web server as a task of `pm`: shown while it runs, and stopped by a kill.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//!
//! async fn report(host: web::Path<String>) -> String {
//!     let _ = pm_core::current().status("asking");
//!     format!("all is well with {host}")
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! HttpServer::new(|| App::new().wrap(pm_actix::Tasks::new()).route("/reports/{host}", web::get().to(report)))
//!     .bind("127.0.0.1:3000")?
//!     .run()
//!     .await
//! # }
//! ```
//!
//! A program shows the list with `pm::serve` of the crate `pm`; both share [`pm_core::global`].
//!
//! See [`Tasks`] for the task of a request, its outcome, and the effect of a kill.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod describe;
mod killed;
mod service;
mod tasks;

pub use body::TaskBody;
pub use killed::Killed;
pub use service::{TaskResponse, TasksService};
pub use tasks::Tasks;
