//! The position in a list that is longer than the screen.

/// A position in rows: the selected one, and the first on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scroll {
    pub(crate) cursor: usize,
    pub(crate) top: usize,
}

impl Scroll {
    /// Moves the cursor by `lines` within `rows`.
    pub(crate) fn step(&mut self, lines: isize, rows: usize) {
        self.cursor = self.cursor.saturating_add_signed(lines).min(rows.saturating_sub(1));
    }

    /// The position in `rows` rows on a screen of `height` lines, such that the cursor is visible.
    pub(crate) fn within(self, rows: usize, height: usize) -> Scroll {
        let cursor = self.cursor.min(rows.saturating_sub(1));
        let least = (cursor + 1).saturating_sub(height);
        let top = self.top.clamp(least.min(cursor), cursor).min(rows.saturating_sub(height));
        Scroll { cursor, top }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_always_on_the_screen() {
        let mut scroll = Scroll::default();
        for (step, height) in [(30, 10), (-5, 3), (100, 0), (-100, 1), (49, 50), (-20, 200)] {
            scroll.step(step, 50);
            scroll = scroll.within(50, height);
            let Scroll { cursor, top } = scroll;
            assert!(height == 0 || (top..top + height).contains(&cursor), "{top} {height} {cursor}");
        }
    }
}
