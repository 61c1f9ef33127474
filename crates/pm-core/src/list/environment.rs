//! Variables by which the operator of a program sets its global list, without a build.
//!
//! Invariant: a variable only ever takes effect as a whole; a value that can't be read is reported, and counts as not
//! set. They come after what the program sets, so that the operator has the last word.

use std::ffi::OsString;
use std::time::Duration;

use crate::base::options::Options;
use crate::base::policy::CancelPolicy;

/// The options of the global list, as its environment changes them.
pub(super) struct Settings {
    pub(super) options: Options,
    pub(super) enabled: bool,
    /// Lines of advice, one for each variable that was ignored.
    pub(super) ignored: Vec<String>,
}

impl Settings {
    /// Applies the variables that `variable` returns to the options of the program.
    pub(super) fn of(options: Options, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut settings = Self { options, enabled: true, ignored: Vec::new() };
        settings.read(&variable, "PM_LIST", "write on, off or look-only", mode, |settings, mode| {
            settings.enabled = mode != Mode::Off;
            if mode == Mode::LookOnly {
                settings.options.look_only = true;
            }
        });
        let policy = "write ask, drop, refuse, or a time to ask before the drop such as 10s";
        settings.read(&variable, "PM_ON_CANCEL", policy, on_cancel, |settings, policy| {
            settings.options.on_cancel = policy;
        });
        settings.set(&variable, "PM_MAX_BYTES", SIZE, bytes, Options::max_bytes);
        settings.set(&variable, "PM_KEEP_ENDED", NUMBER, number, Options::keep_ended);
        settings.set(&variable, "PM_KEEP_ENDED_BYTES", SIZE, bytes, Options::keep_ended_bytes);
        settings.set(&variable, "PM_KEEP_ENDED_FOR", TIME, time, Options::keep_ended_for);
        settings.set(&variable, "PM_MAX_KINDS", NUMBER, number, Options::max_kinds);
        let names = |text: &str| Some(text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        settings.set(&variable, "PM_REDACT_ALSO", "write names with commas", names, Options::redact_also);
        settings
    }

    fn set<T>(
        &mut self,
        variable: &impl Fn(&str) -> Option<OsString>,
        name: &str,
        advice: &str,
        parse: impl Fn(&str) -> Option<T>,
        set: impl FnOnce(Options, T) -> Options,
    ) {
        self.read(variable, name, advice, parse, |settings, value| {
            settings.options = set(std::mem::take(&mut settings.options), value);
        });
    }

    /// Applies one variable. Empty is not set, as in scripts that clear a variable.
    fn read<T>(
        &mut self,
        variable: &impl Fn(&str) -> Option<OsString>,
        name: &str,
        advice: &str,
        parse: impl Fn(&str) -> Option<T>,
        apply: impl FnOnce(&mut Self, T),
    ) {
        let Some(found) = variable(name).filter(|found| !found.is_empty()) else { return };
        match found.to_str().map(str::trim).and_then(parse) {
            Some(value) => apply(self, value),
            None => self.ignored.push(format!("{name}={} is ignored: {advice}", shown(&found.to_string_lossy()))),
        }
    }
}

const NUMBER: &str = "write a number";
const SIZE: &str = "write a number of bytes, or one with KiB, MiB or GiB, such as 64MiB";
const TIME: &str = "write a time such as 30s, 15m or 1h";

/// Cuts a value that may be anything.
fn shown(value: &str) -> String {
    const SHOWN: usize = 40;
    let cut: String = value.chars().take(SHOWN).collect();
    if cut.len() < value.len() { format!("`{cut}…`") } else { format!("`{cut}`") }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    On,
    Off,
    LookOnly,
}

fn mode(text: &str) -> Option<Mode> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "1" | "true" | "yes" => Some(Mode::On),
        "off" | "0" | "false" | "no" => Some(Mode::Off),
        "look-only" | "look_only" | "lookonly" => Some(Mode::LookOnly),
        _ => None,
    }
}

fn on_cancel(text: &str) -> Option<CancelPolicy> {
    match text.to_ascii_lowercase().as_str() {
        "ask" => Some(CancelPolicy::Ask),
        "drop" => Some(CancelPolicy::Drop),
        "refuse" => Some(CancelPolicy::Refuse),
        _ => time(text).map(CancelPolicy::AskThenDrop),
    }
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok()
}

/// Returns a number and the unit behind it.
fn with_unit(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    Some((number.parse().ok()?, unit.trim()))
}

fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = with_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(factor)?).ok()
}

fn time(text: &str) -> Option<Duration> {
    let (number, unit) = with_unit(text)?;
    let seconds = |factor| number.checked_mul(factor).map(Duration::from_secs);
    match unit.to_ascii_lowercase().as_str() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::process_list::ProcessList;

    fn with(variables: &[(&str, &str)]) -> Settings {
        Settings::of(Options::new(), |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn each_variable_sets_its_option() {
        let settings = with(&[
            ("PM_MAX_BYTES", "64MiB"),
            ("PM_KEEP_ENDED", " 10 "),
            ("PM_KEEP_ENDED_BYTES", "1048576"),
            ("PM_KEEP_ENDED_FOR", "2h"),
            ("PM_MAX_KINDS", "7"),
            ("PM_REDACT_ALSO", "tenant_key, pin"),
            ("PM_ON_CANCEL", "10s"),
        ]);
        assert!(settings.ignored.is_empty() && settings.enabled && !settings.options.look_only);
        assert_eq!(settings.options.on_cancel, CancelPolicy::AskThenDrop(Duration::from_secs(10)));
        let list = ProcessList::with_options(settings.options);
        let limits = list.limits();
        assert!((60 << 20..=64 << 20).contains(&limits.max_bytes), "in whole segments: {}", limits.max_bytes);
        assert_eq!((limits.keep_ended, limits.keep_ended_bytes), (10, 1 << 20));
        assert_eq!((limits.keep_ended_for, limits.max_kinds), (Duration::from_secs(7_200), 7));
        let task = list.task("job").attr("userPin", 1234).attr("tenant_key", "x").start();
        let attrs = list.view(task.serial(), |task| format!("{:?}", task.attrs_sorted())).unwrap();
        assert_eq!(attrs.matches("***").count(), 2, "{attrs}");
    }

    #[test]
    fn the_mode_is_one_of_three() {
        assert!(!with(&[("PM_LIST", "OFF")]).enabled);
        let look_only = with(&[("PM_LIST", "look-only")]);
        assert!(look_only.enabled && look_only.options.look_only);
        assert!(with(&[("PM_LIST", "on")]).enabled && with(&[]).enabled && with(&[("PM_LIST", "")]).enabled);
        let set_by_program =
            Settings::of(Options::new().look_only(true), |name| (name == "PM_LIST").then(|| "on".into()));
        assert!(set_by_program.options.look_only, "more may not be had by a variable than the program allows");
    }

    #[test]
    fn policies_are_words_or_a_time() {
        let policy = |text: &str| with(&[("PM_ON_CANCEL", text)]).options.on_cancel;
        assert_eq!(policy("ask"), CancelPolicy::Ask);
        assert_eq!(policy("Refuse"), CancelPolicy::Refuse);
        assert_eq!(policy("drop"), CancelPolicy::Drop);
        assert_eq!(policy("500ms"), CancelPolicy::AskThenDrop(Duration::from_millis(500)));
    }

    #[test]
    fn a_value_that_cannot_be_read_is_reported_and_changes_nothing() {
        let wrong = [
            ("PM_LIST", "disabled"),
            ("PM_ON_CANCEL", "10"),
            ("PM_MAX_BYTES", "64 MB"),
            ("PM_KEEP_ENDED", "-1"),
            ("PM_KEEP_ENDED_BYTES", "99999999999999999999"),
            ("PM_KEEP_ENDED_FOR", "15"),
            ("PM_MAX_KINDS", "many"),
        ];
        let settings = with(&wrong);
        assert_eq!(settings.ignored.len(), wrong.len(), "{:?}", settings.ignored);
        for ((name, value), line) in wrong.iter().zip(&settings.ignored) {
            assert!(line.starts_with(&format!("{name}=`{value}` is ignored: write ")), "{line}");
        }
        assert!(settings.enabled && settings.options.on_cancel == CancelPolicy::Drop);
        assert_eq!(settings.options.limits, Options::new().limits);
        let long = with(&[("PM_MAX_KINDS", &"x".repeat(100_000))]);
        assert!(long.ignored[0].len() < 100);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_unicode_is_reported() {
        use std::os::unix::ffi::OsStringExt as _;
        let settings = Settings::of(Options::new(), |name| (name == "PM_LIST").then(|| OsString::from_vec(vec![0xff])));
        assert_eq!(settings.ignored.len(), 1);
    }
}
