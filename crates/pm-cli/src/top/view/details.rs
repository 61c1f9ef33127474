//! One task: facts, and its history as a timeline; side by side on a wide screen.

use pm_client::{History, Outcome, Row, TaskState};
use ratatui_core::layout::Rect;

use crate::feed::{Key, Task};
use crate::out::format;
use crate::top::app::{App, Details};
use crate::top::canvas::Canvas;
use crate::top::theme::{Glyphs, Role};
use crate::verbs::history;
use crate::verbs::waits::{name, waits_for};

/// The screen width from which facts and history are side by side.
const WIDE: u16 = 120;
/// The width of the bars that show how long each status lasted.
const BAR: usize = 12;
/// The most children that are listed.
const CHILDREN: usize = 20;

/// A line: the name of a fact, the fact, and its role.
struct Line(String, String, Role);

/// Draws the details. Returns the first line that is shown.
pub(super) fn draw(app: &App, details: &Details, canvas: &mut Canvas<'_>, area: Rect) -> usize {
    let (facts, history) = (facts(app, details), past(app, details, canvas.glyphs));
    let height = usize::from(area.height);
    if area.width >= WIDE {
        let half = area.width / 2;
        let left = Rect { width: half - 1, ..area };
        let right = Rect { x: area.x + half, width: area.width - half, ..area };
        let most = facts.len().max(history.len()).saturating_sub(height);
        let top = details.top.min(most);
        column(canvas, left, facts.iter().skip(top));
        column(canvas, right, history.iter().skip(top));
        top
    } else {
        let all: Vec<Line> =
            facts.into_iter().chain([Line(String::new(), String::new(), Role::Plain)]).chain(history).collect();
        let top = details.top.min(all.len().saturating_sub(height));
        column(canvas, area, all.iter().skip(top));
        if all.len() > top + height && height > 1 {
            let more = format!(" {} more lines below ", all.len() - top - height);
            canvas.put_right(area.x, area.bottom() - 1, area.width, &more, Role::Key);
        }
        top
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
    let live = details.live(&app.store);
    let row = live.map_or(&details.row, |task| &task.row);
    let mut lines: Vec<Line> = Vec::new();
    let mut line = |title: &str, text: String, role: Role| {
        if !text.is_empty() {
            lines.push(Line(title.to_owned(), text, role));
        }
    };
    let endpoint = app.store.endpoint(details.key);
    line("id", row.id.clone(), Role::Title);
    line("serial", format::serial(row.serial), Role::Plain);
    line("kind", row.kind.clone().unwrap_or_default(), Role::Plain);
    line("endpoint", endpoint.name.clone(), Role::Plain);
    let (state, role) = state(details, live, now);
    line("state", state, role);
    line("started", row.started_at.map(|at| format!("{at} (server clock)")).unwrap_or_default(), Role::Plain);
    let since = live.and_then(|task| task.status_age(now));
    let since = since.map(|since| format!(" (for {})", format::millis(since))).unwrap_or_default();
    line("status", format!("{}{since}", row.status), Role::Plain);
    line("progress", progress(app, row, live, now), Role::Plain);
    if let Some(reply) = &details.reply {
        for wait in &reply.found.waits {
            let role = if wait.is_stuck { Role::Bad } else { Role::Warning };
            let stuck = if wait.in_cycle { " (deadlock)" } else { "" };
            line("waits for", format!("{}{stuck}", waits_for(wait)), role);
        }
        for wait in &reply.found.holds_up {
            let since = format::duration(wait.waited);
            let text = format!("{}, which has waited for {} for {since}", name(&wait.id, wait.serial), wait.resource);
            line("blocks", text, Role::Warning);
        }
    }
    line("cancel", cancel(row), Role::Warning);
    if !row.is_cancellable() {
        line("cancellable", "no".to_owned(), Role::Warning);
    }
    if row.protected {
        line("protected", "cancels are deferred to the end of this section".to_owned(), Role::Plain);
    }
    line("parent", parent(app, details.key, row), Role::Plain);
    let children: Vec<&Task> = children(app, details.key);
    for (at, child) in children.iter().take(CHILDREN).enumerate() {
        let title = if at == 0 { "children" } else { " " };
        let age = format::age(child.age(now));
        line(title, format!("{}, {age}: {}", name(&child.row.id, child.row.serial), child.row.status), Role::Plain);
    }
    if children.len() > CHILDREN {
        line(" ", format!("and {} more", children.len() - CHILDREN), Role::Dim);
    }
    for (at, (name, value)) in row.attrs.iter().enumerate() {
        line(if at == 0 { "attributes" } else { " " }, format!("{name}={}", format::attr(value)), Role::Plain);
    }
    if let Some(error) = &details.error {
        line("error", error.clone(), Role::Bad);
    }
    lines
}

fn state(details: &Details, live: Option<&Task>, now: f64) -> (String, Role) {
    match live {
        Some(task) => {
            let is_cancelling = task.row.is_cancelling();
            let text = format!(
                "{}, for {}",
                task.row.state.as_ref().map_or("", TaskState::as_str),
                format::age(task.age(now))
            );
            (text, if is_cancelling { Role::Warning } else { Role::Plain })
        }
        None => match details.row.outcome.as_ref().map(Outcome::as_str) {
            Some(outcome) => {
                let role = match outcome {
                    "finished" => Role::Good,
                    "failed" | "aborted" => Role::Bad,
                    _ => Role::Warning,
                };
                (format!("ended: {outcome}, after {}", format::ran(&details.row)), role)
            }
            None => ("ended, or no longer reported".to_owned(), Role::Warning),
        },
    }
}

fn progress(app: &App, row: &Row, live: Option<&Task>, now: f64) -> String {
    let Some(progress) = &row.progress else { return String::new() };
    let mut text = format::progress(progress);
    if progress.total > 0 {
        let part = progress.done as f64 / progress.total as f64;
        text = format!("{} {:.0} %  {text}", app.glyphs.bar(part, 20), 100.0 * part);
    }
    // The rate since progress was first seen, or else since the start.
    let rate = live.and_then(|task| {
        let age = task.age(now).filter(|age| *age > 0.0);
        let seen = task.first_progress.map(|(at, done)| (now - at, progress.done.saturating_sub(done) as f64));
        match seen {
            Some((span, more)) if span > 2_000.0 && more > 0.0 => Some(more / span),
            _ => age.map(|age| progress.done as f64 / age),
        }
    });
    if let Some(rate) = rate.filter(|rate| *rate > 0.0) {
        let left = progress.total.saturating_sub(progress.done) as f64;
        text += &format!(", {:.1}/s", rate * 1e3);
        if left > 0.0 {
            text += &format!(", {} left", format::millis(left / rate));
        }
    }
    text
}

fn cancel(row: &Row) -> String {
    let Some(cancel) = &row.cancel else { return String::new() };
    let mut text = "requested".to_owned();
    if !cancel.by.is_empty() {
        text += &format!(" by {}", cancel.by);
    }
    if let Some(age) = cancel.age {
        text += &format!(", {} ago", format::duration(age));
    }
    if !cancel.reason.is_empty() {
        text += &format!(": {}", cancel.reason);
    }
    text
}

fn parent(app: &App, key: Key, row: &Row) -> String {
    let Some(serial) = row.parent else { return String::new() };
    let parent = app.store.find(Key { number: serial.get(), ..key });
    match (parent, row.parent_ended) {
        (Some(parent), _) => name(&parent.row.id, Some(serial)),
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

/// The history: start, duration as bar and text, and status of each entry.
fn past(app: &App, details: &Details, glyphs: Glyphs) -> Vec<Line> {
    let history = match &details.reply {
        Some(reply) => &reply.history,
        None if app.replayed.is_some() => {
            return vec![Line("history".into(), "not in a recording".into(), Role::Dim)];
        }
        None => return vec![Line("history".into(), "waiting for the reply".into(), Role::Dim)],
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
        format::count(entries.len() as u64 + history.dropped, "entry", "entries"),
        Role::Plain,
    )];
    let all = history::lines(history);
    let longest = all.iter().filter_map(|line| match line {
        history::Line::Entry(_, duration) => *duration,
        history::Line::Gap { .. } => None,
    });
    let longest = longest.max().map_or(0.0, format::to_millis);
    let start = entries.first().map(|entry| entry.at).unwrap_or_default();
    for (at, line) in all.iter().enumerate() {
        let (after, bar, duration, text, role) = match line {
            history::Line::Entry(entry, duration) => {
                let after = format!("+{:>8}", format::millis(format::to_millis(entry.at.since(start))));
                let bar = duration.map(|duration| glyphs.bar(format::to_millis(duration) / longest, BAR));
                let role = if at + 1 == all.len() { Role::Title } else { Role::Plain };
                (after, bar, *duration, entry.status.clone(), role)
            }
            history::Line::Gap { entries, covers } => {
                let text = format!("... {} dropped ...", format::count(*entries, "entry", "entries"));
                (String::new(), None, *covers, text, Role::Dim)
            }
        };
        let (bar, duration) = (bar.unwrap_or_default(), format::duration(duration));
        lines.push(Line(String::new(), format!("{after:9}  {bar:BAR$} {duration:>8}  {text}"), role));
    }
    lines
}
