//! The cost of drawing a long list. `cargo test --release -p pm-cli --bin pm figures -- --ignored --nocapture` prints
//! the figures.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ratatui_core::layout::Rect;
use ratatui_core::terminal::{Terminal, TerminalOptions, Viewport};
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Name;
use crate::feed::{Change, Store, Update};
use crate::top::app::{App, Options};
use crate::top::model::{Column, List, Shape};
use crate::top::options::COLUMNS;
use crate::top::theme::{Glyphs, Theme};
use crate::top::view::Renderer;

const TASKS: u64 = 100_000;
const KINDS: [&str; 6] = ["GET /search", "GET /report", "import", "mail", "transfer", "index"];

/// A terminal that counts the bytes written to it.
#[derive(Clone, Default)]
struct Counter(Rc<Cell<usize>>);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn row(serial: u64, age: f64, status: &str) -> pm_client::Row {
    serde_json::from_value(serde_json::json!({
        "serial": serial.to_string(), "id": format!("req-{serial}"), "kind": KINDS[serial as usize % KINDS.len()],
        "state": "running", "ageMs": age, "status": status, "statusAgeMs": age / 2.0, "historyLen": 3,
        "attrs": { "host": format!("db{}", serial % 7), "rows": serial },
    }))
    .unwrap()
}

fn frame(app: &mut App, renderer: &mut Renderer, terminal: &mut Terminal<CrosstermBackend<Counter>>) {
    let mut drawn = None;
    terminal.draw(|frame| drawn = Some(renderer.draw(app, frame))).unwrap();
    app.set_drawn(drawn.unwrap());
}

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part).round() as usize]
}

#[test]
#[ignore = "prints figures, and takes a while"]
fn figures_of_a_hundred_thousand_tasks() {
    let rows: Vec<_> = (1..=TASKS).map(|serial| row(serial, (TASKS - serial) as f64 * 3.0, "reading")).collect();
    let list = List::new(Default::default(), (Column::Age, true), Shape::Flat);
    let options = Options {
        theme: Theme::new(Name::Dark, true),
        glyphs: Glyphs::new(false),
        columns: COLUMNS.to_vec(),
        mouse: true,
    };
    let mut app = App::new(Store::new(["a".to_owned()]), list, options);
    let mut renderer = Renderer::default();
    let counter = Counter::default();
    let viewport = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 200, 60)) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(counter.clone()), viewport).unwrap();

    let begun = Instant::now();
    app.apply(0, 0.0, Update::Live);
    app.apply(0, 0.0, Update::Snapshot { rows, begins: true, ends: true });
    app.refresh(0.0);
    frame(&mut app, &mut renderer, &mut terminal);
    println!("first screen after the data: {:?}", begun.elapsed());

    // Keys: move, sort by every column, filter, switch to a tree and to groups.
    let mut keys: Vec<KeyCode> = [KeyCode::Down, KeyCode::PageDown, KeyCode::End, KeyCode::Home].repeat(40);
    for column in 0..Column::ALL.len() {
        keys.extend([KeyCode::Char('s'), KeyCode::Home]);
        keys.extend(vec![KeyCode::Down; column]);
        keys.extend([KeyCode::Enter, KeyCode::Char('r')]);
    }
    keys.extend("/kind=import status=r".chars().map(KeyCode::Char));
    keys.extend([
        KeyCode::Esc,
        KeyCode::Char('t'),
        KeyCode::Char('g'),
        KeyCode::Left,
        KeyCode::Char('g'),
        KeyCode::Char('*'),
    ]);
    let mut times = Vec::new();
    let mut slowest = (Duration::ZERO, KeyCode::Null);
    for key in keys {
        let begun = Instant::now();
        app.key(KeyEvent::new(key, KeyModifiers::NONE));
        frame(&mut app, &mut renderer, &mut terminal);
        let took = begun.elapsed();
        if took > slowest.0 {
            slowest = (took, key);
        }
        times.push(took);
    }
    println!(
        "{} keys, each with its frame: p50 {:?}, p99 {:?}, longest {:?} ({:?})",
        times.len(),
        percentile(&mut times.clone(), 0.5),
        percentile(&mut times, 0.99),
        slowest.0,
        slowest.1
    );

    // By age and by status: each second 1 in 1,000 starts, as many end, and 1 in 100 changes its status.
    for (name, column) in [("age", Column::Age), ("status", Column::Status)] {
        app.list.set_sort((column, column.is_descending()));
        app.list.set_shape(Shape::Flat);
        app.refresh(0.0);
        let (mut times, mut next) = (Vec::new(), TASKS);
        for second in 1..=30_u64 {
            let now = second as f64 * 1e3;
            let changed: Vec<_> = (0..TASKS / 100).map(|at| row(TASKS / 2 + at * 7 % 40_000, 1e5, "writing")).collect();
            let begun = Instant::now();
            for row in changed {
                app.apply(0, now, Update::Task { change: Change::Status, row });
            }
            for _ in 0..TASKS / 1_000 {
                next += 1;
                app.apply(0, now, Update::Task { change: Change::Started, row: row(next, 1.0, "init") });
                app.apply(0, now, Update::Left { serial: pm_client::Serial::from_u64(next - TASKS).unwrap() });
            }
            app.refresh(now);
            frame(&mut app, &mut renderer, &mut terminal);
            times.push(begun.elapsed());
        }
        let mean = times.iter().sum::<Duration>() / times.len() as u32;
        println!(
            "one refresh per second, by {name}: {mean:?} on average, {:.1} % of a core",
            mean.as_secs_f64() * 100.0
        );
    }
    drop(terminal);

    // The output when only time passes.
    let list = List::new(Default::default(), (Column::Age, true), Shape::Flat);
    app.list = list;
    let counter = Counter::default();
    let viewport = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 200, 60)) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(counter.clone()), viewport).unwrap();
    app.refresh(1e6);
    frame(&mut app, &mut renderer, &mut terminal);
    let first = counter.0.get();
    for second in 1..=10 {
        app.refresh(1e6 + f64::from(second) * 1e3);
        frame(&mut app, &mut renderer, &mut terminal);
    }
    let steady = (counter.0.get() - first) / 10;
    println!("bytes of a frame of 200x60: {first} for the first, then {steady} per second");
}
