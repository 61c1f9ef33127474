//! The options of a list: what it records of each task, and how much in total.

use std::time::Duration;

use super::clock::Clock;
use super::limits;
use super::limits::{Limits, nanos};
use super::policy::{CancelPolicy, KindPolicies};
use super::redact::names::SecretWords;

/// The options of a list, fixed when the list is made.
///
/// Anything beyond a limit is cut (strings, which then end in `…`) or dropped (attributes, entries, tasks in the list),
/// and counted in [`Counters`](crate::Counters). The program's work continues.
///
/// ```
/// use pm_core::{Options, ProcessList};
///
/// let list = ProcessList::with_options(Options::new().max_status(64).history(4, 28));
/// assert!(list.start("import-42").status("reading").is_ok());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) on_cancel: CancelPolicy,
    pub(crate) look_only: bool,
    pub(crate) policies: KindPolicies,
    pub(crate) limits: Limits,
    pub(crate) secrets: SecretWords,
    pub(crate) max_bytes: usize,
    pub(crate) clock: Clock,
}

/// The limits of a list, as set by its [`Options`]; lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListLimits {
    /// All memory of the list, in whole segments of 2 MiB.
    pub max_bytes: u64,
    /// The longest id.
    pub max_id: usize,
    /// The longest attribute name, kind or unit.
    pub max_attr_name: usize,
    /// The longest string value of an attribute.
    pub max_attr_value: usize,
    /// The longest status or reason.
    pub max_status: usize,
    /// Attributes of a task.
    pub max_attrs: u64,
    /// History entries that are kept of a task: the oldest ones.
    pub first_entries: u64,
    /// And the newest ones.
    pub newest_entries: u64,
    /// Ended tasks that are retained.
    pub keep_ended: u64,
    /// The bytes that they may take.
    pub keep_ended_bytes: u64,
    /// How long they are retained.
    pub keep_ended_for: Duration,
    /// Kinds that have their own statistics.
    pub max_kinds: usize,
    /// Statuses of a kind that have their own time.
    pub max_statuses: usize,
}

impl ListLimits {
    pub(crate) fn of(limits: &Limits, max_bytes: u64) -> Self {
        Self {
            max_bytes,
            max_id: limits.id,
            max_attr_name: limits.name,
            max_attr_value: limits.value,
            max_status: limits.status,
            max_attrs: limits.attrs,
            first_entries: limits.first_entries,
            newest_entries: limits.newest_entries,
            keep_ended: limits.ended,
            keep_ended_bytes: limits.ended_bytes,
            keep_ended_for: Duration::from_nanos(limits.ended_for),
            max_kinds: limits.kinds,
            max_statuses: limits.statuses,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Makes options with the defaults that each method names.
    pub fn new() -> Self {
        Self {
            on_cancel: CancelPolicy::default(),
            look_only: false,
            policies: KindPolicies::default(),
            limits: Limits {
                id: 1024,
                name: 128,
                value: 4096,
                status: 1024,
                attrs: 128,
                first_entries: 16,
                newest_entries: 112,
                ended: 1000,
                ended_bytes: 16 << 20,
                ended_for: nanos(Duration::from_secs(15 * 60)),
                kinds: 256,
                statuses: 32,
                redact: true,
            },
            secrets: SecretWords::default(),
            max_bytes: 256 << 20,
            clock: Clock::default(),
        }
    }

    /// Sets the effect that a cancel request has on tasks that do not say otherwise. Default:
    /// [`CancelPolicy::Drop`].
    pub fn on_cancel(mut self, policy: CancelPolicy) -> Self {
        self.on_cancel = policy;
        self
    }

    /// Sets the effect that a cancel request has on tasks of a kind, unless they [say
    /// otherwise](crate::TaskBuilder::on_cancel): of exactly this kind, or of all that begin so if it ends in `*`. Of
    /// several that fit, the first counts.
    pub fn on_cancel_of(mut self, kind: &str, policy: CancelPolicy) -> Self {
        self.policies.add(kind, policy);
        self
    }

    /// Sets whether tasks may only be looked at. Default: `false`.
    ///
    /// With `true`, [`ProcessList::cancel`](crate::ProcessList::cancel) is refused, and with it all requests that come
    /// over a server. Deadlines, [drains](crate::ProcessList::drain) and
    /// [`TaskHandle::cancel`](crate::TaskHandle::cancel) are the program's own, and cancel as usual.
    ///
    /// ```
    /// let list = pm_core::ProcessList::with_options(pm_core::Options::new().look_only(true));
    /// let task = list.start("import-42");
    /// assert!(list.cancel("import-42", "too slow").is_err());
    /// assert!(task.cancel("too slow").is_ok());
    /// ```
    pub fn look_only(mut self, yes: bool) -> Self {
        self.look_only = yes;
        self
    }

    /// Sets the longest id, in bytes. Default 1,024; 4 to 4,095.
    pub fn max_id(mut self, bytes: usize) -> Self {
        self.limits.id = bytes.clamp(4, limits::MAX_TEXT);
        self
    }

    /// Sets the longest attribute name, kind or progress unit, in bytes. Default 128; 4 to 255.
    pub fn max_attr_name(mut self, bytes: usize) -> Self {
        self.limits.name = bytes.clamp(4, limits::MAX_NAME);
        self
    }

    /// Sets the longest string value of an attribute, in bytes. Default 4,096; 4 to 8,191.
    pub fn max_attr_value(mut self, bytes: usize) -> Self {
        self.limits.value = bytes.clamp(4, limits::MAX_VALUE);
        self
    }

    /// Sets the longest status or cancel reason, in bytes. Default 1,024; 4 to 4,095.
    pub fn max_status(mut self, bytes: usize) -> Self {
        self.limits.status = bytes.clamp(4, limits::MAX_TEXT);
        self
    }

    /// Sets the most attributes of a task. Default 128; at most 10,000.
    pub fn max_attrs(mut self, count: usize) -> Self {
        self.limits.attrs = count.min(10_000) as u64;
        self
    }

    /// Sets how many of a task's oldest and newest history entries are kept. Default 16 and 112; at least one of each,
    /// the start being one of the oldest, and at most 60,000.
    pub fn history(mut self, first: usize, newest: usize) -> Self {
        self.limits.first_entries = first.clamp(1, 60_000) as u64;
        self.limits.newest_entries = newest.clamp(1, 60_000) as u64;
        self
    }

    /// Sets how many ended tasks are retained. Default 1,000; 0 retains none. The newest stay; failed and cancelled
    /// tasks and the slowest of their kind stay longer than others, as long as they are at most half.
    pub fn keep_ended(mut self, count: usize) -> Self {
        self.limits.ended = count as u64;
        self
    }

    /// Sets how many bytes ended tasks may take, those of all threads together. Default 16 MiB.
    pub fn keep_ended_bytes(mut self, bytes: usize) -> Self {
        self.limits.ended_bytes = bytes as u64;
        self
    }

    /// Sets how long ended tasks are retained. Default 15 minutes; failed and cancelled tasks and the slowest of their
    /// kind four times as long.
    pub fn keep_ended_for(mut self, time: Duration) -> Self {
        self.limits.ended_for = nanos(time);
        self
    }

    /// Sets how many kinds have their own statistics. Default 256; at most 4,096. Tasks of later kinds are counted
    /// together; with 0, none are, and [`ProcessList::kinds`](crate::ProcessList::kinds) returns nothing.
    ///
    /// Each thread counts for itself, in at most an eighth of [the list's memory](Self::max_bytes), or 1 MiB, for all
    /// threads together. Beyond that tasks are counted under a lock.
    pub fn max_kinds(mut self, count: usize) -> Self {
        self.limits.kinds = count.min(4096);
        self
    }

    /// Sets how many statuses of each kind have their own time. Default 32; at most 200. The time of later ones is
    /// added up together.
    pub fn max_statuses(mut self, count: usize) -> Self {
        self.limits.statuses = count.min(200);
        self
    }

    /// Sets whether anything that looks like a secret is masked (`***`) before it is recorded. Default: `true`.
    ///
    /// - Values of attributes, of any type, with a name of which a word marks it as secret. Words end at `-`, `_`, `.`,
    ///   digits and changes of case, in any case: `auth`, `authorization`, `bearer`, `cookie`, `credential`, `csrf`,
    ///   `dsn`, `jwt`, `oauth`, `session`, `signature` and a few more; words that end in `password`, `passwd`, `pwd`,
    ///   `passphrase`, `secret`, `token` or `apikey`; and pairs such as `api_key`, `access_key`, `private_key`,
    ///   `db_pass`. So `x-auth`, `userAuth` and `PGPASSWORD`, but not `author` or `tokenizer`.
    /// - Not if the last word says that the value is something about a secret: `auth_method`, `token_type`,
    ///   `secret_name`, `session_count`, `token_ttl`. Nor numbers with a plural name, such as `max_tokens`, nor a `pwd`
    ///   that is a path.
    /// - In ids, kinds, statuses, string attributes, reasons and names of callers: the user information of a URL,
    ///   before its `@`, and of `user:password@tcp(host)/db`; and values of parameters with such a name, or `sig`,
    ///   `sid`, `pin` and the like, after `?`, `&`, `;`, `#` or where a word begins: `Password=..;Server=db`.
    ///
    /// Tasks are still found by the id that the program gave them. [`Counters::redacted`](crate::Counters::redacted)
    /// counts what was masked. Secrets that do not look like one are not found: do not record them.
    pub fn redact(mut self, yes: bool) -> Self {
        self.limits.redact = yes;
        self
    }

    /// Adds words that mark a name as secret: as part of a name if they have five letters or more, shorter ones as a
    /// separate word.
    ///
    /// ```
    /// use pm_core::{Options, ProcessList};
    ///
    /// let list = ProcessList::with_options(Options::new().redact_also(["pin", "tenant_key"]));
    /// let task = list.task("import-42").attr("userPin", 1234).attr("spinning", true).start();
    /// let attrs = list.view(task.serial(), |task| format!("{:?}", task.attrs_sorted())).unwrap();
    /// assert!(attrs.contains("***") && attrs.contains("true") && !attrs.contains("1234"));
    /// ```
    pub fn redact_also(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        names.into_iter().for_each(|name| self.secrets.add(name.as_ref()));
        self
    }

    /// Sets the most memory that the list takes, in bytes, in steps of 2 MiB. Default 256 MiB: 800,000 tasks and more.
    /// Ended tasks are evicted first, those of all threads; a task for which there is no memory runs as usual, but is
    /// not shown. The [statistics by kind](Self::max_kinds) take up to an eighth of this in addition.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the clock of the list. Default: [`Clock::Tsc`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}
