//! `pm completions` and `pm man`: generated from the command line.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::exit::{Exit, Stop};
use crate::out::print;

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// Shell to complete for
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Print the page of this verb
    verb: Option<String>,
    /// Write the pages of the command and all verbs to this directory
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    to: Option<PathBuf>,
}

/// Prints a completion script.
pub(crate) fn completions(args: &Completions, mut command: Command) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "pm", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// Prints a page, or writes all of them.
pub(crate) fn man(args: &Man, mut command: Command) -> Result<Exit, Stop> {
    command.build();
    if let Some(dir) = &args.to {
        let in_dir = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(in_dir)?;
        let verbs = command.get_subcommands().map(|verb| (format!("pm-{}.1", verb.get_name()), verb.clone()));
        for (name, command) in verbs.chain([("pm.1".to_owned(), command.clone())]) {
            fs::write(dir.join(name), page(command)?).map_err(in_dir)?;
        }
        return Ok(Exit::Ok);
    }
    let wanted = match &args.verb {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(verb) => verb.clone(),
            None => return Err(Stop::Usage(format!("unknown verb `{name}`; `pm --help` lists the verbs"))),
        },
    };
    print(&String::from_utf8_lossy(&page(wanted)?))?;
    Ok(Exit::Ok)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    // Without a date, so that the output is reproducible.
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
