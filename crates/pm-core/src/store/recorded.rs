//! Strings on their way into a slot: without secrets, and cut to their limit.

use crate::base::redact;
use std::borrow::Cow;
use std::sync::atomic::Ordering;

use super::Store;
use super::counters::AtomicCounters;
use crate::base::text::cut_off;

/// Passes `text` to `use_text`, cut to its limit; a cut is counted.
#[inline(always)]
pub(crate) fn with_cut<R>(store: &Store, text: &str, limit: usize, use_text: impl FnOnce(&str) -> R) -> R {
    if text.len() <= limit { use_text(text) } else { with_cut_off(store, text, limit, use_text) }
}

/// The uncommon case, kept apart so that the common one stays short.
#[cold]
#[inline(never)]
fn with_cut_off<R>(store: &Store, text: &str, limit: usize, use_text: impl FnOnce(&str) -> R) -> R {
    store.counters.texts_cut.fetch_add(1, Ordering::Relaxed);
    use_text(&cut_off(text, limit))
}

/// Returns `true` if a string is recorded unchanged; [`recorded`] returns the changed one.
#[inline(always)]
pub(crate) fn is_plain(text: &str, limit: usize) -> bool {
    text.len() <= limit && !redact::is_suspect(text)
}

/// Passes `text` to `use_text` as it is recorded: without secrets, and cut to its limit. Both changes are counted.
#[inline(always)]
pub(crate) fn with_recorded<R>(store: &Store, text: &str, limit: usize, use_text: impl FnOnce(&str) -> R) -> R {
    if is_plain(text, limit) { use_text(text) } else { with_changed(store, text, limit, use_text) }
}

#[cold]
#[inline(never)]
pub(crate) fn with_changed<R>(store: &Store, text: &str, limit: usize, use_text: impl FnOnce(&str) -> R) -> R {
    let recorded = recorded(store, text, limit);
    recorded.count(&store.counters);
    use_text(&recorded.text)
}

/// A string as it is recorded.
pub(crate) struct Recorded<'t> {
    pub(crate) text: Cow<'t, str>,
    masked: bool,
    cut: bool,
}

impl Recorded<'_> {
    pub(crate) fn count(&self, counters: &AtomicCounters) {
        counters.redacted.fetch_add(u64::from(self.masked), Ordering::Relaxed);
        counters.texts_cut.fetch_add(u64::from(self.cut), Ordering::Relaxed);
    }
}

/// Returns `text` as it is recorded. First masked, then cut: a cut might remove the part that marks a secret.
pub(crate) fn recorded<'t>(store: &Store, text: &'t str, limit: usize) -> Recorded<'t> {
    let shown = if redact::is_suspect(text) && store.limits.redact { store.secrets.mask(text) } else { text.into() };
    let masked = matches!(shown, Cow::Owned(_));
    if shown.len() <= limit {
        return Recorded { text: shown, masked, cut: false };
    }
    Recorded { text: cut_off(&shown, limit).into(), masked, cut: true }
}
