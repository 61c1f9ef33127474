//! What is asked: the path as it came, taken apart before any decoding or cleaning; and the table of all operations.
//!
//! An id is one segment. Decoding the path first, as the first pm did, would take an id's own slash for a separator;
//! cleaning it would lose the ids `.`, `..` and the empty one.

use std::time::Duration;

use http::StatusCode;
use pm_core::Serial;

use pm_wire::{DecodeIdError, VerdictReply, decode_id, duration};

use super::failure::Failure;

/// What a caller must be allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: it tells nothing of tasks.
    Nothing,
    Read,
    Cancel,
}

/// What can be done outside of `/procs/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Tasks,
    Task,
    History,
    CancelTask,
    CancelMany,
    Tree,
    Ended,
    Kinds,
    Waits,
    Events,
    Audit,
    Info,
    Metrics,
    Health,
    OpenApi,
    Home,
    /// A file of the page.
    PageFile,
}

/// One way to ask; `{ref}` in the path is one segment that names a task, or a file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) need: Need,
    pub(super) op: Op,
}

const fn operation(method: &'static str, path: &'static str, need: Need, op: Op) -> Operation {
    Operation { method, path, need, op }
}

/// All there is outside of `/procs/`. The description of the API is held against it by a test.
pub(super) const OPERATIONS: [Operation; 17] = [
    operation("GET", "/v1/tasks", Need::Read, Op::Tasks),
    operation("GET", "/v1/tasks/{ref}", Need::Read, Op::Task),
    operation("GET", "/v1/tasks/{ref}/history", Need::Read, Op::History),
    operation("POST", "/v1/tasks/{ref}/cancel", Need::Cancel, Op::CancelTask),
    operation("POST", "/v1/cancel", Need::Cancel, Op::CancelMany),
    operation("GET", "/v1/tree", Need::Read, Op::Tree),
    operation("GET", "/v1/ended", Need::Read, Op::Ended),
    operation("GET", "/v1/kinds", Need::Read, Op::Kinds),
    operation("GET", "/v1/waits", Need::Read, Op::Waits),
    operation("GET", "/v1/events", Need::Read, Op::Events),
    operation("GET", "/v1/audit", Need::Read, Op::Audit),
    operation("GET", "/v1/info", Need::Read, Op::Info),
    operation("GET", "/metrics", Need::Read, Op::Metrics),
    operation("GET", "/healthz", Need::Nothing, Op::Health),
    operation("GET", "/openapi.json", Need::Nothing, Op::OpenApi),
    operation("GET", "/", Need::Nothing, Op::Home),
    operation("GET", "/page/{ref}", Need::Nothing, Op::PageFile),
];

/// The operations at a path, all methods, and the segment that names a task.
fn operations(path: &str) -> Option<(&'static Operation, Option<&str>)> {
    OPERATIONS.iter().find_map(|operation| {
        // One character is looked for faster than `{ref}`, and means the same.
        let Some((before, after)) = operation.path.split_once('{') else {
            return (operation.path == path).then_some((operation, None));
        };
        let segment = path.strip_prefix(before)?.strip_suffix(after.strip_prefix("ref}")?)?;
        (!segment.contains('/')).then_some((operation, Some(segment)))
    })
}

/// Whether errors at this path are told as problem JSON.
pub(super) fn is_v1(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    path != "procs" && !path.starts_with("procs/")
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// All tasks.
    List,
    /// One task, by its id.
    Task(String),
    /// The history of a task.
    History(String),
    /// The same, said in another way: the path that is meant.
    Moved(String),
    /// No task can have an id that is no text.
    NoSuchId,
    /// What is not of the first pm, and the raw segment that names a task.
    Ours(&'static Operation, Option<String>),
    Nothing,
}

/// The route of a raw path below the prefix under which we are mounted.
pub(super) fn route(path: &str) -> Result<Route, DecodeIdError> {
    let Some(below) = path.strip_prefix("/procs/") else {
        let meant = path.trim_start_matches('/');
        let is_ours = meant == "procs" || meant.starts_with("procs/");
        if path.is_empty() {
            // The prefix alone: what is relative to it would be relative to what is above.
            return Ok(Route::Moved("/".to_owned()));
        }
        return Ok(match path.starts_with('/') && is_ours {
            true if meant == "procs" => Route::Moved("/procs/".to_owned()),
            true => Route::Moved(format!("/{meant}")),
            false => match operations(path) {
                Some((operation, segment)) => Route::Ours(operation, segment.map(str::to_owned)),
                None => Route::Nothing,
            },
        });
    };
    if below.is_empty() {
        return Ok(Route::List);
    }
    let (segment, rest) = below.split_once('/').unwrap_or((below, ""));
    let make: fn(String) -> Route = match rest {
        "" => Route::Task,
        "history" => Route::History,
        _ => return Ok(Route::Nothing),
    };
    match decode_id(segment.as_bytes()) {
        Ok(id) => Ok(make(id)),
        Err(DecodeIdError::NotUtf8) => Ok(Route::NoSuchId),
        Err(error) => Err(error),
    }
}

/// A task as a path names it: only digits are a serial, `id:` and any other text is an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ref {
    Serial(Serial),
    Id(String),
}

impl Ref {
    /// Reads a raw segment.
    pub(super) fn read(segment: &str) -> Result<Self, Failure> {
        let text = match decode_id(segment.as_bytes()) {
            Ok(text) => text,
            Err(DecodeIdError::NotUtf8) => return Err(no_such_task("no task has an id that is not UTF-8")),
            Err(error) => return Err(Failure::bad("invalid-path", error.to_string()).hint("write % as %25")),
        };
        Self::of(&text)
    }

    /// Reads what was decoded.
    pub(super) fn of(text: &str) -> Result<Self, Failure> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let serial = text.parse().map_err(|_| no_such_task("no task has this serial"))?;
            return Ok(Self::Serial(serial));
        }
        Ok(Self::Id(text.strip_prefix("id:").unwrap_or(text).to_owned()))
    }
}

/// 404 for a task.
pub(super) fn no_such_task(words: &str) -> Failure {
    Failure::not_found("task-not-found", words)
}

/// Below the time after which an idle connection ends.
const MAX_WAIT: Duration = VerdictReply::MAX_WAIT;

/// What a query says of the task that is meant; other parameters are none of our business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params {
    /// Exactly this one.
    pub(super) serial: Option<Serial>,
    /// A cancel waits so long for what comes of it.
    pub(super) wait: Option<Duration>,
    /// A cancel expects that the task is so old.
    pub(super) min_age: Option<Duration>,
    /// A cancel expects that the task is in this status.
    pub(super) status: Option<String>,
}

impl Params {
    /// Reads a query.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Failure> {
        Self::read_words(query).map_err(|words| Failure::new(StatusCode::BAD_REQUEST, "invalid-parameter", words))
    }

    /// The same; `Err` says what is wrong with it.
    fn read_words(query: Option<&str>) -> Result<Self, String> {
        let mut params = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let length = || duration::parse(value).map_err(|error| format!("{name}: {error}"));
            match name {
                "serial" => {
                    params.serial = Some(value.parse().map_err(|_| "serial must be a number above 0".to_owned())?);
                }
                "wait" => {
                    let wait = length()?;
                    if wait > MAX_WAIT {
                        return Err(format!("wait: {} is the longest; ask again after it", duration::show(MAX_WAIT)));
                    }
                    params.wait = Some(wait);
                }
                "minAge" => params.min_age = Some(length()?),
                "status" => {
                    let status = decode_id(value.replace('+', " ").as_bytes());
                    params.status = Some(status.map_err(|error| format!("status: {error}"))?);
                }
                _ => {}
            }
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_the_raw_path() {
        for (segment, id) in [
            ("job", "job"),
            ("a%2Fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("a%2F", "a/"),
            ("", ""),
            (".", "."),
            ("..", ".."),
            ("%2e%2E", ".."),
            ("%00", "\0"),
            ("a+b", "a+b"),
            ("ünï", "ünï"),
            ("history", "history"),
            ("procs", "procs"),
            ("x%2Fhistory", "x/history"),
        ] {
            assert_eq!(route(&format!("/procs/{segment}/history")), Ok(Route::History(id.to_owned())));
            assert_eq!(route(&format!("/procs/{segment}/")), Ok(Route::Task(id.to_owned())));
            if !segment.is_empty() {
                assert_eq!(route(&format!("/procs/{segment}")), Ok(Route::Task(id.to_owned())));
            }
        }
        assert_eq!(route("/procs/"), Ok(Route::List));
    }

    #[test]
    fn what_is_not_served_is_not_guessed() {
        for path in [
            "//",
            "*",
            "procs",
            "procs/",
            "/foo",
            "/PROCS/",
            "/procsx",
            "/x/procs/",
            "/procs/a/history/",
            "/procs/a/History",
            "/procs/a/b",
            "/procs/a/b/history",
            "/procs/a//history",
            "/procs///",
        ] {
            assert_eq!(route(path), Ok(Route::Nothing), "{path}");
        }
    }

    #[test]
    fn the_list_without_its_slash_is_elsewhere() {
        for (path, to) in [("/procs", "/procs/"), ("//procs", "/procs/"), ("///procs/a", "/procs/a")] {
            assert_eq!(route(path), Ok(Route::Moved(to.to_owned())));
        }
    }

    #[test]
    fn the_prefix_without_its_slash_is_the_start_page() {
        assert_eq!(route(""), Ok(Route::Moved("/".to_owned())));
    }

    #[test]
    fn a_bad_percent_is_told_apart_from_bytes_that_are_no_text() {
        assert_eq!(route("/procs/50%/history"), Err(DecodeIdError::BadPercent));
        assert_eq!(route("/procs/%FF%FE"), Ok(Route::NoSuchId));
    }

    #[test]
    fn each_operation_is_found_at_its_path_and_nowhere_else() {
        for operation in &OPERATIONS {
            let path = operation.path.replace("{ref}", "a%2Fb");
            let segment = operation.path.contains("{ref}").then(|| "a%2Fb".to_owned());
            assert_eq!(route(&path), Ok(Route::Ours(operation, segment)));
            for near in [format!("{path}/"), format!("{path}x"), format!("/x{path}"), path.to_uppercase()] {
                if near == path {
                    continue;
                }
                let found = route(&near);
                let is_other = !matches!(&found, Ok(Route::Ours(found, _)) if *found == operation);
                assert!(is_other || operation.path.ends_with("{ref}"), "{near}: {found:?}");
            }
        }
        assert_eq!(route("/v1/tasks/a/b/history"), Ok(Route::Nothing));
    }

    #[test]
    fn a_task_is_named_by_serial_or_id() {
        let serial = |number| Ref::Serial(Serial::from_u64(number).unwrap());
        for (segment, meant) in [
            ("12", serial(12)),
            ("id:12", Ref::Id("12".to_owned())),
            ("id%3A12", Ref::Id("12".to_owned())),
            ("id:id:x", Ref::Id("id:x".to_owned())),
            ("a%2Fb", Ref::Id("a/b".to_owned())),
            ("", Ref::Id(String::new())),
            ("-1", Ref::Id("-1".to_owned())),
        ] {
            assert_eq!(Ref::read(segment).unwrap(), meant, "{segment}");
        }
        for (segment, status) in [("0", 404), ("99999999999999999999", 404), ("%FF", 404), ("50%", 400)] {
            assert_eq!(Ref::read(segment).unwrap_err().status(), status, "{segment}");
        }
    }

    #[test]
    fn a_serial_is_a_number_above_zero() {
        let serial = |query: Option<&str>| Params::read_words(query).map(|params| params.serial);
        assert_eq!(serial(None), Ok(None));
        assert_eq!(serial(Some("a=1&serialx=2&b")), Ok(None));
        assert_eq!(serial(Some("a=1&serial=12")), Ok(Serial::from_u64(12)));
        for bad in ["", "0", "-1", "x", "1x", "18446744073709551616"] {
            assert!(serial(Some(&format!("serial={bad}"))).is_err(), "{bad}");
        }
        assert!(serial(Some("serial")).is_err());
    }

    #[test]
    fn a_cancel_may_say_what_it_expects_and_how_long_it_waits() {
        let params = Params::read_words(Some("wait=1.5s&minAge=2m&status=reading%20block+7&x=y")).unwrap();
        assert_eq!(params.wait, Some(Duration::from_millis(1_500)));
        assert_eq!(params.min_age, Some(Duration::from_secs(120)));
        assert_eq!(params.status.as_deref(), Some("reading block 7"));
        for (bad, words) in
            [("wait=26s", "25.0 s is the longest"), ("wait=", "wait: write it as"), ("status=%", "status")]
        {
            let error = Params::read_words(Some(bad)).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }
}
