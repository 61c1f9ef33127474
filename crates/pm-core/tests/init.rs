//! The options of the global list, and the variables by which an operator changes them. Each test of a process of its
//! own, as there is one global list.

#![cfg(not(any(loom, miri)))]

use std::process::Command;

use pm_core::{AlreadyStarted, CancelError, CancelPolicy, Options};

/// Runs one of the tests below that are ignored, with these variables.
fn run(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored"]).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn the_global_list_is_made_with_the_options_of_init_and_keeps_them() {
    run("init_before_the_first_use", &[]);
}

#[test]
#[ignore = "in a process of its own"]
fn init_before_the_first_use() {
    pm_core::init(Options::new().keep_ended(7).on_cancel_of("import*", CancelPolicy::Refuse)).unwrap();
    assert!(matches!(pm_core::init(Options::new().keep_ended(8)), Err(AlreadyStarted { .. })));
    assert_eq!(pm_core::global().limits().keep_ended, 7);
    let _task = pm_core::task("import-42").kind("import orders").start();
    assert!(matches!(pm_core::global().cancel("import-42", ""), Err(CancelError::NotCancellable { .. })));
    assert!(pm_core::global().ignored_settings().is_empty());
}

#[test]
fn init_after_the_first_use_is_an_error_and_changes_nothing() {
    run("init_after_the_first_use", &[]);
}

#[test]
#[ignore = "in a process of its own"]
fn init_after_the_first_use() {
    let _task = pm_core::start("job");
    let error = pm_core::init(Options::new().keep_ended(8)).unwrap_err();
    assert!(error.to_string().contains("call `init` before"), "{error}");
    assert_eq!(pm_core::global().limits().keep_ended, 1_000);
}

#[test]
fn an_operator_has_the_last_word() {
    run("init_with_variables", &[("PM_LIST", "look-only"), ("PM_KEEP_ENDED", "5"), ("PM_MAX_KINDS", "lots")]);
}

#[test]
#[ignore = "in a process of its own"]
fn init_with_variables() {
    pm_core::init(Options::new().keep_ended(7).max_kinds(9)).unwrap();
    let list = pm_core::global();
    assert_eq!((list.limits().keep_ended, list.limits().max_kinds), (5, 9));
    assert_eq!(list.ignored_settings(), ["PM_MAX_KINDS=`lots` is ignored: write a number"]);
    let task = pm_core::start("job");
    let refused = list.cancel("job", "too slow").unwrap_err();
    assert!(list.is_look_only() && refused.to_string().contains("may only be looked at"), "{refused}");
    assert!(matches!(list.cancel("unknown", ""), Err(CancelError::NotFound)));
    // The program's own cancels still work, and so do other lists.
    assert!(task.cancel("too slow").is_ok() && task.checkpoint().is_err());
    assert!(!pm_core::ProcessList::new().is_look_only());
}

#[test]
fn a_list_that_is_off_shows_and_counts_nothing() {
    run("off_by_a_variable", &[("PM_LIST", "off")]);
}

#[test]
#[ignore = "in a process of its own"]
fn off_by_a_variable() {
    assert_eq!(pm_core::run_sync("job", |task| task.status("reading").map(|()| 7)), Ok(7));
    let list = pm_core::global();
    assert_eq!((list.counters().started, list.snapshot().len(), list.is_enabled()), (0, 0, false));
}
