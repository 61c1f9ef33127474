//! Measures which lines of `pm-core`, `pm-server` and `pm` their tests run.
//!
//! Counts lines of the sources alone, without the unit tests at their end. Examples in docs are not run for this: the
//! compiler cannot trace them yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::step::{Done, Outcome, cargo, output, pass, pass_within, target_dir};

const CRATES: [&str; 3] = ["pm-core", "pm-server", "pm"];

pub(crate) fn measure() -> Outcome {
    let (profdata, cov) = match tools() {
        Ok(tools) => tools,
        Err(why) => {
            return Ok(Done::LeftOut(format!("the llvm-tools are missing ({why}); rustup component add llvm-tools")));
        }
    };
    let dir = std::path::absolute(target_dir("coverage")).map_err(|error| format!("target/coverage: {error}"))?;
    let profiles = dir.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles).map_err(|error| format!("{}: {error}", profiles.display()))?;
    }
    pass(&mut tests(&dir, &[]))?;
    let programs = programs(&output(&mut tests(&dir, &["--no-run", "--quiet", "--message-format=json"]))?);
    let merged = dir.join("merged.profdata");
    let raw = files_with(&profiles, "profraw").map_err(|error| format!("{}: {error}", profiles.display()))?;
    output(Command::new(profdata).args(["merge", "--sparse", "--output"]).arg(&merged).args(raw))?;
    let mut export = Command::new(cov);
    export.args(["export", "--format=lcov", "--instr-profile"]).arg(&merged);
    for program in &programs {
        export.arg("--object").arg(program);
    }
    report(&output(&mut export)?)
}

/// The tests of these crates, built so that they write which lines they run.
fn tests(dir: &Path, words: &[&str]) -> Command {
    let mut command = cargo(&["test", "--locked", "--lib", "--tests", "--target-dir"]);
    command.arg(dir).args(words).args(CRATES.map(|name| format!("--package={name}")));
    command.env("RUSTFLAGS", "-C instrument-coverage");
    // Process and binary in the name: no two write the same file.
    command.env("LLVM_PROFILE_FILE", dir.join("profiles").join("%p-%m.profraw"));
    command
}

/// Paths of `llvm-profdata` and `llvm-cov` of this toolchain, installed if need be.
fn tools() -> Result<(PathBuf, PathBuf), String> {
    let lib = output(Command::new("rustc").arg("--print=target-libdir"))?;
    let bin = Path::new(lib.trim()).with_file_name("bin");
    let suffix = std::env::consts::EXE_SUFFIX;
    let tools = (bin.join(format!("llvm-profdata{suffix}")), bin.join(format!("llvm-cov{suffix}")));
    if !(tools.0.exists() && tools.1.exists()) {
        pass_within(Command::new("rustup").args(["component", "add", "llvm-tools"]), Duration::from_secs(180))?;
    }
    if tools.0.exists() && tools.1.exists() { Ok(tools) } else { Err("they are for another toolchain".into()) }
}

/// Returns the programs in cargo's JSON messages, one message per line.
fn programs(messages: &str) -> Vec<String> {
    let path = |line: &str| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(rest.split_once('"')?.0.replace("\\\\", "\\"))
    };
    messages.lines().filter_map(path).collect()
}

fn files_with(dir: &Path, extension: &str) -> std::io::Result<Vec<PathBuf>> {
    let paths = dir.read_dir()?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
}

/// Lines that were run, and all lines with code.
type Lines = (u64, u64);

fn report(lcov: &str) -> Outcome {
    let files = count(lcov);
    let show = |name: &str, (run, all): Lines| {
        println!("{name:<40}{run:>8}{all:>8}{:>8.1} %", 100.0 * run as f64 / all.max(1) as f64);
    };
    println!("{:<40}{:>8}{:>8}", "", "run", "lines");
    for (file, lines) in &files {
        show(file, *lines);
    }
    for name in CRATES {
        let sources = format!("crates/{name}/src/");
        let of_crate = files.iter().filter(|(file, _)| file.starts_with(&sources));
        let sum = of_crate.fold((0, 0), |sum, (_, lines)| (sum.0 + lines.0, sum.1 + lines.1));
        if sum.1 == 0 {
            return Err(format!("no line of {name} was found in the report"));
        }
        show(name, sum);
    }
    Ok(Done::Whole)
}

/// Lines per file of our crates.
fn count(lcov: &str) -> BTreeMap<String, Lines> {
    let mut files = BTreeMap::new();
    let mut file = None;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = our_source(path).map(|name| (name, first_test_line(path)));
        }
        let Some((name, tests)) = &file else { continue };
        let numbers = line.strip_prefix("DA:").and_then(|numbers| numbers.split_once(','));
        let Some((Ok(line), Ok(times))) = numbers.map(|(line, times)| (line.parse::<usize>(), times.parse::<u64>()))
        else {
            continue;
        };
        if line < *tests {
            let lines: &mut Lines = files.entry(name.clone()).or_default();
            *lines = (lines.0 + u64::from(times > 0), lines.1 + 1);
        }
    }
    files
}

/// The path from the top of the workspace, if it is a source of a crate that is measured.
fn our_source(path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    let at = CRATES.iter().find_map(|name| path.rfind(&format!("/crates/{name}/src/")))?;
    Some(path[at + 1..].to_string())
}

/// The line where unit tests begin, which are the last thing in a file.
fn first_test_line(path: &str) -> usize {
    let text = fs::read_to_string(path).unwrap_or_default();
    let is_tests = |line: &str| line.starts_with("#[cfg(") && line.contains("test");
    let mut lines = text.lines().zip(text.lines().skip(1));
    lines.position(|(line, next)| is_tests(line) && next.starts_with("mod ")).map_or(usize::MAX, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_crates_are_not_counted() {
        let lcov = "SF:/a/crates/pm/src/lib.rs\nDA:1,0\nDA:2,7\nend_of_record\nSF:/b/serde/src/lib.rs\nDA:1,1\n";
        assert_eq!(count(lcov), BTreeMap::from([("crates/pm/src/lib.rs".to_string(), (1, 2))]));
    }

    #[test]
    fn programs_are_read_from_the_messages_of_cargo() {
        let messages = "{\"executable\":null}\n{\"a\":1,\"executable\":\"/t/debug/deps/pm-1\",\"fresh\":true}\n";
        assert_eq!(programs(messages), ["/t/debug/deps/pm-1"]);
    }
}
