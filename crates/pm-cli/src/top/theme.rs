//! How things look: four sets of colours, and characters for terminals that have only ASCII.
//!
//! A colour never says anything that a word or a character beside it does not say as well.

use ratatui_core::style::{Color, Modifier, Style};

use crate::config::Theme as Name;

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Title,
    /// The titles of columns.
    Head,
    Dim,
    /// It went wrong.
    Bad,
    /// It needs an eye.
    Odd,
    Good,
    /// It is marked.
    Mark,
    /// The row that is chosen.
    Pick,
    /// An endpoint is away.
    Banner,
    /// A key to press.
    Key,
    /// What is being written.
    Input,
}

/// The style of each role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme(Name);

impl Theme {
    /// The theme of this name; where there are to be no colours, the one without.
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
                Role::Odd => plain.fg(Color::Yellow),
                Role::Good => plain.fg(Color::Green),
                Role::Mark => bold.fg(Color::LightMagenta),
                Role::Pick => bold.fg(Color::White).bg(Color::Blue),
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
                // Yellow cannot be read on white; these are its and green's dark kin.
                Role::Odd => plain.fg(Color::Indexed(130)),
                Role::Good => plain.fg(Color::Indexed(22)),
                Role::Mark => bold.fg(Color::Magenta),
                Role::Pick => bold.fg(Color::Black).bg(Color::Indexed(153)),
                Role::Banner => bold.fg(Color::White).bg(Color::Red),
                Role::Key => bold.fg(Color::Blue),
                Role::Input => plain.add_modifier(Modifier::UNDERLINED),
            },
            Name::Mono => match role {
                Role::Plain | Role::Good => plain,
                Role::Dim => plain.add_modifier(Modifier::DIM),
                Role::Title | Role::Bad | Role::Mark | Role::Key => bold,
                Role::Head | Role::Odd | Role::Input => plain.add_modifier(Modifier::UNDERLINED),
                Role::Pick => plain.add_modifier(Modifier::REVERSED),
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
                    Role::Odd | Role::Mark => strong.fg(Color::LightYellow),
                    Role::Pick => strong.fg(Color::Black).bg(Color::LightYellow),
                    Role::Input => strong.add_modifier(Modifier::UNDERLINED),
                }
            }
        }
    }
}

/// The characters that are no text.
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
    /// From least to most.
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

    /// Numbers as a row of bars, the greatest as high as can be; nothing at all is a blank.
    pub(crate) fn sparks(&self, numbers: &[f64]) -> String {
        let most = numbers.iter().copied().fold(0.0, f64::max);
        let bar = |&number: &f64| match number / most {
            part if part > 0.0 => self.spark[((part * 8.0).ceil() as usize).clamp(1, 8) - 1],
            _ => " ",
        };
        numbers.iter().map(bar).collect()
    }

    /// A bar of so many characters, of which this part is full.
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
    fn without_colours_there_are_none_and_what_differs_in_colour_differs_in_another_way() {
        let theme = Theme::new(Name::Light, false);
        for role in [Role::Plain, Role::Head, Role::Bad, Role::Odd, Role::Pick, Role::Banner, Role::Dim] {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
            assert!(role == Role::Plain || !style.add_modifier.is_empty(), "{role:?}");
        }
    }
}
