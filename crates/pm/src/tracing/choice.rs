//! Which spans are tasks.

use tracing::{Level, Metadata};

/// The field with a task's id.
pub(super) const ID: &str = "pm.id";
/// The field with a task's kind.
pub(super) const KIND: &str = "pm.kind";

type When = dyn Fn(&Metadata<'_>) -> bool + Send + Sync;

/// What chooses a span; one of them is enough.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) targets: Vec<Box<str>>,
    pub(super) names: Vec<Box<str>>,
    pub(super) fields: Vec<Box<str>>,
    pub(super) level: Option<Level>,
    pub(super) when: Vec<Box<When>>,
    /// Whether there is anything but our own two fields.
    pub(super) more: bool,
}

impl Choice {
    /// Asked for every span there is.
    #[inline]
    pub(super) fn takes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.fields().iter().any(|field| matches!(field.name(), ID | KIND))
            || (self.more && self.takes_more(metadata))
    }

    fn takes_more(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        self.targets.iter().any(|prefix| target.starts_with(&**prefix))
            || self.names.iter().any(|name| **name == *metadata.name())
            || self.level.is_some_and(|level| *metadata.level() <= level)
            || self.fields.iter().any(|name| metadata.fields().field(&**name).is_some())
            || self.when.iter().any(|when| when(metadata))
    }
}
