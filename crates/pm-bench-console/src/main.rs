//! Measures what console-subscriber adds to a spawned task of the runtime.
//!
//! Prints two numbers, nanoseconds per task: plain, and watched by the console's layer with its server beside, as
//! `console_subscriber::init` sets it up. The work is that of the `spawns` section of pm-bench. Only a tokio that was
//! built with `--cfg tokio_unstable` can be watched; built without, this program ends with exit code 2.

use std::process::ExitCode;

#[cfg(not(tokio_unstable))]
fn main() -> ExitCode {
    eprintln!("console-subscriber needs RUSTFLAGS=\"--cfg tokio_unstable\"; `cargo xtask bench spawns` builds it so");
    ExitCode::from(2)
}

#[cfg(tokio_unstable)]
fn main() -> ExitCode {
    match watched::measure() {
        Ok((plain, console)) => {
            println!("{plain:.1} {console:.1}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(tokio_unstable)]
mod watched {
    use std::error::Error;
    use std::time::Instant;

    use console_subscriber::ConsoleLayer;
    use tokio::runtime::{Builder, Runtime};
    use tracing_subscriber::layer::SubscriberExt;

    /// So many live at once.
    const BATCH: usize = 64;
    // Not many: the console keeps every ended task for an hour, and its buffer of events would run full.
    const BATCHES: usize = 60;

    pub(crate) fn measure() -> Result<(f64, f64), Box<dyn Error>> {
        let runtime = Builder::new_current_thread().build()?;
        // The plain ones come first: once there is a subscriber, every task pays for asking it.
        let plain = nanos_per_task(&runtime);
        // Any port: no console will connect.
        let layer = ConsoleLayer::builder().server_addr(([127, 0, 0, 1], 0)).spawn();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;
        Ok((plain, nanos_per_task(&runtime)))
    }

    /// The median batch.
    fn nanos_per_task(runtime: &Runtime) -> f64 {
        let batches = runtime.block_on(runtime.spawn(async {
            let mut tasks = Vec::with_capacity(BATCH);
            let mut nanos = Vec::with_capacity(BATCHES);
            // The first quarter warms up.
            for _ in 0..BATCHES / 4 + BATCHES {
                let begin = Instant::now();
                tasks.extend((0..BATCH).map(|_| tokio::spawn(yields())));
                for task in tasks.drain(..) {
                    let _ = task.await;
                }
                nanos.push(begin.elapsed().as_nanos() as f64 / BATCH as f64);
            }
            nanos.split_off(BATCHES / 4)
        }));
        let mut batches = batches.unwrap_or_default();
        batches.sort_by(f64::total_cmp);
        batches.get(batches.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Three yields: four polls.
    async fn yields() {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
}
