//! Tasks as `/v1` shows them, written straight from the list's copies: a JSON object for each task, with the members
//! that a request chose.
//!
//! Members without a value are left out, never `null`. Ages are whole milliseconds. Serials are strings, and so are
//! integers in attributes that JavaScript cannot represent.

use std::fmt;
use std::time::Duration;

use pm_core::{History, Serial, StatusText, TaskView};

use crate::out::Out;
use crate::rows::{Numbers, write_attrs, write_history_end, write_progress, write_server_time, write_status};
use crate::time::Rfc3339Cache;

/// The most characters of a status in a brief row.
const BRIEF_STATUS: usize = 120;

/// A set of a row's members: those that are written. `serial` always is.
///
/// ```
/// use pm_wire::v1_rows::Fields;
///
/// assert_eq!(Fields::default(), Fields::FULL);
/// assert!(Fields::parse("id,status,ageMs").is_ok());
/// assert_eq!(Fields::parse("id,stauts").unwrap_err().to_string(), "unknown field `stauts`; did you mean `status`?");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fields {
    mask: u32,
    brief: bool,
}

/// Defines the members and their names in JSON, in the order of [`Row`](crate::v1::Row), which has one more: `depth`.
macro_rules! fields {
    ($($name:ident = $text:literal),* $(,)?) => {
        #[derive(Clone, Copy)]
        enum Field { $($name),* }
        const NAMES: &[&str] = &[$($text),*];
    };
}
fields!(
    Serial = "serial",
    Id = "id",
    Kind = "kind",
    State = "state",
    Outcome = "outcome",
    StartedAt = "startedAt",
    AgeMs = "ageMs",
    Status = "status",
    StatusAt = "statusAt",
    StatusAgeMs = "statusAgeMs",
    EndedAt = "endedAt",
    Attrs = "attrs",
    Progress = "progress",
    Parent = "parent",
    ParentEnded = "parentEnded",
    Cancel = "cancel",
    Protected = "protected",
    Cancellable = "cancellable",
    HistoryLen = "historyLen",
);

impl Fields {
    /// All members.
    pub const FULL: Self = Self { mask: u32::MAX, brief: false };

    /// The members for a line in a table: serial, id, kind, state, outcome, age, status and status age.
    ///
    /// A status is cut after 120 characters.
    pub const BRIEF: Self = Self {
        mask: 1 << Field::Serial as u32
            | 1 << Field::Id as u32
            | 1 << Field::Kind as u32
            | 1 << Field::State as u32
            | 1 << Field::AgeMs as u32
            | 1 << Field::Status as u32
            | 1 << Field::StatusAgeMs as u32
            | 1 << Field::Outcome as u32,
        brief: true,
    };

    /// Reads a set from names with commas between them, such as `id,status,ageMs`.
    ///
    /// # Errors
    ///
    /// [`UnknownField`], with the first name that no member has.
    pub fn parse(names: &str) -> Result<Self, UnknownField> {
        let mut mask = 1 << Field::Serial as u32;
        for name in names.split(',') {
            let at = NAMES.iter().position(|known| *known == name);
            mask |= 1 << at.ok_or_else(|| UnknownField { name: name.chars().take(40).collect() })?;
        }
        Ok(Self { mask, brief: false })
    }

    /// Sets that a status is cut after 120 characters, as in [`BRIEF`](Self::BRIEF).
    #[must_use]
    pub const fn with_brief_status(self) -> Self {
        Self { brief: true, ..self }
    }

    /// Returns the names of all members, in the order in which they are written.
    #[must_use]
    pub fn names() -> &'static [&'static str] {
        NAMES
    }

    #[inline]
    fn has(self, field: Field) -> bool {
        self.mask & 1 << field as u32 != 0
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::FULL
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(NAMES.iter().enumerate().filter(|(at, _)| self.mask & 1 << at != 0)).finish()
    }
}

/// The error of [`Fields::parse`]: no row has a member of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    name: String,
}

impl UnknownField {
    /// Returns the name, of which at most 40 characters are kept.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown field `{}`", self.name)?;
        match crate::suggest::nearest(&self.name, NAMES.iter().copied()) {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => write!(f, "; there are {}", NAMES.join(", ")),
        }
    }
}

impl std::error::Error for UnknownField {}

/// Writes rows, one after the other.
///
/// ```
/// let list = pm_core::ProcessList::new();
/// let task = list.start("job");
/// let mut writer = pm_wire::v1_rows::RowWriter::new();
/// list.for_each(|task| writer.row(task, pm_wire::v1_rows::Fields::FULL));
/// let row: serde_json::Value = serde_json::from_slice(&writer.take()).unwrap();
/// assert_eq!((&row["id"], &row["state"]), (&"job".into(), &"running".into()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RowWriter {
    out: Out,
    started: Rfc3339Cache,
    other: Rfc3339Cache,
}

impl RowWriter {
    /// Makes a writer without content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes of JSON, such as a comma between rows.
    pub fn raw(&mut self, json: &[u8]) {
        self.out.short(json);
    }

    /// Adds a row for a task.
    pub fn row(&mut self, task: &TaskView<'_>, fields: Fields) {
        self.open(task, fields);
        self.out.literal(b"}");
    }

    /// Adds a row for a task of a tree, with `depth` tasks above it.
    pub fn row_at_depth(&mut self, task: &TaskView<'_>, fields: Fields, depth: u64) {
        self.open(task, fields);
        self.out.literal(br#","depth":"#);
        self.out.number(depth);
        self.out.literal(b"}");
    }

    /// Adds a row without its closing brace.
    fn open(&mut self, task: &TaskView<'_>, fields: Fields) {
        let Self { out, started, other } = self;
        let has = |field| fields.has(field);
        let outcome = task.outcome();
        out.literal(br#"{"serial":""#);
        out.number(task.serial().get());
        out.literal(b"\"");
        if has(Field::Id) {
            out.literal(br#","id":"#);
            out.string(task.id().as_bytes());
        }
        if let (true, Some(kind)) = (has(Field::Kind), task.kind()) {
            out.literal(br#","kind":"#);
            out.string(kind.as_bytes());
        }
        if has(Field::State) {
            out.literal(br#","state":""#);
            out.short(task.state().as_str().as_bytes());
            out.literal(b"\"");
        }
        if let (true, Some(outcome)) = (has(Field::Outcome), outcome) {
            out.literal(br#","outcome":"#);
            out.string(outcome.as_str().as_bytes());
        }
        if has(Field::StartedAt) {
            out.literal(br#","startedAt":""#);
            out.short(started.text(task.started_at().unix_nanos()).as_bytes());
            out.literal(b"\"");
        }
        if has(Field::AgeMs) {
            out.literal(br#","ageMs":"#);
            out.number(millis(task.age()));
        }
        let (status, status_nanos) = (task.status(), task.status_at().unix_nanos());
        if has(Field::Status) {
            out.literal(br#","status":"#);
            write_status_of(out, status, fields.brief);
        }
        if has(Field::StatusAt) {
            out.literal(br#","statusAt":""#);
            out.short(other.text(status_nanos).as_bytes());
            out.literal(b"\"");
        }
        if has(Field::StatusAgeMs) {
            out.literal(br#","statusAgeMs":"#);
            out.number(millis(task.status_age()));
        }
        if let (true, Some(ended)) = (has(Field::EndedAt), task.ended_at()) {
            out.literal(br#","endedAt":""#);
            out.short(other.text(ended.unix_nanos()).as_bytes());
            out.literal(b"\"");
        }
        if has(Field::Attrs) {
            write_attrs(out, task, Numbers::AsStrings);
        }
        if let (true, Some(progress)) = (has(Field::Progress), task.progress()) {
            write_progress(out, progress);
        }
        if let (true, Some(parent)) = (has(Field::Parent), task.parent()) {
            out.literal(br#","parent":""#);
            out.number(parent.get());
            out.literal(b"\"");
        }
        if has(Field::ParentEnded) && task.parent_has_ended() {
            out.literal(br#","parentEnded":true"#);
        }
        if let (true, Some(request)) = (has(Field::Cancel), task.cancel_request()) {
            out.literal(br#","cancel":{"at":""#);
            out.short(other.text(request.at().unix_nanos()).as_bytes());
            out.literal(br#"","ageMs":"#);
            out.number(millis(request.age()));
            out.literal(br#","reason":"#);
            out.string(request.reason().as_bytes());
            out.literal(br#","by":"#);
            out.string(request.by().as_bytes());
            out.literal(br#","origin":""#);
            out.number(request.origin().get());
            out.literal(b"\"");
            if task.has_observed_cancel() {
                out.literal(br#","observed":true"#);
            }
            if task.was_forced() {
                out.literal(br#","forced":true"#);
            }
            out.literal(b"}");
        }
        if has(Field::Protected) && task.is_protected() {
            out.literal(br#","protected":true"#);
        }
        if has(Field::Cancellable) && !task.is_cancellable() {
            out.literal(br#","cancellable":false"#);
        }
        if has(Field::HistoryLen) {
            out.literal(br#","historyLen":"#);
            out.number(task.history_len());
        }
    }

    /// Returns the number of bytes written since the last [`take`](Self::take).
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Returns `true` if nothing was written since the last [`take`](Self::take).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.len() == 0
    }

    /// Returns the bytes written since the last [`take`](Self::take).
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.out.written()
    }

    /// Discards what was written, and keeps the memory.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Takes the bytes written since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.out.take()
    }
}

/// Writes a [`History`](crate::v1::History): the answer to `GET /v1/tasks/{ref}/history`.
#[must_use]
pub fn history(serial: Serial, history: &History) -> Vec<u8> {
    let (mut out, mut time) = (Out::default(), Rfc3339Cache::new());
    out.literal(br#"{"serial":""#);
    out.number(serial.get());
    out.literal(br#"","history":["#);
    for (index, entry) in history.entries.iter().enumerate() {
        if index > 0 {
            out.literal(b",");
        }
        out.literal(br#"{"at":""#);
        out.short(time.text(entry.at.unix_nanos()).as_bytes());
        out.literal(br#"","status":"#);
        out.string(entry.status.as_bytes());
        out.literal(b"}");
    }
    write_server_time(&mut out, &mut time, history.at.unix_nanos());
    write_history_end(&mut out, history);
    out.take()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Writes a status, cut if the row is brief.
fn write_status_of(out: &mut Out, status: StatusText<'_>, brief: bool) {
    if !brief {
        return write_status(out, status);
    }
    let text = status.to_string();
    match text.char_indices().nth(BRIEF_STATUS) {
        Some((end, _)) => out.string(format!("{}…", &text[..end]).as_bytes()),
        None => out.string(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::{Context, Waker};

    use pm_core::{Clock, Options, ProcessList};
    use serde_json::{Value, json};

    use super::*;

    fn rows(list: &ProcessList, fields: Fields) -> Vec<Value> {
        let mut writer = RowWriter::new();
        let mut rows = Vec::new();
        let snapshot = list.snapshot();
        let ended = list.ended();
        for task in snapshot.iter().chain(ended.iter()) {
            writer.row(&task, fields);
            rows.push(serde_json::from_slice(&writer.take()).unwrap());
        }
        rows
    }

    #[test]
    fn the_names_are_those_of_the_type_but_for_the_depth() {
        assert_eq!([Fields::names(), &["depth"]].concat(), crate::members_of::<crate::v1::Row>());
    }

    #[test]
    fn a_cancel_request_says_whether_it_was_observed_or_dropped_the_future() {
        let list = ProcessList::new();
        let observed = list.start("observed");
        let mut dropped = Box::pin(list.task("dropped").run(std::future::pending::<()>()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        for id in ["observed", "dropped"] {
            list.cancel(id, "deploy").unwrap();
        }
        assert!(observed.checkpoint().is_err());
        assert!(dropped.as_mut().poll(&mut context).is_ready());
        let rows = rows(&list, Fields::FULL);
        let of = |id: &str| rows.iter().find(|row| row["id"] == id).map(|row| row["cancel"].clone()).unwrap();
        assert_eq!((&of("observed")["observed"], &of("observed")["forced"]), (&json!(true), &Value::Null));
        assert_eq!((&of("dropped")["observed"], &of("dropped")["forced"]), (&Value::Null, &json!(true)));
    }

    #[test]
    fn a_row_has_all_members_with_a_value_and_no_others() {
        let (clock, hand) = Clock::manual();
        let list = ProcessList::with_options(Options::new().clock(clock));
        let parent = list.start("parent");
        let task = list.task("job").kind("import").parent(&parent).attr("big", u64::MAX).start();
        task.set("nan", f64::NAN);
        task.set("fits", (1_u64 << 53) - 1);
        task.progress(3, 10, "files");
        hand.advance(Duration::from_millis(1_500));
        list.cancel("job", pm_core::CancelRequest::new("too slow").by("me")).unwrap();
        hand.advance(Duration::from_millis(250));
        let rows = rows(&list, Fields::FULL);
        let plain = rows[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            plain,
            ["ageMs", "historyLen", "id", "serial", "startedAt", "state", "status", "statusAgeMs", "statusAt"]
        );
        let row = &rows[1];
        assert_eq!(row["serial"], task.serial().unwrap().to_string());
        assert_eq!(
            (&row["state"], &row["kind"], &row["ageMs"]),
            (&json!("cancelling"), &json!("import"), &json!(1750))
        );
        assert_eq!((&row["status"], &row["statusAgeMs"]), (&json!("[cancel request: too slow]"), &json!(250)));
        assert_eq!(row["attrs"], json!({"big": u64::MAX.to_string(), "fits": (1_u64 << 53) - 1, "nan": "NaN"}));
        assert_eq!(row["progress"], json!({"done": 3, "total": 10, "unit": "files"}));
        assert_eq!(row["parent"], parent.serial().unwrap().to_string());
        let cancel = &row["cancel"];
        assert_eq!(
            (&cancel["reason"], &cancel["by"], &cancel["ageMs"]),
            (&json!("too slow"), &json!("me"), &json!(250))
        );
        assert_eq!(cancel["origin"], row["serial"]);
    }

    #[test]
    fn a_row_shows_how_and_when_a_task_ended_and_how_long_it_ran() {
        let (clock, hand) = Clock::manual();
        let list = ProcessList::with_options(Options::new().clock(clock));
        let task = list.start("job");
        hand.advance(Duration::from_secs(2));
        task.fail("no file");
        hand.advance(Duration::from_secs(60));
        let row = &rows(&list, Fields::FULL)[0];
        assert_eq!((&row["state"], &row["outcome"], &row["ageMs"]), (&json!("ended"), &json!("failed"), &json!(2000)));
        assert!(row["endedAt"].as_str().unwrap() > row["startedAt"].as_str().unwrap(), "{row}");
    }

    #[test]
    fn only_chosen_members_are_written_and_long_statuses_are_cut_in_brief_rows() {
        let list = ProcessList::new();
        let task = list.start("job");
        task.status(&"é".repeat(200)).unwrap();
        let row = &rows(&list, Fields::parse("id,historyLen").unwrap())[0];
        assert_eq!(*row, json!({"serial": task.serial().unwrap().to_string(), "id": "job", "historyLen": 2}));
        let row = &rows(&list, Fields::BRIEF)[0];
        assert_eq!(row["status"], format!("{}…", "é".repeat(120)));
        assert!(row.get("startedAt").is_none() && row.get("ageMs").is_some(), "{row}");
    }
}
