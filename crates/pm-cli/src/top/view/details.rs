//! One task: what is known of it, and its history as a timeline. On a wide screen side by side.

use pm_client::{History, Row};
use ratatui_core::layout::Rect;

use crate::out::words;
use crate::top::app::{App, Details};
use crate::top::canvas::Canvas;
use crate::top::model::{Key, Task};
use crate::top::theme::{Glyphs, Role};
use crate::verbs::waits::{name, waits_for};

/// From here on two columns are better than one.
const WIDE: u16 = 120;
/// Characters of the bars that show how long each status lasted.
const BAR: usize = 12;
/// Children that are named.
const CHILDREN: usize = 20;

/// A line: the name of a fact, and the fact.
struct Line(String, String, Role);

pub(super) fn draw(app: &mut App, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(details) = &app.details else { return };
    let (facts, history) = (facts(app, details), history(app, details, canvas.glyphs));
    let room = usize::from(area.height);
    if area.width >= WIDE {
        let half = area.width / 2;
        let left = Rect { width: half - 1, ..area };
        let right = Rect { x: area.x + half, width: area.width - half, ..area };
        let most = facts.len().max(history.len()).saturating_sub(room);
        let top = details.top.min(most);
        column(canvas, left, facts.iter().skip(top));
        column(canvas, right, history.iter().skip(top));
        stay(app, top);
    } else {
        let all: Vec<Line> =
            facts.into_iter().chain([Line(String::new(), String::new(), Role::Plain)]).chain(history).collect();
        let top = details.top.min(all.len().saturating_sub(room));
        column(canvas, area, all.iter().skip(top));
        if all.len() > top + room && room > 1 {
            let more = format!(" {} more lines below ", all.len() - top - room);
            canvas.put_right(area.x, area.bottom() - 1, area.width, &more, Role::Key);
        }
        stay(app, top);
    }
}

/// Scrolling back begins where the end was.
fn stay(app: &mut App, top: usize) {
    if let Some(details) = &mut app.details {
        details.top = top;
    }
}

fn column<'l>(canvas: &mut Canvas<'_>, area: Rect, lines: impl Iterator<Item = &'l Line>) {
    for (y, Line(title, text, role)) in (area.top()..area.bottom()).zip(lines) {
        let used = canvas.put(area.x, y, area.width, title, Role::Head);
        let indent = if title.is_empty() { 0 } else { used.max(12).saturating_add(1) };
        canvas.put(area.x.saturating_add(indent), y, area.width.saturating_sub(indent), text, *role);
    }
}

fn facts(app: &App, details: &Details) -> Vec<Line> {
    let now = app.shown_at();
    let live = app.store.find(details.key);
    let row = live.map_or(&details.row, |task| &task.row);
    let mut lines: Vec<Line> = Vec::new();
    let mut line = |title: &str, text: String, role: Role| {
        if !text.is_empty() {
            lines.push(Line(title.to_owned(), text, role));
        }
    };
    let place = app.store.place(details.key);
    line("id", row.id.clone(), Role::Title);
    line("serial", row.serial.clone(), Role::Plain);
    line("kind", row.kind.clone().unwrap_or_default(), Role::Plain);
    line("endpoint", place.name.clone(), Role::Plain);
    let (state, role) = state(details, live, now);
    line("state", state, role);
    line("started", row.started_at.map(|at| format!("{at}, by its clock")).unwrap_or_default(), Role::Plain);
    let since = live.and_then(|task| task.status_age(now));
    let since = since.map(|since| format!(" (for {})", words::of_millis(since))).unwrap_or_default();
    line("status", format!("{}{since}", row.status), Role::Plain);
    line("progress", progress(app, row, live, now), Role::Plain);
    if let Some(known) = &details.known {
        for wait in &known.found.waits {
            let role = if wait.is_stuck { Role::Bad } else { Role::Odd };
            let stuck = if wait.in_cycle { " (in a circle: none goes on by itself)" } else { "" };
            line("waits for", format!("{}{stuck}", waits_for(wait)), role);
        }
        for wait in &known.found.holds_up {
            let since = words::of_millis(wait.wait_ms);
            let text = format!("{}, which waits for {} since {since}", name(&wait.id, &wait.serial), wait.resource);
            line("holds up", text, Role::Odd);
        }
    }
    line("cancel", cancel(row), Role::Odd);
    if !row.is_cancellable() {
        line("cancellable", "no: a cancel is refused".to_owned(), Role::Odd);
    }
    if row.protected {
        line("protected", "a cancel waits for the end of this section".to_owned(), Role::Plain);
    }
    line("parent", parent(app, details.key, row), Role::Plain);
    let children: Vec<&Task> = children(app, details.key);
    for (at, child) in children.iter().take(CHILDREN).enumerate() {
        let title = if at == 0 { "children" } else { " " };
        let age = words::length(child.age(now));
        line(title, format!("{}, {age}: {}", name(&child.row.id, &child.row.serial), child.row.status), Role::Plain);
    }
    if children.len() > CHILDREN {
        line(" ", format!("and {} more", children.len() - CHILDREN), Role::Dim);
    }
    for (at, (name, value)) in row.attrs.iter().enumerate() {
        line(if at == 0 { "attributes" } else { " " }, format!("{name}={}", words::attr(value)), Role::Plain);
    }
    if let Some(error) = &details.error {
        line("not known", error.clone(), Role::Bad);
    }
    lines
}

fn state(details: &Details, live: Option<&Task>, now: f64) -> (String, Role) {
    match live {
        Some(task) => {
            let is_cancelling = task.row.state == "cancelling";
            let text = format!("{}, for {}", task.row.state, words::length(task.age(now)));
            (text, if is_cancelling { Role::Odd } else { Role::Plain })
        }
        None => match details.row.outcome.as_deref() {
            Some(outcome) => {
                let role = match outcome {
                    "finished" => Role::Good,
                    "failed" | "aborted" => Role::Bad,
                    _ => Role::Odd,
                };
                (format!("ended: {outcome}, after {}", words::length(details.row.age_ms)), role)
            }
            None => ("ended, or no longer told of".to_owned(), Role::Odd),
        },
    }
}

fn progress(app: &App, row: &Row, live: Option<&Task>, now: f64) -> String {
    let Some(far) = &row.progress else { return String::new() };
    let mut text = words::progress(far);
    if far.total > 0 {
        let part = far.done as f64 / far.total as f64;
        text = format!("{} {:.0} %  {text}", app.glyphs.bar(part, 20), 100.0 * part);
    }
    // As fast as since the start, where that is known, else since it was first seen.
    let rate = live.and_then(|task| {
        let age = task.age(now).filter(|age| *age > 0.0);
        let seen = task.first_far.map(|(at, done)| (now - at, far.done.saturating_sub(done) as f64));
        match seen {
            Some((span, more)) if span > 2_000.0 && more > 0.0 => Some(more / span),
            _ => age.map(|age| far.done as f64 / age),
        }
    });
    if let Some(rate) = rate.filter(|rate| *rate > 0.0) {
        let left = far.total.saturating_sub(far.done) as f64;
        text += &format!(", {:.1}/s", rate * 1e3);
        if left > 0.0 {
            text += &format!(", {} left", words::of_millis(left / rate));
        }
    }
    text
}

fn cancel(row: &Row) -> String {
    let Some(cancel) = &row.cancel else { return String::new() };
    let mut text = "asked to stop".to_owned();
    if !cancel.by.is_empty() {
        text += &format!(" by {}", cancel.by);
    }
    if let Some(age) = cancel.age_ms {
        text += &format!(", {} ago", words::of_millis(age));
    }
    if !cancel.reason.is_empty() {
        text += &format!(": {}", cancel.reason);
    }
    text
}

fn parent(app: &App, key: Key, row: &Row) -> String {
    let Some(serial) = &row.parent else { return String::new() };
    let parent = serial.parse().ok().and_then(|number| app.store.find(Key { number, ..key }));
    match (parent, row.parent_ended) {
        (Some(parent), _) => name(&parent.row.id, serial),
        (None, true) => format!("task {serial}, which has ended"),
        (None, false) => format!("task {serial}"),
    }
}

fn children(app: &App, key: Key) -> Vec<&Task> {
    let is_child = |task: &&Task| task.key.endpoint == key.endpoint && task.parent == key.number && task.parent != 0;
    let mut children: Vec<&Task> = app.store.iter().map(|(_, task)| task).filter(is_child).collect();
    children.sort_by_key(|task| task.key);
    children
}

/// What it did so far: since when, for how long, what; the length also as a bar.
fn history(app: &App, details: &Details, glyphs: Glyphs) -> Vec<Line> {
    let history = match &details.known {
        Some(known) => &known.history,
        None if app.replayed.is_some() => {
            return vec![Line("history".into(), "is not in a recording".into(), Role::Dim)];
        }
        None => return vec![Line("history".into(), "waiting for the answer".into(), Role::Dim)],
    };
    match history {
        Ok(history) => timeline(history, glyphs),
        Err(error) => vec![Line("history".into(), error.clone(), Role::Bad)],
    }
}

fn timeline(history: &History, glyphs: Glyphs) -> Vec<Line> {
    let entries = &history.history;
    let mut lines = vec![Line(
        "history".into(),
        words::count(entries.len() as u64 + history.dropped, "entry", "entries"),
        Role::Plain,
    )];
    let lengths: Vec<f64> = crate::verbs::history::lengths(history).map(|length| length.as_secs_f64() * 1e3).collect();
    let longest = lengths.iter().copied().fold(0.0, f64::max);
    let start = entries.first().map(|entry| entry.at).unwrap_or_default();
    for (at, (entry, length)) in entries.iter().zip(&lengths).enumerate() {
        if history.dropped > 0 && history.dropped_after == Some(at as u64) {
            lines.push(Line(String::new(), format!("    ... {} entries dropped ...", history.dropped), Role::Dim));
        }
        let after = words::of_millis(entry.at.since(start).as_secs_f64() * 1e3);
        let is_end = at + 1 == entries.len() && history.outcome.is_some();
        let (bar, length) = match is_end {
            true => (" ".repeat(BAR), String::new()),
            false => (glyphs.bar(length / longest, BAR), words::of_millis(*length)),
        };
        let role = if at + 1 == entries.len() { Role::Title } else { Role::Plain };
        lines.push(Line(String::new(), format!("+{after:>8}  {bar} {length:>8}  {}", entry.status), role));
    }
    lines
}
