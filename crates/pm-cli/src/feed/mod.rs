//! The state of all endpoints: what each reports, and a store of their tasks. `top` shows it, `record` writes it down.
//!
//! | file | contents |
//! |---|---|
//! | `update.rs` | one update of an endpoint |
//! | `follow.rs` | the updates of one endpoint, from its stream or by polling |
//! | `store.rs` | the tasks of all endpoints as last reported |

mod follow;
mod store;
mod update;

use pm_wire::filter::Filter;

use crate::exit::Stop;
use crate::query::Selection;

pub(crate) use follow::{EndpointUpdate, MIN_INTERVAL, follow};
pub(crate) use store::{Changed, Connection, EndpointState, Key, Store, Task};
pub(crate) use update::{Change, Update};

/// Capacity of a channel of updates. One may take 16 MiB; a stream that is read too slowly gets a gap from its server.
pub(crate) const CAPACITY: usize = 4;

/// The filter that the arguments form. An order or a limit is an error: the whole list is followed.
pub(crate) fn filter(words: &[String]) -> Result<Filter, Stop> {
    let selection = Selection::parse(words, false)?;
    if let Some(word) = words.iter().find(|word| word.starts_with("sort=") || word.starts_with("limit=")) {
        return Err(Stop::Usage(format!("{word}: all tasks are shown here; --sort sets their order")));
    }
    Ok(selection.filter)
}
