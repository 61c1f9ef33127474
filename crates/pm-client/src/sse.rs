//! An incremental decoder of `text/event-stream`, as the HTML standard defines it.
//!
//! The stream may be split anywhere, also within a character or between CR and LF. Malformed parts are ignored, as the
//! standard says. Memory is bounded: a line and the data of an event may have `MAX_BYTES` each.

use std::time::Duration;

/// The longest line, and the most data of one event, in bytes.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// The most memory that the data of one event may take once it is decoded, in bytes. A part of a snapshot has 64 KiB,
/// which is estimated at 2 MiB.
pub(crate) const MAX_MEMORY: u64 = 16 << 20;

/// One event as it is dispatched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// `message` if the stream names none.
    pub(crate) event: String,
    /// Its lines, with LF between them.
    pub(crate) data: String,
}

/// A line or an event is larger than [`MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// The state of a stream so far.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The last byte was a CR, to which a following LF belongs.
    after_cr: bool,
    /// The first line has ended, so a byte order mark can no longer follow.
    begun: bool,
    event: String,
    data: String,
    has_data: bool,
    id: String,
    last_id: String,
    retry: Option<Duration>,
}

impl Decoder {
    /// Makes a decoder for a stream that resumes after the event with this id, or begins if the id is empty.
    pub(crate) fn after(last_id: &str) -> Decoder {
        Decoder { id: last_id.to_owned(), last_id: last_id.to_owned(), ..Decoder::default() }
    }

    /// Decodes the next bytes, and passes every message that they complete to `give`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], after which the stream must not be read further.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut give: impl FnMut(Message)) -> Result<(), TooLarge> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > MAX_BYTES {
                return Err(TooLarge);
            }
            let Some(end) = end else {
                self.line.extend_from_slice(part);
                return Ok(());
            };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if self.line.is_empty() {
                self.end_line(part, &mut give)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(part);
                self.end_line(&line, &mut give)?;
                // Keeps the memory for the next line, unless this one was unusually long.
                line.clear();
                line.shrink_to(64 << 10);
                self.line = line;
            }
        }
        Ok(())
    }

    /// Returns the id to resume after when the connection is lost; empty if there is none.
    pub(crate) fn last_id(&self) -> &str {
        &self.last_id
    }

    /// Takes the delay before reconnecting, if the stream has named one since the last call.
    pub(crate) fn take_retry(&mut self) -> Option<Duration> {
        self.retry.take()
    }

    fn end_line(&mut self, line: &[u8], give: &mut impl FnMut(Message)) -> Result<(), TooLarge> {
        // A byte order mark counts only at the beginning of the stream.
        let line = match std::mem::replace(&mut self.begun, true) {
            false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            true => line,
        };
        if line.is_empty() {
            self.dispatch(give);
            return Ok(());
        }
        // A line break is never part of a longer character, so each line can be decoded on its own.
        let text = String::from_utf8_lossy(line);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if self.data.len() + value.len() + 1 > MAX_BYTES {
                    return Err(TooLarge);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            // Comments, which have no name, and unknown fields.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, give: &mut impl FnMut(Message)) {
        self.last_id.clone_from(&self.id);
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            let event = if event.is_empty() { "message".to_owned() } else { event };
            give(Message { event, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes a stream in these pieces, and returns its messages, its last id and the delay it names.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<(String, String)>, String, Option<Duration>) {
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        for piece in pieces {
            decoder.push(piece, |message| messages.push((message.event, message.data))).unwrap();
        }
        (messages, decoder.last_id().to_owned(), decoder.take_retry())
    }

    fn messages(stream: &str) -> Vec<(String, String)> {
        decode([stream.as_bytes()]).0
    }

    fn data(stream: &str) -> Vec<String> {
        messages(stream).into_iter().map(|(_, data)| data).collect()
    }

    // The examples of https://html.spec.whatwg.org/multipage/server-sent-events.html

    #[test]
    fn data_of_several_lines_is_one_event() {
        assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let stream = "data: This is the first message.\n\n\
                      data: This is the second message, it\ndata: has two lines.\n\n\
                      data: This is the third message.\n\n";
        assert_eq!(
            data(stream),
            [
                "This is the first message.",
                "This is the second message, it\nhas two lines.",
                "This is the third message."
            ]
        );
    }

    #[test]
    fn events_have_names() {
        let stream = "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n";
        let named = |event: &str, data: &str| (event.to_owned(), data.to_owned());
        assert_eq!(messages(stream), [named("add", "73857293"), named("remove", "2153"), named("add", "113411")]);
        assert_eq!(messages("data: x\n\n"), [named("message", "x")]);
    }

    #[test]
    fn comments_ids_and_leading_spaces_are_as_in_the_standard() {
        let stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let (messages, last_id, _) = decode([stream.as_bytes()]);
        let data: Vec<_> = messages.into_iter().map(|(_, data)| data).collect();
        assert_eq!(data, ["first event", "second event", " third event"]);
        assert_eq!(last_id, "");
    }

    #[test]
    fn empty_data_is_an_event_and_missing_data_is_none() {
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data("event: x\n\n"), Vec::<String>::new());
    }

    #[test]
    fn one_space_after_the_colon_does_not_count() {
        assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn an_event_without_its_empty_line_is_dropped() {
        assert_eq!(decode([&b"id: 1\ndata: a\n\nid: 2\ndata: b\n"[..]]).1, "1");
        assert_eq!(data("data: a\n\ndata: b\n"), ["a"]);
    }

    #[test]
    fn all_line_ends_are_understood() {
        for stream in
            ["data: a\ndata: b\n\n", "data: a\rdata: b\r\r", "data: a\r\ndata: b\r\n\r\n", "data: a\rdata: b\n\n"]
        {
            assert_eq!(data(stream), ["a\nb"], "{stream:?}");
        }
        assert_eq!(data("data: a\r\n\ndata: b\n\r\n"), ["a", "b"]);
    }

    #[test]
    fn a_byte_order_mark_is_ignored_once() {
        assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n"), ["a", "c"]);
        assert_eq!(data("\u{feff}\u{feff}data: a\n\n"), Vec::<String>::new());
    }

    #[test]
    fn an_id_counts_without_data_and_not_with_a_nul() {
        assert_eq!(decode([&b": heartbeat\nid: b-7\n\n"[..]]).1, "b-7");
        assert_eq!(decode([&b"id: 1\n\nid: 2\0\n\n"[..]]).1, "1");
        let mut decoder = Decoder::after("b-7");
        decoder.push(b"data: a\n\n", drop).unwrap();
        assert_eq!(decoder.last_id(), "b-7");
    }

    #[test]
    fn a_delay_has_digits_only() {
        assert_eq!(decode([&b"retry: 1500\n"[..]]).2, Some(Duration::from_millis(1500)));
        assert_eq!(
            decode([&b"retry: 5\nretry: 1.5\nretry\nretry: -1\nretry: 99999999999999999999\n"[..]])
                .2
                .unwrap()
                .as_millis(),
            5
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(decode([&b"data: a\xffb\n\n"[..]]).0[0].1, "a\u{fffd}b");
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; MAX_BYTES];
        assert_eq!(decoder.push(&piece, drop), Ok(()));
        assert_eq!(decoder.push(b"y", drop), Err(TooLarge));

        let line = [b"data: ".as_slice(), &piece[..MAX_BYTES / 2], b"\n"].concat();
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(&line, drop), Ok(()));
        assert_eq!(decoder.push(&line, drop), Err(TooLarge));
    }

    /// A stream with every field and every line end.
    const ALL: &str = "\u{feff}: hi\r\nretry: 7\r\nevent: snapshot\r\ndata: {\"tasks\":[\"ü🦀\"]}\r\nid: b-1\r\n\r\n\
                       data: a\rdata:\rdata:  b\r\r\nevent: x\nid: b-2\ndata: 1\n\n: heartbeat\nid: b-3\n\n\
                       unknown: x\ndata: c\n\n";

    #[test]
    fn a_cut_at_any_byte_changes_nothing() {
        let whole = decode([ALL.as_bytes()]);
        assert_eq!(whole.0.len(), 4);
        assert_eq!((whole.1.as_str(), whole.2), ("b-3", Some(Duration::from_millis(7))));
        for at in 0..=ALL.len() {
            let (a, b) = ALL.as_bytes().split_at(at);
            assert_eq!(decode([a, b]), whole, "cut at {at}");
        }
        assert_eq!(decode(ALL.as_bytes().chunks(1)), whole);
    }

    /// Returns random bytes, many of which are syntax.
    fn any_stream() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec![
            &b"data"[..],
            b"event",
            b"id",
            b"retry",
            b":",
            b" ",
            b"\r",
            b"\n",
            b"\r\n",
            b"\n\n",
            b"\0",
            b"\xef\xbb\xbf",
            b"\xf0\x9f",
            b"1",
            b"x",
        ]);
        let any = prop::collection::vec(any::<u8>(), 0..4);
        let part = prop_oneof![4 => word.prop_map(<[u8]>::to_vec), 1 => any];
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            stream in any_stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                pieces.push(&stream[from..cut]);
                from = cut;
            }
            prop_assert_eq!(decode(pieces), decode([&stream[..]]));
        }
    }
}
