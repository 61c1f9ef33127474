//! Asks a running program what it is doing, and asks its tasks to stop.
//!
//! ```no_run
//! # async fn look() -> Result<(), Box<dyn std::error::Error>> {
//! let client = pm_client::Client::new("127.0.0.1:6680")?;
//! for task in client.list().await?.procs {
//!     println!("{}: {}", task.id, task.status);
//! }
//! client.cancel("import-42", "deploy").await?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] and [`Builder`]: where to ask, and how long and how much to accept.
//! - [`ClientError`], [`EndpointError`]: what went wrong, always with the address.
//!
//! Every call opens its own connection and closes it, ends within its time limit, and follows no redirect. An answer
//! that is not a process list is an error, never an empty list. Understands servers of the Go package VividCortex/pm.
//!
//! It does not speak TLS, keeps no connection open, and does not try again. Calls must run inside a tokio runtime with
//! io and time enabled.

mod call;
mod client;
mod endpoint;
mod error;

pub use client::{Builder, Client};
pub use endpoint::EndpointError;
pub use error::{ClientError, Stage};
