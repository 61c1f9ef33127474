//! Styles: four themes, and symbols in Unicode or ASCII.
//!
//! A colour never carries information that the text lacks.

use ratatui_core::style::{Color, Modifier, Style};

use crate::config::Theme as Name;
use crate::out::Style as TextStyle;

/// The meaning of a text, which determines its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Title,
    /// A title of a column.
    Head,
    Dim,
    /// A failure.
    Bad,
    /// Needs attention.
    Warning,
    Good,
    /// A marked task.
    Mark,
    /// The selected row.
    Selected,
    /// An unreachable endpoint.
    Banner,
    /// A key to press.
    Key,
    /// A line of input.
    Input,
}

impl Role {
    /// The role of a text that the one-shot verbs print in this style.
    pub(crate) fn of(style: TextStyle) -> Role {
        match style {
            TextStyle::Plain => Role::Plain,
            TextStyle::Bold => Role::Title,
            TextStyle::Dim => Role::Dim,
            TextStyle::Bad => Role::Bad,
            TextStyle::Warning => Role::Warning,
            TextStyle::Good => Role::Good,
        }
    }
}

/// The style of each role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme(Name);

impl Theme {
    /// The theme of this name, or the monochrome one without colours.
    pub(crate) fn new(name: Name, colors: bool) -> Theme {
        Theme(if colors { name } else { Name::Mono })
    }

    pub(crate) fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        match self.0 {
            Name::Dark => match role {
                Role::Plain => plain,
                Role::Title => bold,
                Role::Head => bold.fg(Color::Cyan),
                Role::Dim => plain.fg(Color::DarkGray),
                Role::Bad => bold.fg(Color::LightRed),
                Role::Warning => plain.fg(Color::Yellow),
                Role::Good => plain.fg(Color::Green),
                Role::Mark => bold.fg(Color::LightMagenta),
                Role::Selected => bold.fg(Color::White).bg(Color::Blue),
                Role::Banner => bold.fg(Color::White).bg(Color::Red),
                Role::Key => bold.fg(Color::Cyan),
                Role::Input => plain.add_modifier(Modifier::UNDERLINED),
            },
            Name::Light => match role {
                Role::Plain => plain,
                Role::Title => bold,
                Role::Head => bold.fg(Color::Blue),
                Role::Dim => plain.fg(Color::DarkGray),
                Role::Bad => bold.fg(Color::Red),
                // Yellow and green are unreadable on white; these are darker.
                Role::Warning => plain.fg(Color::Indexed(130)),
                Role::Good => plain.fg(Color::Indexed(22)),
                Role::Mark => bold.fg(Color::Magenta),
                Role::Selected => bold.fg(Color::Black).bg(Color::Indexed(153)),
                Role::Banner => bold.fg(Color::White).bg(Color::Red),
                Role::Key => bold.fg(Color::Blue),
                Role::Input => plain.add_modifier(Modifier::UNDERLINED),
            },
            Name::Mono => match role {
                Role::Plain | Role::Good => plain,
                Role::Dim => plain.add_modifier(Modifier::DIM),
                Role::Title | Role::Bad | Role::Mark | Role::Key => bold,
                Role::Head | Role::Warning | Role::Input => plain.add_modifier(Modifier::UNDERLINED),
                Role::Selected => plain.add_modifier(Modifier::REVERSED),
                Role::Banner => bold.add_modifier(Modifier::REVERSED),
            },
            Name::Contrast => {
                let on_black = plain.fg(Color::White).bg(Color::Black);
                let strong = on_black.add_modifier(Modifier::BOLD);
                match role {
                    Role::Plain | Role::Dim => on_black,
                    Role::Title | Role::Good => strong,
                    Role::Head | Role::Key => strong.fg(Color::LightCyan),
                    Role::Bad | Role::Banner => strong.bg(Color::Red),
                    Role::Warning | Role::Mark => strong.fg(Color::LightYellow),
                    Role::Selected => strong.fg(Color::Black).bg(Color::LightYellow),
                    Role::Input => strong.add_modifier(Modifier::UNDERLINED),
                }
            }
        }
    }
}

/// The symbols of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glyphs {
    pub(crate) is_ascii: bool,
    pub(crate) down: &'static str,
    pub(crate) up: &'static str,
    pub(crate) branch: &'static str,
    pub(crate) full: &'static str,
    pub(crate) empty: &'static str,
    pub(crate) line: &'static str,
    pub(crate) folded: &'static str,
    pub(crate) unfolded: &'static str,
    /// From low to high.
    pub(crate) spark: [&'static str; 8],
}

impl Glyphs {
    pub(crate) fn new(is_ascii: bool) -> Glyphs {
        if is_ascii {
            Glyphs {
                is_ascii,
                down: "v",
                up: "^",
                branch: "`- ",
                full: "#",
                empty: ".",
                line: "-",
                folded: "+",
                unfolded: "-",
                spark: ["_", ".", ",", "-", "=", "+", "*", "#"],
            }
        } else {
            Glyphs {
                is_ascii,
                down: "▼",
                up: "▲",
                branch: "└ ",
                full: "█",
                empty: "░",
                line: "─",
                folded: "▶",
                unfolded: "▼",
                spark: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
            }
        }
    }

    /// A sparkline; the greatest number has full height, zero is a space.
    pub(crate) fn sparks(&self, numbers: &[f64]) -> String {
        let most = numbers.iter().copied().fold(0.0, f64::max);
        let bar = |&number: &f64| match number / most {
            part if part > 0.0 => self.spark[((part * 8.0).ceil() as usize).clamp(1, 8) - 1],
            _ => " ",
        };
        numbers.iter().map(bar).collect()
    }

    /// A progress bar, filled to `part`.
    pub(crate) fn bar(&self, part: f64, width: usize) -> String {
        let full = ((part.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
        self.full.repeat(full) + &self.empty.repeat(width - full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_bars() {
        assert_eq!(Glyphs::new(false).sparks(&[0.0, 1.0, 4.0, 8.0, f64::NAN]), " ▁▄█ ");
        assert_eq!(Glyphs::new(true).sparks(&[]), "");
        assert_eq!(Glyphs::new(true).bar(0.5, 4), "##..");
        assert_eq!(Glyphs::new(true).bar(f64::NAN, 2), "..");
    }

    #[test]
    fn without_colours_roles_differ_in_other_ways() {
        let theme = Theme::new(Name::Light, false);
        for role in [Role::Plain, Role::Head, Role::Bad, Role::Warning, Role::Selected, Role::Banner, Role::Dim] {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
            assert!(role == Role::Plain || !style.add_modifier.is_empty(), "{role:?}");
        }
    }
}
