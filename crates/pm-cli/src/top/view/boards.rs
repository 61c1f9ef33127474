//! Kinds, ended tasks, waits, and endpoints.

use std::time::Duration;

use pm_client::{KindStats, Outcome, Permission};
use ratatui_core::layout::Rect;

use super::pass::Pass;
use super::table::{self, Cell, Col, Placement, Row};
use crate::feed::Connection;
use crate::out::format;
use crate::top::app::App;
use crate::top::canvas::Canvas;
use crate::top::theme::Role;
use crate::verbs::waits::{cycle_text, name};

/// Bars of the histogram of durations.
const SPREAD: usize = 16;

/// Draws a board: titles, and the visible rows, which `row` makes.
fn board(
    app: &App,
    canvas: &mut Canvas<'_>,
    area: Rect,
    pass: &mut Pass<'_>,
    cols: &[Col],
    count: usize,
    row: impl Fn(usize) -> Row,
) {
    let height = usize::from(area.height.saturating_sub(1));
    let scroll = app.scroll().within(count, height);
    pass.drawn.body = scroll;
    let rows: Vec<Row> = (scroll.top..count).take(height).map(row).collect();
    let titles: Vec<String> = cols.iter().map(|col| col.title.to_owned()).collect();
    let placement = Placement { area, cursor: scroll.cursor.wrapping_sub(scroll.top) };
    table::draw(canvas, placement, cols, &titles, &rows, pass.widths);
    pass.add_rows(area, scroll.top, rows.len());
}

/// Draws the errors and the number of missing replies. Returns the area below.
fn errors(app: &App, canvas: &mut Canvas<'_>, area: Rect) -> Rect {
    let (mut errors, missing) = app.boards.errors(app.view);
    let waiting = format!("waiting for {}", format::count(missing as u64, "endpoint", "endpoints"));
    // In a replay nothing is requested.
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
            "Not in a recording.",
            Role::Dim,
        );
    }
    app.replayed.is_some()
}

fn endpoint(app: &App, at: u32) -> Cell {
    Cell::new(app.store.endpoints()[at as usize].name.clone(), Role::Dim)
}

/// Adds the column of the endpoint if there are several.
fn cols(app: &App, rest: &[Col]) -> Vec<Col> {
    let first = app.has_several_endpoints().then_some(Col::new("ENDPOINT", 9));
    first.into_iter().chain(rest.iter().copied()).collect()
}

fn cells(app: &App, at: u32, rest: Vec<Cell>) -> Vec<Cell> {
    app.has_several_endpoints().then(|| endpoint(app, at)).into_iter().chain(rest).collect()
}

pub(super) fn kinds(app: &App, canvas: &mut Canvas<'_>, area: Rect, pass: &mut Pass<'_>) {
    if not_recorded(app, canvas, area) {
        return;
    }
    let area = errors(app, canvas, area);
    let cols = cols(
        app,
        &[
            Col::new("KIND", 0).min_width(18),
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
            Col::new("WHERE TIME GOES", 7).min_width(20).rest(),
        ],
    );
    let count = app.boards.all_kinds().count();
    board(app, canvas, area, pass, &cols, count, |at| {
        let Some((endpoint, kind)) = app.boards.all_kinds().nth(at) else { return Row::default() };
        let number = |number: u64, role: Role| match number {
            0 => Cell::from(""),
            number => Cell::new(number.to_string(), role),
        };
        let latency = &kind.latency;
        let duration = |duration: Option<Duration>| Cell::from(format::latency(duration.filter(|_| latency.count > 0)));
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
                    number(kind.cancelled, Role::Warning),
                    number(kind.aborted, Role::Bad),
                    number(kind.dropped, Role::Warning),
                    duration(latency.p50),
                    duration(latency.p95),
                    duration(latency.p99),
                    duration(latency.max),
                    app.glyphs.sparks(&spread(kind)).into(),
                    format!("{rate}{}", app.glyphs.sparks(&rates)).into(),
                    crate::verbs::kinds::where_time_goes(kind).into(),
                ],
            ),
            ..Row::default()
        }
    });
}

/// The histogram of durations, merged into at most [`SPREAD`] parts.
fn spread(kind: &KindStats) -> Vec<f64> {
    let buckets = &kind.latency.buckets;
    let mut parts = vec![0.0; SPREAD.min(buckets.len())];
    for (at, bucket) in buckets.iter().enumerate() {
        let part = at * parts.len() / buckets.len();
        parts[part] += bucket.count as f64;
    }
    parts
}

pub(super) fn ended(app: &App, canvas: &mut Canvas<'_>, area: Rect, pass: &mut Pass<'_>) {
    let area = errors(app, canvas, area);
    let cols = cols(
        app,
        &[
            Col::new("ENDED", 1).right(),
            Col::new("OUTCOME", 0),
            Col::new("SERIAL", 5).right(),
            Col::new("ID", 0).min_width(10),
            Col::new("KIND", 3),
            Col::new("RAN", 2).right(),
            Col::new("CANCELLED BY", 6),
            Col::new("LAST STATUS", 4).min_width(20).rest(),
        ],
    );
    let count = app.boards.ended.len();
    board(app, canvas, area, pass, &cols, count, |at| {
        let ended = &app.boards.ended[at];
        let row = &ended.row;
        let ago = ended.at.map(|at| format!("{} ago", format::millis((app.shown_at() - at).max(0.0))));
        let outcome = row.outcome.as_ref().map_or("unknown", Outcome::as_str);
        let role = match outcome {
            "finished" => Role::Good,
            "failed" | "aborted" => Role::Bad,
            _ => Role::Warning,
        };
        Row {
            cells: cells(
                app,
                ended.key.endpoint,
                vec![
                    ago.unwrap_or_default().into(),
                    Cell::new(outcome, role),
                    format::serial(row.serial).into(),
                    row.id.as_str().into(),
                    row.kind.as_deref().unwrap_or_default().into(),
                    format::ran(row).into(),
                    crate::verbs::cancelled_by(row).unwrap_or_default().into(),
                    row.status.as_str().into(),
                ],
            ),
            ..Row::default()
        }
    });
    if count == 0 {
        canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(2), "No ended tasks are retained.", Role::Dim);
    }
}

pub(super) fn waits(app: &App, canvas: &mut Canvas<'_>, area: Rect, pass: &mut Pass<'_>) {
    if not_recorded(app, canvas, area) {
        return;
    }
    let mut area = errors(app, canvas, area);
    let mut cycles = Vec::new();
    for (at, waits) in app.boards.all_waits() {
        let endpoint = match app.has_several_endpoints() {
            true => format!("{}: ", app.store.endpoints()[at as usize].name),
            false => String::new(),
        };
        cycles.extend(waits.cycles.iter().map(|cycle| format!("{endpoint}deadlock: {}", cycle_text(cycle))));
    }
    // Deadlocks come first, wrapped, but the table stays visible.
    for text in &cycles {
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
            Col::new("TASK", 0).min_width(20),
            Col::new("KIND", 3),
            Col::new("WAITS FOR", 0),
            Col::new("SINCE", 1).right(),
            Col::new("NOTE", 2).rest(),
        ],
    );
    let count = app.boards.all_waits().map(|(_, waits)| waits.tree.len()).sum();
    board(app, canvas, area, pass, &cols, count, |at| {
        let rows = app.boards.all_waits().flat_map(|(at, waits)| waits.tree.iter().map(move |row| (at, waits, row)));
        let Some((endpoint, waits, row)) = rows.into_iter().nth(at) else { return Row::default() };
        let in_cycle = waits.cycles.iter().any(|cycle| cycle.steps.iter().any(|step| step.serial == row.serial));
        let note = match (row.repeated, in_cycle) {
            (true, true) => "deadlock, see above",
            (true, false) => "see above",
            (false, true) => "deadlock",
            (false, false) => "",
        };
        let depth = usize::try_from(row.depth).unwrap_or(0).min(20);
        let branch = if depth == 0 { String::new() } else { "  ".repeat(depth - 1) + app.glyphs.branch };
        Row {
            cells: cells(
                app,
                endpoint,
                vec![
                    format!("{branch}{}", name(&row.id, row.serial)).into(),
                    row.kind.as_deref().unwrap_or_default().into(),
                    row.resource.as_deref().unwrap_or_default().into(),
                    format::duration(row.waited).into(),
                    Cell::new(note, if in_cycle { Role::Bad } else { Role::Dim }),
                ],
            ),
            ..Row::default()
        }
    });
    if count == 0 && area.height > 2 {
        let older = app.boards.waits.iter().any(|answer| matches!(answer, Some(Ok(None))));
        let text = match older {
            true => "No task is waiting; some endpoints do not report waits.",
            false => "No task is waiting for another.",
        };
        canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(2), text, Role::Dim);
    }
}

/// Breaks the text at spaces into lines of `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
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

pub(super) fn about(app: &App, canvas: &mut Canvas<'_>, area: Rect, pass: &mut Pass<'_>) {
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
    let count = app.store.endpoints().len();
    board(app, canvas, area, pass, &cols, count, |at| {
        let endpoint = &app.store.endpoints()[at];
        let (state, role) = match &endpoint.connection {
            Connection::Connecting => ("connecting".to_owned(), Role::Dim),
            Connection::Live => ("live".to_owned(), Role::Good),
            Connection::Polled => ("polled".to_owned(), Role::Good),
            Connection::Lost { since, .. } => {
                (format!("unreachable for {}", format::millis(app.now - since)), Role::Bad)
            }
            Connection::Refused { since, .. } => {
                (format!("refusing for {}", format::millis(app.now - since)), Role::Bad)
            }
        };
        let info = match &app.boards.about[at] {
            Some(Ok(Some(info))) => Some(info),
            _ => None,
        };
        let mut notes = Vec::new();
        match &endpoint.connection {
            Connection::Polled => {
                notes.push("Go original: no serials, kinds, parents, progress or ended tasks".to_owned());
            }
            Connection::Lost { why, .. } | Connection::Refused { why, .. } => {
                notes.push(endpoint.cause(why).to_owned());
            }
            _ => {}
        }
        notes.extend(endpoint.notice());
        if endpoint.unseen > 0 {
            notes.push(format!("{} unseen", format::count(endpoint.unseen, "task", "tasks")));
        }
        if endpoint.gaps > 0 {
            notes.push(format::count(endpoint.gaps, "gap in its stream", "gaps in its stream"));
        }
        let dropped = info.map(|info| info.dropped.tasks_not_shown).filter(|count| *count > 0);
        Row {
            cells: vec![
                endpoint.name.as_str().into(),
                Cell::new(state, role),
                endpoint.tasks.to_string().into(),
                info.map(|info| info.version.clone()).unwrap_or_default().into(),
                format::duration(info.and_then(|info| info.uptime)).into(),
                info.and_then(|info| info.permission.as_ref()).map_or("", Permission::as_str).into(),
                dropped.map(|count| count.to_string()).unwrap_or_default().into(),
                notes.join("; ").into(),
            ],
            ..Row::default()
        }
    });
}
