//! The path as it came, taken apart before it is decoded or normalized; and the table of operations.
//!
//! An id is one segment. Decoding the path first, as VividCortex/pm does, would take an id's own slash for a separator;
//! normalizing it would lose the ids `.`, `..` and the empty one.

use pm_core::Serial;
use pm_wire::{DecodeIdError, decode_id};

use crate::access::Permission;
use crate::response::Failure;

/// The operations outside of `/procs/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
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

/// An operation and its path; `{ref}` in the path is one segment that names a task, or a file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The permission that a caller needs; `None` where nothing about tasks is shown.
    pub(crate) permission: Option<Permission>,
    pub(crate) op: Op,
}

const fn operation(method: &'static str, path: &'static str, permission: Option<Permission>, op: Op) -> Operation {
    Operation { method, path, permission, op }
}

const READ: Option<Permission> = Some(Permission::Read);
const CANCEL: Option<Permission> = Some(Permission::Cancel);

/// All operations outside of `/procs/`. A test compares them with `openapi.json`.
pub(crate) const OPERATIONS: [Operation; 17] = [
    operation("GET", "/v1/tasks", READ, Op::Tasks),
    operation("GET", "/v1/tasks/{ref}", READ, Op::Task),
    operation("GET", "/v1/tasks/{ref}/history", READ, Op::History),
    operation("POST", "/v1/tasks/{ref}/cancel", CANCEL, Op::CancelTask),
    operation("POST", "/v1/cancel", CANCEL, Op::CancelMany),
    operation("GET", "/v1/tree", READ, Op::Tree),
    operation("GET", "/v1/ended", READ, Op::Ended),
    operation("GET", "/v1/kinds", READ, Op::Kinds),
    operation("GET", "/v1/waits", READ, Op::Waits),
    operation("GET", "/v1/events", READ, Op::Events),
    operation("GET", "/v1/audit", READ, Op::Audit),
    operation("GET", "/v1/info", READ, Op::Info),
    operation("GET", "/metrics", READ, Op::Metrics),
    operation("GET", "/healthz", None, Op::Health),
    operation("GET", "/openapi.json", None, Op::OpenApi),
    operation("GET", "/", None, Op::Home),
    operation("GET", "/page/{ref}", None, Op::PageFile),
];

/// The operation at a path, and the segment that names a task.
fn operations(path: &str) -> Option<(&'static Operation, Option<&str>)> {
    OPERATIONS.iter().find_map(|operation| {
        // Searching one character is faster than `{ref}`, and no path has another one.
        let Some((before, after)) = operation.path.split_once('{') else {
            return (operation.path == path).then_some((operation, None));
        };
        let segment = path.strip_prefix(before)?.strip_suffix(after.strip_prefix("ref}")?)?;
        (!segment.contains('/')).then_some((operation, Some(segment)))
    })
}

/// Returns `true` if errors at this path are problem JSON.
pub(crate) fn is_v1(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    path != "procs" && !path.starts_with("procs/")
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// All tasks.
    List,
    /// One task, by its id.
    Task(String),
    /// The history of a task.
    History(String),
    /// Another spelling of a path: the path that is meant.
    Moved(String),
    /// The id is not UTF-8, so no task has it.
    NoSuchId,
    /// An operation outside of `/procs/`, and the raw segment that names a task.
    Operation(&'static Operation, Option<String>),
    Nothing,
}

/// Finds the route of a raw path, without the prefix under which the service is mounted.
pub(crate) fn route(path: &str) -> Result<Route, DecodeIdError> {
    let Some(below) = path.strip_prefix("/procs/") else {
        let meant = path.trim_start_matches('/');
        let is_ours = meant == "procs" || meant.starts_with("procs/");
        if path.is_empty() {
            // The prefix alone: relative links would be relative to the path above it.
            return Ok(Route::Moved("/".to_owned()));
        }
        return Ok(match path.starts_with('/') && is_ours {
            true if meant == "procs" => Route::Moved("/procs/".to_owned()),
            true => Route::Moved(format!("/{meant}")),
            false => match operations(path) {
                Some((operation, segment)) => Route::Operation(operation, segment.map(str::to_owned)),
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

/// A task as a path names it: `serial:` and digits are a serial, `id:` and the rest is an id, and so is any other text.
/// Digits alone are a serial; if a live task has them as its id, and another one that serial, they name neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskRef {
    Serial(Serial),
    Id(String),
    Digits(String),
}

impl TaskRef {
    /// Parses a raw segment.
    pub(crate) fn read(segment: &str) -> Result<Self, Failure> {
        let text = match decode_id(segment.as_bytes()) {
            Ok(text) => text,
            Err(DecodeIdError::NotUtf8) => return Err(no_such_task("no task has an id that is not UTF-8")),
            Err(error) => return Err(Failure::bad("invalid-path", error.to_string()).hint("write % as %25")),
        };
        Self::of(&text)
    }

    /// Parses a decoded segment.
    pub(crate) fn of(text: &str) -> Result<Self, Failure> {
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if are_digits(text) {
            return Ok(Self::Digits(text.to_owned()));
        }
        if let Some(digits) = text.strip_prefix("serial:").filter(|digits| are_digits(digits)) {
            return digits.parse().map(Self::Serial).map_err(|_| no_such_task("no task has this serial"));
        }
        Ok(Self::Id(text.strip_prefix("id:").unwrap_or(text).to_owned()))
    }
}

/// 404: no task is meant.
pub(crate) fn no_such_task(detail: &str) -> Failure {
    Failure::not_found("task-not-found", detail)
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
    fn paths_that_are_not_served_have_no_route() {
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
    fn the_list_without_its_slash_is_redirected() {
        for (path, to) in [("/procs", "/procs/"), ("//procs", "/procs/"), ("///procs/a", "/procs/a")] {
            assert_eq!(route(path), Ok(Route::Moved(to.to_owned())));
        }
    }

    #[test]
    fn the_prefix_without_its_slash_is_the_start_page() {
        assert_eq!(route(""), Ok(Route::Moved("/".to_owned())));
    }

    #[test]
    fn a_bad_percent_is_another_error_than_bytes_that_are_not_utf8() {
        assert_eq!(route("/procs/50%/history"), Err(DecodeIdError::BadPercent));
        assert_eq!(route("/procs/%FF%FE"), Ok(Route::NoSuchId));
    }

    #[test]
    fn each_operation_is_found_at_its_path_and_nowhere_else() {
        for operation in &OPERATIONS {
            let path = operation.path.replace("{ref}", "a%2Fb");
            let segment = operation.path.contains("{ref}").then(|| "a%2Fb".to_owned());
            assert_eq!(route(&path), Ok(Route::Operation(operation, segment)));
            for near in [format!("{path}/"), format!("{path}x"), format!("/x{path}"), path.to_uppercase()] {
                if near == path {
                    continue;
                }
                let found = route(&near);
                let is_other = !matches!(&found, Ok(Route::Operation(found, _)) if *found == operation);
                assert!(is_other || operation.path.ends_with("{ref}"), "{near}: {found:?}");
            }
        }
        assert_eq!(route("/v1/tasks/a/b/history"), Ok(Route::Nothing));
    }

    #[test]
    fn a_task_is_named_by_serial_or_id() {
        let serial = |number| TaskRef::Serial(Serial::from_u64(number).unwrap());
        for (segment, meant) in [
            ("12", TaskRef::Digits("12".to_owned())),
            ("007", TaskRef::Digits("007".to_owned())),
            ("0", TaskRef::Digits("0".to_owned())),
            ("serial:12", serial(12)),
            ("serial%3A012", serial(12)),
            ("serial:", TaskRef::Id("serial:".to_owned())),
            ("serial:x", TaskRef::Id("serial:x".to_owned())),
            ("id:serial:12", TaskRef::Id("serial:12".to_owned())),
            ("id:12", TaskRef::Id("12".to_owned())),
            ("id%3A12", TaskRef::Id("12".to_owned())),
            ("id:id:x", TaskRef::Id("id:x".to_owned())),
            ("a%2Fb", TaskRef::Id("a/b".to_owned())),
            ("", TaskRef::Id(String::new())),
            ("-1", TaskRef::Id("-1".to_owned())),
        ] {
            assert_eq!(TaskRef::read(segment).unwrap(), meant, "{segment}");
        }
        for (segment, status) in [("serial:0", 404), ("serial:99999999999999999999", 404), ("%FF", 404), ("50%", 400)] {
            assert_eq!(TaskRef::read(segment).unwrap_err().status(), status, "{segment}");
        }
    }
}
