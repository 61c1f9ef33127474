//! The state of the screen, and what keys do to it. Pure: actions outside are returned as [`Effect`]s.
//!
//! | file | contents |
//! |---|---|
//! | `view.rs` | the views |
//! | `drawn.rs` | the result of drawing a frame |
//! | `boards.rs` | data that is polled: kinds, ended tasks, waits, endpoints |
//! | `details.rs` | one task |
//! | `kill.rs` | the dialog before a cancel, and its results |
//! | `state.rs` | all of it, and how updates, replies and time change it |
//! | `keys.rs` | the actions of keys and clicks |

mod boards;
mod details;
mod drawn;
mod keys;
mod kill;
mod state;
mod view;

pub(crate) use details::Details;
pub(crate) use drawn::{Drawn, Hit};
pub(crate) use keys::{KEYS, REPLAY_KEYS, clock};
pub(crate) use kill::{Kill, Stage};
pub(crate) use state::{App, Effect, Mode, Options, Replayed, Seek};
pub(crate) use view::View;
