//! Running steps one after the other, and other programs within them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

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

/// Runs steps until one fails, then prints how long each took and what was left out.
pub(crate) fn run_all(steps: &[Step]) -> ExitCode {
    let begin = Instant::now();
    let mut table = Vec::new();
    let mut left_out = Vec::new();
    let mut failure = None;
    for &(name, work) in steps {
        if failure.is_some() {
            table.push((name, "not run", None));
            continue;
        }
        let (outcome, seconds) = run(name, work);
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
                failure = Some((name, why));
                "FAILED"
            }
        };
        table.push((name, word, Some(seconds)));
    }
    println!("\n{:<16}{:>8}  outcome", "step", "seconds");
    for (name, word, seconds) in table {
        let seconds = seconds.map_or("-".to_string(), |seconds| format!("{seconds:.1}"));
        println!("{name:<16}{seconds:>8}  {word}");
    }
    println!("{:<16}{:>8.1}", "all", begin.elapsed().as_secs_f64());
    if !left_out.is_empty() {
        println!("\nleft out:");
        for (name, why) in left_out {
            println!("  {name}: {why}");
        }
    }
    let Some((name, why)) = failure else { return ExitCode::SUCCESS };
    eprintln!("\n{name} failed: {why}");
    ExitCode::FAILURE
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

/// Returns the outcome of a check that found these errors: it passes without any, else it shows each on a line.
pub(crate) fn settle(errors: &[String]) -> Outcome {
    if errors.is_empty() {
        return Ok(Done::Whole);
    }
    let lines = errors.iter().map(|error| format!("\n  {error}"));
    Err(format!("{} errors:{}", errors.len(), lines.collect::<String>()))
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
