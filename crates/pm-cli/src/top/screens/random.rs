//! Random sizes, keys, clicks and updates: nothing panics, and no control characters reach the screen.

use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::{Name, drawn, fixture};
use crate::feed::{Change, Update};
use crate::top::theme::{Glyphs, Theme};
use crate::top::view::Renderer;

/// Pseudo-random numbers, equal in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

fn key(random: &mut Random) -> KeyEvent {
    const CODES: &[KeyCode] = &[
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Enter,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::Delete,
    ];
    const CHARS: &[u8] = b"/sctg*u kkpp12345?ymr=[]{}<>:iaGE0\"\\,";
    match random.below(3) {
        0 => KeyEvent::new(random.of(CODES), KeyModifiers::NONE),
        1 => KeyEvent::new(KeyCode::Char(random.of(CHARS) as char), KeyModifiers::NONE),
        _ => KeyEvent::new(
            random.of(&[KeyCode::Char('日'), KeyCode::Char('w'), KeyCode::Char('u'), KeyCode::Char('a')]),
            random.of(&[KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT]),
        ),
    }
}

fn update(random: &mut Random) -> Update {
    let serial = 1 + random.below(40);
    let row = serde_json::from_value(serde_json::json!({
        "serial": serial.to_string(), "id": format!("t{serial}"), "kind": random.of(&["a", "b", ""]), "state": "running",
        "ageMs": random.below(10_000), "status": random.of(&["x", "日本\u{1b}[2J", ""]), "statusAgeMs": 5,
        "parent": (1 + random.below(40)).to_string(), "progress": { "done": random.below(9), "total": random.below(5), "unit": "x" },
    }))
    .unwrap();
    match random.below(7) {
        0 => Update::Ended { row },
        1 => Update::Left { serial: pm_client::Serial::from_u64(serial).unwrap() },
        2 => Update::Lost { why: "gone".into(), retry_in: std::time::Duration::from_secs(random.below(9)) },
        3 => Update::Live,
        4 => Update::Snapshot { rows: vec![row], begins: random.below(2) == 0, ends: random.below(2) == 0 },
        _ => Update::Task { change: Change::Status, row },
    }
}

/// Characters that must not be in a cell.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn random_sizes_keys_and_updates_break_nothing() {
    for seed in 1..=4_u64 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let glyphs = Glyphs::new(seed == 2);
        let mut app = fixture::app(Theme::new(Name::Dark, seed != 3), glyphs);
        if seed == 4 {
            fixture::replay(&mut app);
        }
        let mut renderer = Renderer::default();
        let mut now = fixture::NOW;
        for _ in 0..250 {
            for _ in 0..random.below(4) {
                app.key(key(&mut random));
            }
            if random.below(3) == 0 {
                let endpoint = random.below(3) as u32;
                let update = update(&mut random);
                app.apply(endpoint, now, update);
            }
            if random.below(4) == 0 {
                now += random.below(3_000) as f64;
                app.refresh(now);
            }
            if random.below(10) == 0 && app.details.as_ref().is_none_or(|details| app.store.find(details.key).is_some())
            {
                fixture::answers(&mut app);
            }
            let largest = random.of(&[1, 2, 5, 30, 220]);
            let (width, height) = (1 + random.below(largest) as u16, 1 + random.below(largest.min(70)) as u16);
            let buffer = drawn(&mut app, &mut renderer, width, height);
            for cell in &buffer.content {
                assert!(!cell.symbol().chars().any(is_control), "{:?}", cell.symbol());
            }
            if random.below(5) == 0 {
                let kind = random.of(&[
                    MouseEventKind::Down(MouseButton::Left),
                    MouseEventKind::ScrollDown,
                    MouseEventKind::ScrollUp,
                ]);
                let (column, row) = (random.below(width.into()) as u16, random.below(height.into()) as u16);
                app.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
            }
        }
    }
}
