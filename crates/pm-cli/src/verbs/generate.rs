//! `pm completions` and `pm man`: what a shell and `man` know of the command line, made from it.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::fleet::{Exit, Stop};
use crate::out::print;

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell that is to know
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The page of this verb, and not that of the command
    verb: Option<String>,
    /// Writes the pages of the command and of all verbs into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "verb")]
    to: Option<PathBuf>,
}

/// Prints what the shell is to read.
pub(crate) fn completions(args: &Completions, mut command: Command) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "pm", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// Prints a page, or writes all of them.
pub(crate) fn man(args: &Man, mut command: Command) -> Result<Exit, Stop> {
    command.build();
    if let Some(folder) = &args.to {
        let in_folder = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(in_folder)?;
        let verbs = command.get_subcommands().map(|verb| (format!("pm-{}.1", verb.get_name()), verb.clone()));
        for (name, command) in verbs.chain([("pm.1".to_owned(), command.clone())]) {
            fs::write(folder.join(name), page(command)?).map_err(in_folder)?;
        }
        return Ok(Exit::Ok);
    }
    let wanted = match &args.verb {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(verb) => verb.clone(),
            None => return Err(Stop::Usage(format!("there is no verb `{name}`; `pm --help` lists them"))),
        },
    };
    print(&String::from_utf8_lossy(&page(wanted)?))?;
    Ok(Exit::Ok)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    // Without a date, so that the same program makes the same page.
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
