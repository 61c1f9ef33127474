//! The state of a frame while it is drawn.

use ratatui_core::layout::Rect;

use super::table::Widths;
use crate::top::app::{Drawn, Hit};

/// The widths to use and the result to fill while the body is drawn.
pub(super) struct Pass<'r> {
    pub(super) widths: &'r mut Widths,
    pub(super) drawn: &'r mut Drawn,
}

impl Pass<'_> {
    /// Makes rows below a line of titles clickable; `top` is the first of them.
    pub(super) fn add_rows(&mut self, area: Rect, top: usize, rows: usize) {
        for line in 0..rows {
            let y = area.y + 1 + u16::try_from(line).unwrap_or(0);
            self.drawn.hits.push((Rect::new(area.x, y, area.width, 1), Hit::Row(top + line)));
        }
    }
}
