//! Kinds, ended tasks, waits, and what endpoints say about themselves.

use pm_client::Kind;
use ratatui_core::layout::Rect;

use super::table::{self, Cell, Col, Place, Row};
use crate::out::words;
use crate::top::app::{App, Hit, View};
use crate::top::canvas::Canvas;
use crate::top::model::State;
use crate::top::theme::Role;
use crate::verbs::waits::{circle, name};

/// Bars of the spread of lengths.
const SPREAD: usize = 16;

/// Draws a table of a board: titles, and the rows that are seen, made by `row`.
fn board(
    app: &mut App,
    canvas: &mut Canvas<'_>,
    area: Rect,
    cols: &[Col],
    count: usize,
    row: impl Fn(&App, usize) -> Row,
) {
    let room = usize::from(area.height.saturating_sub(1));
    let scroll = match app.view {
        View::Kinds => &mut app.boards.kinds_at,
        View::Ended => &mut app.boards.ended_at,
        View::Waits => &mut app.boards.waits_at,
        _ => &mut app.boards.about_at,
    };
    let top = scroll.scroll(count, room);
    let cursor = scroll.cursor.wrapping_sub(top);
    let rows: Vec<Row> = (top..count).take(room).map(|at| row(app, at)).collect();
    let titles: Vec<String> = cols.iter().map(|col| col.title.to_owned()).collect();
    table::draw(canvas, Place { area, cursor }, cols, &titles, &rows, &mut app.board_widths);
    for line in 0..rows.len() {
        let y = area.y + 1 + u16::try_from(line).unwrap_or(0);
        app.hits.push((Rect::new(area.x, y, area.width, 1), Hit::Row(top + line)));
    }
}

/// Says who has not answered and what went wrong; the room that is left.
fn troubles(app: &App, canvas: &mut Canvas<'_>, area: Rect) -> Rect {
    let (mut errors, missing) = app.boards.troubles(app.view);
    let waiting = format!("waiting for {}", words::count(missing as u64, "endpoint", "endpoints"));
    // In a recording nobody is asked.
    if missing > 0 && app.replayed.is_none() {
        errors.push(&waiting);
    }
    let lines = errors.len().min(3).min(usize::from(area.height.saturating_sub(3)));
    let mut area = area;
    for error in errors.iter().take(lines) {
        canvas.put(area.x, area.y, area.width, error, if *error == waiting { Role::Dim } else { Role::Bad });
        area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    }
    area
}

fn not_recorded(app: &App, canvas: &mut Canvas<'_>, area: Rect) -> bool {
    if app.replayed.is_some() {
        canvas.put(
            area.x + 2,
            area.y.saturating_add(1),
            area.width.saturating_sub(2),
            "This is not in a recording.",
            Role::Dim,
        );
    }
    app.replayed.is_some()
}

fn endpoint(app: &App, at: u32) -> Cell {
    let name = if app.several() { app.store.places()[at as usize].name.clone() } else { String::new() };
    Cell::new(name, Role::Dim)
}

/// The column of the endpoint is there only if there are several.
fn cols(app: &App, rest: &[Col]) -> Vec<Col> {
    let first = app.several().then_some(Col::new("ENDPOINT", 9));
    first.into_iter().chain(rest.iter().copied()).collect()
}

fn cells(app: &App, at: u32, rest: Vec<Cell>) -> Vec<Cell> {
    app.several().then(|| endpoint(app, at)).into_iter().chain(rest).collect()
}

pub(super) fn kinds(app: &mut App, canvas: &mut Canvas<'_>, area: Rect) {
    if not_recorded(app, canvas, area) {
        return;
    }
    let area = troubles(app, canvas, area);
    let cols = cols(
        app,
        &[
            Col::new("KIND", 0).least(18),
            Col::new("RUNNING", 1).right(),
            Col::new("FINISHED", 4).right(),
            Col::new("FAILED", 3).right(),
            Col::new("CANCELLED", 8).right(),
            Col::new("ABORTED", 8).right(),
            Col::new("DROPPED", 8).right(),
            Col::new("P50", 2).right(),
            Col::new("P95", 2).right(),
            Col::new("P99", 5).right(),
            Col::new("MAX", 6).right(),
            Col::new("SPREAD", 5),
            Col::new("ENDED/S", 6),
            Col::new("WHERE TIME GOES", 7).least(20).rest(),
        ],
    );
    let count = app.boards.all_kinds().count();
    board(app, canvas, area, &cols, count, |app, at| {
        let Some((endpoint, kind)) = app.boards.all_kinds().nth(at) else { return Row::default() };
        let number = |number: u64, role: Role| match number {
            0 => Cell::from(""),
            number => Cell::new(number.to_string(), role),
        };
        let latency = &kind.latency;
        let length = |millis: Option<f64>| Cell::from(words::length(millis.filter(|_| latency.count > 0)));
        let rates = app.boards.rates(endpoint, kind);
        let rate = rates.last().map(|rate| format!("{rate:>5.1} ")).unwrap_or_default();
        Row {
            cells: cells(
                app,
                endpoint,
                vec![
                    crate::verbs::kinds::name(kind).into(),
                    kind.running.to_string().into(),
                    kind.finished.to_string().into(),
                    number(kind.failed, Role::Bad),
                    number(kind.cancelled, Role::Odd),
                    number(kind.aborted, Role::Bad),
                    number(kind.dropped, Role::Odd),
                    length(latency.p50_ms),
                    length(latency.p95_ms),
                    length(latency.p99_ms),
                    length(latency.max_ms),
                    app.glyphs.sparks(&spread(kind)).into(),
                    format!("{rate}{}", app.glyphs.sparks(&rates)).into(),
                    crate::verbs::kinds::where_time_goes(kind).into(),
                ],
            ),
            ..Row::default()
        }
    });
}

/// How many took how long, from the shortest to the longest, in a few parts.
fn spread(kind: &Kind) -> Vec<f64> {
    let buckets = &kind.latency.buckets;
    let mut parts = vec![0.0; SPREAD.min(buckets.len())];
    for (at, bucket) in buckets.iter().enumerate() {
        let part = at * parts.len() / buckets.len();
        parts[part] += bucket.count as f64;
    }
    parts
}

pub(super) fn ended(app: &mut App, canvas: &mut Canvas<'_>, area: Rect) {
    let area = troubles(app, canvas, area);
    let cols = cols(
        app,
        &[
            Col::new("ENDED", 1).right(),
            Col::new("OUTCOME", 0),
            Col::new("SERIAL", 5).right(),
            Col::new("ID", 0).least(10),
            Col::new("KIND", 3),
            Col::new("RAN", 2).right(),
            Col::new("LAST STATUS", 4).least(20).rest(),
        ],
    );
    let count = app.boards.ended.len();
    board(app, canvas, area, &cols, count, |app, at| {
        let ended = &app.boards.ended[at];
        let row = &ended.row;
        let ago = ended.at.map(|at| format!("{} ago", words::of_millis((app.shown_at() - at).max(0.0))));
        let outcome = row.outcome.as_deref().unwrap_or("not known");
        let role = match outcome {
            "finished" => Role::Good,
            "failed" | "aborted" => Role::Bad,
            _ => Role::Odd,
        };
        Row {
            cells: cells(
                app,
                ended.key.endpoint,
                vec![
                    ago.unwrap_or_default().into(),
                    Cell::new(outcome, role),
                    row.serial.as_str().into(),
                    row.id.as_str().into(),
                    row.kind.as_deref().unwrap_or_default().into(),
                    words::length(row.age_ms).into(),
                    row.status.as_str().into(),
                ],
            ),
            ..Row::default()
        }
    });
    if count == 0 {
        canvas.put(
            area.x + 2,
            area.y + 2,
            area.width.saturating_sub(2),
            "No task has ended that is still known.",
            Role::Dim,
        );
    }
}

pub(super) fn waits(app: &mut App, canvas: &mut Canvas<'_>, area: Rect) {
    if not_recorded(app, canvas, area) {
        return;
    }
    let mut area = troubles(app, canvas, area);
    let mut circles = Vec::new();
    for (at, waits) in app.boards.all_waits() {
        let whom = if app.several() { format!("{}: ", app.store.places()[at as usize].name) } else { String::new() };
        circles.extend(waits.cycles.iter().map(|cycle| format!("{whom}in a circle: {}", circle(cycle))));
    }
    // What matters most comes first, whole lines of it, but the table stays in sight.
    for text in &circles {
        for line in wrapped(text, usize::from(area.width)) {
            if area.height < 5 {
                break;
            }
            canvas.put(area.x, area.y, area.width, &line, Role::Bad);
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
    }
    let cols = cols(
        app,
        &[
            Col::new("TASK", 0).least(20),
            Col::new("KIND", 3),
            Col::new("WAITS FOR", 0),
            Col::new("SINCE", 1).right(),
            Col::new("NOTE", 2).rest(),
        ],
    );
    let count = app.boards.all_waits().map(|(_, waits)| waits.tree.len()).sum();
    board(app, canvas, area, &cols, count, |app, at| {
        let rows = app.boards.all_waits().flat_map(|(at, waits)| waits.tree.iter().map(move |row| (at, waits, row)));
        let Some((endpoint, waits, row)) = rows.into_iter().nth(at) else { return Row::default() };
        let in_cycle = waits.cycles.iter().any(|cycle| cycle.steps.iter().any(|step| step.serial == row.serial));
        let note = match (row.repeated, in_cycle) {
            (true, true) => "see above: a circle",
            (true, false) => "see above",
            (false, true) => "in a circle",
            (false, false) => "",
        };
        let depth = usize::try_from(row.depth).unwrap_or(0).min(20);
        let branch = if depth == 0 { String::new() } else { "  ".repeat(depth - 1) + app.glyphs.branch };
        Row {
            cells: cells(
                app,
                endpoint,
                vec![
                    format!("{branch}{}", name(&row.id, &row.serial)).into(),
                    row.kind.as_deref().unwrap_or_default().into(),
                    row.resource.as_deref().unwrap_or_default().into(),
                    words::length(row.wait_ms).into(),
                    Cell::new(note, if in_cycle { Role::Bad } else { Role::Dim }),
                ],
            ),
            ..Row::default()
        }
    });
    if count == 0 && area.height > 2 {
        let older = app.boards.waits.iter().any(|answer| matches!(answer, Some(Ok(None))));
        let text = match older {
            true => "No task is known to wait; some endpoints are too old to tell.",
            false => "No task says that it waits for another.",
        };
        canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(2), text, Role::Dim);
    }
}

/// The text in lines of so many characters, broken at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line from the start");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("  {word}"));
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

pub(super) fn about(app: &mut App, canvas: &mut Canvas<'_>, area: Rect) {
    let cols = [
        Col::new("ENDPOINT", 0),
        Col::new("STATE", 0),
        Col::new("TASKS", 1).right(),
        Col::new("VERSION", 2),
        Col::new("UP", 3).right(),
        Col::new("MAY", 4),
        Col::new("NOT SHOWN", 5).right(),
        Col::new("NOTE", 6).rest(),
    ];
    let version = format!("pm {}", env!("CARGO_PKG_VERSION"));
    let area = match area.height {
        0..3 => area,
        height => {
            canvas.put_right(area.x, area.bottom() - 1, area.width, &version, Role::Dim);
            Rect { height: height - 1, ..area }
        }
    };
    let count = app.store.places().len();
    board(app, canvas, area, &cols, count, |app, at| {
        let place = &app.store.places()[at];
        let (state, role) = match &place.state {
            State::Connecting => ("connecting".to_owned(), Role::Dim),
            State::Live => ("live".to_owned(), Role::Good),
            State::Polled => ("asked each second".to_owned(), Role::Good),
            State::Lost { since, .. } => (format!("away for {}", words::of_millis(app.now - since)), Role::Bad),
            State::Refused { since, .. } => {
                (format!("does not tell for {}", words::of_millis(app.now - since)), Role::Bad)
            }
        };
        let info = match &app.boards.about[at] {
            Some(Ok(Some(info))) => Some(info),
            _ => None,
        };
        let mut notes = Vec::new();
        match &place.state {
            State::Polled => {
                notes.push("a Go original: no serials, kinds, parents and progress, no word of what ended".to_owned());
            }
            State::Lost { why, .. } | State::Refused { why, .. } => {
                notes.push(super::cause(&place.name, why).to_owned())
            }
            _ => {}
        }
        if place.unseen > 0 {
            notes.push(format!("{} between two looks", words::count(place.unseen, "task", "tasks")));
        }
        if place.gaps > 0 {
            notes.push(words::count(place.gaps, "gap in its stream", "gaps in its stream"));
        }
        let dropped = info.and_then(|info| info.dropped["tasksNotShown"].as_u64()).filter(|count| *count > 0);
        Row {
            cells: vec![
                place.name.as_str().into(),
                Cell::new(state, role),
                place.tasks.to_string().into(),
                info.map(|info| info.version.clone()).unwrap_or_default().into(),
                words::length(info.and_then(|info| info.uptime_ms)).into(),
                info.and_then(|info| info.scope.clone()).unwrap_or_default().into(),
                dropped.map(|count| count.to_string()).unwrap_or_default().into(),
                notes.join("; ").into(),
            ],
            ..Row::default()
        }
    });
}
