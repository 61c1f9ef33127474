//! Fields of spans and events, as they are recorded in a task.
//!
//! Values are formatted by user code: no lock is held while it runs, its panics are caught and counted, and output
//! beyond all limits is cut off while it is written.

use std::cell::Cell;
use std::fmt::{self, Debug, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use pm_core::{TaskBuilder, TaskHandle, Value};
use tracing::field::{Field, Visit};

use super::node::Failure;
use super::selection::{ID, KIND};

/// The attribute value in place of one whose `Debug` panicked.
const PANICKED: &str = "(its Debug panicked)";

/// The capacity up to which a thread keeps a buffer; longer values are rare.
const MAX_KEPT: usize = 16 << 10;

/// Buffers that a thread reuses.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) text: String,
}

std::thread_local! {
    static SCRATCH: Cell<Scratch> = const {
        Cell::new(Scratch { id: String::new(), kind: String::new(), text: String::new() })
    };
}

/// Calls `f` with this thread's buffers, emptied. Formatting may call this again, and then gets new buffers.
pub(super) fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    for text in [&mut scratch.id, &mut scratch.kind, &mut scratch.text] {
        text.clear();
    }
    let result = f(&mut scratch);
    for text in [&mut scratch.id, &mut scratch.kind, &mut scratch.text] {
        if text.capacity() > MAX_KEPT {
            *text = String::new();
        }
    }
    let _ = SCRATCH.try_with(|kept| kept.set(scratch));
    result
}

/// Formats values with a limit, and counts their panics.
#[derive(Clone, Copy)]
pub(super) struct Formatter<'a> {
    /// The longest output, in bytes.
    pub(super) max: usize,
    pub(super) panics: &'a AtomicU64,
}

struct Limited<'b>(&'b mut String, usize);

impl Write for Limited<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let space = self.1.saturating_sub(self.0.len());
        if text.len() <= space {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=space).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        Err(fmt::Error)
    }
}

impl Formatter<'_> {
    /// Replaces the contents of `text` with the formatted value. Returns `false`, with `text` empty, if it panicked.
    fn write(self, text: &mut String, value: &dyn Debug) -> bool {
        text.clear();
        let mut limited = Limited(text, self.max);
        // An error means that the buffer is full, or that the value failed: keep the output so far. Unwind safe:
        // nothing but `text` is modified.
        let written = catch_unwind(AssertUnwindSafe(|| {
            let _ = write!(limited, "{value:?}");
        }));
        if written.is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
            text.clear();
        }
        written.is_ok()
    }
}

/// Returns the name of a field without `r#`.
fn name(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

/// Finds the id and the kind of a task, which its start needs.
pub(super) struct Names<'a> {
    pub(super) formatter: Formatter<'a>,
    pub(super) id: &'a mut String,
    pub(super) kind: &'a mut String,
    pub(super) id_from: Option<&'a str>,
    /// `true` once `id` is that of the field `pm.id`, which takes precedence.
    pub(super) has_id: bool,
}

impl Names<'_> {
    /// Returns the buffer for a field, if there is one.
    fn buffer(&mut self, field: &Field) -> Option<&mut String> {
        match name(field) {
            KIND => Some(self.kind),
            ID => {
                self.has_id = true;
                Some(self.id)
            }
            name if !self.has_id && Some(name) == self.id_from => Some(self.id),
            _ => None,
        }
    }
}

impl Visit for Names<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let formatter = self.formatter;
        if let Some(buffer) = self.buffer(field) {
            formatter.write(buffer, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(buffer) = self.buffer(field) {
            buffer.clear();
            buffer.push_str(value);
        }
    }
}

/// A receiver of attributes: the builder of a task, or a running one.
pub(super) trait Attributes {
    fn attribute(&mut self, name: &str, value: Value<'_>);
}

impl Attributes for Option<TaskBuilder<'_>> {
    fn attribute(&mut self, name: &str, value: Value<'_>) {
        *self = self.take().map(|builder| builder.attr(name, value));
    }
}

impl Attributes for TaskHandle {
    fn attribute(&mut self, name: &str, value: Value<'_>) {
        self.set(name, value);
    }
}

/// Sets attributes, and records the fields that mark the span as failed.
pub(super) struct Fields<'a, A> {
    pub(super) formatter: Formatter<'a>,
    pub(super) text: &'a mut String,
    pub(super) to: A,
    /// `true` when the span is created: its id and kind are then not attributes.
    pub(super) is_start: bool,
    pub(super) id_from: Option<&'a str>,
    pub(super) failure: Option<Failure>,
}

impl<A: Attributes> Fields<'_, A> {
    fn is_used_elsewhere(&self, name: &str) -> bool {
        name == "message" || (self.is_start && (matches!(name, ID | KIND) || Some(name) == self.id_from))
    }

    fn set(&mut self, field: &Field, value: Value<'_>) {
        let name = name(field);
        if !self.is_used_elsewhere(name) {
            judge(&mut self.failure, name, value);
            self.to.attribute(name, value);
        }
    }
}

/// Records a field that marks the span as failed.
fn judge(failure: &mut Option<Failure>, name: &str, value: Value<'_>) {
    let Some(failure) = failure else { return };
    match (name, value) {
        // `error = ?result.err()` is common.
        ("error", Value::Text("" | "None")) => {}
        ("error", Value::Text(text)) => failure.error = Some(text.to_owned()),
        ("error", Value::Bool(true)) => failure.error = Some(String::new()),
        ("otel.status_code", Value::Text(code)) if code.eq_ignore_ascii_case("error") => failure.code = Some(true),
        ("otel.status_code", Value::Text(code)) if code.eq_ignore_ascii_case("ok") => failure.code = Some(false),
        ("otel.status_message" | "otel.status_description", Value::Text(text)) => {
            failure.message = Some(text.to_owned())
        }
        _ => {}
    }
}

impl<A: Attributes> Visit for Fields<'_, A> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::F64(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::U64(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::Text(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.is_used_elsewhere(name(field)) {
            return;
        }
        let mut text = std::mem::take(self.text);
        let written = self.formatter.write(&mut text, value);
        self.set(field, Value::Text(if written { &text } else { PANICKED }));
        *self.text = text;
    }
}

/// Reads the text of an event: its message, else its field `error`.
pub(super) struct Message<'a> {
    pub(super) formatter: Formatter<'a>,
    pub(super) text: &'a mut String,
    pub(super) has_message: bool,
}

impl Message<'_> {
    fn is_text(&mut self, field: &Field) -> bool {
        match field.name() {
            "message" => {
                self.has_message = true;
                true
            }
            "error" => !self.has_message,
            _ => false,
        }
    }
}

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.is_text(field) {
            self.formatter.write(self.text, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_text(field) {
            self.text.clear();
            self.text.push_str(value);
        }
    }
}
