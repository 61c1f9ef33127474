//! Counts the instructions that an operation executes, with Valgrind's callgrind.
//!
//! A count depends on neither the machine's speed nor its load, so two commits can be compared to a fraction of a
//! percent. Each operation runs in a process of its own, N times and then 2N times after a warm-up; the difference
//! divided by N is the count of one. `docs/instructions.md` says what each operation is, and what counts depend on.
//! `cargo xtask instructions` runs this program.

mod adapters;
mod baseline;
mod callgrind;
mod futures;
mod operation;
mod reads;
mod requests;
mod tasks;
mod writes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use baseline::Counts;
use callgrind::{CHILD, Count};
use operation::Operation;

const HELP: &str = "\
usage: pm-bench-instructions [--json FILE] [--against FILE] [WORD...]

  --json FILE     also writes the counts to FILE
  --against FILE  compares with the counts that --json wrote; exits with 1 if one has grown by more than 3 %, and by
                  more than 2 instructions
  WORD            only operations whose names contain one of these";

const OPERATIONS: [&[Operation]; 6] = [
    tasks::OPERATIONS,
    writes::OPERATIONS,
    reads::OPERATIONS,
    futures::OPERATIONS,
    adapters::OPERATIONS,
    requests::OPERATIONS,
];

fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.into_iter().flatten()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let [child, name] = words[..]
        && child == CHILD
    {
        let Some(operation) = operations().find(|operation| operation.name == name) else {
            return usage(&format!("`{name}` is not an operation"));
        };
        callgrind::run_operation(operation);
        return ExitCode::SUCCESS;
    }
    let (mut json, mut against, mut wanted) = (None, None, Vec::new());
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        let file = match word {
            "--json" => &mut json,
            "--against" => &mut against,
            "--help" | "-h" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            option if option.starts_with('-') => return usage(&format!("`{option}` is not an option")),
            word => {
                wanted.push(word);
                continue;
            }
        };
        match rest.next() {
            Some(name) => *file = Some(PathBuf::from(name)),
            None => return usage(&format!("{word} needs the name of a file")),
        }
    }
    if cfg!(debug_assertions) {
        return usage("the counts of a debug build mean nothing; build with --release");
    }
    match count_all(&wanted, json.as_deref(), against.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn usage(wrong: &str) -> ExitCode {
    eprintln!("{wrong}\n\n{HELP}");
    ExitCode::from(2)
}

fn count_all(wanted: &[&str], json: Option<&Path>, against: Option<&Path>) -> Result<(), String> {
    let before = against.map(Counts::read).transpose()?;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    let operations: Vec<_> = operations().filter(|operation| is_wanted(operation.name)).collect();
    let names: Vec<_> = operations.iter().map(|operation| operation.name).collect();
    let counts = side_by_side(&operations)?;
    let now = Counts::new(names.iter().copied().zip(counts));
    let compared = now.compare(before.as_ref(), &names);
    if let Some(file) = json {
        now.write(file)?;
    }
    if let Some(why) = compared? {
        // Read by `cargo xtask`.
        println!("not compared: {why}");
    }
    Ok(())
}

/// Counts as many operations at a time as there are processors: a count does not depend on what runs beside it.
fn side_by_side(operations: &[&Operation]) -> Result<Vec<Count>, String> {
    let directory = std::env::temp_dir().join(format!("pm-bench-instructions-{}", std::process::id()));
    let next = Mutex::new(0..operations.len());
    let work = || {
        let mut counted = Vec::new();
        loop {
            let next = next.lock().expect("no thread panics with it").next();
            let Some(at) = next else { return Ok(counted) };
            counted.push((at, callgrind::count(operations[at], &directory.join(at.to_string()))?));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<Result<_, String>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("workers do not panic")).collect()
    });
    // Profiles that stay do no harm.
    let _ = fs::remove_dir_all(&directory);
    let mut counted = Vec::new();
    for result in results {
        counted.extend(result?);
    }
    counted.sort_by_key(|(at, _)| *at);
    Ok(counted.into_iter().map(|(_, count)| count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_a_row_for_each_operation_and_no_others() {
        let document = include_str!("../../../../docs/instructions.md");
        let (_, tables) = document.split_once("## The operations").expect("the document has the tables");
        let first = |line: &'static str| line.strip_prefix("| ")?.split(" |").next();
        let mut rows: Vec<&str> = tables.lines().filter_map(first).collect();
        // The heads and the lines below them.
        let heads: Vec<usize> = (1..rows.len()).filter(|&at| rows[at] == "---").map(|at| at - 1).collect();
        heads.iter().rev().for_each(|&at| drop(rows.drain(at..at + 2)));
        assert_eq!(rows, operations().map(|operation| operation.name).collect::<Vec<_>>());
    }
}
