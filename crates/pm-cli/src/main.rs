//! The `pm` command: list, follow and stop the tasks of running programs.
//!
//! `verbs` holds the one-shot verbs, `ask` the endpoints and exit codes, `table` and `clean` what is seen on
//! the screen, `demo` a program to try it all on. This file is the command line.

mod ask;
mod clean;
mod demo;
mod table;
mod verbs;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pm_client::Client;

use ask::Exit;

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
    /// Where to ask: host:port or http://host:port/prefix/; several with commas or by repeating
    #[arg(
        short,
        long = "endpoint",
        value_name = "ENDPOINT",
        env = "PM_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:6680"
    )]
    endpoints: Vec<String>,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// How long each endpoint may take in all, as 500ms, 10s or 2m
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = pm_wire::duration::parse)]
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people; as wide as the terminal, uncut in a pipe
    Table,
    /// For programs: one document with an entry for each endpoint
    Json,
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
    /// Run a small program with tasks to look at
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo(args) => return demo::run(args),
        Verb::Ls { ask } => asked(&ask, verbs::ls),
        Verb::History { task, ask } => asked(&ask, |clients, output| verbs::history(clients, &task, output)),
        Verb::Kill { task, reason, wait, no_wait, ask } => asked(&ask, |clients, output| {
            verbs::kill(clients, &task, &reason.join(" "), (!no_wait).then_some(wait), output)
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

fn asked(ask: &Ask, verb: impl FnOnce(Vec<Client>, Output) -> io::Result<Exit>) -> io::Result<Exit> {
    match clients(&ask.endpoints, ask.timeout) {
        Ok(clients) => verb(clients, ask.output),
        Err(error) => {
            ask::say(&error);
            Ok(Exit::Usage)
        }
    }
}

/// A client for every endpoint, each once.
fn clients(endpoints: &[String], timeout: Duration) -> Result<Vec<Client>, String> {
    let mut clients: Vec<Client> = Vec::new();
    for endpoint in endpoints.iter().map(|endpoint| endpoint.trim()).filter(|endpoint| !endpoint.is_empty()) {
        if clients.iter().all(|client| client.endpoint() != endpoint) {
            let client = Client::builder(endpoint).map_err(|error| error.to_string())?;
            clients.push(client.timeout(timeout).token_from_env().build());
        }
    }
    if clients.is_empty() { Err("no endpoint is given; name one with -e".to_owned()) } else { Ok(clients) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn an_endpoint_is_asked_once() {
        let endpoints = ["a:1", " a:1", "", "b:1"].map(str::to_owned);
        assert_eq!(clients(&endpoints, Duration::from_secs(1)).unwrap().len(), 2);
        assert!(clients(&[String::new()], Duration::from_secs(1)).is_err());
    }
}
