//! Running steps, and other programs within them.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How variables begin that describe a package to its own programs.
const PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// The name of a step and its work.
pub(crate) type Step = (&'static str, fn() -> Outcome);

/// The result of a step, or why it failed.
pub(crate) type Outcome = Result<Done, String>;

/// How much of a step could be done here.
pub(crate) enum Done {
    Whole,
    /// All but these parts, each with the reason.
    Partly(Vec<String>),
    /// Nothing, and why.
    LeftOut(String),
}

/// Returns what cargo knows of the packages of this workspace.
pub(crate) fn packages() -> Result<Vec<Value>, String> {
    let text = output(&mut cargo(&["metadata", "--no-deps", "--format-version=1"]))?;
    let mut metadata: Value = serde_json::from_str(&text).map_err(|error| format!("metadata: {error}"))?;
    match metadata["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => Err("metadata: there are no packages".into()),
    }
}

/// Steps and how they run.
#[derive(Default)]
pub(crate) struct Plan {
    /// One after the other.
    pub(crate) steps: Vec<Step>,
    /// One after the other as well, but beside `steps`. Each also is a command by its name.
    pub(crate) beside: Vec<&'static str>,
    /// After all others: they measure.
    pub(crate) last: Vec<Step>,
}

/// The outcome of a step and the seconds that it took.
type Timed = (Outcome, f64);

/// Runs all steps, also behind one that fails, then prints how long each took, what was left out, and what failed.
pub(crate) fn run_all(plan: &Plan) -> ExitCode {
    let begin = Instant::now();
    let mut results: Vec<(&str, Timed)> = Vec::new();
    thread::scope(|scope| {
        let (send, ended) = mpsc::channel();
        scope.spawn(move || {
            // The receiver is there until all have ended.
            plan.beside.iter().for_each(|name| drop(send.send((*name, run_beside(name)))));
        });
        let show = |results: &mut Vec<_>, name, (text, result): (String, Timed)| {
            println!("{}", text.trim_end());
            results.push((name, result));
        };
        for &(name, work) in &plan.steps {
            results.push((name, run(name, work)));
            ended.try_iter().for_each(|(name, result)| show(&mut results, name, result));
        }
        ended.iter().for_each(|(name, result)| show(&mut results, name, result));
    });
    results.extend(plan.last.iter().map(|&(name, work)| (name, run(name, work))));
    let count = results.len();
    println!("\n{:<16}{:>8}  outcome", "step", "seconds");
    let (mut left_out, mut failures) = (Vec::new(), Vec::new());
    for (name, (outcome, seconds)) in results {
        let word = match outcome {
            Ok(Done::Whole) => "passed",
            Ok(Done::Partly(parts)) => {
                left_out.extend(parts.into_iter().map(|why| (name, why)));
                "passed in part"
            }
            Ok(Done::LeftOut(why)) => {
                left_out.push((name, why));
                "left out"
            }
            Err(why) => {
                failures.push((name, why));
                "FAILED"
            }
        };
        println!("{name:<16}{seconds:>8.1}  {word}");
    }
    println!("{:<16}{:>8.1}", "all", begin.elapsed().as_secs_f64());
    if !left_out.is_empty() {
        println!("\nleft out:");
        left_out.iter().for_each(|(name, why)| println!("  {name}: {why}"));
    }
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("\n{} of {count} steps failed:", failures.len());
    failures.iter().for_each(|(name, why)| eprintln!("  {name}: {}", why.replace('\n', "\n  ")));
    ExitCode::FAILURE
}

/// Runs a step in a process of its own, and returns what it printed.
fn run_beside(name: &str) -> (String, Timed) {
    let begin = Instant::now();
    let failed = |error: std::io::Error| format!("it could not run beside the others: {error}");
    let path = target_dir("xtask").join(format!("{name}.log"));
    let ran = fs::create_dir_all(target_dir("xtask")).and_then(|()| fs::File::create(&path)).and_then(|log| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status()?;
        fs::read_to_string(&path)
    });
    let text = ran.as_deref().unwrap_or_default().to_owned();
    let outcome = ran.map_err(failed).and_then(|text| read_outcome(name, &text));
    (text, (outcome, begin.elapsed().as_secs_f64()))
}

/// Reads the outcome of a step from what [`run_one`] printed.
fn read_outcome(name: &str, text: &str) -> Outcome {
    let (_, last) = text.rsplit_once(&format!("\n== {name}: ")).ok_or("it ended early")?;
    let last = last.trim_end();
    if let Some(why) = last.strip_prefix("left out: ") {
        return Ok(Done::LeftOut(why.into()));
    }
    let (took, rest) = last.split_once(" s").unwrap_or((last, ""));
    match rest.split_once(": ") {
        _ if took.starts_with("failed after ") => Err(rest.trim_start_matches(": ").into()),
        Some((", without", parts)) => Ok(Done::Partly(vec![parts.into()])),
        _ => Ok(Done::Whole),
    }
}

/// Runs a step that was asked for by name; not being able to run it is a failure then.
pub(crate) fn run_one(name: &str, work: impl FnOnce() -> Outcome) -> ExitCode {
    match run(name, work).0 {
        Ok(Done::Whole | Done::Partly(_)) => ExitCode::SUCCESS,
        Ok(Done::LeftOut(_)) | Err(_) => ExitCode::FAILURE,
    }
}

fn run(name: &str, work: impl FnOnce() -> Outcome) -> (Outcome, f64) {
    println!("\n== {name}");
    let begin = Instant::now();
    let outcome = work();
    let seconds = begin.elapsed().as_secs_f64();
    match &outcome {
        Ok(Done::Whole) => println!("== {name}: passed in {seconds:.1} s"),
        Ok(Done::Partly(parts)) => println!("== {name}: passed in {seconds:.1} s, without: {}", parts.join("; ")),
        Ok(Done::LeftOut(why)) => println!("== {name}: left out: {why}"),
        Err(why) => eprintln!("== {name}: failed after {seconds:.1} s: {why}"),
    }
    (outcome, seconds)
}

/// The cargo that runs us.
pub(crate) fn cargo<S: AsRef<OsStr>>(words: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(words);
    // The cargo that runs this program has set them. A build script that reads them would run again after each cargo
    // that is run directly, and all that depends on it would be built again.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| PACKAGE.iter().any(|of| name.starts_with(of))) {
            command.env_remove(name);
        }
    }
    command
}

/// A directory for what is built apart from the rest: below `CARGO_TARGET_DIR`, else `target`.
pub(crate) fn target_dir(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join(name)
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn pass(command: &mut Command) -> Outcome {
    show(command);
    match command.status() {
        Ok(status) if status.success() => Ok(Done::Whole),
        Ok(status) => Err(format!("{}: {status}", line(command))),
        Err(error) => Err(not_started(command, &error)),
    }
}

/// Runs a program to its end like [`pass`], but kills it when it takes too long.
pub(crate) fn pass_within(command: &mut Command, limit: Duration) -> Result<(), String> {
    show(command);
    let mut child = command.spawn().map_err(|error| not_started(command, &error))?;
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{}: {status}", line(command))),
            Ok(None) if begin.elapsed() < limit => thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                // It may have ended by itself in the meantime; either way it is gone.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{}: not done within {} s", line(command), limit.as_secs()));
            }
            Err(error) => return Err(format!("{}: {error}", line(command))),
        }
    }
}

/// Runs a program like [`pass`], and hands each line of its output to `look` after printing it.
pub(crate) fn pass_and_look(command: &mut Command, mut look: impl FnMut(&str)) -> Outcome {
    show(command);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(command, &error))?;
    let output = child.stdout.take().expect("the output is a pipe");
    for text in BufReader::new(output).lines().map_while(Result::ok) {
        println!("{text}");
        look(&text);
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(Done::Whole),
        Ok(status) => Err(format!("{}: {status}", line(command))),
        Err(error) => Err(format!("{}: {error}", line(command))),
    }
}

/// Returns the output of a program that ends well; its errors go to the screen.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    if !output.status.success() {
        return Err(format!("{}: {}", line(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{}: its output is not UTF-8", line(command)))
}

/// Returns `true` if a program exists and ends well; nothing is printed.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Installs a package of Debian, if this is Debian and we may.
pub(crate) fn install_on_debian(package: &str) -> Result<(), String> {
    if !Path::new("/etc/debian_version").exists() {
        return Err("it is only installed on Debian".into());
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err("it is only installed by root".into());
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends", package]);
    pass_within(install.env("DEBIAN_FRONTEND", "noninteractive"), Duration::from_secs(600))
}

/// Runs programs like [`pass`], also behind one that fails.
pub(crate) fn pass_all(commands: impl IntoIterator<Item = Command>) -> Outcome {
    let failures = commands.into_iter().filter_map(|mut command| pass(&mut command).err());
    settle(&failures.collect::<Vec<_>>())
}

/// Returns the outcome of a check that found these errors: it passes without any, else it shows each on a line.
pub(crate) fn settle(errors: &[String]) -> Outcome {
    if errors.is_empty() {
        return Ok(Done::Whole);
    }
    let lines = errors.iter().map(|error| format!("\n  {error}"));
    let plural = if errors.len() == 1 { "" } else { "s" };
    Err(format!("{} error{plural}:{}", errors.len(), lines.collect::<String>()))
}

fn show(command: &Command) {
    println!("$ {}", line(command));
}

/// The command as one would type it, with the environment that was set for it.
fn line(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            line += &format!("{}={:?} ", name.to_string_lossy(), value.to_string_lossy());
        }
    }
    let program = PathBuf::from(command.get_program());
    line += &program.file_name().unwrap_or(command.get_program()).to_string_lossy();
    for word in command.get_args() {
        line += " ";
        line += &word.to_string_lossy();
    }
    line
}

fn not_started(command: &Command, error: &std::io::Error) -> String {
    format!("{} could not be started: {error}", line(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_of_a_step_is_read_from_what_it_printed() {
        let read = |text: &str| read_outcome("loom", &format!("\n== loom\n$ cargo test\n{text}\n"));
        assert!(matches!(read("== loom: passed in 3.0 s"), Ok(Done::Whole)));
        assert!(
            matches!(read("== loom: passed in 3.0 s, without: a: b"), Ok(Done::Partly(parts)) if parts == ["a: b"])
        );
        assert!(matches!(read("== loom: left out: no tool: none"), Ok(Done::LeftOut(why)) if why == "no tool: none"));
        assert!(
            matches!(read("== loom: failed after 3.0 s: 2 errors:\n  a\n  b"), Err(why) if why == "2 errors:\n  a\n  b")
        );
        assert!(read("thread 'main' panicked").is_err());
    }
}
