//! The task on each line of a log.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Writes the current task before each line of [`mod@tracing_subscriber::fmt`]: `[task req-1 GET /hosts/{id}] `.
///
/// It wraps any format that writes lines of text, and needs no [`TasksLayer`](super::TasksLayer): all tasks are shown that
/// are current where the line is written, also those of `pm::run`. Where there is none, the line stays as it was. Control
/// characters in an id or kind are escaped. Not for JSON, which a prefix would break.
///
/// ```
/// use pm::tracing::WithTask;
/// use tracing_subscriber::fmt::format;
///
/// let subscriber = tracing_subscriber::fmt().event_format(WithTask::new(format().compact())).finish();
/// # tracing::subscriber::with_default(subscriber, || {
/// // .init() instead of .finish(), and then
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
    /// Wraps a format.
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
            write_escaped(&mut writer, task.id().as_str())?;
            if let Some(kind) = task.kind() {
                writer.write_char(' ')?;
                write_escaped(&mut writer, kind.as_str())?;
            }
            writer.write_str("] ")
        });
        self.format.format_event(context, writer, event)
    }
}

/// Writes a text so that it can neither end the line nor steer a terminal.
fn write_escaped(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some((at, found)) = rest.char_indices().find(|&(_, char)| steers(char)) {
        write!(writer, "{}{}", &rest[..at], found.escape_unicode())?;
        rest = &rest[at + found.len_utf8()..];
    }
    writer.write_str(rest)
}

fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}
