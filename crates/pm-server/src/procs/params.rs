//! The query of the `/procs/` routes.

use std::time::Duration;

use pm_core::Serial;
use pm_wire::{VerdictReply, decode_id, duration};

use crate::response::Failure;

/// Shorter than the time after which an idle connection is closed.
const MAX_WAIT: Duration = VerdictReply::MAX_WAIT;

/// The parameters of a query; others are ignored, as VividCortex/pm ignores all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    /// The task with this serial, among those with the id.
    pub(crate) serial: Option<Serial>,
    /// How long a cancel waits for its verdict.
    pub(crate) wait: Option<Duration>,
    /// A cancel is refused if the task is younger.
    pub(crate) min_age: Option<Duration>,
    /// A cancel is refused if the task is in another status.
    pub(crate) status: Option<String>,
}

impl Params {
    /// Parses a query.
    pub(crate) fn read(query: Option<&str>) -> Result<Self, Failure> {
        Self::parse(query).map_err(|detail| Failure::bad("invalid-parameter", detail))
    }

    fn parse(query: Option<&str>) -> Result<Self, String> {
        let mut params = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let time = || duration::parse(value).map_err(|error| format!("{name}: {error}"));
            match name {
                "serial" => {
                    params.serial =
                        Some(value.parse().map_err(|_| "serial must be a whole number above 0".to_owned())?);
                }
                "wait" => {
                    let wait = time()?;
                    if wait > MAX_WAIT {
                        return Err(format!(
                            "wait: must be {} at most; send another request after it",
                            duration::show(MAX_WAIT)
                        ));
                    }
                    params.wait = Some(wait);
                }
                "minAge" => params.min_age = Some(time()?),
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
    fn a_serial_is_a_number_above_zero() {
        let serial = |query: Option<&str>| Params::parse(query).map(|params| params.serial);
        assert_eq!(serial(None), Ok(None));
        assert_eq!(serial(Some("a=1&serialx=2&b")), Ok(None));
        assert_eq!(serial(Some("a=1&serial=12")), Ok(Serial::from_u64(12)));
        for bad in ["", "0", "-1", "x", "1x", "18446744073709551616"] {
            assert!(serial(Some(&format!("serial={bad}"))).is_err(), "{bad}");
        }
        assert!(serial(Some("serial")).is_err());
    }

    #[test]
    fn a_cancel_may_have_preconditions_and_wait() {
        let params = Params::parse(Some("wait=1.5s&minAge=2m&status=reading%20block+7&x=y")).unwrap();
        assert_eq!(params.wait, Some(Duration::from_millis(1_500)));
        assert_eq!(params.min_age, Some(Duration::from_secs(120)));
        assert_eq!(params.status.as_deref(), Some("reading block 7"));
        for (bad, words) in
            [("wait=26s", "must be 25.0 s at most"), ("wait=", "wait: write it as"), ("status=%", "status")]
        {
            let error = Params::parse(Some(bad)).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }
}
