//! Draws what the application shows. Only what is on the screen is put into words.
//!
//! | file | what |
//! |---|---|
//! | `table.rs` | rows in columns |
//! | `running.rs` | the tasks that run |
//! | `details.rs` | one task |
//! | `boards.rs` | kinds, ended tasks, waits, endpoints |
//! | `over.rs` | what lies over the rest: menus, the question before a cancel, help |

mod boards;
mod details;
mod over;
mod running;
mod table;

use ratatui_core::layout::{Position, Rect};
use ratatui_core::terminal::Frame;

use super::app::{App, Hit, Mode, View};
use super::canvas::Canvas;
use super::model::State;
use super::theme::Role;
use crate::out::words;

pub(crate) use table::Widths;

/// Endpoints that are named when they are away; of more, only how many.
const BANNERS: usize = 3;

/// Draws a frame.
pub(crate) fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut canvas = Canvas::new(frame.buffer_mut(), app.theme, app.glyphs);
    app.hits.clear();
    if area.height > 0 {
        title(app, &mut canvas);
    }
    let mut y = area.y + 1;
    if area.height > 4 {
        tabs(app, &mut canvas, y);
        y += 1;
    }
    for banner in banners(app).into_iter().take(usize::from(area.height.saturating_sub(y + 4))) {
        let width = canvas.put(area.x, y, area.width, &banner, Role::Banner);
        canvas.look(Rect::new(area.x, y, area.width.max(width), 1), Role::Banner);
        y += 1;
    }
    let foot = u16::from(area.height > 2);
    let body = Rect::new(area.x, y, area.width, area.height.saturating_sub(y).saturating_sub(foot));
    app.page = usize::from(body.height.saturating_sub(1));
    match (&app.details, app.view) {
        (Some(_), _) => details::draw(app, &mut canvas, body),
        (None, View::Running) => running::draw(app, &mut canvas, body),
        (None, View::Kinds) => boards::kinds(app, &mut canvas, body),
        (None, View::Ended) => boards::ended(app, &mut canvas, body),
        (None, View::Waits) => boards::waits(app, &mut canvas, body),
        (None, View::About) => boards::about(app, &mut canvas, body),
    }
    let mut cursor = None;
    if foot > 0 {
        cursor = bottom(app, &mut canvas, Rect::new(area.x, area.bottom() - 1, area.width, 1));
    }
    over::draw(app, &mut canvas, body, &mut cursor);
    if let Some(cursor) = cursor.filter(|at| area.contains(*at)) {
        frame.set_cursor_position(cursor);
    }
}

/// What is shown, and of what.
fn title(app: &App, canvas: &mut Canvas<'_>) {
    let area = canvas.area();
    let places = app.store.places();
    let whom = match places {
        [one] => one.name.clone(),
        several => {
            let up = several.iter().filter(|place| place.is_up()).count();
            format!("{up} of {} endpoints", several.len())
        }
    };
    let all = words::count(app.store.len() as u64, "task", "tasks");
    let shown = if app.list.filter().is_empty() { String::new() } else { format!(", {} shown", app.list.fit()) };
    let marks = if app.list.marks.is_empty() { String::new() } else { format!(", {} marked", app.list.marks.len()) };
    let mut text = format!("pm {}  {whom}  {all}{shown}{marks}", if app.replayed.is_some() { "replay" } else { "top" });
    if !app.list.filter().is_empty() {
        text += &format!("  [{}]", app.list.filter());
    }
    let mut state = Vec::new();
    if let Some(replayed) = &app.replayed {
        let at = replayed.at.to_string();
        let at = at.split_once('.').map_or(at.trim_end_matches('Z'), |(seconds, _)| seconds).replace('T', " ");
        let part = if replayed.length > 0.0 { replayed.done / replayed.length } else { 1.0 };
        state.push(format!("{at} UTC {} {}x", app.glyphs.bar(part, 10), replayed.speed));
    }
    if let Some((at, held)) = &app.paused {
        let changed = match held.len() {
            0 => String::new(),
            changes => format!(", {} changed", words::count(changes as u64, "task", "tasks")),
        };
        let since = if app.replayed.is_some() { String::new() } else { format!(" {}", words::of_millis(app.now - at)) };
        state.push(format!("PAUSED{since}{changed}"));
    }
    let state = state.join("  ");
    let width = u16::try_from(unicode_width::UnicodeWidthStr::width(state.as_str())).unwrap_or(u16::MAX);
    let room = if state.is_empty() { area.width } else { area.width.saturating_sub(width.saturating_add(2)) };
    canvas.put(area.x, area.y, room, &text, Role::Title);
    canvas.put_right(area.x, area.y, area.width, &state, Role::Odd);
}

fn tabs(app: &mut App, canvas: &mut Canvas<'_>, y: u16) {
    let mut x = canvas.area().x;
    for (number, view) in (1..).zip(View::ALL) {
        let is_here = view == app.view;
        let text =
            if is_here { format!("[{number} {}]", view.title()) } else { format!(" {number} {} ", view.title()) };
        let width = canvas.put(x, y, u16::MAX, &text, if is_here { Role::Title } else { Role::Dim });
        app.hits.push((Rect::new(x, y, width, 1), Hit::View(view)));
        x = x.saturating_add(width + 1);
    }
}

/// What is to be known of endpoints that are not heard.
fn banners(app: &App) -> Vec<String> {
    let mut lines = Vec::new();
    let mut more = 0;
    for place in app.store.places() {
        let (why, since, retry_at, what) = match &place.state {
            State::Lost { why, since, retry_at } => (why, since, retry_at, "away"),
            State::Refused { why, since, retry_at } => (why, since, retry_at, "does not tell"),
            _ => continue,
        };
        if lines.len() == BANNERS {
            more += 1;
            continue;
        }
        let tasks = match place.tasks {
            0 => String::new(),
            tasks => format!("; its {} are as of then", words::count(tasks as u64, "task", "tasks")),
        };
        let retry = match retry_at - app.now {
            wait if wait >= 1_000.0 => format!("again in {:.0} s", wait / 1e3),
            _ => "trying again".to_owned(),
        };
        let since = words::of_millis(app.now - since);
        lines.push(format!(" {}: {what} for {since}, {retry}{tasks}: {}", place.name, cause(&place.name, why)));
    }
    if more > 0 {
        lines.push(format!(" and {} more; 5 shows all", words::count(more, "endpoint", "endpoints")));
    }
    lines
}

/// The sentence without the endpoint, which is named already.
fn cause<'w>(name: &str, why: &'w str) -> &'w str {
    why.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(why)
}

/// What is being written, a word, or the keys; and where the cursor is.
fn bottom(app: &App, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let prompt = match &app.mode {
        Mode::Filter { edit, .. } => Some(("filter: ", edit)),
        Mode::Goto(edit) => Some(("go to: ", edit)),
        _ => None,
    };
    if let Some((name, edit)) = prompt {
        let used = canvas.put(area.x, area.y, area.width, name, Role::Key);
        let x = over::edit(canvas, edit, Rect::new(area.x + used, area.y, area.width.saturating_sub(used), 1));
        return Some(Position::new(x, area.y));
    }
    if let Some(said) = app.said() {
        canvas.put(area.x, area.y, area.width, said, Role::Odd);
        return None;
    }
    let keys: &[(&str, &str)] = match (&app.mode, &app.details, app.view) {
        (Mode::Kill(_), ..) => &[],
        (Mode::Sort(_), ..) => &[("Enter", "sort"), ("Esc", "back")],
        (Mode::Columns(_), ..) => &[("Space", "show or hide"), ("Enter", "done")],
        (_, Some(_), _) => &[("Esc", "back"), ("k", "kill"), ("y", "copy id"), ("p", "pause"), ("?", "help")],
        (_, None, View::Running) => &[
            ("/", "filter"),
            ("s", "sort"),
            ("Space", "mark"),
            ("k", "kill"),
            ("Enter", "show"),
            ("t", "tree"),
            ("?", "help"),
            ("q", "quit"),
        ],
        (_, None, View::Kinds) => &[("Enter", "its tasks"), ("Esc", "back"), ("?", "help"), ("q", "quit")],
        (_, None, View::Ended) => &[("Enter", "details"), ("Esc", "back"), ("?", "help"), ("q", "quit")],
        (_, None, _) => &[("Esc", "back"), ("?", "help"), ("q", "quit")],
    };
    let mut x = area.x;
    for (key, what) in keys {
        x += canvas.put(x, area.y, area.right().saturating_sub(x), key, Role::Key);
        x += canvas.put(x, area.y, area.right().saturating_sub(x), &format!(" {what}"), Role::Plain) + 2;
    }
    None
}
