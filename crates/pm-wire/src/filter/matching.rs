//! Conditions on a copied task.
//!
//! Values are compared in place, in the task's copy. Those that are not text there, such as numbers, are written to the
//! stack.

use std::fmt::Write as _;

use pm_core::{Outcome, StatusText, TaskState, TaskView, ValueView};

use super::condition::{Condition, Patterns};

impl Condition {
    /// Returns `true` if the condition holds for the task.
    #[inline]
    pub(super) fn holds(&self, task: &TaskView<'_>) -> bool {
        match self {
            Self::State(words) => words.has(state(task)),
            Self::Outcome(words) => words.has(outcome(task)),
            Self::Serial(numbers) => numbers.has(task.serial().get()),
            Self::Parent(numbers) => numbers.has(task.parent().map_or(0, |parent| parent.get())),
            Self::Kind(kinds) => kinds.fit(task.kind().map_or(b"", |kind| kind.as_bytes())),
            Self::Id(ids) => ids.fit(task.id().as_bytes()),
            Self::MinAge(least) => task.age() >= *least,
            Self::MaxAge(most) => task.age() <= *most,
            Self::Status(statuses) => status_fits(statuses, task.status()),
            Self::MinStatusAge(least) => task.status_age() >= *least,
            Self::MaxStatusAge(most) => task.status_age() <= *most,
            Self::Attr(name, values) => {
                let attr = task.attrs().find(|(found, _)| found.as_bytes() == name.as_bytes());
                attr.map_or_else(|| values.fit(b""), |(_, value)| value_fits(values, value))
            }
        }
    }
}

/// Returns the index of the task's state in [`STATES`](super::condition::STATES).
#[inline]
fn state(task: &TaskView<'_>) -> u32 {
    match task.state() {
        TaskState::Running => 0,
        TaskState::Cancelling => 1,
        TaskState::Ended => 2,
        // It has no word here, so it is only in the set of all words.
        _ => 7,
    }
}

/// Returns the index of the task's outcome in [`OUTCOMES`](super::condition::OUTCOMES).
#[inline]
fn outcome(task: &TaskView<'_>) -> u32 {
    match task.outcome() {
        None => 0,
        Some(Outcome::Finished) => 1,
        Some(Outcome::Failed) => 2,
        Some(Outcome::Cancelled) => 3,
        Some(Outcome::Aborted) => 4,
        Some(Outcome::Dropped) => 5,
        // It has no word here, so it is only in the set of all words.
        Some(_) => 7,
    }
}

fn status_fits(statuses: &Patterns, status: StatusText<'_>) -> bool {
    match status {
        StatusText::Set(text) => statuses.fit(text.as_bytes()),
        StatusText::Init => statuses.fit(b"init"),
        StatusText::CancelRequest(None) => statuses.fit(b"[cancel request]"),
        StatusText::CancelRequest(Some(why)) => statuses.fit_pieces(&[b"[cancel request: ", why.as_bytes(), b"]"]),
        other => statuses.fit(other.to_string().as_bytes()),
    }
}

fn value_fits(values: &Patterns, value: ValueView<'_>) -> bool {
    let mut shown = Shown::default();
    let written = match value {
        ValueView::Text(text) => return values.fit(text.as_bytes()),
        ValueView::Bool(true) => return values.fit(b"true"),
        ValueView::Bool(false) => return values.fit(b"false"),
        // A number of any type.
        number => write!(shown, "{number}"),
    };
    written.is_ok() && values.fit(&shown.bytes[..shown.used])
}

/// A number as text, on the stack. A float has at most 25 bytes, an integer 20.
#[derive(Default)]
struct Shown {
    bytes: [u8; 32],
    used: usize,
}

impl std::fmt::Write for Shown {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let to = self.bytes.get_mut(self.used..self.used + text.len()).ok_or(std::fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pm_core::{Clock, Options, ProcessList};

    use super::super::Filter;

    #[track_caller]
    fn check(list: &ProcessList, matching: &[&str], others: &[&str]) {
        let snapshot = list.snapshot();
        let task = snapshot.get(0).unwrap();
        for (filters, expected) in [(matching, true), (others, false)] {
            for text in filters {
                assert_eq!(Filter::parse(text).unwrap().matches(&task), expected, "{text} {task:?}");
            }
        }
    }

    #[test]
    fn values_compare_as_they_are_shown_whatever_their_type() {
        let list = ProcessList::new();
        let _task = list
            .task("x")
            .attr("text", "web1")
            .attr("number", 42_u64)
            .attr("negative", i64::MIN)
            .attr("yes", true)
            .attr("half", 1.5)
            .attr("whole", 2.0)
            .attr("huge", 1e300)
            .attr("tiny", -f64::MIN_POSITIVE)
            .attr("none", f64::NAN)
            .start();
        let matching = "attr.text=web* attr.number=42 attr.negative=-9223372036854775808 attr.yes=true attr.half=1.5 \
                        attr.whole=2 attr.huge=1e300 attr.tiny=-2.2250738585072014e-308 attr.none=NaN attr.missing= \
                        attr.missing=*";
        check(&list, &matching.split(' ').collect::<Vec<_>>(), &["attr.number=", "attr.text=", "attr.yes=1"]);
    }

    #[test]
    fn a_missing_value_is_the_empty_string() {
        let list = ProcessList::new();
        let _task = list.task("").detached().start();
        check(
            &list,
            &["kind=", "kind=*", "id=", "parent=", "parent=5,", "parent=*", "outcome=", "outcome=*", "attr.x=,y"],
            &["kind=x", "parent=5", "status=", "outcome=f*", "attr.x=y*"],
        );
    }

    #[test]
    fn a_cancel_request_is_a_status_like_others() {
        let list = ProcessList::new();
        let _task = list.task("a").on_cancel(pm_core::CancelPolicy::Drop).start();
        check(&list, &["status=init", "state=running"], &["status=in", "state=cancelling,ended"]);
        list.cancel("a", "too slow").unwrap();
        check(
            &list,
            &[
                r#"status="[cancel request: too slow]""#,
                r#"status="[cancel request*""#,
                "status=[*",
                "state=cancelling",
            ],
            &[r#"status="[cancel request]""#, r#"status="[cancel request: too slow""#, "status=init", "state=running"],
        );
    }

    #[test]
    fn bounds_of_ages_are_inclusive() {
        let (clock, hand) = Clock::manual();
        let list = ProcessList::with_options(Options::new().clock(clock));
        let task = list.start("a");
        hand.advance(Duration::from_secs(3));
        task.status("on").unwrap();
        hand.advance(Duration::from_secs(2));
        check(
            &list,
            &["minAge=5s", "maxAge=5s", "minStatusAge=2s maxStatusAge=2s"],
            &["minAge=5001ms", "maxAge=4999ms", "minStatusAge=2.001s", "maxStatusAge=1999ms"],
        );
    }

    #[test]
    fn ended_tasks_match_by_how_they_ended_and_how_long_they_ran() {
        let (clock, hand) = Clock::manual();
        let list = ProcessList::with_options(Options::new().clock(clock));
        let task = list.start("a");
        hand.advance(Duration::from_secs(3));
        task.fail("no disk");
        hand.advance(Duration::from_secs(60));
        let ended = list.ended();
        let task = ended.get(0).unwrap();
        for (text, expected) in [
            ("state=ended outcome=failed,aborted", true),
            ("outcome=f* maxAge=3s minAge=3s", true),
            ("state=running", false),
            ("outcome=", false),
            ("minAge=4s", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().matches(&task), expected, "{text}");
        }
    }
}
