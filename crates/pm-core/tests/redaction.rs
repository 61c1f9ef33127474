//! Values that look like secrets are never recorded, and all others are recorded unchanged.
#![cfg(not(loom))]

use pm_core::{CancelError, CancelRequest, Options, ProcessList, Task, Value};
use proptest::prelude::*;

fn attrs(list: &ProcessList, task: &Task) -> String {
    list.view(task.serial(), |row| format!("{:?}", row.attrs_sorted())).unwrap()
}

fn statuses(list: &ProcessList, task: &Task) -> Vec<String> {
    list.history(task.serial()).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

#[test]
fn an_attribute_with_a_secret_name_is_masked_whatever_its_type() {
    let list = ProcessList::new();
    let task = list.task("a").attr("password", "hunter2").attr("host", "db1").attr("authToken", 77_u64).start();
    task.set("session-id", -4242_i64);
    task.set("cookie", 42.42);
    task.set("X-Api-Key", true);
    task.set_fmt("dsn", format_args!("{}", "hunter2"));
    let shown = attrs(&list, &task);
    assert_eq!(shown.matches("***").count(), 6, "{shown}");
    assert!(shown.contains("db1"), "{shown}");
    assert!(!["hunter2", "77", "42", "true"].iter().any(|secret| shown.contains(secret)), "{shown}");
    assert_eq!(list.counters().redacted, 6);
    // Set again, and removed.
    task.set("password", "hunter3");
    task.unset("authToken");
    assert_eq!(attrs(&list, &task).matches("***").count(), 5);
}

/// The names that the SDKs of Sentry scrub by default, but for those of IP addresses, which are no secrets, and the
/// name of a framework.
#[rustfmt::skip]
const SCRUBBED_BY_SENTRY: [&str; 34] = [
    "password", "passwd", "secret", "api_key", "apikey", "auth", "credentials", "mysql_pwd", "privatekey",
    "private_key", "token", "session", "csrftoken", "sessionid", "x_csrftoken", "set_cookie", "cookie",
    "authorization", "proxy-authorization", "x_api_key", "aiohttp_session", "connect.sid", "csrf_token", "csrf",
    "_csrf", "_csrf_token", "PHPSESSID", "_session", "user_session", "_xsrf", "XSRF-TOKEN", "bearer", "card_number",
    "passphrase",
];

#[test]
fn names_that_others_scrub_are_masked() {
    let list = ProcessList::new();
    for name in SCRUBBED_BY_SENTRY {
        let task = list.task("a").attr(name, "hunter2").start();
        let shown = attrs(&list, &task);
        assert!(!shown.contains("hunter2"), "{name}: {shown}");
        // In a parameter of a URL, too.
        task.set("url", format!("/a?x=1&{name}=hunter2").as_str());
        task.set(name, "");
        let shown = attrs(&list, &task);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn harmless_attributes_are_recorded_unchanged() {
    let list = ProcessList::new();
    let task = list.task("a").attr("author", "me").attr("max_tokens", 4096).attr("session_count", "12").start();
    task.set("equation", "a=b");
    let shown = attrs(&list, &task);
    assert!(["me", "4096", "12", "a=b"].iter().all(|value| shown.contains(value)), "{shown}");
    assert_eq!(list.counters().redacted, 0);
}

#[test]
fn secrets_in_urls_are_masked_in_every_string() {
    let list = ProcessList::new();
    let (url, shown) = ("http://u:hunter2@db/a?token=hunter2&x=1", "http://***@db/a?token=***&x=1");
    let task = list.task(url).kind(url).attr("url", url).start();
    task.set_fmt("other", format_args!("{url}"));
    task.status(url).unwrap();
    pm_core::status!(task, "GET {url}").unwrap();
    list.cancel(task.serial(), CancelRequest::new(url).by(url)).unwrap();
    let cancelled = task.checkpoint().unwrap_err();
    assert_eq!((cancelled.reason(), cancelled.by()), (shown, shown));
    list.view(task.serial(), |row| {
        assert_eq!(row.id().to_string(), shown);
        assert_eq!(row.kind().unwrap().to_string(), shown);
    })
    .unwrap();
    let attrs = attrs(&list, &task);
    assert!(attrs.matches(shown).count() == 2 && !attrs.contains("hunter2"), "{attrs}");
    let all = statuses(&list, &task);
    assert_eq!(all[1..3], [shown.to_owned(), format!("GET {shown}")]);
    assert_eq!(list.kinds()[0].kind.as_deref(), Some(shown));
    assert_eq!(list.counters().redacted, 8);

    let serial = task.serial();
    task.fail(url);
    let last = list.history(serial).unwrap().entries.pop().unwrap().status;
    assert_eq!(last, format!("failed: {shown}"));
    assert_eq!(
        list.kinds()[0].statuses.iter().filter(|it| it.status.as_ref().is_some_and(|it| it.contains("hunter"))).count(),
        0
    );
}

#[test]
fn a_task_is_found_by_the_unmasked_id() {
    let list = ProcessList::new();
    let id = "GET /a?api_key=hunter2&page=2";
    let task = list.start(id);
    assert_eq!(list.find(id), [task.serial().unwrap()]);
    assert_eq!(list.find("GET /a?api_key=***&page=2"), [task.serial().unwrap()]);
    assert_eq!(list.find("GET /a?api_key=other&page=2"), [task.serial().unwrap()]);
    assert_eq!(list.cancel(id, "").unwrap().serial(), task.serial().unwrap());
    let counted = list.counters().redacted;
    drop(task);
    assert_eq!(list.find_ended(id).len(), 1);
    assert_eq!(list.counters().redacted, counted, "a search records nothing");
}

#[test]
fn a_cancellation_may_expect_the_unmasked_status() {
    let list = ProcessList::new();
    let task = list.start("a");
    let status = "GET /a?token=hunter2";
    task.status(status).unwrap();
    let error = list.cancel("a", CancelRequest::new("").status("GET /b?token=hunter2")).unwrap_err();
    assert!(matches!(&error, CancelError::OtherStatus { .. }) && !error.to_string().contains("hunter2"), "{error}");
    list.cancel("a", CancelRequest::new("").status(status)).unwrap();
}

#[test]
fn a_secret_is_detected_before_truncation_removes_its_marker() {
    let list = ProcessList::with_options(Options::new().max_status(40).max_attr_value(8191).max_attr_name(8));
    let task = list.start("a");
    let long = format!("http://{}@host/", "hunter2".repeat(9));
    task.status(&long).unwrap();
    pm_core::status!(task, "{}", long).unwrap();
    assert_eq!(statuses(&list, &task)[1..], ["http://***@host/", "http://***@host/"]);
    // Also at the end of the longest formatted string.
    task.set_fmt("url", format_args!("{} {long}", "x".repeat(8170)));
    // And in a name that is itself truncated.
    task.set("a_long_name_of_a_password", "hunter2");
    let shown = attrs(&list, &task);
    assert!(!shown.contains("hunter2") && shown.contains("***"), "{}", &shown[..60]);
}

#[test]
fn masking_can_be_switched_off() {
    let list = ProcessList::with_options(Options::new().redact(false));
    let task = list.task("/a?token=abc").attr("password", "hunter2").attr("token", 7).start();
    task.status("http://u:p@host").unwrap();
    let shown = attrs(&list, &task);
    assert!(shown.contains("hunter2") && shown.contains('7'), "{shown}");
    assert_eq!(statuses(&list, &task)[1], "http://u:p@host");
    assert_eq!(list.find("/a?token=abc").len(), 1);
    assert!(list.find("/a?token=***").is_empty());
    assert_eq!(list.counters().redacted, 0);
}

#[test]
fn additional_secret_names_apply_to_one_list() {
    let also = || Options::new().max_bytes(6 << 20).redact_also(["tenant_key"]);
    for round in 0..3 {
        let list = ProcessList::with_options(if round == 1 { Options::new().max_bytes(6 << 20) } else { also() });
        let task = list.task("/a?tenantKey=abc").attr("TENANT-KEY", "abc").start();
        assert_eq!(attrs(&list, &task).contains("abc"), round == 1);
        assert_eq!(list.find("/a?tenantKey=***").len(), usize::from(round != 1));
    }
}

#[test]
fn a_status_set_while_formatting_another_keeps_both_masked() {
    struct Reentrant<'l>(&'l Task);
    impl std::fmt::Display for Reentrant<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.status("/in?token=hunter2").unwrap();
            f.write_str("/out?token=hunter2")
        }
    }
    let list = ProcessList::new();
    let task = list.start("a");
    pm_core::status!(task, "{}", Reentrant(&task)).unwrap();
    assert_eq!(statuses(&list, &task)[1..], ["/in?token=***", "/out?token=***"]);
}

/// Any text, text with many separators, and text full of secrets.
const ANY_TEXT: &str = r#"\PC{0,200}|[a-z?&;#=@:/%*"' 0-9]{0,80}|(token=|//u:p|@|;|&|%3d|%26|"|\?| ){0,30}"#;

/// Digits only, as the text around it has none.
fn secret() -> impl Strategy<Value = String> {
    "[0-9]{6,12}"
}

fn secret_name() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "authorization",
        "cookie",
        "password",
        "passwd",
        "pwd",
        "secret",
        "token",
        "api_key",
        "api-key",
        "apikey",
        "auth",
        "credential",
        "private_key",
        "privateKey",
        "session",
        "bearer",
        "signature",
        "dsn",
        "oauth",
    ]);
    (prop::sample::select(vec!["", "x-", "db_", "my.", "new_"]), word, any::<u32>()).prop_map(|(before, word, case)| {
        let whole_upper = case % 3 == 0;
        let word = if whole_upper { word.to_uppercase() } else { word.to_owned() };
        format!("{before}{word}{}", if case % 5 == 0 { "_2" } else { "" })
    })
}

/// The name with some of its characters percent-encoded.
fn encoded(name: &str, which: u64) -> String {
    let encode = |(at, byte): (usize, u8)| {
        if which >> (at % 64) & 3 == 3 { format!("%{byte:02x}") } else { char::from(byte).into() }
    };
    name.bytes().enumerate().map(encode).collect()
}

fn harmless() -> impl Strategy<Value = String> {
    // No separators, and no letters that could form a secret name.
    "[fgjlmqvxz \\-_.:!é]{0,20}"
}

fn shown(text: &str) -> (String, u64) {
    let list = ProcessList::new();
    let task = list.start("a");
    task.status(text).unwrap();
    let status = statuses(&list, &task).pop().unwrap();
    (status, list.counters().redacted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn masking_never_panics_and_is_idempotent(text in ANY_TEXT) {
        let (once, counted) = shown(&text);
        prop_assert_eq!(counted > 0, once != text);
        prop_assert_eq!(&*ProcessList::new().redacted(&text), &once);
        if once.len() < 900 {
            let (twice, counted) = shown(&once);
            prop_assert_eq!(&twice, &once);
            prop_assert_eq!(counted, 0);
        }
        for name in [text.as_str(), "plain"] {
            let list = ProcessList::new();
            let task = list.task(&text).kind(&text).attr(name, text.as_str()).start();
            task.set(name, 5);
            task.set_fmt(name, format_args!("{text}{text}"));
            task.unset(name);
            prop_assert_eq!(list.find(&text), [task.serial().unwrap()]);
            prop_assert!(list.cancel(&text, &text).is_ok());
        }
    }

    #[test]
    fn no_secret_survives_in_a_url(
        (name, which) in (secret_name(), any::<u64>()),
        secrets in prop::collection::vec(secret(), 5),
        separator in prop::sample::select(vec!["?", "&", "?x=y&", "?x=y;", ";", "?x;", "#", "?x=y#"]),
        (before, after) in (harmless(), harmless()),
        scheme in prop::sample::select(vec!["http", "postgres", "amqp+ssl", "jdbc:mysql"]),
    ) {
        let [user, password, value, other, nested] = &secrets[..] else { unreachable!() };
        let name = encoded(&name, which);
        let inner = format!("https://{user}:{password}@h/?{name}={nested}");
        let inner = [(':', "%3A"), ('/', "%2f"), ('?', "%3F"), ('=', "%3D"), ('@', "%40")]
            .into_iter()
            .fold(inner, |text, (from, to)| text.replace(from, to));
        let text = format!(
            "{before} {scheme}://{user}:{password}@host{separator}{name}={value}&{name}={other}&next={inner} {after}"
        );
        let (status, counted) = shown(&text);
        prop_assert_eq!(counted, 1);
        for secret in &secrets {
            prop_assert!(!status.contains(secret.as_str()), "{} in {} of {}", secret, status, text);
        }
        let kept = status.starts_with(&before) && status.ends_with(&after) && status.contains("@host");
        prop_assert!(kept, "{}", status);
    }

    #[test]
    fn no_secret_survives_in_an_attribute(name in secret_name(), secret in secret(), number in 100_000_u64..) {
        let list = ProcessList::new();
        let task = list.task("a").attr(&name, &secret).start();
        let negative = -(number as i64 >> 1);
        for value in [Value::U64(number), Value::I64(negative), Value::F64(number as f64), Value::Text(&secret)] {
            task.set(&name, value);
            let shown = attrs(&list, &task).replace(&name, "");
            prop_assert!(shown.contains("***") && !shown.contains(|byte: char| byte.is_ascii_digit()), "{}", shown);
        }
        prop_assert_eq!(list.counters().redacted, 5);
    }

    #[test]
    fn text_without_secrets_is_unchanged(
        parts in prop::collection::vec(harmless(), 6),
        query in prop::sample::select(vec![
            "", "?page=2&sort=-age", "?a;b", "?a=%20&b=%3d", "#top", "?author=me;x=1", "=", " -> ", "@",
        ]),
    ) {
        let text = format!("{} http://{}{query} {} {}", parts[0], parts[1].replace([' ', ':'], ""), parts[2], parts[3]);
        prop_assume!(!text.contains("://@"));
        let with_at = text.contains('@');
        let (status, counted) = shown(&text);
        if !with_at {
            prop_assert_eq!((status, counted), (text, 0));
        }
        let list = ProcessList::new();
        let task = list.task("a").attr(&parts[4], &parts[5]).start();
        prop_assert!(attrs(&list, &task).contains(&format!("{:?}", parts[5])), "{}", attrs(&list, &task));
    }
}
