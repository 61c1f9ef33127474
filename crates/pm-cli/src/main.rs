//! The `pm` command: list, follow and stop the tasks of running programs.
//!
//! `config` tells what is set and whom to ask, `verbs` holds the one-shot verbs, `ask` asks and knows the exit codes,
//! `table` and `clean` make what is seen on the screen, `demo` a program to try it all on. This file is the command line.

mod ask;
mod clean;
mod config;
mod demo;
mod table;
mod verbs;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::json;

use ask::Exit;
use config::{ConfigError, Endpoints, Output, Where};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failure
  2  the command line is not understood
  3  no endpoint has a live task with this id
  4  refused: the task may not be cancelled, or several bear the id
  5  no endpoint gave a usable answer
  6  partial: some endpoints gave no usable answer; they are named on stderr
  7  the task was asked to stop, but was still running when the wait was over

Data goes to stdout, words to stderr.";

/// See what is running in your programs, and stop it.
#[derive(Debug, Parser)]
#[command(name = "pm", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// What the verbs that ask have in common.
#[derive(Debug, Args)]
struct Ask {
    #[command(flatten)]
    place: Where,
    /// How to show the answer [env: PM_OUTPUT] [default: table]
    #[arg(short, long, value_enum, help_heading = "Output")]
    output: Option<Output>,
}

/// Which task is meant.
#[derive(Debug, Args)]
struct Which {
    /// The id of the task
    id: String,
    /// Which one, if several bear the id: `pm ls` shows it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    serial: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the tasks that run now, oldest first
    Ls {
        #[command(flatten)]
        ask: Ask,
    },
    /// Show what a task did so far
    History {
        #[command(flatten)]
        task: Which,
        #[command(flatten)]
        ask: Ask,
    },
    /// Ask a task to stop, and say what came of it
    Kill {
        #[command(flatten)]
        task: Which,
        /// Why, in as many words as you like; the task and its history get to know
        reason: Vec<String>,
        /// How long to wait for the end of the task, at most 25s
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = wait)]
        wait: Duration,
        /// Only ask; do not wait for what comes of it
        #[arg(long, conflicts_with = "wait")]
        no_wait: bool,
        #[command(flatten)]
        ask: Ask,
    },
    /// Show what is set, and who set it: flag, variable, file or default
    Config {
        #[command(flatten)]
        ask: Ask,
    },
    /// Run a small program with tasks to look at
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo(args) => return demo::run(args),
        Verb::Ls { ask } => asked(&ask, verbs::ls),
        Verb::Config { ask } => ask.place.settings(ask.output).map_or_else(usage, |settings| {
            match settings.output.value {
                Output::Json => ask::print_value(&json!({ "items": config::items(&settings) })),
                Output::Table => ask::print(&config::show(&settings).render(table::screen())),
            }
            .map(|()| Exit::Ok)
        }),
        Verb::History { task, ask } => asked(&ask, |endpoints, output| verbs::history(endpoints, &task, output)),
        Verb::Kill { task, reason, wait, no_wait, ask } => asked(&ask, |endpoints, output| {
            verbs::kill(endpoints, &task, &reason.join(" "), (!no_wait).then_some(wait), output)
        }),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            ask::say(&error.to_string());
            Exit::Failure.into()
        }
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    match pm_wire::duration::parse(text)? {
        wait if wait > pm_wire::VerdictReply::MAX_WAIT => Err("25s is the longest; ask again after it".to_owned()),
        wait => Ok(wait),
    }
}

fn asked(ask: &Ask, verb: impl FnOnce(Endpoints, Output) -> io::Result<Exit>) -> io::Result<Exit> {
    ask.place.settings(ask.output).map_or_else(usage, |settings| verb(settings.endpoints, settings.output.value))
}

fn usage(error: ConfigError) -> io::Result<Exit> {
    ask::say(&error.to_string());
    Ok(Exit::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
