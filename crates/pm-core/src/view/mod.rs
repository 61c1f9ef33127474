//! A copied task, as values.

pub(crate) mod attrs;
pub(crate) mod brief;
pub(crate) mod history;
pub(crate) mod records;
pub(crate) mod request;
pub(crate) mod row;
pub(crate) mod state;
pub(crate) mod task_view;
pub(crate) mod values;
