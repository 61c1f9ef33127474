//! `pm ended`: what ended of late, and how.

use super::Ask;
use crate::fleet::{Exit, Source, Stop};
use crate::query::Wanted;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which tasks, as outcome=failed,aborted kind=import minAge=5s; sort=-age; limit=50 or limit=all
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    #[command(flatten)]
    ask: Ask,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let wanted = Wanted::read(&args.words, true)?;
    super::ls::list(&args.ask, wanted, Source::Ended).await
}
