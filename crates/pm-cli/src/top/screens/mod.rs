//! Snapshots of all screens of a fixed model, which `docs/top.md` shows as well.
//!
//! `PM_BLESS=1` updates them: `80x24-dark.txt` and so on here, and the end of `docs/top.md`.

mod figures;
mod fixture;
mod random;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pm_client::Row;
use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::App;
use super::theme::{Glyphs, Theme};
use super::view::Renderer;
use crate::config::Theme as Name;
use crate::feed::{Change, Update};

/// A screen: its name, a description, and the keys that lead to it.
struct Shot {
    name: &'static str,
    about: &'static str,
    keys: &'static str,
}

const SHOTS: &[Shot] = &[
    Shot { name: "running", about: "All tasks of all endpoints, oldest first.", keys: "" },
    Shot { name: "filter", about: "`/`: filters, completed with Tab.", keys: "/kind=~" },
    Shot { name: "sort", about: "`s`: sorts by any column, shown or not.", keys: "s" },
    Shot { name: "tree", about: "`t`: parents and children.", keys: "t" },
    Shot { name: "groups", about: "`g`: groups by kind; Left and Right fold.", keys: "g" },
    Shot { name: "details", about: "Enter: one task and its history.", keys: "vvv\n" },
    Shot { name: "kill", about: "`k`: the targets and the reason.", keys: "v v kstuck since noon" },
    Shot { name: "verdicts", about: "The outcomes, as they arrive.", keys: "v v kstuck since noon\n!" },
    Shot { name: "kinds", about: "`2`: outcomes and latencies by kind.", keys: "2" },
    Shot { name: "ended", about: "`3`: recently ended tasks.", keys: "3" },
    Shot { name: "waits", about: "`4`: waiting tasks, deadlocks first.", keys: "4" },
    Shot { name: "about", about: "`5`: the state of each endpoint.", keys: "5" },
    Shot { name: "paused", about: "`p`: the list stands still.", keys: "p" },
    Shot { name: "unreachable", about: "Unreachable endpoints are named and reconnect by themselves.", keys: "@" },
    Shot { name: "help", about: "`?`: the keys.", keys: "?" },
    Shot { name: "replay", about: "`pm replay`: a recording on the same screen.", keys: "%" },
];

/// Types keys: `v` is Down, `~` is Tab; `!` delivers verdicts, `@` disconnects an endpoint, `%` switches to a replay.
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

fn drawn(app: &mut App, renderer: &mut Renderer, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut drawn = None;
    terminal.draw(|frame| drawn = Some(renderer.draw(app, frame))).unwrap();
    app.set_drawn(drawn.unwrap());
    terminal.backend().buffer().clone()
}

fn shot(shot: &Shot, theme: Name, width: u16, height: u16) -> Buffer {
    let mut app = fixture::app(Theme::new(theme, true), Glyphs::new(false));
    reach(&mut app, shot.keys);
    drawn(&mut app, &mut Renderer::default(), width, height)
}

/// The characters, one line per row.
fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in buffer.content.chunks(usize::from(buffer.area.width)) {
        // The cell after a wide character is empty.
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

/// The styled parts: row, columns, style.
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
    assert_eq!(differs, None, "a screen differs from {}; PM_BLESS=1 updates it", path.display());
    assert_eq!(expected.len(), found.len(), "a screen differs from {}; PM_BLESS=1 updates it", path.display());
}

#[test]
fn small_dark_screens_match_their_snapshots() {
    compare(80, 24, Name::Dark, "dark");
}

#[test]
fn small_light_screens_match_their_snapshots() {
    compare(80, 24, Name::Light, "light");
}

#[test]
fn large_dark_screens_match_their_snapshots() {
    compare(200, 60, Name::Dark, "dark");
}

#[test]
fn large_light_screens_match_their_snapshots() {
    compare(200, 60, Name::Light, "light");
}

#[test]
fn the_page_shows_the_current_screens() {
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
    assert_eq!(differs, None, "docs/top.md differs from the screens; PM_BLESS=1 updates it");
    assert_eq!(page[at..].len(), expected.len(), "docs/top.md differs from the screens; PM_BLESS=1 updates it");
}

#[test]
fn the_page_lists_every_key() {
    let page = fs::read_to_string(root().join("../../docs/top.md")).unwrap();
    for (key, what) in super::app::KEYS.iter().chain(super::app::REPLAY_KEYS) {
        assert!(page.contains(&format!("| `{key}` | {what} |")), "docs/top.md lacks: {key}  {what}");
    }
}

#[test]
fn an_endpoint_with_too_many_tasks_is_named_above_the_list() {
    let mut app = fixture::app(Theme::new(Name::Dark, true), Glyphs::new(false));
    let mut row = Row::default();
    row.serial = "7".parse().ok();
    row.status = "x".repeat(crate::fleet::ceiling::MAX_MEMORY / 3);
    app.apply(0, 0.0, Update::Task { change: Change::Started, row });
    let screen = text(&drawn(&mut app, &mut Renderer::default(), 120, 24));
    assert!(screen.contains(": more than 192 MiB of tasks, and the others are not shown;"), "{screen}");
}

#[test]
fn a_pause_ends_when_it_would_hold_too_much() {
    let mut app = fixture::app(Theme::new(Name::Dark, true), Glyphs::new(false));
    let before = app.store.len();
    reach(&mut app, "p");
    for serial in ["701", "702", "703"] {
        assert!(app.paused.is_some());
        let mut row = Row::default();
        row.serial = serial.parse().ok();
        row.status = "x".repeat(crate::fleet::ceiling::MAX_MEMORY / 16);
        app.apply(0, 0.0, Update::Task { change: Change::Started, row });
    }
    assert!(app.paused.is_none());
    assert_eq!(app.message(), Some("the pause has ended, as too many tasks have changed since"));
    assert_eq!(app.store.len(), before + 3, "nothing is lost");
}

#[test]
fn ascii_screens_are_pure_ascii() {
    for one in SHOTS {
        let mut app = fixture::app(Theme::new(Name::Mono, true), Glyphs::new(true));
        reach(&mut app, one.keys);
        let screen = text(&drawn(&mut app, &mut Renderer::default(), 120, 40));
        assert!(screen.is_ascii(), "{}:\n{screen}", one.name);
    }
}

#[test]
fn screens_have_the_same_text_without_colours() {
    for one in SHOTS {
        let [plain, colored] = [Name::Mono, Name::Contrast].map(|theme| shot(one, theme, 100, 30));
        assert_eq!(text(&plain), text(&colored), "{}", one.name);
        assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{}", one.name);
    }
}
