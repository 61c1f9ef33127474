//! `pm top`: follows all endpoints and shows their tasks.

use std::sync::Arc;
use std::time::Duration;

use pm_client::Query;
use pm_wire::filter::Filter;
use tokio::sync::mpsc::channel;

use super::event_loop::{self, Inputs};
use super::options::{ScreenArgs, exit, require_terminal};
use super::requester::Requester;
use crate::config::CommonArgs;
use crate::exit::{Exit, Stop};
use crate::feed::{self, Store};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks to show, as kind=import minAge=5s attr.tenant=acme status='waiting *'; / changes it
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// How often the screen is updated; at least 250ms
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    common: CommonArgs,
}

fn interval(text: &str) -> Result<Duration, String> {
    match pm_wire::duration::parse(text).map_err(|error| error.to_string())? {
        short if short < feed::MIN_INTERVAL => Err("the shortest is 250ms".to_owned()),
        long if long > Duration::from_secs(60) => Err("the longest is 60s".to_owned()),
        interval => Ok(interval),
    }
}

pub(crate) fn run(args: Args) -> Result<Exit, Stop> {
    let settings = args.common.settings(None)?;
    let filter = feed::filter(&args.words)?;
    require_terminal("pm top")?;
    let endpoints = settings.endpoints.list().to_vec();
    let names = endpoints.iter().map(|endpoint| endpoint.name.clone());
    let app = args.screen.app(Store::new(names), filter, &settings);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (send, updates) = channel(feed::CAPACITY);
    for (at, endpoint) in (0..).zip(endpoints.clone()) {
        runtime.spawn(feed::follow(at, endpoint, Query::new(), Filter::default(), args.interval, send.clone()));
    }
    let (reply, replies) = channel(feed::CAPACITY);
    let requester = Requester { runtime: runtime.handle().clone(), endpoints: Arc::new(endpoints), send: reply };
    let inputs = Inputs { updates, replies, requester: Some(requester), interval: args.interval, playback: None };
    let end = runtime.block_on(event_loop::run(app, inputs));
    // A name lookup may block its thread; do not wait for it.
    runtime.shutdown_background();
    exit(end)
}
