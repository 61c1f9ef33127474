//! `pm config`: settings and their origins.

use super::QueryArgs;
use crate::config;
use crate::exit::{Exit, Stop};
use crate::out::Document;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Stop> {
    let settings = args.query.common.settings(args.query.output)?;
    let out = settings.out();
    if out.is_table() {
        out.table(&config::show(&settings))?;
    } else {
        Document { items: config::items(&settings), ..Document::default() }.print(out.format)?;
    }
    Ok(Exit::Ok)
}
