//! What a list keeps of each task, and how much in all.

use std::time::Duration;

use super::clock::Clock;
use super::limits;
use super::limits::{Limits, nanos};
use super::redact::names::SecretWords;

/// How a list is to behave; fixed when the list is made.
///
/// What exceeds a limit is cut (texts, which then end in `…`) or dropped (attributes, entries, tasks in the list), and
/// counted in [`Counters`](crate::Counters). The program's work goes on.
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
    pub(crate) cancellable: bool,
    pub(crate) limits: Limits,
    pub(crate) secrets: SecretWords,
    pub(crate) max_bytes: usize,
    pub(crate) clock: Clock,
}

/// What a list keeps at most, as its [`Options`] said; lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListLimits {
    /// All memory of the list, in whole segments of 2 MiB.
    pub max_bytes: u64,
    /// The longest id.
    pub max_id: usize,
    /// The longest attribute name, kind or unit.
    pub max_attr_name: usize,
    /// The longest text of an attribute.
    pub max_attr_value: usize,
    /// The longest status or reason.
    pub max_status: usize,
    /// Attributes of a task.
    pub max_attrs: u64,
    /// History entries that are kept of a task: the first ones.
    pub first_entries: u64,
    /// And the newest ones.
    pub newest_entries: u64,
    /// Ended tasks that are kept.
    pub keep_ended: u64,
    /// Bytes of them.
    pub keep_ended_bytes: u64,
    /// How long they are kept.
    pub keep_ended_for: Duration,
    /// Kinds that are counted each by itself.
    pub max_kinds: usize,
    /// Statuses of a kind whose time is added up each by itself.
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
    /// The defaults that each method names.
    pub fn new() -> Self {
        Self {
            cancellable: true,
            limits: Limits {
                id: 1024,
                name: 128,
                value: 4096,
                status: 1024,
                attrs: 128,
                first_entries: 16,
                newest_entries: 112,
                grace: 0,
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

    /// Whether tasks can be cancelled unless they say otherwise. Default: yes.
    pub fn cancellable(mut self, yes: bool) -> Self {
        self.cancellable = yes;
        self
    }

    /// The longest id, in bytes. Default 1,024; 4 to 4,095.
    pub fn max_id(mut self, bytes: usize) -> Self {
        self.limits.id = bytes.clamp(4, limits::MAX_TEXT);
        self
    }

    /// The longest attribute name, kind or progress unit, in bytes. Default 128; 4 to 255.
    pub fn max_attr_name(mut self, bytes: usize) -> Self {
        self.limits.name = bytes.clamp(4, limits::MAX_NAME);
        self
    }

    /// The longest text of an attribute, in bytes. Default 4,096; 4 to 8,191.
    pub fn max_attr_value(mut self, bytes: usize) -> Self {
        self.limits.value = bytes.clamp(4, limits::MAX_VALUE);
        self
    }

    /// The longest status or cancel reason, in bytes. Default 1,024; 4 to 4,095.
    pub fn max_status(mut self, bytes: usize) -> Self {
        self.limits.status = bytes.clamp(4, limits::MAX_TEXT);
        self
    }

    /// The most attributes of a task. Default 128; at most 10,000.
    pub fn max_attrs(mut self, count: usize) -> Self {
        self.limits.attrs = count.min(10_000) as u64;
        self
    }

    /// How many of a task's oldest and newest history entries are kept. Default 16 and 112; at least one of each, the
    /// start counting among the first, and at most 60,000.
    pub fn history(mut self, first: usize, newest: usize) -> Self {
        self.limits.first_entries = first.clamp(1, 60_000) as u64;
        self.limits.newest_entries = newest.clamp(1, 60_000) as u64;
        self
    }

    /// How long a task that runs as a future may go on after it was asked to stop, before it is dropped at its next
    /// await. Default 0: it is dropped at once. A task may have [a grace of its own](crate::TaskBuilder::grace).
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = nanos(grace);
        self
    }

    /// How many ended tasks are kept. Default 1,000; 0 keeps none. The newest stay; failures, kills and the slowest of
    /// their kind stay longer than others, as long as they are no more than half.
    pub fn keep_ended(mut self, count: usize) -> Self {
        self.limits.ended = count as u64;
        self
    }

    /// How many bytes ended tasks may take. Default 16 MiB.
    pub fn keep_ended_bytes(mut self, bytes: usize) -> Self {
        self.limits.ended_bytes = bytes as u64;
        self
    }

    /// How long ended tasks are kept. Default 15 minutes; failures, kills and the slowest of their kind four times as
    /// long.
    pub fn keep_ended_for(mut self, time: Duration) -> Self {
        self.limits.ended_for = nanos(time);
        self
    }

    /// How many kinds are counted each by itself. Default 256; at most 4,096. Tasks of later ones are counted together;
    /// with 0, none are, and [`ProcessList::kinds`](crate::ProcessList::kinds) has nothing to tell.
    pub fn max_kinds(mut self, count: usize) -> Self {
        self.limits.kinds = count.min(4096);
        self
    }

    /// How many statuses of each kind have their time added up each by itself. Default 32; at most 200. Later ones are
    /// counted together.
    pub fn max_statuses(mut self, count: usize) -> Self {
        self.limits.statuses = count.min(200);
        self
    }

    /// Whether what looks like a secret is masked (`***`) before it is recorded, and so seen by nobody. Default: yes.
    ///
    /// - Values of attributes, of whatever type, whose name has one of these words in it, in any case, with `-`, `_` or
    ///   nothing between their parts: `authorization`, `cookie`, `password`, `passwd`, `pwd`, `secret`, `token`, `api_key`,
    ///   `credential`, `private_key`, `session`, `bearer`, `signature`; or one of these as a word of its own: `auth`,
    ///   `oauth`, `dsn` (so `x-auth` and `userAuth`, but not `author`). Left alone are names that end in `count`, `total`,
    ///   `limit`, `length`, `len`, `size`, `bytes`, `age`, `ttl`, `ms`, `secs` or `seconds`, as `session_count`, and numbers
    ///   with a plural for a name, as `max_tokens`.
    /// - In ids, kinds, statuses, texts of attributes, reasons and names of who cancels: what stands before the `@` of a URL,
    ///   and values of parameters with such a name, after `?`, `&`, `;` or `#`.
    ///
    /// Tasks are still found by the id that the program gave them. How often something was masked is told by
    /// [`Counters::redacted`](crate::Counters::redacted). Secrets that don't look like one are not found: don't record
    /// them.
    pub fn redact(mut self, yes: bool) -> Self {
        self.limits.redact = yes;
        self
    }

    /// Takes these words for secret, too: as part of a name if they have five letters or more, shorter ones as a word of
    /// its own.
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

    /// The most memory the list takes, in bytes, in steps of 2 MiB. Default 256 MiB: 800,000 tasks and more. Ended tasks
    /// make room first; a task that finds none runs as ever, but is not shown.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The clock of the list. Default: [`Clock::Tsc`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}
