//! A page of tasks: filter, then order, then limit, in one pass over the list.
//!
//! Only the rows of the page are in memory, in a heap with the last one on top: a hundred thousand tasks take no more
//! memory than a hundred. A page is also limited in bytes; rows that do not fit are on the next one.
//!
//! A cursor contains the sort keys of the last row, so that the next page continues after it whatever started or ended
//! in the meantime: a task whose position does not change is neither repeated nor left out.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use http::StatusCode;
use pm_core::{StatusText, TaskView, Timestamp};
use pm_wire::filter::Filter;
use pm_wire::v1::{Group, GroupBy, GroupByError, Missing, SortBy, SortKey, TaskPage};
use pm_wire::v1_rows::{Fields, RowWriter};
use serde_json::{Value, json};

use crate::request::query::{self, invalid, invalid_filter, number, once};
use crate::response::Failure;

const LIMIT: usize = 100;
const MAX_LIMIT: u64 = 1000;
/// Rows of a page, in bytes.
pub(super) const MAX_PAGE: usize = 1 << 20;
/// The bytes that a row takes while the page is put together, about: itself, and copies.
const ROW_BYTES: u64 = 4 << 10;
/// The bytes of a string that it is sorted by; they must fit into a cursor.
const SORT_BYTES: usize = 512;
const MAX_GROUPS: usize = 1000;

/// The query of a page.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) filter: Filter,
    order: Vec<SortBy>,
    pub(super) limit: usize,
    after: Option<Position>,
    pub(crate) fields: Fields,
    group_by: Option<GroupBy>,
    /// Of ended tasks.
    ended: bool,
    boot: String,
}

/// The parameters that a route has besides a filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Tasks in pages.
    Pages,
    /// Ended tasks in pages.
    Ended,
    /// As many as fit.
    Limit,
}

impl Query {
    /// Parses a query; `other` handles further parameters.
    pub(super) fn read(
        text: Option<&str>,
        takes: Takes,
        boot: &str,
        mut other: impl FnMut(&str, &str) -> Result<bool, Failure>,
    ) -> Result<Self, Failure> {
        let mut filter = Filter::default();
        let (mut sort, mut limit, mut cursor, mut fields, mut view, mut group) = (None, None, None, None, None, None);
        let is_page = takes != Takes::Limit;
        for (name, value) in query::pairs(text)? {
            match name.as_str() {
                "sort" if is_page => once("sort", &mut sort, value)?,
                "limit" => once("limit", &mut limit, number("limit", &value, MAX_LIMIT)?)?,
                "cursor" if is_page => once("cursor", &mut cursor, value)?,
                "fields" => once("fields", &mut fields, value)?,
                "view" => once("view", &mut view, value)?,
                "groupBy" if is_page => once("groupBy", &mut group, value)?,
                name if other(name, &value)? => {}
                name if Filter::is_name(name) => {
                    filter.add(name, &value).map_err(|error| invalid_filter(&error, name))?;
                }
                name => {
                    let known: &[&str] = match takes {
                        Takes::Limit => &["limit", "fields", "view"],
                        _ => &["sort", "limit", "cursor", "fields", "view", "groupBy"],
                    };
                    return Err(query::unknown(name, known, true));
                }
            }
        }
        let usual = if takes == Takes::Ended { "-endedAt" } else { "-age" };
        let order = read_order(sort.as_deref().unwrap_or(usual), takes)?;
        let mut query = Self {
            filter,
            after: None,
            order,
            limit: limit.map_or(LIMIT, |limit| limit as usize),
            fields: query::fields(fields.as_deref(), view.as_deref())?,
            group_by: group.as_deref().map(read_group).transpose()?,
            ended: takes == Takes::Ended,
            boot: boot.to_owned(),
        };
        query.after = cursor.map(|cursor| Position::read(&cursor, &query)).transpose()?;
        Ok(query)
    }

    /// Returns the bytes that a page takes at most while it is put together, about.
    pub(super) fn bytes(&self) -> u64 {
        (self.limit as u64 * ROW_BYTES).min(3 * MAX_PAGE as u64)
    }

    /// Returns a hash of filter and order, for cursors.
    fn identity(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.filter.to_string(), &self.order, self.ended).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Returns the position of a task in the order.
    fn position(&self, task: &TaskView<'_>) -> Position {
        let mut keys = Keys::default();
        for (key, order) in keys.iter_mut().zip(&self.order) {
            *key = value_of(order.key, task).into_owned();
        }
        Position { keys, serial: task.serial().get() }
    }

    /// Compares a task with a position, without allocating one for the task.
    fn compare(&self, task: &TaskView<'_>, position: &Position) -> Ordering {
        for (order, other) in self.order.iter().zip(&position.keys) {
            let ordering = compare(*order, &value_of(order.key, task), other);
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        task.serial().get().cmp(&position.serial)
    }
}

fn read_order(text: &str, takes: Takes) -> Result<Vec<SortBy>, Failure> {
    SortBy::parse(text, takes == Takes::Ended).map_err(|error| invalid("sort", error.to_string()).hint(error.hint()))
}

fn read_group(text: &str) -> Result<GroupBy, Failure> {
    text.parse().map_err(|error: GroupByError| invalid("groupBy", error.to_string()))
}

/// Returns the value by which the key sorts the task.
fn value_of<'t>(key: SortKey, task: &TaskView<'t>) -> SortValue<'t> {
    match key {
        // In ticks, as dates may be corrected between two pages. The end of a live task counts as a constant in the
        // future, so that tasks that started later are younger.
        SortKey::Age => SortValue::Number(task.ended_ticks().saturating_sub(task.started_ticks())),
        SortKey::StatusAge => SortValue::Number(task.ended_ticks().saturating_sub(task.status_ticks())),
        SortKey::EndedAt => SortValue::Number(task.ended_ticks()),
        SortKey::Serial => SortValue::Number(task.serial().get()),
        SortKey::Id => text_key(Cow::Borrowed(task.id().as_bytes())),
        SortKey::Kind => text_key(Cow::Borrowed(task.kind().map_or(b"".as_slice(), |kind| kind.as_bytes()))),
        SortKey::Status => text_key(shown_status(task)),
    }
}

/// Compares two values in the direction of the order.
fn compare(by: SortBy, a: &SortValue<'_>, b: &SortValue<'_>) -> Ordering {
    let ordering = a.cmp(b);
    if by.descending { ordering.reverse() } else { ordering }
}

fn shown_status<'t>(task: &TaskView<'t>) -> Cow<'t, [u8]> {
    match task.status() {
        StatusText::Init => Cow::Borrowed(b"init"),
        StatusText::Set(text) => Cow::Borrowed(text.as_bytes()),
        other => Cow::Owned(other.to_string().into_bytes()),
    }
}

/// Truncates a string to what a cursor can hold, between two characters.
fn text_key(text: Cow<'_, [u8]>) -> SortValue<'_> {
    if text.len() <= SORT_BYTES {
        return SortValue::Text(text);
    }
    let end = (0..=SORT_BYTES).rev().find(|&end| text[end] & 0xc0 != 0x80).unwrap_or(0);
    SortValue::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    })
}

/// A value that tasks are sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SortValue<'t> {
    Number(u64),
    Text(Cow<'t, [u8]>),
}

impl Default for SortValue<'_> {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl SortValue<'_> {
    fn into_owned(self) -> SortValue<'static> {
        match self {
            Self::Number(number) => SortValue::Number(number),
            Self::Text(text) => SortValue::Text(Cow::Owned(text.into_owned())),
        }
    }
}

/// The keys of an order; unused ones are equal for all tasks.
type Keys = [SortValue<'static>; SortBy::MAX_KEYS];

/// The position of a task in an order.
#[derive(Clone, Debug)]
struct Position {
    keys: Keys,
    serial: u64,
}

impl Position {
    /// Returns the position as an opaque string.
    fn cursor(&self, query: &Query) -> String {
        let keys: Vec<Value> = self.keys[..query.order.len()]
            .iter()
            .map(|key| match key {
                SortValue::Number(number) => json!(number),
                SortValue::Text(text) => json!(String::from_utf8_lossy(text)),
            })
            .collect();
        let text = json!([query.identity(), self.serial, keys]).to_string();
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{}.{hex}", query.boot)
    }

    fn read(cursor: &str, query: &Query) -> Result<Self, Failure> {
        let broken = || Failure::bad("invalid-cursor", "this is not a cursor of this server").parameter("cursor");
        let (theirs, hex) = cursor.split_once('.').ok_or_else(broken)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        let bytes = bytes.filter(|bytes| rest.is_empty() && !bytes.is_empty()).ok_or_else(broken)?;
        let boot = &query.boot;
        let is_boot = |text: &str| text.len() == boot.len() && text.bytes().all(|byte| digit(byte).is_some());
        if theirs != boot && is_boot(theirs) {
            let detail = "the cursor is from another run of the program, whose tasks are gone";
            return Err(Failure::new(StatusCode::GONE, "cursor-expired", detail).hint("start again without a cursor"));
        }
        let value: Value = serde_json::from_slice(&bytes).ok().filter(|_| theirs == boot).ok_or_else(broken)?;
        if value[0].as_str().ok_or_else(broken)? != query.identity() {
            let detail = "the cursor belongs to another filter or order";
            return Err(Failure::bad("invalid-cursor", detail)
                .parameter("cursor")
                .hint("send it with the query that returned it"));
        }
        let serial = value[1].as_u64().ok_or_else(broken)?;
        let all: Option<Vec<_>> = value[2].as_array().and_then(|all| all.iter().map(read_key).collect());
        let all = all.filter(|all| all.len() == query.order.len()).ok_or_else(broken)?;
        let mut keys = Keys::default();
        keys.iter_mut().zip(all).for_each(|(key, read)| *key = read);
        Ok(Self { keys, serial })
    }
}

fn read_key(value: &Value) -> Option<SortValue<'static>> {
    match value {
        Value::Number(number) => number.as_u64().map(SortValue::Number),
        Value::String(text) => Some(SortValue::Text(Cow::Owned(text.clone().into_bytes()))),
        _ => None,
    }
}

/// The page while the list is read.
pub(super) struct Page<'q> {
    query: &'q Query,
    first: BinaryHeap<Row<'q>>,
    bytes: usize,
    /// The first position that is on a later page, and so are all after it.
    bound: Option<Position>,
    /// The matching tasks of all pages.
    total: u64,
    /// The matching tasks after the cursor.
    after_cursor: u64,
    groups: Groups,
    writer: RowWriter,
}

struct Row<'q> {
    order: &'q [SortBy],
    position: Position,
    json: Vec<u8>,
}

impl Ord for Row<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        for ((order, a), b) in self.order.iter().zip(&self.position.keys).zip(&other.position.keys) {
            let ordering = compare(*order, a, b);
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        self.position.serial.cmp(&other.position.serial)
    }
}

impl PartialOrd for Row<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Row<'_> {}

impl<'q> Page<'q> {
    pub(super) fn new(query: &'q Query) -> Self {
        Self {
            query,
            first: BinaryHeap::new(),
            bytes: 0,
            bound: None,
            total: 0,
            after_cursor: 0,
            groups: Groups::default(),
            writer: RowWriter::new(),
        }
    }

    /// Adds a task, if it matches and is on the page.
    pub(super) fn offer(&mut self, task: &TaskView<'_>) {
        let query = self.query;
        if !query.filter.matches(task) {
            return;
        }
        self.total += 1;
        if let Some(group_by) = &query.group_by {
            self.groups.count(group_by, task);
        }
        if query.after.as_ref().is_some_and(|after| query.compare(task, after) != Ordering::Greater) {
            return;
        }
        self.after_cursor += 1;
        let is_late = self.bound.as_ref().is_some_and(|bound| query.compare(task, bound) == Ordering::Greater);
        if is_late || query.limit == 0 {
            return;
        }
        self.writer.clear();
        self.writer.row(task, query.fields);
        let json = self.writer.written().to_vec();
        self.bytes += json.len();
        self.first.push(Row { order: &query.order, position: query.position(task), json });
        while self.first.len() > query.limit || (self.bytes > MAX_PAGE && self.first.len() > 1) {
            let Some(last) = self.first.pop() else { break };
            self.bytes -= last.json.len();
            self.bound = Some(last.position);
        }
    }

    /// Returns the response; `missing` tasks did not fit into the list since it was created.
    pub(super) fn finish(self, at: Timestamp, missing: u64) -> Vec<u8> {
        let rows = self.first.into_sorted_vec();
        let is_truncated = (rows.len() as u64) < self.after_cursor;
        let mut tasks = Vec::with_capacity(self.bytes + rows.len());
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                tasks.push(b',');
            }
            tasks.extend_from_slice(&row.json);
        }
        let mut page = TaskPage::new(Vec::new(), self.total, is_truncated, at.into());
        page.next_cursor = rows.last().filter(|_| is_truncated).map(|last| last.position.cursor(self.query));
        page.groups = self.query.group_by.is_some().then(|| self.groups.finish());
        page.missing = Missing::new(missing);
        page.around(&tasks)
    }
}

/// Counts of tasks by value; values beyond the limit are counted together.
#[derive(Default)]
struct Groups {
    counts: HashMap<String, u64>,
    /// Tasks without a value.
    without: u64,
    other: u64,
}

impl Groups {
    fn count(&mut self, by: &GroupBy, task: &TaskView<'_>) {
        let value = match by {
            GroupBy::Kind => task.kind().map(|kind| kind.to_string()),
            GroupBy::State => Some(task.state().as_str().to_owned()),
            GroupBy::Status => Some(task.status().to_string()),
            GroupBy::Outcome => task.outcome().map(|outcome| outcome.as_str().to_owned()),
            GroupBy::Attr(name) => {
                task.attrs().find(|(found, _)| *found == name.as_str()).map(|(_, value)| value.to_string())
            }
        };
        let Some(value) = value else {
            self.without += 1;
            return;
        };
        if self.counts.len() < MAX_GROUPS || self.counts.contains_key(&value) {
            *self.counts.entry(value).or_default() += 1;
        } else {
            self.other += 1;
        }
    }

    /// Returns the groups, the largest first.
    fn finish(self) -> Vec<Group> {
        let mut all: Vec<(String, u64)> = self.counts.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut groups: Vec<Group> = all.into_iter().map(|(value, count)| Group::new(Some(value), count)).collect();
        if self.without > 0 {
            groups.push(Group::new(None, self.without));
        }
        if self.other > 0 {
            groups.push(Group::other(self.other));
        }
        groups
    }
}
