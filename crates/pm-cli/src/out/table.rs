//! Tables: columns aligned by display width, truncated to the width of the screen.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use super::clean;
use super::style::Style;

/// The narrowest a column is truncated to; on a narrower screen the last columns are left out.
const MIN_WIDTH: usize = 8;

/// A table of text. Cells are cleaned as they are added.
#[derive(Debug)]
pub(crate) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// A text with a style.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>, style: Style) -> Cell {
        Cell { text: clean::line(text.as_ref()), style }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::new(text, Style::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::new(text, Style::Plain)
    }
}

/// A table as text.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    /// The titles of the columns that did not fit.
    pub(crate) left_out: Vec<&'static str>,
}

impl Table {
    pub(crate) fn new(titles: &[&'static str]) -> Table {
        Table { titles: titles.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, which must have a cell for each title.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.titles.len());
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Removes columns that are empty in all rows.
    pub(crate) fn without_empty_columns(mut self) -> Table {
        for at in (0..self.titles.len()).rev() {
            if self.rows.iter().all(|row| row[at].text.is_empty()) {
                self.titles.remove(at);
                self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
            }
        }
        self
    }

    /// Renders lines no wider than `screen`: truncates wide columns, and leaves out the last ones if necessary.
    pub(crate) fn render(&self, screen: Option<usize>, color: bool) -> Rendered {
        let mut widths: Vec<usize> = self.titles.iter().map(|title| title.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let left_out = screen.map_or(Vec::new(), |screen| self.fit(&mut widths, screen));
        let mut out = String::new();
        let titles: Vec<Cell> = self.titles.iter().map(|&title| Cell::new(title, Style::Bold)).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            line(&mut out, row, &widths, color);
        }
        Rendered { text: out, left_out }
    }

    /// Narrows the last column, then the widest, until a line fits; leaves out the last ones if it cannot.
    fn fit(&self, widths: &mut Vec<usize>, screen: usize) -> Vec<&'static str> {
        let mut left_out = Vec::new();
        while widths.len() > 1 {
            let least: usize = widths.iter().map(|&width| width.min(MIN_WIDTH)).sum();
            if least + 2 * (widths.len() - 1) <= screen {
                break;
            }
            widths.pop();
            left_out.insert(0, self.titles[widths.len()]);
        }
        let space = screen.saturating_sub(2 * (widths.len() - 1));
        // The last column matters least, such as attributes, so it is narrowed first.
        let (last, others) = widths.split_last_mut().expect("a table has a column");
        let taken: usize = others.iter().sum();
        *last = (*last).min(space.saturating_sub(taken).max(MIN_WIDTH.min(*last)).min(space));
        let space = space - *last;
        let fits = |cap: usize| others.iter().map(|&width| width.min(cap)).sum::<usize>() <= space;
        let widest = others.iter().copied().max().unwrap_or(0);
        if !fits(widest) {
            let cap = (1..widest).rev().find(|&cap| fits(cap)).unwrap_or(1);
            // The remainder goes to the last of the truncated columns.
            let mut spare = space - others.iter().map(|&width| width.min(cap)).sum::<usize>().min(space);
            for width in others.iter_mut().rev() {
                if *width > cap {
                    let more = spare.min(*width - cap);
                    *width = cap + more;
                    spare -= more;
                }
            }
        }
        left_out
    }
}

fn line(out: &mut String, row: &[Cell], widths: &[usize], color: bool) {
    let mut gap = 0;
    for (cell, &width) in row.iter().zip(widths) {
        let shown = truncate(&cell.text, width);
        if !shown.is_empty() {
            out.extend(std::iter::repeat_n(' ', gap));
            gap = 0;
            let has_style = color && cell.style != Style::Plain;
            out.push_str(&if has_style { Cow::Owned(cell.style.paint(&shown)) } else { Cow::Borrowed(&*shown) });
        }
        gap += width.saturating_sub(shown.width()) + 2;
    }
    out.push('\n');
}

/// Truncates the text to `width`, with a `…` at the end.
pub(crate) fn truncate(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    // Combining marks have no width and may be endless; readable text needs only a few per character.
    for c in text.chars().take(4 * width) {
        out.push(c);
        if out.width() >= width {
            break;
        }
    }
    while out.width() + 1 > width && out.pop().is_some() {}
    if width > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// The width of the terminal; `None` for a pipe or a file.
pub(crate) fn screen(stream: &impl AsTerminal) -> Option<usize> {
    let (width, _) = stream.size()?;
    // Some terminals report 0.
    Some(usize::from(width.0)).filter(|&columns| columns > 0)
}

/// A stream that may be a terminal.
pub(crate) trait AsTerminal {
    fn size(&self) -> Option<(terminal_size::Width, terminal_size::Height)>;
}

#[cfg(unix)]
impl<T: std::os::fd::AsFd> AsTerminal for T {
    fn size(&self) -> Option<(terminal_size::Width, terminal_size::Height)> {
        terminal_size::terminal_size_of(self)
    }
}

#[cfg(windows)]
impl<T: std::os::windows::io::AsHandle> AsTerminal for T {
    fn size(&self) -> Option<(terminal_size::Width, terminal_size::Height)> {
        terminal_size::terminal_size_of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["ID", "STATUS", "AGE"]);
        table.row(vec!["日本".into(), "a\nb".into(), "1 min".into()]);
        table.row(vec!["x".into(), "reading a rather long file".into(), "12.4 s".into()]);
        table
    }

    #[test]
    fn columns_align_by_the_width_on_the_screen() {
        assert_eq!(
            table().render(None, false).text,
            "ID    STATUS                      AGE\n\
             日本  a\\u{a}b                     1 min\n\
             x     reading a rather long file  12.4 s\n"
        );
    }

    #[test]
    fn the_widest_column_is_truncated_first() {
        let text = table().render(Some(30), false).text;
        assert!(text.lines().all(|line| line.width() <= 30), "{text}");
        assert!(text.contains("reading a rathe…  12.4 s"), "{text}");
        assert!(text.contains("日本"), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_screen_and_left_out_columns_are_named() {
        for width in 1..60 {
            let shown = table().render(Some(width), false);
            assert!(shown.text.lines().all(|line| line.width() <= width), "{width}\n{}", shown.text);
            let titles = 3 - shown.left_out.len();
            assert_eq!(shown.text.lines().next().unwrap().split_whitespace().count(), titles, "{}", shown.text);
        }
        assert_eq!(table().render(Some(10), false).left_out, ["STATUS", "AGE"]);
    }

    #[test]
    fn combining_marks_do_not_shift_columns() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec!["e\u{301}e\u{301}".into(), "x".into()]);
        table.row(vec!["日本".into(), "y".into()]);
        let shown = table.render(None, false).text;
        let before = |what: char| shown.lines().find_map(|line| line.split_once(what)).unwrap().0.width();
        assert_eq!(before('x'), before('y'));
        let zalgo = "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}".repeat(1_000);
        assert!(truncate(&zalgo, 10).len() < 200);
    }

    #[test]
    fn a_wide_character_is_not_split() {
        assert_eq!(truncate("日本語", 4), "日…");
        assert_eq!(truncate("日本語", 6), "日本語");
        assert_eq!(truncate("abc", 0), "");
    }

    #[test]
    fn colours_do_not_change_the_width() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec![Cell::new("bad", Style::Bad), "x".into()]);
        assert_eq!(table.render(None, true).text, "\x1b[1mA\x1b[0m    \x1b[1mB\x1b[0m\n\x1b[31mbad\x1b[0m  x\n");
    }

    #[test]
    fn empty_columns_are_removed() {
        let mut table = Table::new(&["A", "B", "C"]);
        table.row(vec!["1".into(), "".into(), "2".into()]);
        assert_eq!(table.without_empty_columns().render(None, false).text, "A  C\n1  2\n");
    }
}
