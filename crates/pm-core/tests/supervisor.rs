//! `Supervisor`, step by step, as wrappers use it that poll something other than a future.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pm_core::{CancelPolicy, Clock, Options, Outcome, ProcessList, current};

#[test]
fn an_initial_status_is_an_entry_at_the_time_of_the_start() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock).redact(true));
    // One that fits the slot, one that does not, one with a secret.
    let long = "long ".repeat(100);
    for (status, shown) in [("connecting", "connecting"), (&long, &*long), ("http://a:b@c/", "http://***@c/"), ("", "")]
    {
        let supervisor = list.task("a").kind("k").attr("n", 1).supervise_with_status(status);
        let serial = supervisor.handle().serial();
        hand.advance(Duration::from_secs(1));
        supervisor.handle().note("reading");
        let entries = list.history(serial).unwrap().entries;
        let statuses: Vec<_> = entries.iter().map(|entry| entry.status.as_str()).collect();
        let expected = ["init", shown, "reading"];
        assert_eq!(statuses, expected.into_iter().filter(|status| !status.is_empty()).collect::<Vec<_>>());
        assert!(shown.is_empty() || entries[1].at == entries[0].at, "{entries:?}");
    }
    let kinds = list.kinds();
    let time =
        |status: &str| kinds[0].statuses.iter().find(|time| time.status.as_deref() == Some(status)).unwrap().time;
    assert_eq!((time("connecting"), time("init")), (Duration::from_secs(1), Duration::from_secs(1)));
}

#[test]
fn an_initial_status_respects_the_limits_of_the_history() {
    let list = ProcessList::with_options(Options::new().history(1, 1));
    let supervisor = list.task("a").supervise_with_status("first");
    supervisor.handle().note("second");
    let history = list.history(supervisor.handle().serial()).unwrap();
    let statuses: Vec<_> = history.entries.iter().map(|entry| entry.status.as_str()).collect();
    assert_eq!((statuses.first(), statuses.last()), (Some(&"init"), Some(&"second")));
    list.set_enabled(false);
    assert!(!list.task("b").supervise_with_status("off").handle().is_live());
}

#[test]
fn an_entered_task_is_current_until_it_is_left_and_a_panic_ends_it_as_aborted() {
    let list = ProcessList::new();
    let mut supervisor = list.task("a").supervise();
    let task = supervisor.handle();
    let underway = supervisor.enter();
    assert_eq!(current().serial(), task.serial());
    underway.leave();
    assert_ne!(current().serial(), task.serial());
    assert!(task.is_live());

    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _underway = supervisor.enter();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(list.counters().aborted, 1);
    assert!(!task.is_live());
    // Nothing remains of the task, and dropping the supervisor is harmless.
    supervisor.enter().leave();
    assert!(!supervisor.should_kill());
}

#[test]
fn a_supervisor_reports_when_its_grace_period_is_over() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(
        Options::new().clock(clock).on_cancel(CancelPolicy::AskThenDrop(Duration::from_secs(5))),
    );
    let mut supervisor = list.task("a").supervise();
    assert!(!supervisor.should_kill());
    supervisor.handle().cancel("too slow").unwrap();
    assert!(!supervisor.should_kill());
    hand.advance(Duration::from_secs(5));
    assert!(supervisor.should_kill());
    assert_eq!(supervisor.kill(|| ()).reason(), "too slow");
    assert_eq!(list.ended().iter().next().and_then(|task| task.outcome()), Some(Outcome::Cancelled));
}
