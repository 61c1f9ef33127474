//! What is asked: the path as it came, taken apart before any decoding or cleaning.
//!
//! An id is one segment. Decoding the path first, as the first pm did, would take an id's own slash for a separator;
//! cleaning it would lose the ids `.`, `..` and the empty one.

use pm_core::Serial;
use std::time::Duration;

use pm_wire::{DecodeIdError, VerdictReply, decode_id, duration};

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
    /// Reads a query. `Err` says what is wrong with it.
    pub(super) fn read(query: Option<&str>) -> Result<Self, String> {
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
        let serial = |query: Option<&str>| Params::read(query).map(|params| params.serial);
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
        let params = Params::read(Some("wait=1.5s&minAge=2m&status=reading%20block+7&x=y")).unwrap();
        assert_eq!(params.wait, Some(Duration::from_millis(1_500)));
        assert_eq!(params.min_age, Some(Duration::from_secs(120)));
        assert_eq!(params.status.as_deref(), Some("reading block 7"));
        for (bad, words) in
            [("wait=26s", "25.0 s is the longest"), ("wait=", "wait: write it as"), ("status=%", "status")]
        {
            let error = Params::read(Some(bad)).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }
}
