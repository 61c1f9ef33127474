//! Fields of spans and events, as they are recorded in a task.
//!
//! Values format themselves by code of others: no lock is held then, a panic of it is caught and counted, and a text that
//! is too long for any limit is cut while it is written.

use std::cell::Cell;
use std::fmt::{self, Debug, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use pm_core::{TaskBuilder, TaskHandle, Value};
use tracing::field::{Field, Visit};

use super::choice::{ID, KIND};
use super::node::Failing;

/// What an attribute says whose value could not be formatted.
const PANICKED: &str = "(its Debug panicked)";

/// Bytes that are kept of such a text; longer ones are seldom.
const MAX_KEPT: usize = 16 << 10;

/// Texts that are used again and again by a thread.
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

/// Hands out this thread's texts, empty. What formats itself may get here again, and then gets others.
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

/// How values become texts.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    /// Bytes.
    pub(super) most: usize,
    pub(super) panics: &'a AtomicU64,
}

struct Limited<'b>(&'b mut String, usize);

impl Write for Limited<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.1.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        Err(fmt::Error)
    }
}

impl Texts<'_> {
    /// Writes a value over what was in `text`. False if it panicked; then there is nothing.
    fn write(self, text: &mut String, value: &dyn Debug) -> bool {
        text.clear();
        let mut limited = Limited(text, self.most);
        // An error is of a full text, or of the value: what there is so far is shown. Nothing of ours is half done.
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

/// The name of a field, as `type` for `r#type`.
fn name(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

/// Looks for what a task must be told at its start.
pub(super) struct Names<'a> {
    pub(super) texts: Texts<'a>,
    pub(super) id: &'a mut String,
    pub(super) kind: &'a mut String,
    pub(super) id_from: Option<&'a str>,
    /// Whether `id` is of the field that comes first.
    pub(super) has_id: bool,
}

impl Names<'_> {
    /// Where a field is to go, if anywhere.
    fn place(&mut self, field: &Field) -> Option<&mut String> {
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
        let texts = self.texts;
        if let Some(place) = self.place(field) {
            texts.write(place, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(place) = self.place(field) {
            place.clear();
            place.push_str(value);
        }
    }
}

/// Where attributes go.
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

/// Sets attributes, and notes what says that the span failed.
pub(super) struct Fields<'a, A> {
    pub(super) texts: Texts<'a>,
    pub(super) text: &'a mut String,
    pub(super) to: A,
    /// The fields that are no attributes, as they tell the id and the kind: not when they are recorded later.
    pub(super) is_start: bool,
    pub(super) id_from: Option<&'a str>,
    pub(super) failing: Option<Failing>,
}

impl<A: Attributes> Fields<'_, A> {
    fn is_told(&self, name: &str) -> bool {
        name == "message" || (self.is_start && (matches!(name, ID | KIND) || Some(name) == self.id_from))
    }

    fn set(&mut self, field: &Field, value: Value<'_>) {
        let name = name(field);
        if !self.is_told(name) {
            judge(&mut self.failing, name, value);
            self.to.attribute(name, value);
        }
    }
}

/// Notes whether a field says that the span failed.
fn judge(failing: &mut Option<Failing>, name: &str, value: Value<'_>) {
    let Some(failing) = failing else { return };
    match (name, value) {
        // `error = ?result.err()` is common.
        ("error", Value::Text("" | "None")) => {}
        ("error", Value::Text(text)) => failing.error = Some(text.to_owned()),
        ("error", Value::Bool(true)) => failing.error = Some(String::new()),
        ("otel.status_code", Value::Text(code)) if code.eq_ignore_ascii_case("error") => failing.code = Some(true),
        ("otel.status_code", Value::Text(code)) if code.eq_ignore_ascii_case("ok") => failing.code = Some(false),
        ("otel.status_message" | "otel.status_description", Value::Text(text)) => {
            failing.message = Some(text.to_owned())
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
        if self.is_told(name(field)) {
            return;
        }
        let mut text = std::mem::take(self.text);
        let written = self.texts.write(&mut text, value);
        self.set(field, Value::Text(if written { &text } else { PANICKED }));
        *self.text = text;
    }
}

/// The text of an event: its message, else its field `error`.
pub(super) struct Message<'a> {
    pub(super) texts: Texts<'a>,
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
            self.texts.write(self.text, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_text(field) {
            self.text.clear();
            self.text.push_str(value);
        }
    }
}
