//! Rows for people: columns aligned by the width on the screen, cut where a screen ends.

use unicode_width::UnicodeWidthStr;

use crate::clean;

/// No column is cut below this, whatever the width of the terminal.
const LEAST: usize = 8;
/// A table of text. The cells are made safe to show on the way in.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(titles: &[&str]) -> Table {
        Table { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    /// Adds a row with as many cells as there are titles.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells.iter().map(|cell| clean::line(cell)).collect());
    }

    /// The table as lines; none is wider than `screen`, as far as [`LEAST`] allows.
    pub(crate) fn render(&self, screen: Option<usize>) -> String {
        let mut widths = vec![0; self.rows[0].len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        if let Some(screen) = screen {
            shrink(&mut widths, screen);
        }
        let mut out = String::new();
        for row in &self.rows {
            let begin = out.len();
            for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if at > 0 {
                    out.push_str("  ");
                }
                let shown = cut(cell, width);
                let fill = width.saturating_sub(shown.width());
                out.push_str(&shown);
                out.extend(std::iter::repeat_n(' ', fill));
            }
            let end = begin + out[begin..].trim_end_matches(' ').len();
            out.truncate(end);
            out.push('\n');
        }
        out
    }
}

/// Takes from the widest columns until the line fits.
fn shrink(widths: &mut [usize], screen: usize) {
    let room = screen.saturating_sub(2 * (widths.len() - 1));
    let fits = |cap: usize| widths.iter().map(|&width| width.min(cap)).sum::<usize>() <= room;
    let widest = widths.iter().copied().max().unwrap_or(0);
    if fits(widest) {
        return;
    }
    let cap = (LEAST..room.max(LEAST)).rev().find(|&cap| fits(cap)).unwrap_or(LEAST);
    for width in widths {
        *width = (*width).min(cap);
    }
}

/// The text, or its beginning and a `…`, no wider than `width`.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    // Marks that take no room could go on for long; nothing readable needs more than a few for each place.
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
    out
}

/// How wide a line may be: as wide as the terminal, no limit in a pipe or a file.
pub(crate) fn screen() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    // Some terminals do not know.
    Some(usize::from(width.0)).filter(|&columns| columns > 0)
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
            table().render(None),
            "ID    STATUS                      AGE\n\
             日本  a\\u{a}b                     1 min\n\
             x     reading a rather long file  12.4 s\n"
        );
    }

    #[test]
    fn the_widest_column_is_cut_first() {
        let text = table().render(Some(30));
        assert!(text.lines().all(|line| line.width() <= 30), "{text}");
        assert!(text.contains("reading a rathe…  12.4 s"), "{text}");
        assert!(text.contains("日本"), "{text}");
    }

    #[test]
    fn a_wide_character_is_not_cut_in_half() {
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("abc", 0), "");
    }
}
