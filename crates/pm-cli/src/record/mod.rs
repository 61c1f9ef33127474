//! `pm record` and `pm replay`: the stream of all endpoints in a file, and the screen of `pm top` over it.
//!
//! | file | what |
//! |---|---|
//! | `line.rs` | a line of a recording |
//! | `writer.rs` | members of gzip, each with a key frame at its beginning |
//! | `reader.rs` | where members begin, and lines from any of them |
//! | `player.rs` | a recording played into the model |
//! | `replay.rs` | `pm replay` |

mod line;
mod player;
mod reader;
mod replay;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pm_wire::Timestamp;
use tokio::sync::mpsc::channel;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Where;
use crate::fleet::{Exit, Stop};
use crate::out::{say, words};
use crate::query::Wanted;
use crate::top::feed;
use crate::top::model::News;

pub(crate) use player::Player;
pub(crate) use replay::{ReplayArgs, replay};

/// How often what was written is made sure of.
const FLUSH: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which tasks, as kind=import minAge=5s attr.tenant=acme; all by default
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// The file, as today.pmrec; lines of JSON in gzip, so that zcat reads it
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    file: PathBuf,
    /// Writes over a file that is there
    #[arg(long)]
    force: bool,
    /// Ends after this long, as 30s or 5m, instead of at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = pm_wire::duration::parse)]
    record_for: Option<Duration>,
    #[command(flatten)]
    place: Where,
}

/// Records until Ctrl-C, a signal, or the time is over.
pub(crate) async fn record(args: Args) -> Result<Exit, Stop> {
    let wanted = Wanted::read(&args.words, false)?;
    let filter = crate::top::filter(&args.words)?;
    let endpoints = args.place.settings(None)?.endpoints;
    let names: Vec<String> = endpoints.list().iter().map(|endpoint| endpoint.name.clone()).collect();
    let file = create(&args.file, args.force)?;
    let trouble = |error: io::Error| {
        let name = args.file.display();
        Stop::Io(io::Error::new(error.kind(), format!("{name}: {error}; what was written until then can be read")))
    };
    let (begun, start) = (Instant::now(), Timestamp::try_from(SystemTime::now()).unwrap_or_default());
    let mut writer =
        writer::Writer::new(BufWriter::new(file), start, names.clone(), filter.to_string()).map_err(trouble)?;

    let (send, mut news) = channel(1_024);
    let query = wanted.filters().interval(Duration::from_millis(250));
    for (at, endpoint) in (0..).zip(endpoints) {
        tokio::spawn(feed::follow(at, endpoint, query.clone(), filter.clone(), send.clone()));
    }
    drop(send);
    say(&format!(
        "recording {} into {}; Ctrl-C ends it",
        words::list(names.iter().map(String::as_str)),
        args.file.display()
    ));
    let mut flush = interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let over = async {
        match args.record_for {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    let mut over = std::pin::pin!(over);
    let mut end = std::pin::pin!(end());
    loop {
        tokio::select! {
            biased;
            _ = &mut end => break,
            () = &mut over => break,
            _ = flush.tick() => writer.flush().map_err(trouble)?,
            told = news.recv() => {
                let Some((endpoint, news)) = told else { break };
                if let News::Lost { why, .. } | News::Refused { why, .. } = &news {
                    say(why);
                }
                writer.write(begun.elapsed().as_secs_f64() * 1e3, endpoint, news).map_err(trouble)?;
            }
        }
    }
    let events = writer.events;
    let file = writer.finish().map_err(trouble)?.into_inner().map_err(|error| trouble(error.into_error()))?;
    // What a full disk did not tell so far, it tells now.
    if file.metadata().is_ok_and(|about| about.is_file()) {
        file.sync_all().map_err(trouble)?;
    }
    let size = file.metadata().map(|about| about.len()).unwrap_or_default();
    say(&format!(
        "recorded {} in {}, {} bytes; `pm replay {}` shows it",
        words::count(events, "event", "events"),
        pm_wire::duration::show(begun.elapsed()),
        size,
        args.file.display()
    ));
    Ok(Exit::Ok)
}

/// Opens the file; a file that is there is only written over if that is wanted. What is no file, such as a pipe, is not
/// in danger.
fn create(path: &Path, force: bool) -> Result<File, Stop> {
    let is_file = path.metadata().is_ok_and(|about| about.is_file());
    if is_file && !force {
        return Err(Stop::Usage(format!("{} is there already; name another file, or --force", path.display())));
    }
    OpenOptions::new().write(true).create(true).truncate(true).open(path).map_err(|error| {
        Stop::Io(io::Error::new(error.kind(), format!("could not write to {}: {error}", path.display())))
    })
}

/// Waits until somebody ends us.
async fn end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
            _ = hang_up.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
