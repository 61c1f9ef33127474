//! Queries several endpoints at once, and turns their results into documents, messages and an exit code.
//!
//! | file | contents |
//! |---|---|
//! | `answer.rs` | the queries and their results |
//! | `spinner.rs` | names endpoints that are slow to respond, on a terminal |
//! | `ceiling.rs` | the most tasks of one endpoint that are held |
//! | `error.rs` | errors of endpoints as messages and JSON |
//! | `report.rs` | documents and messages of all results |
//! | `tally.rs` | counts of results, and the exit code |
//! | `tasks.rs` | rows of all pages, also from a Go original |

mod answer;
pub(crate) mod ceiling;
pub(crate) mod error;
mod report;
mod spinner;
mod tally;
mod tasks;

pub(crate) use answer::{Answer, all};
pub(crate) use report::{at, document, say_errors, say_errors_about_a_task, say_not_shown, show, with_endpoint};
pub(crate) use tally::Tally;
pub(crate) use tasks::{Source, Tasks, matches, original_row, tasks};
