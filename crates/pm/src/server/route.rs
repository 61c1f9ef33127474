//! What is asked: the path as it came, taken apart before any decoding or cleaning.
//!
//! An id is one segment. Decoding the path first, as the first pm did, would take an id's own slash for a separator;
//! cleaning it would lose the ids `.`, `..` and the empty one.

use pm_core::Serial;
use pm_wire::{DecodeIdError, decode_id};

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
    Nothing,
}

/// The route of a raw path below the prefix under which we are mounted.
pub(super) fn route(path: &str) -> Result<Route, DecodeIdError> {
    let Some(below) = path.strip_prefix("/procs/") else {
        let meant = path.trim_start_matches('/');
        let is_ours = meant == "procs" || meant.starts_with("procs/");
        return Ok(match path.starts_with('/') && is_ours {
            true if meant == "procs" => Route::Moved("/procs/".to_owned()),
            true => Route::Moved(format!("/{meant}")),
            false => Route::Nothing,
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

/// The `serial` of a query; other parameters are none of our business. `Err` is the text that is no serial.
pub(super) fn serial(query: Option<&str>) -> Result<Option<Serial>, &str> {
    let value = query.unwrap_or_default().split('&').find_map(|pair| match pair {
        "serial" => Some(""),
        pair => pair.strip_prefix("serial="),
    });
    value.map(|value| value.parse().map_err(|_| value)).transpose()
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
            "",
            "/",
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
    fn a_bad_percent_is_told_apart_from_bytes_that_are_no_text() {
        assert_eq!(route("/procs/50%/history"), Err(DecodeIdError::BadPercent));
        assert_eq!(route("/procs/%FF%FE"), Ok(Route::NoSuchId));
    }

    #[test]
    fn a_serial_is_a_number_above_zero() {
        assert_eq!(serial(None), Ok(None));
        assert_eq!(serial(Some("a=1&serialx=2&b")), Ok(None));
        assert_eq!(serial(Some("a=1&serial=12")), Ok(Serial::from_u64(12)));
        for bad in ["", "0", "-1", "x", "1x", "18446744073709551616"] {
            assert_eq!(serial(Some(&format!("serial={bad}"))), Err(bad));
        }
        assert_eq!(serial(Some("serial")), Err(""));
    }
}
