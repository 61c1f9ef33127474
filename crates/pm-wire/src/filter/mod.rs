//! Which tasks: the one filter grammar of queries, JSON bodies, the command and the page.
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
//! A filter is a set of conditions, all of which must hold, also when they have the same name: `id=a* id=b` is true of no
//! task. What a task lacks counts as the empty text.
//!
//! | name | value | holds when |
//! |---|---|---|
//! | `state` | words | the task is `running`, `cancelling` (it was asked to stop and still runs) or `ended` |
//! | `outcome` | words | it ended as `finished`, `failed`, `cancelled`, `aborted` or `dropped`; empty: it has not ended |
//! | `kind` | texts | its kind is one of these; empty: it has none |
//! | `id` | texts | its id is one of these |
//! | `status` | texts | its newest status, as it is shown (`init`, `[cancel request: why]`), is one of these |
//! | `parent` | serials | its parent is one of these; empty: it has none |
//! | `serial` | serials | it is one of these |
//! | `attr.NAME` | texts | the value of this attribute, as it is shown (`text`, `42`, `true`, `1.5`), is one of these; empty: it has none, or the empty text |
//! | `minAge`, `maxAge` | one length | it runs, or ran, at least or at most for so long |
//! | `minStatusAge`, `maxStatusAge` | one length | it has been in its newest status, or was in its last, at least or at most for so long |
//!
//! | in a value | means |
//! |---|---|
//! | `a,b` | one or the other; an empty one is the empty text, as the second in `a,` |
//! | `a*` | all that begins with `a`. A lone `*` is everything, missing values too. Of serials, only the lone `*` |
//! | `\,` `\*` `\\` | the characters themselves; no other escape exists |
//! | `500ms`, `10s`, `10`, `1.5m`, `2h` | lengths, as [`duration`](crate::duration) reads them |
//!
//! Three forms carry the same conditions:
//!
//! | form | written as |
//! |---|---|
//! | text ([`Filter::parse`]) | `name=value`, separated by white space. What stands between two `"`, in a value or a name, may have blanks: `status="waiting for *" attr."odd name"=x`. There, `\"` is a quote. Commas, stars and backslashes mean in quotes what they mean outside; in a quoted name, `\\` is a backslash |
//! | query ([`Filter::add`]) | a parameter for each condition, decoded by the caller; quotes are characters like others, and names have no escapes |
//! | JSON ([`Filter::from_json`]) | a string in the text form, or an object of name to value as in a query, or to an array of values of which one must hold |
//!
//! The ceilings: 64 conditions, 256 alternatives in one, 8 KiB of text, as it was given and as it is shown.

mod condition;
mod error;
mod matching;
mod parse;
mod parts;
mod show;

use std::fmt::{self, Write as _};

use pm_core::TaskView;

use self::condition::{Condition, NAMES};
pub use self::error::FilterError;
pub use self::parts::Parts;

/// Conditions in one filter: many more than there are names.
const MAX_CONDITIONS: usize = 64;
/// Alternatives in one condition: as many as a page of serials.
const MAX_ALTERNATIVES: usize = 256;
/// Bytes of the text, of what was given and of what is shown: what a request head has room for.
const MAX_BYTES: usize = 8 << 10;

/// Conditions on a task, all of which must hold; without any, every task passes.
///
/// Two filters are equal when they have the same conditions, in whatever order and form they were given. Shown, a filter
/// is its text form in one fixed order, which [parses](Self::parse) to an equal filter.
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
    /// Sorted, cheap ones first; none twice.
    conditions: Vec<Condition>,
}

impl Filter {
    /// Reads the text form: conditions `name=value`, separated by white space.
    ///
    /// A text without conditions is the filter that every task passes.
    ///
    /// # Errors
    ///
    /// [`FilterError`]: what is wrong, and at which character of `text`.
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

    /// Adds a condition, as a parameter of a query that was percent-decoded; those that are there must hold, too.
    ///
    /// Quotes in `value` are characters like others; commas, stars and backslashes mean what they mean in the text form.
    ///
    /// # Errors
    ///
    /// [`FilterError`]: what is wrong, and at which character of `value`. The filter stays as it was.
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

    /// Reads the JSON form: a string in the text form, or an object of name to value or array of values.
    ///
    /// A value is written as for [`add`](Self::add); of those in an array, one must hold.
    ///
    /// # Errors
    ///
    /// [`FilterError`]: what is wrong, and at which character of the string that is wrong.
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

    /// Whether the text that this filter shows may be read back. It may be longer than what was given: a query needs no
    /// quotes.
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

    /// Whether [`add`](Self::add) knows this name. Names are case-sensitive.
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
        match name.strip_prefix(condition::ATTR) {
            Some(attr) => !attr.is_empty(),
            None => NAMES.contains(&name),
        }
    }

    /// The names there are, to complete and to suggest; `attr.` stands for all that begin so.
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

    /// Whether there is no condition at all.
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

    /// Whether no task can fail to pass: there is no condition, or only such as `id=*` and
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

    /// Whether a task may come to match, or cease to, only because time passes.
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

    /// Whether all conditions hold for the task as it was when it was copied. Allocates nothing.
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

    /// Whether all conditions hold for a task that is known by its parts only, such as a row that came as JSON.
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
    fn what_can_exclude_nothing_is_known_as_such() {
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
    fn there_are_ceilings_and_the_filter_stays_as_it_was() {
        let mut filter = Filter::default();
        for number in 0..MAX_CONDITIONS {
            filter.add("id", &number.to_string()).unwrap();
        }
        filter.add("id", "0").unwrap();
        let before = filter.clone();
        assert_eq!(filter.add("id", "x").unwrap_err().to_string(), "more than 64 conditions");
        assert_eq!(Filter::parse(&format!("{filter} id=x")).unwrap_err().to_string(), "more than 64 conditions at 375");
        assert_eq!(filter, before);

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
