//! Random input: paths, hosts, origins, queries, cursors, bodies, tokens. Nothing panics, and the invariants hold. Half
//! of the input is built from parts with a meaning, so that it is not refused at once.

mod hosts;
mod paths;
mod requests;
mod tokens;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A text of parts with a meaning, with random text between them.
fn text_of(parts: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => select(parts).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[ -~]{0,4}",
    ];
    vec(part, 0..most).prop_map(|parts| parts.concat())
}
