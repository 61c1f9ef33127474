//! Tests of the whole server from inside: hostile input, slow clients, `openapi.json`.

mod described;
mod fuzz;
mod slow;
