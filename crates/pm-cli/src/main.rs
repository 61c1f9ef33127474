//! The `pm` command: list, follow and stop the tasks of running programs.
//!
//! `config` tells what is set and whom to ask, `query` which tasks, `fleet` asks all at once, `verbs` holds the one-shot
//! verbs, `top` the screen, `record` recordings, `out` makes what is seen, `demo` is a program to try it all on. This file is the command line.

mod config;
mod demo;
mod fleet;
mod out;
mod query;
mod record;
mod top;
mod verbs;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use fleet::{Exit, Stop};
use verbs::{audit, ended, endpoints, generate, history, kill, kinds, ls, run, show, tree, wait, waits, watch, why};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failure: what was printed could not be, a task that was waited for did not finish, or the answer to a question was no
  2  the command line, a variable or the config file is not understood
  3  nothing matched: no endpoint has such a task
  4  refused: by a task that may not be cancelled, by a server, or because there are more tasks than --max
  5  no endpoint gave a usable answer
  6  partial: some endpoints gave no usable answer; they are named on stderr
  7  still running when the wait was over

Data goes to stdout, words to stderr.";

/// See what is running in your programs, and stop it.
#[derive(Debug, Parser)]
#[command(name = "pm", version, after_help = EXIT_CODES, disable_help_subcommand = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the tasks that run now, oldest first
    Ls(ls::Args),
    /// Show all that is known of one task
    Show(verbs::OneTask),
    /// Show what a task did so far
    History(verbs::OneTask),
    /// Show which task is part of which
    Tree(tree::Args),
    /// Tell what a task waits for, since when, and whether that is usual
    Why(verbs::OneTask),
    /// Show who waits for whom, and who waits in a circle
    Waits(waits::Args),
    /// Ask tasks to stop, and say what came of it
    Kill(kill::Args),
    /// Follow tasks, like tail -f
    Watch(watch::Args),
    /// Wait until tasks have ended; the exit code tells how
    Wait(wait::Args),
    /// Show how the tasks of each kind fared, and where their time goes
    Kinds(kinds::Args),
    /// List the tasks that ended of late, newest first
    Ended(ended::Args),
    /// Show who tried to stop what
    Audit(audit::Args),
    /// Show which endpoints answer
    Endpoints(endpoints::Args),
    /// Show what is set, and who set it: flag, variable, file or default
    Config(verbs::config::Args),
    /// Print what a shell needs to complete pm's words
    Completions(generate::Completions),
    /// Print the man page
    Man(generate::Man),
    /// Show the live list on the whole screen: filter, sort, look into tasks, stop them
    Top(top::Args),
    /// Record what happens, to look at it later
    Record(record::Args),
    /// Show a recording on the whole screen, or what the list looked like at one moment
    Replay(record::ReplayArgs),
    /// Run a small program with tasks to look at
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
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
        Verb::Replay(args) => record::replay(args),
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
        // A reader that has gone away has seen enough.
        Err(Stop::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(Stop::Io(error)) => {
            out::say(&format!("could not go on: {error}"));
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
