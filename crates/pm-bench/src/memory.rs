//! Memory of live tasks, and what reading them adds; each in a process of its own, so that nothing else is counted.

use std::process::{Command, ExitCode};

use pm_bench::{naive, raw, work};

use crate::harness::Effort;
use crate::list;
use crate::report::{Goal, Report};

/// The first word of the command line of such a process.
pub(crate) const CHILD: &str = "--memory-of";

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("memory");
    for (what, tasks, goal) in
        [("ours", 100_000, Goal::Most(360.0)), ("ours", 1_000_000, Goal::Most(300.0)), ("naive", 100_000, Goal::None)]
    {
        if effort.quick && tasks > 100_000 {
            continue;
        }
        let Some([per_task, growth]) = ask(what, tasks) else {
            report.note(format!("memory of {tasks} tasks ({what}) could not be measured here"));
            continue;
        };
        let name = match what {
            "ours" => format!("{tasks} live tasks, 3 attributes and 4 entries each"),
            _ => format!("naive port, {tasks} live tasks"),
        };
        report.plain(name, per_task, "B/task", goal);
        let goal = if what == "ours" { Goal::Most(2.0) } else { Goal::None };
        report.plain(format!("{what}: peak while {tasks} are listed over HTTP"), growth, "MiB more", goal);
    }
}

fn ask(what: &str, tasks: u64) -> Option<[f64; 2]> {
    let output = Command::new(std::env::current_exe().ok()?).args([CHILD, what, &tasks.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (per_task, growth) = text.trim().split_once(' ')?;
    Some([per_task.parse().ok()?, growth.parse().ok()?])
}

/// Fills a list, has it read over HTTP, and prints bytes per task and the MiB that reading added at most.
pub(crate) fn child(words: &[String]) -> ExitCode {
    let [what, tasks] = words else { return ExitCode::FAILURE };
    let Ok(tasks) = tasks.parse::<u64>() else { return ExitCode::FAILURE };
    let figures = match what.as_str() {
        "ours" => {
            let list = work::list();
            let tasks = work::fill(&list, tasks);
            figures(tasks.len(), &list::Served::ours(&list))
        }
        _ => {
            let list: &'static naive::List = Box::leak(Box::default());
            let tasks = work::naive_fill(list, tasks);
            figures(tasks.len(), &list::Served::naive(list))
        }
    };
    match figures {
        Some((per_task, growth)) => {
            println!("{per_task} {growth}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

fn figures(tasks: usize, served: &list::Served) -> Option<(f64, f64)> {
    // A short look first: what the server takes once is not the list's.
    served.get("/procs/no-such-task/history");
    let (before, _) = raw::resident()?;
    raw::forget_peak();
    for _ in 0..3 {
        served.get("/procs/");
    }
    let (_, peak) = raw::resident()?;
    Some((before as f64 / tasks as f64, peak.saturating_sub(before) as f64 / f64::from(1 << 20)))
}
