//! Tests of the whole server from inside: hostile input, slow clients, threads, `openapi.json`, values.

mod described;
mod fuzz;
mod shapes;
mod slow;
mod threads;
mod values;
