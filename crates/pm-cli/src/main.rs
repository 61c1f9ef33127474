//! The `pm` command: list, follow and stop the tasks of running programs.
//!
//! Modules, each using only those above it:
//!
//! | module | contents |
//! |---|---|
//! | `out` | output: tables, JSON, messages, escaping |
//! | `exit` | exit codes and errors |
//! | `signals` | signals for process 1 |
//! | `config` | settings and endpoints |
//! | `query` | the selection of tasks |
//! | `fleet` | queries to all endpoints at once |
//! | `feed` | the state of all endpoints, followed by streams |
//! | `verbs` | the one-shot verbs |
//! | `record` | recordings |
//! | `top` | the screen, live or over a recording |
//! | `demo` | an example program to try it on |
//!
//! This file is the command line.

mod config;
mod demo;
mod exit;
mod feed;
mod fleet;
mod out;
mod query;
mod record;
mod signals;
mod top;
mod verbs;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use exit::{Exit, Stop};
use verbs::{audit, ended, endpoints, generate, history, kill, kinds, ls, run, show, tree, wait, waits, watch, why};

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  failure: output failed, an awaited task did not finish, or a confirmation was declined
  2  invalid command line, variable or config file
  3  no task matches
  4  refused: a task is not cancellable, a server denied access, or more tasks match than --max
  5  no endpoint gave a valid response
  6  partial: some endpoints gave no valid response; stderr names them
  7  timed out, and tasks are still running

Data goes to stdout, messages to stderr.";

/// List, follow and cancel the tasks of running programs.
#[derive(Debug, Parser)]
#[command(name = "pm", version, after_help = EXIT_CODES, disable_help_subcommand = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List running tasks, oldest first
    Ls(ls::Args),
    /// Show one task in detail
    Show(verbs::TaskArgs),
    /// Show the status history of a task
    History(verbs::TaskArgs),
    /// Show tasks as a tree of parents and children
    Tree(tree::Args),
    /// Explain what a task is waiting for, and whether that is usual
    Why(verbs::TaskArgs),
    /// Show tasks waiting for others, and deadlocks
    Waits(waits::Args),
    /// Cancel tasks and report the outcome
    Kill(kill::Args),
    /// Follow tasks, like tail -f
    Watch(watch::Args),
    /// Wait for tasks to end; the exit code reflects their outcomes
    Wait(wait::Args),
    /// Show outcomes and latencies by kind, and where time goes
    Kinds(kinds::Args),
    /// List recently ended tasks, newest first
    Ended(ended::Args),
    /// Show attempts to cancel tasks
    Audit(audit::Args),
    /// Show the state of each endpoint
    Endpoints(endpoints::Args),
    /// Show each setting and its origin: flag, variable, file or default
    Config(verbs::config::Args),
    /// Print a completion script for a shell
    Completions(generate::Completions),
    /// Print the man page
    Man(generate::Man),
    /// Show a live, full-screen list: filter, sort, inspect and cancel tasks
    Top(top::Args),
    /// Record all updates to a file
    Record(record::Args),
    /// Show a recording on the screen of top, or print the list at one moment
    Replay(top::ReplayArgs),
    /// Run an example program with tasks
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let verb = Cli::parse().verb;
    // These handle signals themselves.
    if !matches!(verb, Verb::Demo(_) | Verb::Record(_) | Verb::Top(_) | Verb::Replay(_)) {
        signals::end_process_1();
    }
    let done = match verb {
        Verb::Demo(args) => return demo::run(args),
        Verb::Ls(args) => run(ls::run(args)),
        Verb::Show(args) => run(show::run(args)),
        Verb::History(args) => run(history::run(args)),
        Verb::Tree(args) => run(tree::run(args)),
        Verb::Why(args) => run(why::run(args)),
        Verb::Waits(args) => run(waits::run(args)),
        Verb::Kill(args) => run(kill::run(args)),
        Verb::Watch(args) => run(watch::run(args)),
        Verb::Wait(args) => run(wait::run(args)),
        Verb::Kinds(args) => run(kinds::run(args)),
        Verb::Ended(args) => run(ended::run(args)),
        Verb::Audit(args) => run(audit::run(args)),
        Verb::Endpoints(args) => run(endpoints::run(args)),
        Verb::Top(args) => top::run(args),
        Verb::Record(args) => run(record::record(args)),
        Verb::Replay(args) => top::replay(args),
        Verb::Config(args) => verbs::config::run(&args),
        Verb::Completions(args) => generate::completions(&args, Cli::command()),
        Verb::Man(args) => generate::man(&args, Cli::command()),
    };
    let exit = match done {
        Ok(exit) => exit,
        Err(Stop::Usage(why)) => {
            out::say(&why);
            Exit::Usage
        }
        // A closed pipe is not an error, as in `pm ls | head`.
        Err(Stop::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(Stop::Io(error)) => {
            out::say(&error.to_string());
            Exit::Failure
        }
    };
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
