//! The result of drawing a frame. The view returns it, and keys and clicks refer to it.

use ratatui_core::layout::Rect;

use super::view::View;
use crate::top::model::{Column, Scroll};

/// The meaning of a clickable area.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hit {
    View(View),
    Row(usize),
    Title(Column),
}

/// The result of drawing a frame.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) hits: Vec<(Rect, Hit)>,
    /// Rows of the body, by which Page Up and Page Down move.
    pub(crate) page: usize,
    /// The position of the body.
    pub(crate) body: Scroll,
    /// The first line of the help.
    pub(crate) help_top: usize,
}
