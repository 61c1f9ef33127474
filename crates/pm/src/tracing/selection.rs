//! Selects the spans that are tasks.

use tracing::{Level, Metadata};

/// The field with a task's id.
pub(super) const ID: &str = "pm.id";
/// The field with a task's kind.
pub(super) const KIND: &str = "pm.kind";

type When = dyn Fn(&Metadata<'_>) -> bool + Send + Sync;

/// Criteria for spans; a span that meets one of them is a task.
#[derive(Default)]
pub(super) struct Selection {
    pub(super) targets: Vec<Box<str>>,
    pub(super) names: Vec<Box<str>>,
    pub(super) fields: Vec<Box<str>>,
    pub(super) level: Option<Level>,
    pub(super) when: Vec<Box<When>>,
    /// `true` if there are criteria other than our own two fields.
    pub(super) has_more: bool,
}

impl Selection {
    /// Returns `true` if the span is a task. Called for every span of the program.
    #[inline]
    pub(super) fn selects(&self, metadata: &Metadata<'_>) -> bool {
        metadata.fields().iter().any(|field| matches!(field.name(), ID | KIND))
            || (self.has_more && self.selects_by_criteria(metadata))
    }

    fn selects_by_criteria(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        self.targets.iter().any(|prefix| target.starts_with(&**prefix))
            || self.names.iter().any(|name| **name == *metadata.name())
            || self.level.is_some_and(|level| *metadata.level() <= level)
            || self.fields.iter().any(|name| metadata.fields().field(&**name).is_some())
            || self.when.iter().any(|when| when(metadata))
    }
}
