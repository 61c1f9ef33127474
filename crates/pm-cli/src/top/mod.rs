//! `pm top`: the live list of all endpoints. `pm replay` shows a recording on the same screen.
//!
//! | file | contents |
//! |---|---|
//! | `model/` | the lines of the list and their order; pure |
//! | `app/` | the state of the screen, and what keys do to it; pure |
//! | `view/` | draws frames |
//! | `request.rs`, `requester.rs` | requests to endpoints besides their streams, and cancels |
//! | `event_loop.rs` | handles keys, updates, replies, signals and time in turn |
//! | `screen.rs` | the terminal, restored on every exit |
//! | `theme.rs`, `canvas.rs` | styles, and drawing of text |
//! | `edit.rs`, `complete.rs` | a line of input, and completion of filters |
//! | `options.rs` | the flags that `top` and `replay` share |
//! | `live.rs` | `pm top` |
//! | `replay.rs`, `playback.rs` | `pm replay` |

mod app;
mod canvas;
mod complete;
mod edit;
mod event_loop;
mod live;
mod model;
mod options;
mod playback;
mod replay;
mod request;
mod requester;
mod screen;
#[cfg(test)]
mod screens;
mod theme;
mod view;

pub(crate) use live::{Args, run};
pub(crate) use replay::{ReplayArgs, replay};
