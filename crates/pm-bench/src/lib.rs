//! What the benches measure, apart from how: the work, the naive port that it is held against, the clock.

pub mod naive;
pub mod pending;
pub mod raw;
pub mod work;
