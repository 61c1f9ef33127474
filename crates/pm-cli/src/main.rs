//! The `pm` command: list, follow and stop the tasks of running programs.
//!
//! `verbs` holds the one-shot verbs, `ask` the endpoints and exit codes, `table` and `clean` what is seen on the
//! screen, `demo` a program to try it all on. This file is the command line.

mod ask;
mod clean;
mod demo;
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
    #[arg(long, value_name = "DURATION", global = true, default_value = "10s", value_parser = duration)]
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
    },
    /// Ask a task to stop
    Kill {
        /// The id of the task
        id: String,
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
        Verb::History { id } => verbs::history(clients, id, cli.output),
        Verb::Kill { id, reason } => verbs::kill(clients, id, &reason.join(" "), cli.output),
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

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        _ => return Err("write it as 500ms, 10s or 2m".to_owned()),
    };
    match number.parse::<u32>() {
        Ok(0) => Err("no answer can come in no time".to_owned()),
        Ok(number) => Ok(Duration::from_millis(u64::from(number) * millis)),
        Err(_) => Err("write it as 500ms, 10s or 2m".to_owned()),
    }
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
    fn durations_carry_a_unit_or_are_seconds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "0", "-1s", "1.5s", "1h30", "99999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_asked_once() {
        let endpoints = ["a:1", " a:1", "", "b:1"].map(str::to_owned);
        assert_eq!(clients(&endpoints, Duration::from_secs(1)).unwrap().len(), 2);
        assert!(clients(&[String::new()], Duration::from_secs(1)).is_err());
    }
}
