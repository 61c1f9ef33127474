//! The list of live tasks, written while it is sent.

use std::fmt;

use http::Response;
use pm_core::{ProcessList, Scan};
use pm_wire::rows::ListWriter;

use crate::request::State;
use crate::response::{self, Body, Parts, WriteParts};

/// Bytes that are written at a time. A list that fits is sent in one piece, with its length.
const PART: usize = 64 << 10;

/// All live tasks, oldest first; with `text_attrs`, the values of attributes are strings. A long list is written on
/// other threads.
pub(crate) fn list(state: &State, text_attrs: bool) -> Response<Body> {
    let mut rows = Rows::new(&state.list, text_attrs);
    if state.is_long() {
        return response::json_parts(Parts::new(rows, Some(state.run())));
    }
    let part = rows.write_part();
    if rows.scan.is_none() {
        return response::json(part);
    }
    rows.first = part;
    response::json_parts(Parts::new(rows, None))
}

/// Rows that are copied and written as the client reads them.
struct Rows {
    /// `None` once the last row was written.
    scan: Option<Scan>,
    writer: ListWriter,
    /// The first part, until it is sent.
    first: Vec<u8>,
    has_begun: bool,
}

impl Rows {
    fn new(list: &ProcessList, text_attrs: bool) -> Self {
        let writer = ListWriter::new().text_attrs(text_attrs);
        Self { scan: Some(list.scan()), writer, first: Vec::new(), has_begun: false }
    }

    fn write_part(&mut self) -> Vec<u8> {
        let Some(scan) = &mut self.scan else { return Vec::new() };
        if !self.has_begun {
            self.has_begun = true;
            self.writer.begin();
        }
        while self.writer.len() < PART {
            match scan.next() {
                Some(task) => self.writer.row(&task),
                None => {
                    self.writer.end(scan.at().unix_nanos());
                    self.scan = None;
                    break;
                }
            }
        }
        self.writer.take()
    }
}

impl WriteParts for Rows {
    fn next_part(&mut self) -> Option<Vec<u8>> {
        let part = if self.first.is_empty() { self.write_part() } else { std::mem::take(&mut self.first) };
        Some(part).filter(|part| !part.is_empty())
    }

    fn is_complete(&self) -> bool {
        self.scan.is_none() && self.first.is_empty()
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("scan", &self.scan).finish_non_exhaustive()
    }
}
