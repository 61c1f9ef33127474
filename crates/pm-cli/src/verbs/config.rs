//! `pm config`: what is set, and who set it.

use super::Ask;
use crate::config;
use crate::fleet::{Exit, Stop};
use crate::out::{Document, Out};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Stop> {
    let settings = args.ask.place.settings(args.ask.output)?;
    let out = Out::new(&settings);
    if out.is_for_people() {
        out.table(&config::show(&settings))?;
    } else {
        Document { items: config::items(&settings), ..Document::default() }.print(out.format)?;
    }
    Ok(Exit::Ok)
}
