//! Settings and where each comes from: flag over environment over file over default.
//!
//! | file | contents |
//! |---|---|
//! | `setting.rs` | a value with its origin |
//! | `file.rs` | the config file: parsed and checked, errors with their line |
//! | `endpoints.rs` | from words such as `@prod,db1` to clients |
//! | `args.rs` | the flags that all querying verbs have in common, and the settings that result |
//! | `show.rs` | `pm config` |
//!
//! The entry point is [`CommonArgs::settings`]; `top` uses the same [`Endpoints`] as the verbs. No token is kept here,
//! only where to find it.

mod args;
mod endpoints;
mod file;
mod setting;
mod show;

pub(crate) use args::{CommonArgs, Settings};
pub(crate) use endpoints::{Endpoint, Endpoints};
pub(crate) use setting::Theme;
pub(crate) use show::{items, show};
