//! `pm ended`: recently ended tasks.

use super::QueryArgs;
use crate::exit::{Exit, Stop};
use crate::fleet::Source;
use crate::query::Selection;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks to list, as outcome=failed,aborted kind=import minAge=5s; sort=-age; limit=50 or limit=all
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let selection = Selection::parse(&args.words, true)?;
    super::ls::list(&args.query, selection, Source::Ended).await
}
