//! The JSON of the `/procs/` routes, written straight from the list's copies.
//!
//! A program with many tasks sends mostly lists and histories, so nothing is built in between and nothing is allocated
//! per task. Members stand in the order of VividCortex/pm, with the additional ones after them. A number that JSON
//! cannot represent, such as an infinity, becomes `null`; the rest of the answer is unaffected.

use std::io::Write as _;

use pm_core::{History, Progress, StatusText, TaskView, Text, ValueView};

use crate::out::Out;
use crate::time::Rfc3339Cache;

/// The most attributes that are sorted without an allocation.
const INLINE_ATTRS: usize = 8;

/// Writes a list of tasks: [`begin`](Self::begin), a [`row`](Self::row) for each, [`end`](Self::end).
///
/// What was written so far can be [taken](Self::take) between any two calls, and sent before the rest is written.
///
/// ```
/// let list = pm_core::ProcessList::new();
/// let task = list.start("job");
/// let (mut scan, mut writer) = (list.scan(), pm_wire::rows::ListWriter::new());
/// writer.begin();
/// while let Some(row) = scan.next() {
///     writer.row(&row);
/// }
/// writer.end(scan.at().unix_nanos());
/// let json: serde_json::Value = serde_json::from_slice(&writer.take()).unwrap();
/// assert_eq!(json["procs"][0]["id"], "job");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ListWriter {
    out: Out,
    any: bool,
    text_attrs: bool,
    started: Rfc3339Cache,
    status: Rfc3339Cache,
}

impl ListWriter {
    /// Makes a writer without content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes all values of attributes as strings, for clients of VividCortex/pm that expect nothing else. Default
    /// `false`: numbers and booleans are written as such.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.task("job").attr("rows", 7).start();
    /// let (mut scan, mut writer) = (list.scan(), pm_wire::rows::ListWriter::new().text_attrs(true));
    /// writer.begin();
    /// writer.row(&scan.next().unwrap());
    /// writer.end(scan.at().unix_nanos());
    /// let json: serde_json::Value = serde_json::from_slice(&writer.take()).unwrap();
    /// assert_eq!(json["procs"][0]["attrs"]["rows"], "7");
    /// ```
    #[must_use]
    pub fn text_attrs(mut self, text: bool) -> Self {
        self.text_attrs = text;
        self
    }

    /// Opens the list.
    pub fn begin(&mut self) {
        self.any = false;
        self.out.literal(br#"{"procs":["#);
    }

    /// Adds a task.
    pub fn row(&mut self, task: &TaskView<'_>) {
        let out = &mut self.out;
        if self.any {
            out.literal(b",");
        }
        self.any = true;
        out.literal(br#"{"id":"#);
        out.string(task.id().as_bytes());
        write_attrs(out, task, if self.text_attrs { Numbers::AllAsStrings } else { Numbers::Plain });
        let (status, status_nanos) = (task.status(), task.status_at().unix_nanos());
        out.literal(br#","procTime":""#);
        out.short(self.started.text(task.started_at().unix_nanos()).as_bytes());
        out.literal(br#"","statusTime":""#);
        out.short(self.status.text(status_nanos).as_bytes());
        out.literal(br#"","status":"#);
        write_status(out, status);
        if task.is_cancelling() {
            out.literal(br#","cancelling":true"#);
        }
        out.literal(br#","serial":""#);
        out.number(task.serial().get());
        out.literal(b"\"");
        if let Some(kind) = task.kind() {
            out.literal(br#","kind":"#);
            out.string(kind.as_bytes());
        }
        if let Some(parent) = task.parent() {
            out.literal(br#","parent":""#);
            out.number(parent.get());
            out.literal(b"\"");
        }
        if task.parent_has_ended() {
            out.literal(br#","parentEnded":true"#);
        }
        if let Some(request) = task.cancel_request() {
            out.literal(br#","cancel":{"time":""#);
            out.short(self.status.text(request.at().unix_nanos()).as_bytes());
            out.literal(br#"","reason":"#);
            out.string(request.reason().as_bytes());
            out.literal(br#","by":"#);
            out.string(request.by().as_bytes());
            out.literal(b"}");
        }
        if task.is_protected() {
            out.literal(br#","protected":true"#);
        }
        if let Some(progress) = task.progress() {
            write_progress(out, progress);
        }
        if !task.is_cancellable() {
            out.literal(br#","cancellable":false"#);
        }
        out.literal(b"}");
    }

    /// Closes the list. `server_nanos` is the server's clock, in nanoseconds since 1970.
    pub fn end(&mut self, server_nanos: u64) {
        write_server_time(&mut self.out, &mut self.status, server_nanos);
        self.out.literal(b"}");
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

    /// Takes the bytes written since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.out.take()
    }
}

/// Writes a [`HistoryReply`](crate::HistoryReply): the answer to `GET /procs/{id}/history`.
#[must_use]
pub fn history(history: &History) -> Vec<u8> {
    let mut out = Out::default();
    let mut time = Rfc3339Cache::new();
    out.literal(br#"{"history":["#);
    for (index, entry) in history.entries.iter().enumerate() {
        if index > 0 {
            out.literal(b",");
        }
        out.literal(br#"{"ts":""#);
        out.short(time.text(entry.at.unix_nanos()).as_bytes());
        out.literal(br#"","status":"#);
        out.string(entry.status.as_bytes());
        out.literal(b"}");
    }
    write_server_time(&mut out, &mut time, history.at.unix_nanos());
    write_history_end(&mut out, history);
    out.take()
}

/// Adds the members about dropped entries and the outcome, and closes the object.
pub(crate) fn write_history_end(out: &mut Out, history: &History) {
    if history.dropped > 0 {
        out.literal(br#","dropped":"#);
        out.number(history.dropped);
        out.literal(br#","droppedAfter":"#);
        out.number(history.dropped_after as u64);
    }
    if let Some(outcome) = history.outcome {
        out.literal(br#","outcome":"#);
        out.string(outcome.as_str().as_bytes());
    }
    out.literal(b"}");
}

/// Closes the array of rows or entries and adds the server's clock.
pub(crate) fn write_server_time(out: &mut Out, time: &mut Rfc3339Cache, nanos: u64) {
    out.literal(br#"],"serverTime":""#);
    out.short(time.text(nanos).as_bytes());
    out.literal(b"\"");
}

/// Adds `,"progress":{..}`.
pub(crate) fn write_progress(out: &mut Out, progress: Progress<'_>) {
    out.literal(br#","progress":{"done":"#);
    out.number(progress.done);
    out.literal(br#","total":"#);
    out.number(progress.total);
    out.literal(br#","unit":"#);
    out.string(progress.unit.as_bytes());
    out.literal(b"}");
}

/// Adds a status as a string.
pub(crate) fn write_status(out: &mut Out, status: StatusText<'_>) {
    match status {
        StatusText::Init => out.literal(br#""init""#),
        StatusText::Set(text) => out.string(text.as_bytes()),
        StatusText::CancelRequest(None) => out.literal(br#""[cancel request]""#),
        StatusText::CancelRequest(Some(reason)) => {
            out.literal(br#""[cancel request: "#);
            out.escaped(reason.as_bytes());
            out.literal(br#"]""#);
        }
        other => out.string(other.to_string().as_bytes()),
    }
}

/// The form of numbers and booleans. JSON or JavaScript cannot represent infinities, NaN, and integers beyond 2^53 - 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Integers as they are, as VividCortex/pm writes them; infinities and NaN as `null`.
    Plain,
    /// Those that cannot be represented as strings.
    AsStrings,
    /// All numbers and booleans as strings.
    AllAsStrings,
}

/// The largest integer that JavaScript represents exactly, and all below it.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// Adds `,"attrs":{..}` if there are any.
pub(crate) fn write_attrs(out: &mut Out, task: &TaskView<'_>, numbers: Numbers) {
    let none = (task.id(), ValueView::Bool(false));
    let mut inline = [none; INLINE_ATTRS];
    let mut count = 0;
    for attr in task.attrs() {
        if count == INLINE_ATTRS {
            write_sorted(out, &task.attrs_sorted(), numbers);
            return;
        }
        // Insertion keeps them sorted; names come mostly in order, and are few.
        let mut at = count;
        while at > 0 && inline[at - 1].0.as_bytes() > attr.0.as_bytes() {
            inline[at] = inline[at - 1];
            at -= 1;
        }
        inline[at] = attr;
        count += 1;
    }
    write_sorted(out, &inline[..count], numbers);
}

fn write_sorted(out: &mut Out, attrs: &[(Text<'_>, ValueView<'_>)], numbers: Numbers) {
    if attrs.is_empty() {
        return;
    }
    out.literal(br#","attrs":{"#);
    for (index, (name, value)) in attrs.iter().enumerate() {
        if index > 0 {
            out.literal(b",");
        }
        out.string(name.as_bytes());
        out.literal(b":");
        match *value {
            ValueView::Text(text) => out.string(text.as_bytes()),
            ValueView::I64(number) => write_integer(out, number < 0, number.unsigned_abs(), numbers),
            ValueView::U64(number) => write_integer(out, false, number, numbers),
            ValueView::F64(number) => write_f64(out, number, numbers),
            ValueView::Bool(value) if numbers == Numbers::AllAsStrings => {
                out.string(if value { &b"true"[..] } else { b"false" });
            }
            ValueView::Bool(true) => out.literal(b"true"),
            ValueView::Bool(false) => out.literal(b"false"),
            _ => out.literal(b"null"),
        }
    }
    out.literal(b"}");
}

fn write_integer(out: &mut Out, negative: bool, magnitude: u64, numbers: Numbers) {
    let quoted = match numbers {
        Numbers::Plain => false,
        Numbers::AsStrings => magnitude > LARGEST_EXACT,
        Numbers::AllAsStrings => true,
    };
    if quoted {
        out.literal(b"\"");
    }
    if negative {
        out.literal(b"-");
    }
    out.number(magnitude);
    if quoted {
        out.literal(b"\"");
    }
}

/// Adds a number as [`ValueView`] shows it; as a string or `null` if JSON cannot represent it.
fn write_f64(out: &mut Out, number: f64, numbers: Numbers) {
    if !number.is_finite() && numbers == Numbers::Plain {
        return out.literal(b"null");
    }
    let mut text = Vec::with_capacity(32);
    // A vector accepts every write.
    let _ = write!(text, "{}", ValueView::F64(number));
    if number.is_finite() && numbers != Numbers::AllAsStrings { out.short(&text) } else { out.string(&text) }
}

#[cfg(test)]
mod tests {
    use pm_core::{Clock, Options, ProcessList};

    use super::*;

    fn list_json(list: &ProcessList) -> String {
        let (mut scan, mut writer) = (list.scan(), ListWriter::new());
        writer.begin();
        while let Some(row) = scan.next() {
            writer.row(&row);
        }
        writer.end(scan.at().unix_nanos());
        String::from_utf8(writer.take()).unwrap()
    }

    #[test]
    fn an_empty_list_is_an_empty_array() {
        let json = list_json(&ProcessList::new());
        assert!(json.starts_with(r#"{"procs":[],"serverTime":"2"#), "{json}");
        assert!(json.ends_with(r#"Z"}"#), "{json}");
    }

    #[test]
    fn members_stand_in_the_order_of_vividcortex_pm_and_additional_ones_after_them() {
        let list = ProcessList::new();
        let parent = list.start("parent");
        let task = list.task("job").kind("import").parent(&parent).attr("z", "last").attr("a", 1_u64).start();
        task.progress(3, 10, "files");
        list.cancel("job", "too slow").unwrap();
        let json = list_json(&list);
        let row = &json[json.find(r#"{"id":"job""#).unwrap()..];
        let mut from = 0;
        for field in
            ["id", "attrs", "procTime", "statusTime", "status", "cancelling", "serial", "kind", "parent", "progress"]
        {
            let at = row.find(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field} in {row}"));
            assert!(at >= from, "{field} in {row}");
            from = at;
        }
        assert!(row.contains(r#""attrs":{"a":1,"z":"last"},"procTime""#), "{row}");
        assert!(row.contains(r#""status":"[cancel request: too slow]","cancelling":true,"serial":""#), "{row}");
        assert!(row.contains(r#""progress":{"done":3,"total":10,"unit":"files"}"#), "{row}");
        assert!(!row.contains("cancellable"), "{row}");
    }

    #[test]
    fn attributes_are_sorted_by_bytes_however_many_there_are() {
        for count in [1, 7, 8, 9, 40] {
            let list = ProcessList::new();
            let task = list.start("job");
            for number in (0..count).rev() {
                task.set(&format!("n{number:02}"), number);
            }
            let expected: Vec<String> = (0..count).map(|n| format!("\"n{n:02}\":{n}")).collect();
            let json = list_json(&list);
            assert!(json.contains(&format!(r#""attrs":{{{}}},"#, expected.join(","))), "{json}");
        }
    }

    #[test]
    fn numbers_come_back_the_same_and_those_that_json_cannot_represent_are_null() {
        let text = |number| {
            let mut out = Out::default();
            write_f64(&mut out, number, Numbers::Plain);
            String::from_utf8(out.take()).unwrap()
        };
        assert_eq!(text(1.0), "1");
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(1e-7), "1e-7");
        assert_eq!(text(f64::NAN), "null");
        assert_eq!(text(f64::NEG_INFINITY), "null");
        for number in [0.0, -1.5, 1e21, 1e20, 1e-6, f64::MAX, f64::MIN_POSITIVE, 5e-324] {
            assert_eq!(text(number).parse::<f64>().unwrap(), number);
            serde_json::from_str::<f64>(&text(number)).unwrap();
        }
    }

    #[test]
    fn every_value_is_a_string_for_clients_that_expect_strings() {
        let list = ProcessList::new();
        let task = list.task("job").attr("a", 7).attr("b", -7).attr("c", u64::MAX).attr("d", 0.5).attr("e", true);
        let _task = task.attr("f", false).attr("g", f64::NAN).attr("h", "text").attr("i", f64::INFINITY).start();
        let (mut scan, mut writer) = (list.scan(), ListWriter::new().text_attrs(true));
        writer.begin();
        writer.row(&scan.next().unwrap());
        writer.end(scan.at().unix_nanos());
        let json: serde_json::Value = serde_json::from_slice(&writer.take()).unwrap();
        let expected = serde_json::json!({
            "a": "7", "b": "-7", "c": "18446744073709551615", "d": "0.5", "e": "true", "f": "false", "g": "NaN",
            "h": "text", "i": json["procs"][0]["attrs"]["i"].as_str().unwrap(),
        });
        assert_eq!(json["procs"][0]["attrs"], expected);
    }

    #[test]
    fn the_smallest_integer_is_written_in_full() {
        let list = ProcessList::new();
        let _task = list.task("job").attr("least", i64::MIN).start();
        assert!(list_json(&list).contains(r#""attrs":{"least":-9223372036854775808}"#));
    }

    #[test]
    fn a_history_counts_what_was_dropped() {
        let (clock, _hand) = Clock::manual();
        let list = ProcessList::with_options(Options::new().clock(clock).history(2, 4));
        let task = list.start("job");
        for number in 0..200 {
            task.status(&format!("step {number}")).unwrap();
        }
        let kept = list.history(task.serial()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&history(&kept)).unwrap();
        assert_eq!(json["history"][0]["status"], "init");
        assert_eq!(json["dropped"], kept.dropped);
        assert_eq!(json["history"].as_array().unwrap().last().unwrap()["status"], "step 199");
    }
}
