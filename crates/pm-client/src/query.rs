//! Queries: which tasks, in which order, with which fields.

use std::fmt;
use std::time::Duration;

use pm_wire::v1::{BlockedTask, Row, TaskPage};
use pm_wire::{Serial, encode_id};

/// A query: filters that select tasks, and parameters for how to return them.
///
/// The empty query selects all tasks, by the server's defaults. A task must match all filters. The value of a filter is
/// exact, or a prefix that ends in `*`, or several of these with commas between them, of which one must match;
/// [`literal`](Self::literal) escapes any string. Durations are sent in whole milliseconds, at least one. Setting a
/// parameter again replaces its value. A parameter or a value that the server does not know is
/// [`ClientError::Problem`](crate::ClientError::Problem).
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// use pm_client::Query;
///
/// let stuck = Query::new().filter("kind", "import,export").attr("user", "ann*");
/// let stuck = stuck.min_status_age(Duration::from_secs(90)).limit(5);
/// assert_eq!(stuck.to_string(), "kind=import%2Cexport&attr.user=ann%2A&minStatusAge=90000ms&limit=5");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    /// Makes the empty query.
    pub fn new() -> Query {
        Query::default()
    }

    /// Selects tasks whose `state`, `kind`, `id`, `status`, `parent`, `serial` or, once ended, `outcome` matches.
    pub fn filter(self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value)
    }

    /// Selects tasks that have this attribute with a value that matches.
    pub fn attr(self, name: &str, value: impl Into<String>) -> Self {
        self.set(&format!("attr.{name}"), value)
    }

    /// Selects tasks that are at least this old.
    pub fn min_age(self, age: Duration) -> Self {
        self.set("minAge", millis(age))
    }

    /// Selects tasks that are at most this old.
    pub fn max_age(self, age: Duration) -> Self {
        self.set("maxAge", millis(age))
    }

    /// Selects tasks that have been in their status for at least this long.
    pub fn min_status_age(self, age: Duration) -> Self {
        self.set("minStatusAge", millis(age))
    }

    /// Selects tasks that have been in their status for at most this long.
    pub fn max_status_age(self, age: Duration) -> Self {
        self.set("maxStatusAge", millis(age))
    }

    /// Sorts by these [keys](pm_wire::v1::SortKey), with commas between them; `-` before a key reverses it. The
    /// server's default is `-age`: oldest first.
    pub fn sort(self, key: &str) -> Self {
        self.set("sort", key)
    }

    /// Sets how many tasks to return at most; 0 returns the counts alone. The server's default is 100, its limit 1,000.
    pub fn limit(self, tasks: u32) -> Self {
        self.set("limit", tasks.to_string())
    }

    /// Continues after the page that had this [`next_cursor`](pm_wire::v1::TaskPage::next_cursor).
    pub fn cursor(self, cursor: impl Into<String>) -> Self {
        self.set("cursor", cursor)
    }

    /// Returns only these fields of each task, and always its serial.
    pub fn fields(self, names: &[&str]) -> Self {
        self.set("fields", names.join(","))
    }

    /// Returns only the few fields that a list on a screen needs, with statuses cut to 120 characters.
    pub fn brief(self) -> Self {
        self.set("view", "brief")
    }

    /// Also counts the tasks by this field or attribute; see [`GroupBy`](pm_wire::v1::GroupBy).
    pub fn group_by(self, field: impl fmt::Display) -> Self {
        self.set("groupBy", field.to_string())
    }

    /// Returns only the branch of the [tree](crate::V1::tree) that begins at this task.
    pub fn root(self, task: &TaskRef) -> Self {
        self.set("root", task.to_string())
    }

    /// Sets the shortest time between two [events](crate::V1::events) of one task, 250 ms to 60 s. The server's default
    /// is 250 ms.
    pub fn interval(self, interval: Duration) -> Self {
        self.set("interval", millis(interval))
    }

    /// Sets a parameter by its name.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a filter. Unlike [`set`](Self::set), this keeps one of the same name, and a task must match both.
    ///
    /// ```
    /// assert_eq!(pm_client::Query::new().also("id", "a*").also("id", "ab*").to_string(), "id=a%2A&id=ab%2A");
    /// ```
    pub fn also(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// Returns a value for a filter that matches exactly this string, whatever characters it has.
    ///
    /// ```
    /// assert_eq!(pm_client::Query::literal("a,b*"), r"a\,b\*");
    /// ```
    #[must_use]
    pub fn literal(text: &str) -> String {
        let mut value = String::with_capacity(text.len());
        for c in text.chars() {
            if matches!(c, ',' | '*' | '\\') {
                value.push('\\');
            }
            value.push(c);
        }
        value
    }

    /// Returns the query for the page after this one, or `None` after the last. The page must be an answer to `self`.
    ///
    /// A server may send pages without end: [`timeout_from_now`](crate::Client::timeout_from_now) limits the time that
    /// all of them take together, and the caller limits what it collects.
    #[must_use]
    pub fn next_page(&self, page: &TaskPage) -> Option<Query> {
        page.next_cursor.as_ref().map(|cursor| self.clone().cursor(cursor))
    }

    /// Returns the path followed by this query.
    pub(crate) fn append_to(&self, path: &str) -> String {
        if self.parameters.is_empty() { path.to_owned() } else { format!("{path}?{self}") }
    }
}

/// Formats the query as in a URL, without the question mark.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            let and = if at == 0 { "" } else { "&" };
            write!(f, "{and}{}={}", encode_id(name), encode_id(value))?;
        }
        Ok(())
    }
}

/// Formats a duration for the server, which refuses zero.
fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_millis().max(1))
}

/// A reference to a task, by its serial or by its id.
///
/// Several tasks may have the same id, but never the same serial. `&Row` converts into a reference to its task.
///
/// # Examples
///
/// ```
/// use pm_client::TaskRef;
///
/// assert_eq!(TaskRef::parse("42").to_string(), "42");
/// assert_eq!(TaskRef::parse("import-42"), TaskRef::id("import-42"));
/// assert_eq!(TaskRef::parse("id:42"), TaskRef::id("42"));
/// assert_eq!(TaskRef::parse("serial:42").to_string(), "serial:42");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskRef {
    which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Which {
    Serial(Serial),
    /// Digits: a serial, unless a live task has them as its id. The server decides, or refuses.
    Digits(String),
    Id(String),
}

impl TaskRef {
    /// Refers to the task with this serial.
    #[must_use]
    pub fn serial(serial: Serial) -> TaskRef {
        TaskRef { which: Which::Serial(serial) }
    }

    /// Refers to the task with this id, whatever characters it has.
    #[must_use]
    pub fn id(id: impl Into<String>) -> TaskRef {
        TaskRef { which: Which::Id(id.into()) }
    }

    /// Parses what a person writes: digits are a serial, and so are those after `serial:`; anything else is an id, and
    /// so is everything after `id:`.
    ///
    /// Where one live task has the digits as its serial and another one as its id, the server refuses them, and says
    /// how to name each: with `serial:` or `id:`.
    #[must_use]
    pub fn parse(text: &str) -> TaskRef {
        if let Some(id) = text.strip_prefix("id:") {
            return TaskRef::id(id);
        }
        let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let serial = text.strip_prefix("serial:").filter(digits);
        if let Some(serial) = serial.and_then(|digits| digits.parse().ok()) {
            return TaskRef::serial(serial);
        }
        if digits(&text) { TaskRef { which: Which::Digits(text.to_owned()) } } else { TaskRef::id(text) }
    }

    /// Returns the reference as one segment of a path.
    pub(crate) fn segment(&self) -> String {
        match &self.which {
            Which::Id(id) => format!("id:{}", encode_id(id)),
            _ => self.to_string(),
        }
    }
}

/// Formats the reference so that the server and [`TaskRef::parse`] can read it.
impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Serial(serial) => write!(f, "serial:{serial}"),
            Which::Digits(digits) => f.write_str(digits),
            Which::Id(id) => write!(f, "id:{id}"),
        }
    }
}

impl From<Serial> for TaskRef {
    fn from(serial: Serial) -> TaskRef {
        TaskRef::serial(serial)
    }
}

impl From<&TaskRef> for TaskRef {
    fn from(task: &TaskRef) -> TaskRef {
        task.clone()
    }
}

/// Refers to the task by its serial, or by its id if that is unknown.
impl From<&Row> for TaskRef {
    fn from(row: &Row) -> TaskRef {
        row.serial.map_or_else(|| TaskRef::id(&row.id), TaskRef::serial)
    }
}

/// Refers to the task by its serial, or by its id if that is unknown.
impl From<&BlockedTask> for TaskRef {
    fn from(task: &BlockedTask) -> TaskRef {
        task.serial.map_or_else(|| TaskRef::id(&task.id), TaskRef::serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_one_parameter() {
        let query = Query::new().filter("status", "a&b=c #1?").attr("näme+", "%41").filter("status", "x y");
        assert_eq!(query.append_to("v1/tasks"), "v1/tasks?attr.n%C3%A4me%2B=%2541&status=x%20y");
        assert_eq!(Query::new().append_to("v1/tasks"), "v1/tasks");
    }

    #[test]
    fn zero_is_sent_as_one_millisecond() {
        assert_eq!(Query::new().min_age(Duration::ZERO).to_string(), "minAge=1ms");
    }

    #[test]
    fn any_id_is_one_segment() {
        for (task, segment) in [
            (TaskRef::parse("7"), "7"),
            (TaskRef::parse("serial:7"), "serial:7"),
            (TaskRef::serial("7".parse().unwrap()), "serial:7"),
            (TaskRef::parse("serial:x"), "id:serial%3Ax"),
            (TaskRef::parse("serial:+7"), "id:serial%3A%2B7"),
            (TaskRef::parse("0"), "0"),
            (TaskRef::id("7"), "id:7"),
            (TaskRef::id("a/b"), "id:a%2Fb"),
            (TaskRef::id(".."), "id:%2E%2E"),
            (TaskRef::id("id:x"), "id:id%3Ax"),
            (TaskRef::id(""), "id:"),
        ] {
            assert_eq!(task.segment(), segment);
        }
    }

    #[test]
    fn a_row_without_a_valid_serial_is_referred_to_by_its_id() {
        let row = |serial: &str| -> Row {
            serde_json::from_value(serde_json::json!({ "serial": serial, "id": "a" })).unwrap()
        };
        assert_eq!(TaskRef::from(&row("7")).to_string(), "serial:7");
        assert_eq!(TaskRef::from(&row("x7")), TaskRef::id("a"));
        assert_eq!(TaskRef::from(&row("")), TaskRef::id("a"));
    }

    #[test]
    fn the_next_page_is_the_same_query_from_the_cursor_on() {
        let page = |text: &str| serde_json::from_str::<TaskPage>(text).unwrap();
        let query = Query::new().filter("kind", "a").cursor("c1");
        let first = page(r#"{"tasks":[],"serverTime":"2026-11-24T04:03:39Z","nextCursor":"c2"}"#);
        assert_eq!(query.next_page(&first).unwrap().to_string(), "kind=a&cursor=c2");
        let last = page(r#"{"tasks":[],"serverTime":"2026-11-24T04:03:39Z"}"#);
        assert_eq!(query.next_page(&last), None);
    }
}
