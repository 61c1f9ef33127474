//! What is known, and which of it is shown in which order. Pure: no terminal, no network, no clock.
//!
//! | file | what |
//! |---|---|
//! | `news.rs` | what is told of an endpoint |
//! | `store.rs` | the tasks of all endpoints, as they were last told |
//! | `column.rs` | what can be shown of a task, and its order by that |
//! | `list.rs` | the rows: filter, order, tree, groups, marks, and the one that is chosen |
//! | `held.rs` | what was told while nothing is to move |

mod column;
mod held;
mod list;
mod news;
mod store;

pub(crate) use column::Column;
pub(crate) use held::Held;
pub(crate) use list::{Line, List, Shape};
pub(crate) use news::{News, What};
pub(crate) use store::{Changed, Key, State, Store, Task};
