//! Prefixes log lines with the current task.

use std::fmt;

use pm_core::terminal::escaped;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Writes the current task before each line of [`mod@tracing_subscriber::fmt`]: `[task req-1 GET /hosts/{id}] `.
///
/// It wraps any format that writes lines of text, and works without a [`SpansLayer`](super::SpansLayer): it shows
/// whichever task is current where the line is written, including those of `pm::run`. Without one, the line is
/// unchanged. Characters of an id or kind that could [steer a terminal](pm_core::terminal) are escaped. Not for JSON,
/// which a prefix would break.
///
/// ```
/// use pm::tracing::WithTask;
/// use tracing_subscriber::fmt::format;
///
/// let subscriber = tracing_subscriber::fmt().event_format(WithTask::new(format().compact())).finish();
/// # tracing::subscriber::with_default(subscriber, || {
/// // .init() instead of .finish(), then
/// let _ = pm::task("req-1").kind("GET /hosts/{id}").run_sync(|_task| {
///     tracing::info!("looking it up"); // [task req-1 GET /hosts/{id}] 2026-11-25T18:41:45Z INFO looking it up
///     Ok(())
/// });
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct WithTask<F> {
    format: F,
}

impl<F> WithTask<F> {
    /// Wraps an event format.
    #[must_use]
    pub fn new(format: F) -> Self {
        Self { format }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithTask<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        pm_core::current().view(|task| {
            writer.write_str("[task ")?;
            write!(writer, "{}", escaped(task.id().as_str()))?;
            if let Some(kind) = task.kind() {
                write!(writer, " {}", escaped(kind.as_str()))?;
            }
            writer.write_str("] ")
        });
        self.format.format_event(context, writer, event)
    }
}
