//! Rows in columns, each as wide as its contents, fitted to the screen. Only visible rows are passed in.

use ratatui_core::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use crate::out::clean;
use crate::top::canvas::Canvas;
use crate::top::theme::Role;

/// The gap between two columns.
const GAP: u16 = 1;
/// The default minimum to which a column is narrowed.
const MIN_WIDTH: u16 = 8;
/// The minimum of columns of numbers, as a truncated number misleads.
const MIN_NUMBER_WIDTH: u16 = 10;
/// The widest a column gets, except for the one that takes the rest.
const MAX_WIDTH: u16 = 48;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Col {
    pub(crate) title: &'static str,
    /// Aligns to the right, for numbers.
    pub(crate) right: bool,
    /// On a narrow screen, columns of the highest rank are dropped first; 0 stays.
    pub(crate) rank: u8,
    /// Takes the remaining width.
    pub(crate) takes_rest: bool,
    /// The minimum to which it is narrowed.
    pub(crate) min_width: u16,
}

impl Col {
    pub(crate) const fn new(title: &'static str, rank: u8) -> Col {
        Col { title, right: false, rank, takes_rest: false, min_width: MIN_WIDTH }
    }

    pub(crate) const fn right(self) -> Col {
        Col { right: true, min_width: MIN_NUMBER_WIDTH, ..self }
    }

    pub(crate) const fn rest(self) -> Col {
        Col { takes_rest: true, ..self }
    }

    pub(crate) const fn min_width(self, min_width: u16) -> Col {
        Col { min_width, ..self }
    }
}

/// A cell: text, with a role unless the row's applies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) role: Option<Role>,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, role: Role) -> Cell {
        Cell { text: text.into(), role: Some(role) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, role: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        text.to_owned().into()
    }
}

/// A row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    pub(crate) is_marked: bool,
    /// The role of cells without their own.
    pub(crate) role: Option<Role>,
    /// Shown instead of cells, across all columns.
    pub(crate) title: Option<String>,
}

/// The greatest width of each column so far, so that columns do not jump as rows come and go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Widths {
    titles: Vec<&'static str>,
    seen: Vec<u16>,
    screen: u16,
}

/// The area of a table, and its selected row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) area: Rect,
    pub(crate) cursor: usize,
}

/// Draws titles and rows. Returns the areas of the titles by column.
pub(crate) fn draw(
    canvas: &mut Canvas<'_>,
    placement: Placement,
    columns: &[Col],
    titles: &[String],
    rows: &[Row],
    widths: &mut Widths,
) -> Vec<(usize, Rect)> {
    let area = placement.area;
    // The gutter shows the selection and the marks.
    let (gutter, space) = (2.min(area.width), area.width.saturating_sub(2));
    let widths = widths.of(columns, rows, space);
    let mut areas = Vec::new();
    let mut x = area.x + gutter;
    for (at, column) in columns.iter().enumerate() {
        if widths[at] == 0 {
            continue;
        }
        if area.height > 0 {
            put(canvas, (x, area.y), widths[at], column.right, &titles[at], Role::Head);
            areas.push((at, Rect::new(x, area.y, widths[at], 1)));
        }
        x += widths[at] + GAP;
    }
    for (line, row) in rows.iter().enumerate().take(usize::from(area.height.saturating_sub(1))) {
        let y = area.y + 1 + u16::try_from(line).unwrap_or(u16::MAX);
        let is_selected = line == placement.cursor;
        if is_selected {
            canvas.put(area.x, y, 1, ">", Role::Plain);
        }
        if row.is_marked {
            canvas.put(area.x + 1, y, gutter.saturating_sub(1), "*", Role::Mark);
        }
        let mut x = area.x + gutter;
        if let Some(title) = &row.title {
            canvas.put(x, y, space, title, Role::Title);
        }
        for (at, column) in columns.iter().enumerate() {
            if widths[at] == 0 {
                continue;
            }
            if let Some(cell) = row.cells.get(at) {
                let role = cell.role.or(row.role).unwrap_or(Role::Plain);
                put(canvas, (x, y), widths[at], column.right, &cell.text, role);
            }
            x += widths[at] + GAP;
        }
        if is_selected {
            canvas.look(Rect::new(area.x, y, area.width, 1), Role::Selected);
        }
    }
    areas
}

fn put(canvas: &mut Canvas<'_>, (x, y): (u16, u16), width: u16, right: bool, text: &str, role: Role) {
    if right {
        canvas.put_right(x, y, width, text, role);
    } else {
        canvas.put(x, y, width, text, role);
    }
}

impl Widths {
    /// The width of each column; 0 for those that are dropped.
    fn of(&mut self, columns: &[Col], rows: &[Row], space: u16) -> Vec<u16> {
        if self.screen != space || !columns.iter().map(|column| column.title).eq(self.titles.iter().copied()) {
            let seen = columns.iter().map(|column| width(column.title)).collect();
            *self = Widths { titles: columns.iter().map(|column| column.title).collect(), seen, screen: space };
        }
        for row in rows {
            for (seen, cell) in self.seen.iter_mut().zip(&row.cells) {
                *seen = (*seen).max(width(&cell.text));
            }
        }
        let mut widths: Vec<u16> =
            columns.iter().zip(&self.seen).map(|(column, &seen)| seen.min(max_width(column)).max(1)).collect();
        let sum = |widths: &[u16], cap: u16, with_min: bool| -> u32 {
            let shown = || widths.iter().zip(columns).filter(|(width, _)| **width > 0);
            let capped = |(width, column): (&u16, &Col)| {
                u32::from((*width).min(if with_min { cap.max(column.min_width) } else { cap }))
            };
            shown().map(capped).sum::<u32>() + u32::from(GAP) * (shown().count().max(1) - 1) as u32
        };
        while sum(&widths, 0, true) > u32::from(space) {
            let last = (0..columns.len()).filter(|&at| widths[at] > 0 && columns[at].rank > 0);
            let Some(at) = last.max_by_key(|&at| (columns[at].rank, at)) else { break };
            widths[at] = 0;
        }
        let widest = widths.iter().copied().max().unwrap_or(0);
        let with_min = sum(&widths, 0, true) <= u32::from(space);
        let fits = |cap: &u16| sum(&widths, *cap, with_min) <= u32::from(space);
        let cap = (1..=widest).rev().find(fits).unwrap_or(1);
        let mut spare = u32::from(space).saturating_sub(sum(&widths, cap, with_min));
        for (width, column) in widths.iter_mut().zip(columns).rev() {
            let cap = if with_min { cap.max(column.min_width) } else { cap };
            if *width > cap {
                let more = u16::try_from(spare).unwrap_or(u16::MAX).min(*width - cap);
                *width = cap + more;
                spare -= u32::from(more);
            }
            if *width > 0 && column.takes_rest {
                *width = width.saturating_add(u16::try_from(spare).unwrap_or(u16::MAX));
                spare = 0;
            }
        }
        widths
    }
}

fn max_width(column: &Col) -> u16 {
    if column.takes_rest { u16::MAX } else { MAX_WIDTH }
}

fn width(text: &str) -> u16 {
    // Nothing wider than a screen is visible.
    let short = text.char_indices().nth(300).map_or(text, |(end, _)| &text[..end]);
    u16::try_from(clean::line(short).width()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_any_width_and_the_highest_rank_is_dropped_first() {
        let columns =
            [Col::new("ID", 0), Col::new("KIND", 2), Col::new("AGE", 1).right(), Col::new("STATUS", 0).rest()];
        let cells = ["import-4711", "import of all", "12.4 s", "reading a long file from far away"];
        let rows = [Row { cells: cells.map(Cell::from).to_vec(), ..Row::default() }];
        for space in 0..120 {
            let widths = Widths::default().of(&columns, &rows, space);
            let shown: Vec<u16> = widths.iter().copied().filter(|&width| width > 0).collect();
            let total = shown.iter().sum::<u16>() + GAP * (shown.len() as u16 - 1);
            assert!(total <= space.max(3), "{space}: {widths:?}");
            assert!(widths[1] == 0 || widths[2] > 0, "{space}: {widths:?}");
            assert!(space < 20 || total == space || widths[3] >= 33, "{space}: {widths:?}");
        }
    }

    #[test]
    fn a_column_does_not_shrink_when_its_widest_row_is_gone() {
        let columns = [Col::new("ID", 0), Col::new("STATUS", 0).rest()];
        let row = |id: &str| Row { cells: vec![id.into(), "x".into()], ..Row::default() };
        let mut widths = Widths::default();
        assert_eq!(widths.of(&columns, &[row("a-long-id")], 40)[0], 9);
        assert_eq!(widths.of(&columns, &[row("a")], 40)[0], 9);
        assert_eq!(widths.of(&columns, &[row("a")], 41)[0], 2);
    }
}
