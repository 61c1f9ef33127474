//! The memory of a program under slow and greedy readers stays within the ceiling that is stated for it.
//!
//! Each case runs against a program of its own, in another process: many clients send a request and read a few bytes of
//! the response at most. Measured is the peak of the program's memory above that before, until the server has dealt
//! with all of them; asserted are that peak, that each client is served or refused with an explanation, that others are
//! served at the same time, and that nothing is counted any more once the clients have left.
//!
//! `cargo test -p pm --test greedy -- tree events` runs the cases with these words in their names.

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod program;

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [program, address] if program == program::ARGUMENT => program::run(address),
        words if words.iter().any(|word| word == "--list") => list(words),
        // As `cargo test -- --skip greedy` and tools that run single tests say it.
        [skip, rest @ ..] if skip == "--skip" && rest.iter().any(|word| word == NAME) => {}
        words => cases::run(&words.iter().filter(|word| *word != NAME).cloned().collect::<Vec<_>>()),
    }
}

/// All cases are one test to tools that look for tests.
#[cfg(target_os = "linux")]
const NAME: &str = "greedy";

#[cfg(target_os = "linux")]
fn list(words: &[String]) {
    if !words.iter().any(|word| word == "--ignored") {
        println!("{NAME}: test");
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    if !std::env::args().any(|argument| argument == "--list") {
        println!("left out: the system does not report peaks of memory");
    }
}
