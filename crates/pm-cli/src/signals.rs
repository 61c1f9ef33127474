//! Signals for process 1, as which the command runs in a container.
//!
//! The kernel ignores signals to process 1 that it has no handler for, so SIGTERM or Ctrl-C would not end a verb that
//! runs until then. Any other process keeps the default: it is ended by the signal itself, as its shell expects.

/// As process 1, exits at SIGINT, SIGTERM or SIGHUP with the code that shells report for the signal.
pub(crate) fn end_process_1() {
    if std::process::id() == 1 {
        end_at_signals();
    }
}

#[cfg(unix)]
fn end_at_signals() {
    use std::io;
    use std::sync::mpsc;

    use rustix::process::Signal as Number;
    use tokio::signal::unix::{SignalKind, signal};

    let (ready, is_ready) = mpsc::channel();
    let wait = move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let number = runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hang_up = signal(SignalKind::hangup())?;
            let _ = ready.send(());
            io::Result::Ok(tokio::select! {
                _ = interrupt.recv() => Number::INT,
                _ = terminate.recv() => Number::TERM,
                _ = hang_up.recv() => Number::HUP,
            })
        })?;
        std::process::exit(128 + number.as_raw())
    };
    // On its own thread, so that it works while the verb blocks, such as for a confirmation.
    let result = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
    // Fails if the thread could not be started, or has ended before it listened.
    if result.is_err() || is_ready.recv().is_err() {
        crate::out::say("signals do not end this process 1, as they could not be listened to");
    }
}

#[cfg(not(unix))]
fn end_at_signals() {}
