//! Measures the command `pm`: its size, its start, and `pm ls` beside `curl` and `jq` in the same run.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::step::{Done, Outcome, cargo, pass, target_dir, works};

/// Limits below which neither the download nor the start is noticed.
const MAX_BYTES: u64 = 10_000_000;
const MAX_START: Duration = Duration::from_millis(20);
/// Enough for a middle that stays where it is.
const RUNS: usize = 31;
const TASKS: [u32; 3] = [10, 1_000, 100_000];

pub(crate) fn measure() -> Outcome {
    pass(&mut cargo(&["build", "--profile=dist", "--package=pm-cli", "--locked"]))?;
    let pm = target_dir("dist").join(format!("pm{}", std::env::consts::EXE_SUFFIX));
    println!("\n{:<44}{:>12}   goal", "what", "measured");
    let mut left_out = Vec::new();
    let bytes = fs::metadata(&pm).map_err(|error| format!("{}: {error}", pm.display()))?.len();
    let verdict = if bytes <= MAX_BYTES { "ok" } else { "MISS" };
    row("size", &format!("{:.1} MB", bytes as f64 / 1e6), &format!("<= 10 MB  {verdict}"));
    let start = middle_of(RUNS, || {
        let mut command = Command::new(&pm);
        command.arg("--version");
        command
    })?;
    let verdict = if start <= MAX_START { "ok" } else { "MISS" };
    row("start: pm --version, middle of 31", &millis(start), &format!("<= 20 ms  {verdict}"));

    let has_rivals = works(Command::new("curl").arg("--version")) && works(Command::new("jq").arg("--version"));
    if !has_rivals {
        left_out.push("no curl and jq to compare with; apt-get install curl jq".to_owned());
    }
    for tasks in TASKS {
        let demo = Demo::start(&pm, tasks)?;
        // As many runs as a person would wait for.
        let runs = if tasks > 10_000 { 5 } else { RUNS };
        let ls = |more: &'static [&'static str]| {
            let mut command = Command::new(&pm);
            command.args(["ls", "-e", &demo.list]).args(more);
            command
        };
        let what = format!("{tasks} tasks");
        row(&format!("{what}: pm ls limit=100, a screen"), &millis(middle_of(runs, || ls(&["limit=100"]))?), "");
        row(&format!("{what}: pm ls -o ids, all"), &millis(middle_of(runs, || ls(&["-o", "ids"]))?), "");
        row(&format!("{what}: pm ls -o ndjson, all"), &millis(middle_of(runs, || ls(&["-o", "ndjson"]))?), "");
        if has_rivals {
            let pipe = |filter: &str, path: &str| {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("curl -s 'http://{}{path}' | jq -r '{filter}'", demo.list)]);
                command
            };
            let screen = r#".tasks[] | [.id, .kind, .ageMs, .status] | @tsv"#;
            row(
                &format!("{what}: curl | jq, 100 of /v1/tasks"),
                &millis(middle_of(runs, || pipe(screen, "/v1/tasks?limit=100"))?),
                "",
            );
            row(
                &format!("{what}: curl | jq, all ids of /procs/"),
                &millis(middle_of(runs, || pipe(".procs[].id", "/procs/"))?),
                "",
            );
        }
    }
    Ok(if left_out.is_empty() { Done::Whole } else { Done::Partly(left_out) })
}

fn row(what: &str, measured: &str, goal: &str) {
    println!("{what:<44}{measured:>12}   {goal}");
}

fn millis(length: Duration) -> String {
    format!("{:.1} ms", length.as_secs_f64() * 1e3)
}

/// The middle of the times that so many runs take, from the start of the program to its end.
fn middle_of(runs: usize, command: impl Fn() -> Command) -> Result<Duration, String> {
    let mut times = Vec::new();
    for _ in 0..runs {
        times.push(time(&mut command())?);
    }
    times.sort_unstable();
    Ok(times[runs / 2])
}

fn time(command: &mut Command) -> Result<Duration, String> {
    let begin = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let took = begin.elapsed();
    match status {
        Ok(status) if status.success() => Ok(took),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// A demo with so many idle tasks; ends with the value.
struct Demo {
    child: Child,
    list: String,
}

impl Demo {
    fn start(pm: &Path, tasks: u32) -> Result<Demo, String> {
        let mut command = Command::new(pm);
        command.args(["demo", "--rate", "0", "--listen", "127.0.0.1:0", "--app", "127.0.0.1:0"]);
        command.args(["--tasks", &tasks.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", pm.display()))?;
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // The first address of its banner is that of its list.
        let list = lines.map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("http://")?.1;
            Some(rest.split('/').next().unwrap_or(rest).to_owned())
        });
        let demo = Demo { child, list: list.unwrap_or_default() };
        if demo.list.is_empty() { Err("pm demo did not say where its list is".to_owned()) } else { Ok(demo) }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
