//! Draws frames. Only what is on the screen is formatted.
//!
//! | file | contents |
//! |---|---|
//! | `pass.rs` | the state of a frame while it is drawn |
//! | `table.rs` | rows in columns |
//! | `running.rs` | the running tasks |
//! | `details.rs` | one task |
//! | `boards.rs` | kinds, ended tasks, waits, endpoints |
//! | `overlay.rs` | menus, dialogs and help over the body |

mod boards;
mod details;
mod overlay;
mod pass;
mod running;
mod table;

use ratatui_core::layout::{Position, Rect};
use ratatui_core::terminal::Frame;

use super::app::{App, Drawn, Hit, Mode, View};
use super::canvas::Canvas;
use super::theme::Role;
use crate::feed::Connection;
use crate::out::format;

use pass::Pass;
use table::Widths;

/// The most unreachable endpoints that are named; more are only counted.
const BANNERS: usize = 3;

/// Draws frames, and keeps the widths of columns from one frame to the next.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    list: Widths,
    board: Widths,
    /// The view that `board` belongs to.
    board_view: View,
}

impl Renderer {
    /// Draws a frame and returns what it showed.
    pub(crate) fn draw(&mut self, app: &App, frame: &mut Frame<'_>) -> Drawn {
        let area = frame.area();
        let mut canvas = Canvas::new(frame.buffer_mut(), app.theme, app.glyphs);
        let mut drawn = Drawn { hits: Vec::new(), page: 0, body: app.scroll(), help_top: 0 };
        if area.height > 0 {
            title(app, &mut canvas);
        }
        let mut y = area.y + 1;
        if area.height > 4 {
            tabs(app, &mut canvas, y, &mut drawn);
            y += 1;
        }
        for banner in banners(app).into_iter().take(usize::from(area.height.saturating_sub(y + 4))) {
            let width = canvas.put(area.x, y, area.width, &banner, Role::Banner);
            canvas.look(Rect::new(area.x, y, area.width.max(width), 1), Role::Banner);
            y += 1;
        }
        let foot = u16::from(area.height > 2);
        let body = Rect::new(area.x, y, area.width, area.height.saturating_sub(y).saturating_sub(foot));
        drawn.page = usize::from(body.height.saturating_sub(1));
        self.body(app, &mut canvas, body, &mut drawn);
        let mut cursor = None;
        if foot > 0 {
            cursor = bottom(app, &mut canvas, Rect::new(area.x, area.bottom() - 1, area.width, 1));
        }
        overlay::draw(app, &mut canvas, body, &mut drawn, &mut cursor);
        if let Some(cursor) = cursor.filter(|at| area.contains(*at)) {
            frame.set_cursor_position(cursor);
        }
        drawn
    }

    fn body(&mut self, app: &App, canvas: &mut Canvas<'_>, area: Rect, drawn: &mut Drawn) {
        if app.view != self.board_view {
            (self.board, self.board_view) = (Widths::default(), app.view);
        }
        if let Some(details) = &app.details {
            drawn.body.top = details::draw(app, details, canvas, area);
            return;
        }
        let widths = if app.view == View::Running { &mut self.list } else { &mut self.board };
        let mut pass = Pass { widths, drawn };
        match app.view {
            View::Running => running::draw(app, canvas, area, &mut pass),
            View::Kinds => boards::kinds(app, canvas, area, &mut pass),
            View::Ended => boards::ended(app, canvas, area, &mut pass),
            View::Waits => boards::waits(app, canvas, area, &mut pass),
            View::About => boards::about(app, canvas, area, &mut pass),
        }
    }
}

/// The line at the top: endpoints, tasks, filter and mode.
fn title(app: &App, canvas: &mut Canvas<'_>) {
    let area = canvas.area();
    let endpoints = app.store.endpoints();
    let source = match endpoints {
        [one] => one.name.clone(),
        several => {
            let up = several.iter().filter(|endpoint| endpoint.is_up()).count();
            format!("{up} of {} endpoints", several.len())
        }
    };
    let all = format::count(app.store.len() as u64, "task", "tasks");
    let shown = if app.list.filter().is_empty() { String::new() } else { format!(", {} shown", app.list.matching()) };
    let not_shown = match app.boards.not_shown() {
        0 => String::new(),
        tasks => format!(", {tasks} not shown (list full)"),
    };
    let marks = if app.list.marks.is_empty() { String::new() } else { format!(", {} marked", app.list.marks.len()) };
    let mut text = format!(
        "pm {}  {source}  {all}{not_shown}{shown}{marks}",
        if app.replayed.is_some() { "replay" } else { "top" }
    );
    if !app.list.filter().is_empty() {
        text += &format!("  [{}]", app.list.filter());
    }
    let mut state = Vec::new();
    if let Some(replayed) = &app.replayed {
        let at = replayed.at.to_string();
        let at = at.split_once('.').map_or(at.trim_end_matches('Z'), |(seconds, _)| seconds).replace('T', " ");
        let part = if replayed.length > 0.0 { replayed.elapsed / replayed.length } else { 1.0 };
        state.push(format!("{at} UTC {} {}x", app.glyphs.bar(part, 10), replayed.speed));
    }
    if let Some((at, held)) = &app.paused {
        let changed = match held.len() {
            0 => String::new(),
            changes => format!(", {} changed", format::count(changes as u64, "task", "tasks")),
        };
        let since = if app.replayed.is_some() { String::new() } else { format!(" {}", format::millis(app.now - at)) };
        state.push(format!("PAUSED{since}{changed}"));
    }
    let state = state.join("  ");
    let width = u16::try_from(unicode_width::UnicodeWidthStr::width(state.as_str())).unwrap_or(u16::MAX);
    let space = if state.is_empty() { area.width } else { area.width.saturating_sub(width.saturating_add(2)) };
    canvas.put(area.x, area.y, space, &text, Role::Title);
    canvas.put_right(area.x, area.y, area.width, &state, Role::Warning);
}

fn tabs(app: &App, canvas: &mut Canvas<'_>, y: u16, drawn: &mut Drawn) {
    let mut x = canvas.area().x;
    for (number, view) in (1..).zip(View::ALL) {
        let is_here = view == app.view;
        let text =
            if is_here { format!("[{number} {}]", view.title()) } else { format!(" {number} {} ", view.title()) };
        let width = canvas.put(x, y, u16::MAX, &text, if is_here { Role::Title } else { Role::Dim });
        drawn.hits.push((Rect::new(x, y, width, 1), Hit::View(view)));
        x = x.saturating_add(width + 1);
    }
}

/// A line for each endpoint that is unreachable, or has more tasks than are held.
fn banners(app: &App) -> Vec<String> {
    let mut lines = Vec::new();
    let mut more = 0;
    for endpoint in app.store.endpoints() {
        if let Some(notice) = endpoint.notice() {
            lines.push(format!(" {}: {notice}", endpoint.name));
        }
        let (why, since, retry_at, state) = match &endpoint.connection {
            Connection::Lost { why, since, retry_at } => (why, since, retry_at, "unreachable"),
            Connection::Refused { why, since, retry_at } => (why, since, retry_at, "refusing"),
            _ => continue,
        };
        if lines.len() >= BANNERS {
            more += 1;
            continue;
        }
        let tasks = match endpoint.tasks {
            0 => String::new(),
            tasks => format!(", {} stale", format::count(tasks as u64, "task", "tasks")),
        };
        let retry = match retry_at - app.now {
            wait if wait >= 1_000.0 => format!("retry in {:.0} s", wait / 1e3),
            _ => "retrying".to_owned(),
        };
        let since = format::millis(app.now - since);
        let name = &endpoint.name;
        lines.push(format!(" {name}: {state} for {since}, {retry}{tasks}: {}", endpoint.cause(why)));
    }
    if more > 0 {
        lines.push(format!(" and {} more; 5 shows all", format::count(more, "endpoint", "endpoints")));
    }
    lines
}

/// The line at the bottom: input, a message, or the keys. Returns the position of the cursor.
fn bottom(app: &App, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let prompt = match &app.mode {
        Mode::Filter { edit, .. } => Some(("filter: ", edit)),
        Mode::Goto(edit) => Some(("go to: ", edit)),
        _ => None,
    };
    if let Some((name, edit)) = prompt {
        let used = canvas.put(area.x, area.y, area.width, name, Role::Key);
        let x = overlay::edit(canvas, edit, Rect::new(area.x + used, area.y, area.width.saturating_sub(used), 1));
        return Some(Position::new(x, area.y));
    }
    if let Some(message) = app.message() {
        canvas.put(area.x, area.y, area.width, message, Role::Warning);
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
            ("Enter", "details"),
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
