//! Rows in columns that are as wide as what they hold, and fit the screen. Only rows that are seen are made.

use ratatui_core::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use crate::out::clean;
use crate::top::canvas::Canvas;
use crate::top::theme::Role;

/// The gap between two columns.
const GAP: u16 = 1;
/// No column is narrower unless it says so, its title and texts are, or the screen is.
const LEAST: u16 = 8;
/// Half a number misleads.
const NUMBER: u16 = 10;
/// No column is wider, except the last one that can be.
const MOST: u16 = 48;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Col {
    pub(crate) title: &'static str,
    /// Numbers stand at the right.
    pub(crate) right: bool,
    /// Where there is no room, the highest goes first; 0 stays.
    pub(crate) rank: u8,
    /// It takes what is left over.
    pub(crate) takes_rest: bool,
    /// It is not cut below this.
    pub(crate) least: u16,
}

impl Col {
    pub(crate) const fn new(title: &'static str, rank: u8) -> Col {
        Col { title, right: false, rank, takes_rest: false, least: LEAST }
    }

    pub(crate) const fn right(self) -> Col {
        Col { right: true, least: NUMBER, ..self }
    }

    pub(crate) const fn rest(self) -> Col {
        Col { takes_rest: true, ..self }
    }

    pub(crate) const fn least(self, least: u16) -> Col {
        Col { least, ..self }
    }
}

/// What stands in a row and a column.
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

/// A row as it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    pub(crate) is_marked: bool,
    /// For all cells that have none of their own.
    pub(crate) role: Option<Role>,
    /// What stands there instead of cells, as wide as it comes.
    pub(crate) title: Option<String>,
}

/// How wide each column has been so far, so that none jumps with every row that comes and goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Widths {
    titles: Vec<&'static str>,
    seen: Vec<u16>,
    screen: u16,
}

/// Where a table stands, and which of its rows is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) area: Rect,
    pub(crate) cursor: usize,
}

/// Draws titles and rows; the columns with their places, to be clicked.
pub(crate) fn draw(
    canvas: &mut Canvas<'_>,
    place: Place,
    columns: &[Col],
    titles: &[String],
    rows: &[Row],
    widths: &mut Widths,
) -> Vec<(usize, Rect)> {
    let area = place.area;
    // The gutter: which row is chosen, which are marked.
    let (gutter, room) = (2.min(area.width), area.width.saturating_sub(2));
    let widths = widths.of(columns, rows, room);
    let mut places = Vec::new();
    let mut x = area.x + gutter;
    for (at, column) in columns.iter().enumerate() {
        if widths[at] == 0 {
            continue;
        }
        if area.height > 0 {
            put(canvas, (x, area.y), widths[at], column.right, &titles[at], Role::Head);
            places.push((at, Rect::new(x, area.y, widths[at], 1)));
        }
        x += widths[at] + GAP;
    }
    for (line, row) in rows.iter().enumerate().take(usize::from(area.height.saturating_sub(1))) {
        let y = area.y + 1 + u16::try_from(line).unwrap_or(u16::MAX);
        let is_chosen = line == place.cursor;
        if is_chosen {
            canvas.put(area.x, y, 1, ">", Role::Plain);
        }
        if row.is_marked {
            canvas.put(area.x + 1, y, gutter.saturating_sub(1), "*", Role::Mark);
        }
        let mut x = area.x + gutter;
        if let Some(title) = &row.title {
            canvas.put(x, y, room, title, Role::Title);
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
        if is_chosen {
            canvas.look(Rect::new(area.x, y, area.width, 1), Role::Pick);
        }
    }
    places
}

fn put(canvas: &mut Canvas<'_>, (x, y): (u16, u16), width: u16, right: bool, text: &str, role: Role) {
    if right {
        canvas.put_right(x, y, width, text, role);
    } else {
        canvas.put(x, y, width, text, role);
    }
}

impl Widths {
    /// The width of each column, 0 for those for which there is no room.
    fn of(&mut self, columns: &[Col], rows: &[Row], room: u16) -> Vec<u16> {
        if self.screen != room || !columns.iter().map(|column| column.title).eq(self.titles.iter().copied()) {
            let seen = columns.iter().map(|column| width(column.title)).collect();
            *self = Widths { titles: columns.iter().map(|column| column.title).collect(), seen, screen: room };
        }
        for row in rows {
            for (seen, cell) in self.seen.iter_mut().zip(&row.cells) {
                *seen = (*seen).max(width(&cell.text));
            }
        }
        let mut widths: Vec<u16> =
            columns.iter().zip(&self.seen).map(|(column, &seen)| seen.min(most(column)).max(1)).collect();
        let sum = |widths: &[u16], cap: u16, with_least: bool| -> u32 {
            let shown = || widths.iter().zip(columns).filter(|(width, _)| **width > 0);
            let capped = |(width, column): (&u16, &Col)| {
                u32::from((*width).min(if with_least { cap.max(column.least) } else { cap }))
            };
            shown().map(capped).sum::<u32>() + u32::from(GAP) * (shown().count().max(1) - 1) as u32
        };
        while sum(&widths, 0, true) > u32::from(room) {
            let last = (0..columns.len()).filter(|&at| widths[at] > 0 && columns[at].rank > 0);
            let Some(at) = last.max_by_key(|&at| (columns[at].rank, at)) else { break };
            widths[at] = 0;
        }
        let widest = widths.iter().copied().max().unwrap_or(0);
        let with_least = sum(&widths, 0, true) <= u32::from(room);
        let fits = |cap: &u16| sum(&widths, *cap, with_least) <= u32::from(room);
        let cap = (1..=widest).rev().find(fits).unwrap_or(1);
        let mut spare = u32::from(room).saturating_sub(sum(&widths, cap, with_least));
        for (width, column) in widths.iter_mut().zip(columns).rev() {
            let cap = if with_least { cap.max(column.least) } else { cap };
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

fn most(column: &Col) -> u16 {
    if column.takes_rest { u16::MAX } else { MOST }
}

fn width(text: &str) -> u16 {
    // Nothing is shown that is wider than a screen.
    let short = text.char_indices().nth(300).map_or(text, |(end, _)| &text[..end]);
    u16::try_from(clean::line(short).width()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_room_no_line_is_longer_and_what_matters_less_goes_first() {
        let columns =
            [Col::new("ID", 0), Col::new("KIND", 2), Col::new("AGE", 1).right(), Col::new("STATUS", 0).rest()];
        let cells = ["import-4711", "import of all", "12.4 s", "reading a long file from far away"];
        let rows = [Row { cells: cells.map(Cell::from).to_vec(), ..Row::default() }];
        for room in 0..120 {
            let widths = Widths::default().of(&columns, &rows, room);
            let shown: Vec<u16> = widths.iter().copied().filter(|&width| width > 0).collect();
            let total = shown.iter().sum::<u16>() + GAP * (shown.len() as u16 - 1);
            assert!(total <= room.max(3), "{room}: {widths:?}");
            assert!(widths[1] == 0 || widths[2] > 0, "{room}: {widths:?}");
            assert!(room < 20 || total == room || widths[3] >= 33, "{room}: {widths:?}");
        }
    }

    #[test]
    fn a_column_does_not_shrink_when_its_widest_row_has_gone() {
        let columns = [Col::new("ID", 0), Col::new("STATUS", 0).rest()];
        let row = |id: &str| Row { cells: vec![id.into(), "x".into()], ..Row::default() };
        let mut widths = Widths::default();
        assert_eq!(widths.of(&columns, &[row("a-long-id")], 40)[0], 9);
        assert_eq!(widths.of(&columns, &[row("a")], 40)[0], 9);
        assert_eq!(widths.of(&columns, &[row("a")], 41)[0], 2);
    }
}
