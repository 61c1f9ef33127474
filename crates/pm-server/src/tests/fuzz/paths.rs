//! Random paths.

use pm_wire::{decode_id, encode_id};
use proptest::prelude::*;

use super::text_of;
use crate::request::route::{OPERATIONS, Route, TaskRef, route};

pub(super) const PATH: &[&str] = &[
    "/",
    "/procs/",
    "/procs",
    "/v1/tasks",
    "/v1/tasks/",
    "/v1/cancel",
    "/cancel",
    "/history",
    "/v1/events",
    "/metrics",
    "id:",
    "12",
    "a",
    "%2F",
    "%2f",
    "%",
    "%0",
    "%FF",
    "%00",
    "%25",
    "..",
    ".",
    "//",
    "é",
    "?",
    "#",
    "{ref}",
    "v1",
    "\\",
];

proptest! {
    #[test]
    fn a_path_leads_to_what_it_says_or_nowhere(path in text_of(PATH, 8)) {
        match route(&path) {
            Ok(Route::Task(id)) => {
                let plain = path.trim_end_matches('/');
                prop_assert!(plain.starts_with("/procs") && !plain.ends_with("/history") || id == "history", "{path}");
                prop_assert_eq!(route(&format!("/procs/{}/", encode_id(&id))), Ok(Route::Task(id)));
            }
            Ok(Route::History(id)) => {
                prop_assert!(path.ends_with("/history"));
                prop_assert_eq!(route(&format!("/procs/{}/history", encode_id(&id))), Ok(Route::History(id)));
            }
            Ok(Route::Moved(to)) => {
                // To us, and not back to where it came from.
                prop_assert!(to.starts_with("/procs/") && to != path || (&*path, &*to) == ("", "/"), "{path} {to}");
                prop_assert!(!matches!(route(&to), Ok(Route::Moved(_))), "{path} {to}");
            }
            Ok(Route::Operation(operation, segment)) => {
                prop_assert_eq!(operation.path.replace("{ref}", segment.as_deref().unwrap_or_default()), path);
                prop_assert!(segment.is_none_or(|segment| !segment.contains('/')));
            }
            Ok(Route::List) => prop_assert_eq!(path, "/procs/"),
            Ok(Route::NoSuchId) | Err(_) => prop_assert!(path.starts_with("/procs/") && path.contains('%')),
            Ok(Route::Nothing) => prop_assert!(OPERATIONS.iter().all(|operation| operation.path != path)),
        }
    }

    #[test]
    fn every_id_has_a_path_of_its_own(id in any::<String>()) {
        let segment = encode_id(&id);
        prop_assert_eq!(route(&format!("/procs/{segment}/")), Ok(Route::Task(id.clone())));
        let named = TaskRef::read(&format!("id:{segment}")).unwrap();
        prop_assert_eq!(named, TaskRef::Id(id));
    }

    #[test]
    fn only_digits_are_a_serial(
        segment in text_of(&["1", "0", "9", "id:", "serial:", "%31", "%3A", "-", "+", "%", "18446744073709551615"], 6),
    ) {
        match TaskRef::read(&segment) {
            Ok(TaskRef::Serial(serial)) => {
                let decoded = decode_id(segment.as_bytes()).unwrap();
                let digits = decoded.strip_prefix("serial:").unwrap();
                prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert_eq!(digits.trim_start_matches('0'), serial.to_string());
            }
            Ok(TaskRef::Digits(digits)) => {
                prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert_eq!(digits, decode_id(segment.as_bytes()).unwrap());
            }
            Ok(TaskRef::Id(_)) => {}
            Err(failure) => prop_assert!([400, 404].contains(&failure.status().as_u16())),
        }
    }
}
