//! Measures the process list, each figure beside a yardstick of the same run.
//!
//! `cargo xtask bench` runs it. Machines are shared and noisy: compare ratios, not nanoseconds.

mod calls;
mod deadlines;
mod harness;
mod kill;
mod latency;
mod list;
mod load;
mod memory;
mod ours;
mod polls;
mod report;
mod requests;
mod small;
mod spans;
mod spawns;
mod waits;
mod watched;
mod whole;

use std::path::PathBuf;
use std::process::ExitCode;

use harness::Effort;
use report::Report;

const HELP: &str = "\
usage: pm-bench [--quick] [--json FILE] [SECTION...]

  --quick      a tenth of the time, for a look; the figures are rougher
  --json FILE  writes the figures there, too
  SECTION      only these: yardsticks, operations, find, list, whole, memory, latency, load, watched, requests, polls,
               spawns, tracing, waits, kill, deadlines";

type Section = (&'static str, fn(Effort, &mut Report));

const SECTIONS: [Section; 16] = [
    ("yardsticks", small::yardsticks),
    ("operations", small::operations),
    ("find", small::find),
    // Before those that leave millions of slots behind, among which the tasks of a later list lie scattered.
    ("list", list::measure),
    ("whole", whole::measure),
    ("memory", memory::measure),
    ("latency", latency::measure),
    ("load", load::measure),
    ("watched", watched::measure),
    ("requests", requests::measure),
    ("polls", polls::measure),
    ("spawns", spawns::measure),
    ("tracing", spans::measure),
    ("waits", waits::measure),
    ("kill", kill::measure),
    ("deadlines", deadlines::measure),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [child, rest @ ..] = &words[..]
        && child == memory::CHILD
    {
        return memory::child(rest);
    }
    if let [child, rest @ ..] = &words[..]
        && child == watched::CHILD
    {
        return watched::child(rest);
    }
    let (mut effort, mut json, mut wanted) = (Effort { quick: false }, None, Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => effort.quick = true,
            "--json" => match words.next() {
                Some(file) => json = Some(PathBuf::from(file)),
                None => return usage("--json needs the name of a file"),
            },
            "--help" | "-h" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            name if SECTIONS.iter().any(|(section, _)| *section == name) => wanted.push(name.to_owned()),
            other => return usage(&format!("`{other}` is neither an option nor a section")),
        }
    }
    if cfg!(debug_assertions) {
        return usage("the figures of a debug build mean nothing; build with --release");
    }
    let mut report = Report::default();
    for (name, measure) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(effort, &mut report);
        }
    }
    let machine = machine(effort);
    print!("{}", report.markdown(&machine));
    if let Some(file) = json
        && let Err(error) = std::fs::write(&file, format!("{:#}\n", report.json(&machine)))
    {
        eprintln!("could not write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage(wrong: &str) -> ExitCode {
    eprintln!("{wrong}\n\n{HELP}");
    ExitCode::from(2)
}

/// Returns a description of the machine and the build.
fn machine(effort: Effort) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mode = effort.pick("quick run", "full run");
    format!("{model}, {cores} threads, {} {}, release build, {mode}", std::env::consts::OS, std::env::consts::ARCH)
}
