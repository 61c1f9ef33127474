//! The `pm` command: list, follow and stop the tasks of running programs.
//!
//! `verbs` holds the one-shot verbs, `ask` the endpoints and exit codes, `table`, `duration` and `clean` what is seen on
//! the screen, `demo` a program to try it all on. This file is the command line.

mod ask;
mod clean;
mod demo;
mod duration;
mod table;
mod verbs;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
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

Data goes to stdout, words to stderr.";

/// See what is running in your programs, and stop it.
#[derive(Debug, Parser)]
#[command(name = "pm", after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Cli {
    /// Where to ask: host:port or http://host:port/prefix/; several with commas or by repeating
    #[arg(
        short,
        long = "endpoint",
        value_name = "ENDPOINT",
        global = true,
        env = "PM_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:6680"
    )]
    endpoints: Vec<String>,
    /// How to show the answer
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// How long each endpoint may take in all, as 500ms, 10s or 2m
    #[arg(long, value_name = "DURATION", global = true, default_value = "10s", value_parser = duration::parse)]
    timeout: Duration,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people; as wide as the terminal, uncut in a pipe
    Table,
    /// For programs: one document with an entry for each endpoint
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the tasks that run now, oldest first
    Ls,
    /// Show what a task did so far
    History {
        /// The id of the task
        id: String,
        /// Which one, if several bear the id: `pm ls` shows it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        serial: Option<u64>,
    },
    /// Ask a task to stop
    Kill {
        /// The id of the task
        id: String,
        /// Which one, if several bear the id: `pm ls` shows it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        serial: Option<u64>,
        /// Why, in as many words as you like; the task and its history get to know
        reason: Vec<String>,
    },
    /// Run a small program with tasks to look at
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Verb::Demo(args) = cli.verb {
        return demo::run(args);
    }
    let clients = match clients(&cli.endpoints, cli.timeout) {
        Ok(clients) => clients,
        Err(error) => {
            ask::say(&error);
            // As for every other mistake on the command line.
            return ExitCode::from(2);
        }
    };
    let result = match &cli.verb {
        Verb::Ls => verbs::ls(clients, cli.output),
        Verb::History { id, serial } => verbs::history(clients, id, *serial, cli.output),
        Verb::Kill { id, serial, reason } => verbs::kill(clients, id, *serial, &reason.join(" "), cli.output),
        Verb::Demo(_) => Ok(Exit::Ok),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            ask::say(&error.to_string());
            Exit::Failure.into()
        }
    }
}

/// A client for every endpoint, each once.
fn clients(endpoints: &[String], timeout: Duration) -> Result<Vec<Client>, String> {
    let mut clients: Vec<Client> = Vec::new();
    for endpoint in endpoints.iter().map(|endpoint| endpoint.trim()).filter(|endpoint| !endpoint.is_empty()) {
        if clients.iter().all(|client| client.endpoint() != endpoint) {
            let client = Client::builder(endpoint).map_err(|error| error.to_string())?;
            clients.push(client.timeout(timeout).build());
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
