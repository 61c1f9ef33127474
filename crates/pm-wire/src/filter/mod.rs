//! Filters: the grammar that selects tasks in queries, JSON bodies, the command and the page.
//!
//! ```
//! use pm_wire::filter::Filter;
//!
//! let list = pm_core::ProcessList::new();
//! let _get = list.task("1").kind("GET /hosts").attr("host", "web1").start();
//! let _job = list.task("2").kind("import").start();
//!
//! let filter = Filter::parse("kind=GET*,POST* attr.host=web1")?;
//! let found: Vec<_> = list.snapshot().iter().filter(|task| filter.matches(task)).map(|task| task.serial()).collect();
//! assert_eq!(found.len(), 1);
//! # Ok::<(), pm_wire::filter::FilterError>(())
//! ```
//!
//! # Grammar
//!
//! A filter is a set of conditions, all of which must hold, also those with the same name: `id=a* id=b` matches no
//! task. A value that a task lacks counts as the empty string.
//!
//! | name | value | holds when |
//! |---|---|---|
//! | `state` | words | the task is `running`, `cancelling` (cancelled, but still running) or `ended` |
//! | `outcome` | words | it was `finished`, `failed`, `cancelled`, `aborted` or `dropped`; empty: it has not ended |
//! | `kind` | strings | its kind is one of these; empty: it has none |
//! | `id` | strings | its id is one of these |
//! | `status` | strings | its newest status, as shown (`init`, `[cancel request: why]`), is one of these |
//! | `parent` | serials | its parent is one of these; empty: it has none |
//! | `serial` | serials | its serial is one of these |
//! | `attr.NAME` | strings | its attribute, as shown (`text`, `42`, `true`, `1.5`), is one of these; empty: none |
//! | `minAge`, `maxAge` | a duration | it has run, or ran, at least or at most for this time |
//! | `minStatusAge`, `maxStatusAge` | a duration | it has had its newest status at least or at most for this time |
//!
//! | in a value | means |
//! |---|---|
//! | `a,b` | one or the other; an empty one is the empty string, as the second in `a,` |
//! | `a*` | everything that begins with `a`. A lone `*` is everything, even a missing value. Serials allow only that |
//! | `\,` `\*` `\\` | the characters themselves; there are no other escapes |
//! | `500ms`, `10s`, `10`, `1.5m`, `2h` | durations, as [`duration`](crate::duration) reads them |
//!
//! A filter has three forms:
//!
//! - Text ([`Filter::parse`]): `name=value`, separated by white space. A part of a name or value in double quotes may
//!   have white space: `status="waiting for *" attr."odd name"=x`. In quotes, `\"` is a quote; commas, stars and
//!   backslashes mean what they mean outside. In a quoted name, `\\` is a backslash.
//! - Query ([`Filter::add`]): a parameter for each condition, decoded by the caller. Quotes are ordinary characters,
//!   and names have no escapes.
//! - JSON ([`Filter::from_json`]): a string in the text form, or an object from names to values. A value is written as
//!   in a query; of the values in an array, one must match.
//!
//! A filter has at most 64 conditions, a condition at most 256 alternatives. The text of a filter has at most 8 KiB,
//! both as it was given and as it is shown.

mod condition;
mod error;
mod matching;
mod parse;
mod parts;
mod show;

use std::fmt::{self, Write as _};

use pm_core::TaskView;

use self::condition::{Condition, MAX_BYTES, MAX_CONDITIONS, NAMES};
pub use self::error::FilterError;
pub use self::parts::Parts;

/// Conditions on a task, all of which must hold. A filter without conditions matches every task.
///
/// Two filters are equal if they have the same conditions, in whatever order and form they were given. `Display` writes
/// the text form in a fixed order, which [parses](Self::parse) to an equal filter.
///
/// # Examples
///
/// ```
/// use pm_wire::filter::Filter;
///
/// let mut query = Filter::default();
/// query.add("status", "waiting for *")?;
/// query.add("kind", "POST,GET")?;
/// assert_eq!(query.to_string(), r#"kind=GET,POST status="waiting for *""#);
/// assert_eq!(Filter::parse(&query.to_string())?, query);
/// # Ok::<(), pm_wire::filter::FilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Sorted, cheap ones first, without duplicates.
    conditions: Vec<Condition>,
}

impl Filter {
    /// Reads the text form: conditions `name=value`, separated by white space.
    ///
    /// A text without conditions is the filter that matches every task.
    ///
    /// # Errors
    ///
    /// [`FilterError`]: the error, and its position in `text`.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// let filter = Filter::parse(r#"state=running minAge=5s attr."the host"=web1"#)?;
    /// assert!(filter.depends_on_time());
    ///
    /// let error = Filter::parse("knd=GET").unwrap_err();
    /// assert_eq!(error.to_string(), "unknown name `knd` at 1; did you mean `kind`?");
    /// # Ok::<(), pm_wire::filter::FilterError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Self::of(parse::text(text)?)
    }

    /// Adds a condition, written as a parameter of a query and percent-decoded by the caller.
    ///
    /// Quotes in `value` are ordinary characters; commas, stars and backslashes mean what they mean in the text form.
    ///
    /// # Errors
    ///
    /// [`FilterError`]: the error, and its position in `value`. The filter is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// let mut filter = Filter::default();
    /// filter.add("attr.odd name", "a b")?;
    /// filter.add("kind", "import")?;
    /// assert_eq!(filter, Filter::parse(r#"kind=import attr."odd name"="a b""#)?);
    ///
    /// let error = filter.add("kind", "a*b").unwrap_err();
    /// assert_eq!((error.name(), error.position()), (Some("kind"), 1));
    /// # Ok::<(), pm_wire::filter::FilterError>(())
    /// ```
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), FilterError> {
        let condition = parse::parameter(name, &[value])?;
        let Err(at) = self.conditions.binary_search(&condition) else { return Ok(()) };
        if self.conditions.len() == MAX_CONDITIONS {
            return Err(error::too_many_conditions().named(name));
        }
        self.conditions.insert(at, condition);
        self.check_size().inspect_err(|_| drop(self.conditions.remove(at)))
    }

    /// Reads the JSON form: a string in the text form, or an object from names to values or arrays of values.
    ///
    /// A value is written as for [`add`](Self::add); of the values in an array, one must match.
    ///
    /// # Errors
    ///
    /// [`FilterError`]: the error, and its position in the string that has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// let body = serde_json::json!({"kind": ["GET*", "POST*"], "minAge": "5s"});
    /// assert_eq!(Filter::from_json(&body), Filter::parse("kind=GET*,POST* minAge=5s"));
    /// assert_eq!(Filter::from_json(&"minAge=5s".into()), Filter::parse("minAge=5s"));
    /// ```
    pub fn from_json(value: &serde_json::Value) -> Result<Self, FilterError> {
        Self::of(parse::json(value)?)
    }

    fn of(mut conditions: Vec<Condition>) -> Result<Self, FilterError> {
        conditions.sort_unstable();
        conditions.dedup();
        let filter = Self { conditions };
        filter.check_size().map(|()| filter)
    }

    /// Returns an error if this filter's text is too long to be read back. It may be longer than what was given, since
    /// a query needs no quotes.
    fn check_size(&self) -> Result<(), FilterError> {
        struct Left(usize);
        impl fmt::Write for Left {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
                Ok(())
            }
        }
        write!(Left(MAX_BYTES), "{self}").map_err(|_| error::too_long())
    }

    /// Returns `true` if a condition may have this name. Names are case-sensitive.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// assert!(Filter::is_name("minAge") && Filter::is_name("attr.x"));
    /// assert!(!Filter::is_name("limit") && !Filter::is_name("attr."));
    /// ```
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        condition::is_name(name)
    }

    /// Returns the names of conditions, for completion. `attr.` stands for all names that begin with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// let found: Vec<_> = Filter::names().iter().filter(|name| name.starts_with("s")).collect();
    /// assert_eq!(found, [&"state", &"status", &"serial"]);
    /// ```
    #[must_use]
    pub fn names() -> &'static [&'static str] {
        NAMES
    }

    /// Returns `true` if the filter has no conditions.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// assert!(Filter::parse(" ")?.is_empty());
    /// assert!(!Filter::parse("id=*")?.is_empty());
    /// # Ok::<(), pm_wire::filter::FilterError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Returns `true` if the filter matches every task: it has no conditions, or only such as `id=*` and
    /// `state=running,cancelling,ended`.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// assert!(Filter::parse("id=* kind=import,*")?.lets_all_pass());
    /// assert!(!Filter::parse("id=* kind=import")?.lets_all_pass());
    /// # Ok::<(), pm_wire::filter::FilterError>(())
    /// ```
    #[must_use]
    pub fn lets_all_pass(&self) -> bool {
        self.conditions.iter().all(Condition::lets_all_pass)
    }

    /// Returns `true` if a task may begin or cease to match merely because time passes.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// assert!(Filter::parse("maxStatusAge=1m")?.depends_on_time());
    /// assert!(!Filter::parse("status=init")?.depends_on_time());
    /// # Ok::<(), pm_wire::filter::FilterError>(())
    /// ```
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.conditions.iter().any(Condition::depends_on_time)
    }

    /// Returns `true` if all conditions hold for the task as it was copied. Does not allocate.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::filter::Filter;
    ///
    /// let list = pm_core::ProcessList::new();
    /// let task = list.task("42").attr("rows", 7_u64).start();
    /// task.status("reading")?;
    /// let snapshot = list.snapshot();
    /// let task = snapshot.get(0).unwrap();
    /// assert!(Filter::parse("status=read* attr.rows=7 kind=").unwrap().matches(&task));
    /// assert!(!Filter::parse("parent=7").unwrap().matches(&task));
    /// # Ok::<(), pm_core::Cancelled>(())
    /// ```
    #[must_use]
    pub fn matches(&self, task: &TaskView<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(task))
    }

    /// Returns `true` if all conditions hold for a task that is known by its parts, such as a row in JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pm_wire::filter::{Filter, Parts};
    ///
    /// let old = Parts { id: "import-42", status: "reading", age: Some(Duration::from_secs(9)), ..Parts::default() };
    /// assert!(Filter::parse("id=import* minAge=5s")?.matches_parts(&old));
    /// assert!(!Filter::parse("kind=import")?.matches_parts(&old));
    /// # Ok::<(), pm_wire::filter::FilterError>(())
    /// ```
    #[must_use]
    pub fn matches_parts(&self, task: &Parts<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds_for(task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_the_order_of_conditions_does_not_matter() {
        for name in NAMES {
            assert!(Filter::is_name(name) || *name == "attr.", "{name}");
        }
        let filter = Filter::parse("kind=a,b id=x id=y").unwrap();
        assert_eq!(Filter::parse("id=y  kind=b,a,b\nid=x\tid=y"), Ok(filter));
    }

    #[test]
    fn the_same_name_twice_means_that_both_must_hold() {
        let list = pm_core::ProcessList::new();
        let _task = list.start("abc");
        let snapshot = list.snapshot();
        let task = snapshot.get(0).unwrap();
        assert!(Filter::parse("id=a* id=abc").unwrap().matches(&task));
        assert!(!Filter::parse("id=a* id=b*").unwrap().matches(&task));
    }

    #[test]
    fn a_filter_that_matches_every_task_is_recognised() {
        for all in [
            "",
            "id=*",
            "kind=x,* status=*",
            "state=*",
            "state=ended,r*,cancelling",
            "outcome=*",
            "outcome=,f*,c*,a*,d*",
            "serial=5,* parent=*",
            "attr.x=*",
            "maxAge=10000000h",
        ] {
            assert!(Filter::parse(all).unwrap().lets_all_pass(), "{all}");
        }
        for some in ["id=* kind=", "kind=\\*", "state=running,ended", "outcome=f*,c*,a*,d*", "serial=1", "minAge=1ms"] {
            assert!(!Filter::parse(some).unwrap().lets_all_pass(), "{some}");
        }
    }

    #[test]
    fn there_are_limits_and_a_filter_beyond_them_is_unchanged() {
        let mut filter = Filter::default();
        for number in 0..MAX_CONDITIONS {
            filter.add("id", &number.to_string()).unwrap();
        }
        filter.add("id", "0").unwrap();
        let before = filter.clone();
        assert_eq!(filter.add("id", "x").unwrap_err().to_string(), "more than 64 conditions");
        assert_eq!(Filter::parse(&format!("{filter} id=x")).unwrap_err().to_string(), "more than 64 conditions at 375");
        assert_eq!(filter, before);

        use condition::MAX_ALTERNATIVES;
        let values: Vec<_> = (0..=MAX_ALTERNATIVES).map(|number| number.to_string()).collect();
        Filter::default().add("id", &values[1..].join(",")).unwrap();
        let error = Filter::default().add("id", &values.join(",")).unwrap_err();
        assert_eq!(error.to_string(), "`id` has more than 256 alternatives at 915");
        assert!(Filter::from_json(&serde_json::json!({ "id": values })).is_err());

        let long = "x".repeat(MAX_BYTES - 3);
        let mut filter = Filter::parse(&format!("id={long}")).unwrap();
        assert!(Filter::parse(&format!("id={long}y")).unwrap_err().to_string().contains("8192 bytes"));
        assert!(filter.add("kind", "").is_err());
        // Every quote is two bytes when it is shown.
        assert!(Filter::default().add("id", &"\"".repeat(MAX_BYTES / 2)).is_err());
        assert_eq!(filter, Filter::parse(&format!("id={long}")).unwrap());
    }
}
