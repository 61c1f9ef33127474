//! Screens of a model that never changes, as pictures that are compared, and as the page shows them.
//!
//! `PM_BLESS=1` writes anew what they look like now: `80x24-dark.txt` and so on here, and the end of `docs/top.md`.

mod figures;
mod fixture;
mod random;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::App;
use super::theme::{Glyphs, Theme};
use super::view;
use crate::config::Theme as Name;

/// A screen: its name, what it shows in a sentence, and the keys that lead there.
struct Shot {
    name: &'static str,
    about: &'static str,
    keys: &'static str,
}

const SHOTS: &[Shot] = &[
    Shot { name: "running", about: "All tasks of all endpoints, oldest first.", keys: "" },
    Shot { name: "filter", about: "`/`: names and values are offered; Tab takes them.", keys: "/kind=~" },
    Shot { name: "sort", about: "`s`: by any column, shown or not.", keys: "s" },
    Shot { name: "tree", about: "`t`: who started whom.", keys: "t" },
    Shot { name: "groups", about: "`g`: by kind; left and right fold.", keys: "g" },
    Shot { name: "details", about: "Enter: all that is known of one task, and its history.", keys: "vvv\n" },
    Shot { name: "kill", about: "`k`: who is meant, and why.", keys: "v v kstuck since noon" },
    Shot { name: "verdicts", about: "What came of it, as it comes.", keys: "v v kstuck since noon\n!" },
    Shot { name: "kinds", about: "`2`: how the tasks of each kind fared.", keys: "2" },
    Shot { name: "ended", about: "`3`: what ended of late.", keys: "3" },
    Shot { name: "waits", about: "`4`: who waits for whom; circles first.", keys: "4" },
    Shot { name: "about", about: "`5`: how each endpoint fares.", keys: "5" },
    Shot { name: "paused", about: "`p`: nothing moves.", keys: "p" },
    Shot { name: "away", about: "An endpoint that is away is named; it comes back by itself.", keys: "@" },
    Shot { name: "help", about: "`?`: the keys.", keys: "?" },
    Shot { name: "replay", about: "`pm replay`: the same screen over a recording.", keys: "%" },
];

/// Types keys: `v` is down, `~` is Tab; `!` lets verdicts come, `@` loses an endpoint, `%` makes a recording of it.
fn reach(app: &mut App, keys: &str) {
    let mut is_text = false;
    for key in keys.chars() {
        let code = match key {
            '!' => {
                fixture::verdicts(app);
                continue;
            }
            '@' => {
                fixture::lose(app);
                continue;
            }
            '%' => {
                fixture::replay(app);
                continue;
            }
            '\n' => KeyCode::Enter,
            '~' => KeyCode::Tab,
            'v' if !is_text => KeyCode::Down,
            c => KeyCode::Char(c),
        };
        is_text |= matches!(key, '/' | 'k');
        app.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    fixture::answers(app);
    let now = app.now;
    app.refresh(now);
}

fn drawn(app: &mut App, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(app, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn shot(shot: &Shot, theme: Name, width: u16, height: u16) -> Buffer {
    let mut app = fixture::app(Theme::new(theme, true), Glyphs::new(false));
    reach(&mut app, shot.keys);
    drawn(&mut app, width, height)
}

/// The characters, a line for each row.
fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in buffer.content.chunks(usize::from(buffer.area.width)) {
        // The cell behind a wide character has nothing of its own.
        let mut skip = 0;
        let mut line = String::new();
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            line.push_str(cell.symbol());
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Where it looks like more than text: row, columns, colours.
fn looks(buffer: &Buffer) -> String {
    let mut out = String::new();
    for (y, row) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let mut runs: Vec<(usize, usize, String)> = Vec::new();
        for (x, cell) in row.iter().enumerate() {
            let mut look = Vec::new();
            if cell.fg != Color::Reset {
                look.push(format!("{:?}", cell.fg).to_lowercase());
            }
            if cell.bg != Color::Reset {
                look.push(format!("on {:?}", cell.bg).to_lowercase());
            }
            for (modifier, name) in
                [(Modifier::BOLD, "bold"), (Modifier::UNDERLINED, "underlined"), (Modifier::REVERSED, "reversed")]
            {
                if cell.modifier.contains(modifier) {
                    look.push(name.to_owned());
                }
            }
            let look = look.join(" ");
            match runs.last_mut() {
                Some((_, to, same)) if *same == look && *to + 1 == x => *to = x,
                _ => runs.push((x, x, look)),
            }
        }
        runs.retain(|(_, _, look)| !look.is_empty());
        if !runs.is_empty() {
            let runs: Vec<String> = runs.iter().map(|(from, to, look)| format!("{from}-{to} {look}")).collect();
            let _ = writeln!(out, "{y}: {}", runs.join(", "));
        }
    }
    out
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn is_blessed() -> bool {
    std::env::var_os("PM_BLESS").is_some()
}

fn compare(width: u16, height: u16, theme: Name, name: &str) {
    let mut found = String::new();
    for one in SHOTS {
        let buffer = shot(one, theme, width, height);
        let _ = writeln!(found, "=== {}\n{}--- {}\n{}", one.name, text(&buffer), one.name, looks(&buffer));
    }
    let path = root().join(format!("src/top/screens/{width}x{height}-{name}.txt"));
    if is_blessed() {
        fs::write(&path, &found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap();
    let differs = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
    assert_eq!(differs, None, "a screen is not as in {}; PM_BLESS=1 writes it anew", path.display());
    assert_eq!(expected.len(), found.len(), "a screen is not as in {}; PM_BLESS=1 writes it anew", path.display());
}

#[test]
fn small_screens_are_as_they_were_in_dark() {
    compare(80, 24, Name::Dark, "dark");
}

#[test]
fn small_screens_are_as_they_were_in_light() {
    compare(80, 24, Name::Light, "light");
}

#[test]
fn large_screens_are_as_they_were_in_dark() {
    compare(200, 60, Name::Dark, "dark");
}

#[test]
fn large_screens_are_as_they_were_in_light() {
    compare(200, 60, Name::Light, "light");
}

#[test]
fn the_page_shows_the_screens_as_they_are() {
    const TITLE: &str = "## Screens\n";
    let path = root().join("../../docs/top.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut expected = String::new();
    for one in SHOTS {
        let screen = text(&shot(one, Name::Dark, 80, 24));
        let _ = write!(
            expected,
            "\n### {}\n\n{}\n\n```text\n{}```\n",
            one.name,
            one.about,
            screen.trim_start_matches('\n')
        );
    }
    let at = page.find(TITLE).unwrap() + TITLE.len();
    if is_blessed() {
        fs::write(&path, format!("{}{expected}", &page[..at])).unwrap();
        return;
    }
    let differs = page[at..].lines().zip(expected.lines()).find(|(page, screen)| page != screen);
    assert_eq!(differs, None, "docs/top.md is not what the screens are; PM_BLESS=1 writes it anew");
    assert_eq!(page[at..].len(), expected.len(), "docs/top.md is not what the screens are; PM_BLESS=1 writes it anew");
}

#[test]
fn the_page_tells_every_key() {
    let page = fs::read_to_string(root().join("../../docs/top.md")).unwrap();
    for (key, what) in super::app::KEYS.iter().chain(super::app::REPLAY_KEYS) {
        assert!(page.contains(&format!("| `{key}` | {what} |")), "docs/top.md does not tell: {key}  {what}");
    }
}

#[test]
fn in_ascii_there_is_nothing_else_on_any_screen() {
    for one in SHOTS {
        let mut app = fixture::app(Theme::new(Name::Mono, true), Glyphs::new(true));
        reach(&mut app, one.keys);
        let screen = text(&drawn(&mut app, 120, 40));
        assert!(screen.is_ascii(), "{}:\n{screen}", one.name);
    }
}

#[test]
fn without_colours_every_screen_says_the_same() {
    for one in SHOTS {
        let [plain, colored] = [Name::Mono, Name::Contrast].map(|theme| shot(one, theme, 100, 30));
        assert_eq!(text(&plain), text(&colored), "{}", one.name);
        assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{}", one.name);
    }
}
