//! `pm record`: writes the updates of all endpoints to a file; and a player for such files.
//!
//! | file | contents |
//! |---|---|
//! | `line.rs` | a line of a recording |
//! | `writer.rs` | gzip members, each beginning with a key frame |
//! | `reader.rs` | an index of the members, and the lines from any of them on |
//! | `player.rs` | plays a recording into a store |

mod line;
mod player;
mod reader;
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

use crate::config::CommonArgs;
use crate::exit::{Exit, Stop};
use crate::feed::{self, Update};
use crate::fleet::ceiling;
use crate::out::{format, say};
use crate::query::Selection;

pub(crate) use player::Player;
pub(crate) use reader::Recording;

/// How often written updates are flushed to the file.
const FLUSH: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks to record, as kind=import minAge=5s attr.tenant=acme; all by default
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// File to write, as today.pmrec: JSON lines in gzip, readable with zcat
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Stop after this time, as 30s or 5m, instead of at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = pm_wire::duration::parse)]
    record_for: Option<Duration>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Records until Ctrl-C, a signal, or the given time has passed.
pub(crate) async fn record(args: Args) -> Result<Exit, Stop> {
    let selection = Selection::parse(&args.words, false)?;
    let filter = feed::filter(&args.words)?;
    let endpoints = args.common.settings(None)?.endpoints;
    let names: Vec<String> = endpoints.list().iter().map(|endpoint| endpoint.name.clone()).collect();
    let file = create(&args.file, args.force)?;
    let write_error = |error: io::Error| {
        let name = args.file.display();
        Stop::Io(io::Error::new(error.kind(), format!("{name}: {error}; everything written before is readable")))
    };
    let (begun, start) = (Instant::now(), Timestamp::try_from(SystemTime::now()).unwrap_or_default());
    let mut writer =
        writer::Writer::new(BufWriter::new(file), start, names.clone(), filter.to_string()).map_err(write_error)?;

    let (send, mut updates) = channel(feed::CAPACITY);
    let query = selection.filters();
    for (at, endpoint) in (0..).zip(endpoints) {
        let (query, filter, send) = (query.clone(), filter.clone(), send.clone());
        tokio::spawn(feed::follow(at, endpoint, query, filter, feed::MIN_INTERVAL, send));
    }
    drop(send);
    say(&format!(
        "recording {} to {}; Ctrl-C stops",
        format::list(names.iter().map(String::as_str)),
        args.file.display()
    ));
    let mut flush = interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let timeout = async {
        match args.record_for {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let mut timeout = std::pin::pin!(timeout);
    let mut interrupt = std::pin::pin!(interrupt());
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupt => break,
            () = &mut timeout => break,
            _ = flush.tick() => writer.flush().map_err(write_error)?,
            update = updates.recv() => {
                let Some((endpoint, update)) = update else { break };
                if let Update::Lost { why, .. } | Update::Refused { why, .. } = &update {
                    say(why);
                }
                let was_full = writer.endpoint(endpoint).full;
                writer.write(begun.elapsed().as_secs_f64() * 1e3, endpoint, update).map_err(write_error)?;
                let state = writer.endpoint(endpoint);
                if let (None, Some(ceiling)) = (was_full, state.full) {
                    let most = ceiling::in_words(ceiling);
                    say(&format!("{}: more than {most}; snapshots in the recording lack the others", state.name));
                }
            }
        }
    }
    let events = writer.events;
    let file = writer.finish().map_err(write_error)?.into_inner().map_err(|error| write_error(error.into_error()))?;
    // A full disk may report its error only now.
    if file.metadata().is_ok_and(|about| about.is_file()) {
        file.sync_all().map_err(write_error)?;
    }
    let size = file.metadata().map(|about| about.len()).unwrap_or_default();
    say(&format!(
        "recorded {} in {}, {} bytes; `pm replay {}` shows it",
        format::count(events, "event", "events"),
        pm_wire::duration::show(begun.elapsed()),
        size,
        args.file.display()
    ));
    Ok(Exit::Ok)
}

/// Opens the file. An existing file is overwritten only with `force`; pipes and devices need no protection.
fn create(path: &Path, force: bool) -> Result<File, Stop> {
    let is_file = path.metadata().is_ok_and(|about| about.is_file());
    if is_file && !force {
        return Err(Stop::Usage(format!("{} exists; name another file, or add --force", path.display())));
    }
    OpenOptions::new().write(true).create(true).truncate(true).open(path).map_err(|error| {
        Stop::Io(io::Error::new(error.kind(), format!("could not write to {}: {error}", path.display())))
    })
}

/// Waits for Ctrl-C or a signal to terminate.
async fn interrupt() -> io::Result<()> {
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
