//! Which tasks, in which order, and how much of each: what goes behind the question mark.

use std::time::Duration;

use pm_wire::encode_id;

/// Which tasks to tell of, and how. The empty query means all of them, by the server's defaults.
///
/// A value of a filter is exact, or ends in a `*`, or is several such with commas between them, of which one must fit;
/// [`literal`](Self::literal) makes such a value of any text. All filters of a query must fit. What the server does not
/// understand it refuses, with [`ClientError::Problem`](crate::ClientError::Problem). A parameter that is set again
/// keeps the last value.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// use pm_client::Query;
///
/// let stuck = Query::new().filter("kind", "import,export").attr("user", "ann*").min_status_age(Duration::from_secs(90));
/// assert_eq!(stuck.limit(5).to_string(), "kind=import%2Cexport&attr.user=ann%2A&minStatusAge=90000ms&limit=5");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    /// The empty query.
    pub fn new() -> Query {
        Query::default()
    }

    /// Only tasks whose `state`, `kind`, `id`, `status`, `parent`, `serial` or, of ended ones, `outcome` fits.
    pub fn filter(self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value)
    }

    /// Only tasks that have this attribute with a value that fits.
    pub fn attr(self, name: &str, value: impl Into<String>) -> Self {
        self.set(&format!("attr.{name}"), value)
    }

    /// Only tasks that are at least this old, to the millisecond, and at least one.
    pub fn min_age(self, age: Duration) -> Self {
        self.set("minAge", millis(age))
    }

    /// Only tasks that are at most this old.
    pub fn max_age(self, age: Duration) -> Self {
        self.set("maxAge", millis(age))
    }

    /// Only tasks whose status has been the same for at least this long.
    pub fn min_status_age(self, age: Duration) -> Self {
        self.set("minStatusAge", millis(age))
    }

    /// Only tasks whose status has been the same for at most this long.
    pub fn max_status_age(self, age: Duration) -> Self {
        self.set("maxStatusAge", millis(age))
    }

    /// The order: `age`, `statusAge`, `id`, `kind`, `status`, `serial`, or of ended tasks `endedAt`; with a `-` first
    /// the other way round. The server's default is `-age`: oldest first.
    pub fn sort(self, key: &str) -> Self {
        self.set("sort", key)
    }

    /// How many tasks at most, 0 for the counts alone. The server's default is 100, its ceiling 1,000.
    pub fn limit(self, tasks: u32) -> Self {
        self.set("limit", tasks.to_string())
    }

    /// Goes on where the page with this [`next_cursor`](crate::Tasks::next_cursor) ended.
    pub fn cursor(self, cursor: impl Into<String>) -> Self {
        self.set("cursor", cursor)
    }

    /// Only these fields of each task; its serial is always there.
    pub fn fields(self, names: &[&str]) -> Self {
        self.set("fields", names.join(","))
    }

    /// Only the few fields that a list on a screen needs, with statuses cut to 120 characters.
    pub fn brief(self) -> Self {
        self.set("view", "brief")
    }

    /// Also counts the tasks by `kind`, `state`, `status` or `attr.NAME`.
    pub fn group_by(self, what: &str) -> Self {
        self.set("groupBy", what)
    }

    /// Only the branch of the [tree](crate::Client::tree) that begins at this task.
    pub fn root(self, task: &TaskRef) -> Self {
        self.set("root", task.text())
    }

    /// How often [events](crate::Client::events) may come for one task: 250 ms, the server's default, to 60 s.
    pub fn interval(self, length: Duration) -> Self {
        self.set("interval", millis(length))
    }

    /// Any other parameter.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// One more filter. Unlike with [`set`](Self::set), one of the same name stays, and both must fit.
    ///
    /// ```
    /// assert_eq!(pm_client::Query::new().also("id", "a*").also("id", "ab*").to_string(), "id=a%2A&id=ab%2A");
    /// ```
    pub fn also(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// A filter's value that fits this text alone, whatever characters it has.
    ///
    /// ```
    /// assert_eq!(pm_client::Query::literal("a,b*"), r"a\,b\*");
    /// ```
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

    /// The path with this query behind it.
    pub(crate) fn behind(&self, path: &str) -> String {
        if self.parameters.is_empty() { path.to_owned() } else { format!("{path}?{self}") }
    }
}

/// As it stands behind the question mark.
impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            let and = if at == 0 { "" } else { "&" };
            write!(f, "{and}{}={}", encode_id(name), encode_id(value))?;
        }
        Ok(())
    }
}

/// A length as the server reads it; it has none of zero.
pub(crate) fn millis(length: Duration) -> String {
    format!("{}ms", length.as_millis().max(1))
}

/// One task, by its serial or by its id.
///
/// An id may be borne by several tasks, a serial never is. A [`Row`](crate::Row) stands for its task.
///
/// # Examples
///
/// ```
/// use pm_client::TaskRef;
///
/// assert_eq!(TaskRef::parse("42"), TaskRef::serial(42));
/// assert_eq!(TaskRef::parse("import-42"), TaskRef::id("import-42"));
/// assert_eq!(TaskRef::parse("id:42"), TaskRef::id("42"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskRef {
    which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Which {
    /// Digits only.
    Serial(String),
    Id(String),
}

impl TaskRef {
    /// The task with this serial.
    pub fn serial(serial: u64) -> TaskRef {
        TaskRef { which: Which::Serial(serial.to_string()) }
    }

    /// The task with this id, whatever characters it has.
    pub fn id(id: impl Into<String>) -> TaskRef {
        TaskRef { which: Which::Id(id.into()) }
    }

    /// What people write: digits are a serial, anything else is an id, and so is what follows `id:`.
    pub fn parse(text: &str) -> TaskRef {
        match text.strip_prefix("id:") {
            Some(id) => TaskRef::id(id),
            None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                TaskRef { which: Which::Serial(text.to_owned()) }
            }
            None => TaskRef::id(text),
        }
    }

    /// As the server reads it.
    fn text(&self) -> String {
        match &self.which {
            Which::Serial(digits) => digits.clone(),
            Which::Id(id) => format!("id:{id}"),
        }
    }

    /// One segment of a path.
    pub(crate) fn segment(&self) -> String {
        match &self.which {
            Which::Serial(digits) => digits.clone(),
            Which::Id(id) => format!("id:{}", encode_id(id)),
        }
    }
}

impl From<u64> for TaskRef {
    fn from(serial: u64) -> TaskRef {
        TaskRef::serial(serial)
    }
}

impl From<&TaskRef> for TaskRef {
    fn from(task: &TaskRef) -> TaskRef {
        task.clone()
    }
}

/// By its serial; should that be none of ours, by its id.
impl From<&crate::Row> for TaskRef {
    fn from(row: &crate::Row) -> TaskRef {
        match TaskRef::parse(&row.serial) {
            serial @ TaskRef { which: Which::Serial(_) } => serial,
            _ => TaskRef::id(&row.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_one_parameter() {
        let query = Query::new().filter("status", "a&b=c #1?").attr("näme+", "%41").filter("status", "x y");
        assert_eq!(query.behind("v1/tasks"), "v1/tasks?attr.n%C3%A4me%2B=%2541&status=x%20y");
        assert_eq!(Query::new().behind("v1/tasks"), "v1/tasks");
    }

    #[test]
    fn no_length_is_zero() {
        assert_eq!(Query::new().min_age(Duration::ZERO).to_string(), "minAge=1ms");
    }

    #[test]
    fn any_id_is_one_segment() {
        for (task, segment) in [
            (TaskRef::serial(7), "7"),
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
    fn a_row_without_a_serial_of_ours_goes_by_its_id() {
        let row = |serial: &str| crate::Row { serial: serial.into(), id: "a".into(), ..crate::Row::default() };
        assert_eq!(TaskRef::from(&row("7")), TaskRef::serial(7));
        assert_eq!(TaskRef::from(&row("x7")), TaskRef::id("a"));
        assert_eq!(TaskRef::from(&row("")), TaskRef::id("a"));
    }
}
