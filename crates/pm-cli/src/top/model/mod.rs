//! The lines of the list and their order. Pure: no terminal, no network, no clock.
//!
//! | file | contents |
//! |---|---|
//! | `column.rs` | the columns, and the order of tasks by each |
//! | `list.rs` | the lines: filter, order, tree, groups, marks, selection |
//! | `scroll.rs` | the position in a list longer than the screen |
//! | `held.rs` | the updates received while paused |

mod column;
mod held;
mod list;
mod scroll;

pub(crate) use column::Column;
pub(crate) use held::Held;
pub(crate) use list::{Line, List, Shape};
pub(crate) use scroll::Scroll;
