//! The pm command.
fn main() {}
