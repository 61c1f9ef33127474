//! The ground floor: what knows nothing of tasks.

pub(crate) mod agenda;
pub(crate) mod block_on;
pub(crate) mod clock;
pub(crate) mod counter;
pub(crate) mod histogram;
pub(crate) mod limits;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod policy;
pub(crate) mod redact;
pub(crate) mod serial;
pub(crate) mod sync;
pub(crate) mod text;
pub(crate) mod threads;
pub(crate) mod timestamp;
