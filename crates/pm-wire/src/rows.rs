//! The JSON of the `/procs/` routes, written straight from the list's copies into bytes.
//!
//! The list and the history are what a program with many tasks sends most, so nothing is built in between and nothing
//! is allocated per task. Field order is that of the first pm, then our additions. What JSON cannot say (an infinite
//! number) becomes `null` and costs only itself.

use std::io::Write as _;

use pm_core::{History, StatusText, TaskView, Text, ValueView};

use crate::time::Rfc3339Cache;

/// Attributes sorted without an allocation; tasks with more pay for one.
const INLINE_ATTRS: usize = 16;

/// Writes a list of tasks: [`begin`](Self::begin), a [`row`](Self::row) for each, [`end`](Self::end).
///
/// The bytes may be taken out of the vector between any two calls, to be sent while the rest is made.
///
/// ```
/// let list = pm_core::ProcessList::new();
/// let task = list.start("job");
/// let mut scan = list.scan();
/// let (mut out, mut writer) = (Vec::new(), pm_wire::rows::ListWriter::new());
/// writer.begin(&mut out);
/// while let Some(row) = scan.next() {
///     writer.row(&mut out, row);
/// }
/// writer.end(&mut out, 0);
/// let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
/// assert_eq!(json["procs"][0]["id"], "job");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ListWriter {
    rows: u64,
    started: Rfc3339Cache,
    status: Rfc3339Cache,
}

impl ListWriter {
    /// A writer at the start of a list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the list.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.rows = 0;
        out.extend_from_slice(br#"{"procs":["#);
    }

    /// Adds a task.
    pub fn row(&mut self, out: &mut Vec<u8>, task: TaskView<'_>) {
        out.extend_from_slice(if self.rows == 0 { br#"{"id":"#.as_slice() } else { br#",{"id":"#.as_slice() });
        self.rows += 1;
        write_string(out, task.id().as_bytes());
        write_attrs(out, &task);
        let (status, status_nanos) = task.status_and_unix_nanos();
        out.extend_from_slice(br#","procTime":""#);
        self.started.write(out, task.started_unix_nanos());
        out.extend_from_slice(br#"","statusTime":""#);
        self.status.write(out, status_nanos);
        out.extend_from_slice(br#"","status":"#);
        write_status(out, status);
        if task.is_cancelling() {
            out.extend_from_slice(br#","cancelling":true"#);
        }
        out.extend_from_slice(br#","serial":""#);
        write_u64(out, task.serial().get());
        out.push(b'"');
        if let Some(kind) = task.kind() {
            out.extend_from_slice(br#","kind":"#);
            write_string(out, kind.as_bytes());
        }
        if let Some(parent) = task.parent() {
            out.extend_from_slice(br#","parent":""#);
            write_u64(out, parent.get());
            out.push(b'"');
        }
        if let Some(progress) = task.progress() {
            out.extend_from_slice(br#","progress":{"done":"#);
            write_u64(out, progress.done);
            out.extend_from_slice(br#","total":"#);
            write_u64(out, progress.total);
            out.extend_from_slice(br#","unit":"#);
            write_string(out, progress.unit.as_bytes());
            out.push(b'}');
        }
        if !task.is_cancellable() {
            out.extend_from_slice(br#","cancellable":false"#);
        }
        out.push(b'}');
    }

    /// Closes the list; `server_nanos` is when it was made, in nanoseconds since 1970.
    pub fn end(&mut self, out: &mut Vec<u8>, server_nanos: u64) {
        write_end(out, &mut self.status, server_nanos);
    }
}

/// Appends the history of a task, oldest entry first.
///
/// `dropped` and `droppedAfter` (the index of the entry before which they stood) are added when entries were dropped.
pub fn write_history(out: &mut Vec<u8>, history: &History) {
    let mut time = Rfc3339Cache::new();
    out.extend_from_slice(br#"{"history":["#);
    for (index, entry) in history.entries.iter().enumerate() {
        out.extend_from_slice(if index == 0 { br#"{"ts":""#.as_slice() } else { br#",{"ts":""#.as_slice() });
        time.write(out, entry.unix_nanos);
        out.extend_from_slice(br#"","status":"#);
        write_string(out, entry.status.as_bytes());
        out.push(b'}');
    }
    let server_nanos = history.moment.unix_nanos();
    if history.dropped == 0 {
        write_end(out, &mut time, server_nanos);
        return;
    }
    out.extend_from_slice(br#"],"serverTime":""#);
    time.write(out, server_nanos);
    out.extend_from_slice(br#"","dropped":"#);
    write_u64(out, history.dropped);
    out.extend_from_slice(br#","droppedAfter":"#);
    write_u64(out, history.dropped_after as u64);
    out.push(b'}');
}

fn write_end(out: &mut Vec<u8>, time: &mut Rfc3339Cache, server_nanos: u64) {
    out.extend_from_slice(br#"],"serverTime":""#);
    time.write(out, server_nanos);
    out.extend_from_slice(br#""}"#);
}

fn write_status(out: &mut Vec<u8>, status: StatusText<'_>) {
    match status {
        StatusText::Init => out.extend_from_slice(br#""init""#),
        StatusText::Set(text) => write_string(out, text.as_bytes()),
        StatusText::CancelRequest(None) => out.extend_from_slice(br#""[cancel request]""#),
        StatusText::CancelRequest(Some(reason)) => {
            out.extend_from_slice(br#""[cancel request: "#);
            write_escaped(out, reason.as_bytes());
            out.extend_from_slice(br#"]""#);
        }
        other => write_string(out, other.to_string().as_bytes()),
    }
}

fn write_attrs(out: &mut Vec<u8>, task: &TaskView<'_>) {
    let mut inline: [Option<(Text<'_>, ValueView<'_>)>; INLINE_ATTRS] = [None; INLINE_ATTRS];
    for (count, attr) in task.attrs().enumerate() {
        if count == INLINE_ATTRS {
            write_sorted(out, task.attrs_sorted().into_iter());
            return;
        }
        // Insertion keeps them sorted; names come mostly in order, and are few.
        let mut at = count;
        while at > 0 && inline[at - 1].is_some_and(|before| before.0.as_bytes() > attr.0.as_bytes()) {
            inline[at] = inline[at - 1];
            at -= 1;
        }
        inline[at] = Some(attr);
    }
    write_sorted(out, inline.into_iter().flatten());
}

fn write_sorted<'a>(out: &mut Vec<u8>, attrs: impl Iterator<Item = (Text<'a>, ValueView<'a>)>) {
    let mut any = false;
    for (name, value) in attrs {
        out.extend_from_slice(if any { b",".as_slice() } else { br#","attrs":{"#.as_slice() });
        any = true;
        write_string(out, name.as_bytes());
        out.push(b':');
        match value {
            ValueView::Text(text) => write_string(out, text.as_bytes()),
            ValueView::I64(number) => {
                if number < 0 {
                    out.push(b'-');
                }
                write_u64(out, number.unsigned_abs());
            }
            ValueView::U64(number) => write_u64(out, number),
            ValueView::F64(number) => write_f64(out, number),
            ValueView::Bool(true) => out.extend_from_slice(b"true"),
            ValueView::Bool(false) => out.extend_from_slice(b"false"),
            _ => out.extend_from_slice(b"null"),
        }
    }
    if any {
        out.push(b'}');
    }
}

fn write_u64(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest text that reads back as the same number; very small and very large ones with an exponent.
fn write_f64(out: &mut Vec<u8>, number: f64) {
    if !number.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let size = number.abs();
    // A vector takes every write.
    let _ =
        if size != 0.0 && !(1e-6..1e21).contains(&size) { write!(out, "{number:e}") } else { write!(out, "{number}") };
}

/// Appends a JSON string with its quotes. `text` must be UTF-8.
fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Whether a byte may begin something to escape: quotes, controls, and the first byte of U+2028 and U+2029.
#[inline]
fn is_suspect(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\') | (byte == 0xe2)
}

#[inline]
fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    // Without a branch per byte, so that it becomes vector code.
    if text.iter().fold(false, |found, &byte| found | is_suspect(byte)) {
        write_escaped_slowly(out, text);
    } else {
        out.extend_from_slice(text);
    }
}

#[cold]
fn write_escaped_slowly(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut plain = 0;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let mut code = *br"\u0000";
        let (escape, taken): (&[u8], usize) = match byte {
            b'"' => (br#"\""#, 1),
            b'\\' => (br"\\", 1),
            b'\n' => (br"\n", 1),
            b'\r' => (br"\r", 1),
            b'\t' => (br"\t", 1),
            0..=0x1f => {
                code[4] = HEX[usize::from(byte >> 4)];
                code[5] = HEX[usize::from(byte & 0xf)];
                (&code, 1)
            }
            0xe2 if text[at..].starts_with("\u{2028}".as_bytes()) => (br"\u2028", 3),
            0xe2 if text[at..].starts_with("\u{2029}".as_bytes()) => (br"\u2029", 3),
            _ => {
                at += 1;
                continue;
            }
        };
        out.extend_from_slice(&text[plain..at]);
        out.extend_from_slice(escape);
        at += taken;
        plain = at;
    }
    out.extend_from_slice(&text[plain..]);
}

#[cfg(test)]
mod tests {
    use pm_core::{Clock, Options, ProcessList};

    use super::*;

    fn list_json(list: &ProcessList) -> String {
        let mut scan = list.scan();
        let mut out = Vec::new();
        let mut writer = ListWriter::new();
        writer.begin(&mut out);
        while let Some(row) = scan.next() {
            writer.row(&mut out, row);
        }
        writer.end(&mut out, scan.moment().unix_nanos());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_empty_list_is_an_empty_array() {
        let json = list_json(&ProcessList::new());
        assert!(json.starts_with(r#"{"procs":[],"serverTime":"2"#), "{json}");
        assert!(json.ends_with(r#"Z"}"#), "{json}");
    }

    #[test]
    fn fields_stand_in_the_order_of_the_first_pm_and_ours_after_them() {
        let list = ProcessList::new();
        let parent = list.start("parent");
        let task = list.task("job").kind("import").parent(&parent.handle()).attr("z", "last").attr("a", 1_u64).start();
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
        for count in [1, 15, 16, 17, 40] {
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
    fn strings_are_escaped_and_come_back_whole() {
        for text in ["", "plain", "q\"b\\n\nr\rt\t\u{1}\u{1f}\u{7f}", "\u{2028}\u{2029}\u{2027}€ü", "<b>&\0"] {
            let mut out = Vec::new();
            write_string(&mut out, text.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            let out = String::from_utf8(out).unwrap();
            assert!(!out.contains(['\u{2028}', '\u{2029}', '\n', '\0']), "{out}");
        }
    }

    #[test]
    fn numbers_come_back_the_same_and_what_json_cannot_say_is_null() {
        let text = |number| {
            let mut out = Vec::new();
            write_f64(&mut out, number);
            String::from_utf8(out).unwrap()
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
        for number in [0, 9, 10, u64::MAX] {
            let mut out = Vec::new();
            write_u64(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn the_smallest_integer_is_written_in_full() {
        let list = ProcessList::new();
        let _task = list.task("job").attr("least", i64::MIN).start();
        assert!(list_json(&list).contains(r#""attrs":{"least":-9223372036854775808}"#));
    }

    #[test]
    fn a_history_tells_what_was_dropped() {
        let (clock, _hand) = Clock::manual();
        let list = ProcessList::with_options(Options::new().clock(clock).history(2, 4));
        let task = list.start("job");
        for number in 0..200 {
            task.status(&format!("step {number}")).unwrap();
        }
        let history = list.history(task.serial()).unwrap();
        let mut out = Vec::new();
        write_history(&mut out, &history);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["history"][0]["status"], "init");
        assert_eq!(json["dropped"], history.dropped);
        assert_eq!(json["history"].as_array().unwrap().last().unwrap()["status"], "step 199");
    }
}
