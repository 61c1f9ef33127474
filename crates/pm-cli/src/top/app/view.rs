//! The views, of which one is shown at a time.

/// The view that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    #[default]
    Running,
    Kinds,
    Ended,
    Waits,
    About,
}

impl View {
    pub(crate) const ALL: [View; 5] = [View::Running, View::Kinds, View::Ended, View::Waits, View::About];

    pub(crate) fn title(self) -> &'static str {
        match self {
            View::Running => "running",
            View::Kinds => "kinds",
            View::Ended => "ended",
            View::Waits => "waits",
            View::About => "about",
        }
    }
}
