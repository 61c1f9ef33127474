//! The work that the benches measure, the naive port that it is compared with, and the clock.

pub mod axum_call;
pub mod naive;
pub mod pending;
pub mod raw;
pub mod work;
