//! Draws text into a frame. Clips at any size of the screen, and escapes control characters.

use std::borrow::Cow;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use super::theme::{Glyphs, Role, Theme};
use crate::out::{clean, table};

pub(crate) struct Canvas<'b> {
    buffer: &'b mut Buffer,
    pub(crate) theme: Theme,
    pub(crate) glyphs: Glyphs,
}

impl<'b> Canvas<'b> {
    pub(crate) fn new(buffer: &'b mut Buffer, theme: Theme, glyphs: Glyphs) -> Canvas<'b> {
        let area = buffer.area;
        buffer.set_style(area, theme.style(Role::Plain));
        Canvas { buffer, theme, glyphs }
    }

    pub(crate) fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Draws the text, truncated to `width`. Returns the columns used.
    pub(crate) fn put(&mut self, x: u16, y: u16, width: u16, text: &str, role: Role) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() {
            return 0;
        }
        let width = usize::from(width.min(area.right() - x));
        let text = self.fit(text, width);
        let (end, _) = self.buffer.set_stringn(x, y, &*text, width, self.theme.style(role));
        end.saturating_sub(x)
    }

    /// Draws the text aligned to the right.
    pub(crate) fn put_right(&mut self, x: u16, y: u16, width: u16, text: &str, role: Role) {
        let text = self.fit(text, usize::from(width)).into_owned();
        let shift = width.saturating_sub(u16::try_from(text.width()).unwrap_or(width));
        self.put(x.saturating_add(shift), y, width - shift.min(width), &text, role);
    }

    /// Applies the style of a role to an area.
    pub(crate) fn look(&mut self, area: Rect, role: Role) {
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, self.theme.style(role));
    }

    /// Clears an area.
    pub(crate) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
        self.look(area, Role::Plain);
    }

    /// Cleans and truncates the text.
    fn fit<'t>(&self, text: &'t str, width: usize) -> Cow<'t, str> {
        // A very long text is not scanned to its end.
        let most = width.saturating_mul(8).saturating_add(64);
        let short = match text.char_indices().nth(most) {
            Some((end, _)) => &text[..end],
            None => text,
        };
        let mut safe = clean::line(short);
        if self.glyphs.is_ascii && !safe.is_ascii() {
            safe = safe.chars().map(ascii).collect();
        }
        if safe.width() <= width && short.len() == text.len() {
            // There may be any number of combining marks without width.
            if safe.len() <= 16 * width.max(1) {
                return Cow::Owned(safe);
            }
        }
        let mut truncated = table::truncate(&safe, width).into_owned();
        if self.glyphs.is_ascii {
            truncated = truncated.replace('…', "~");
        }
        Cow::Owned(truncated)
    }
}

fn ascii(c: char) -> String {
    match c {
        c if c.is_ascii() => c.to_string(),
        '…' => "~".to_owned(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Theme as Name;

    fn drawn(text: &str, width: u16, is_ascii: bool) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 30, 1));
        let mut canvas = Canvas::new(&mut buffer, Theme::new(Name::Dark, true), Glyphs::new(is_ascii));
        canvas.put(0, 0, width, text, Role::Plain);
        buffer.content.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn text_is_escaped_and_truncated() {
        assert_eq!(drawn("a\u{1b}[31m\nb", 30, false), "a\\u{1b}[31m\\u{a}b");
        assert_eq!(drawn("x\u{202e}y", 30, false), "x\\u{202e}y");
        assert_eq!(drawn("reading a file", 8, false), "reading…");
        assert_eq!(drawn("reading a file", 8, true), "reading~");
        assert_eq!(drawn("日本", 30, true), "\\u{65e5}\\u{672c}");
        let zalgo = format!("a{}", "\u{301}".repeat(5_000));
        assert!(drawn(&zalgo, 10, false).len() < 400);
    }

    #[test]
    fn drawing_outside_the_screen_is_clipped() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 1, 1));
        let mut canvas = Canvas::new(&mut buffer, Theme::new(Name::Dark, true), Glyphs::new(false));
        for (x, y) in [(0, 0), (1, 0), (0, 1), (u16::MAX, u16::MAX)] {
            canvas.put(x, y, u16::MAX, "日本", Role::Plain);
            canvas.put_right(x, y, u16::MAX, "日本", Role::Plain);
            canvas.look(Rect::new(x, y, u16::MAX, u16::MAX), Role::Bad);
            canvas.clear(Rect::new(x, y, 5, 5));
        }
    }
}
