//! The running tasks.

use ratatui_core::layout::Rect;

use super::pass::Pass;
use super::table::{self, Cell, Col, Placement, Row};
use crate::feed::Task;
use crate::out::format;
use crate::top::app::{App, Hit};
use crate::top::canvas::Canvas;
use crate::top::model::{Column, Line, Shape};
use crate::top::theme::Role;

/// The deepest indentation of the tree.
const MAX_DEPTH: u16 = 12;

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect, pass: &mut Pass<'_>) {
    let height = usize::from(area.height.saturating_sub(1));
    let lines = app.list.lines();
    pass.drawn.body = app.scroll().within(lines.len(), height);
    let top = pass.drawn.body.top;
    let is_shown = |column: &Column| *column != Column::Endpoint || app.has_several_endpoints();
    let columns: Vec<Column> = app.columns.iter().copied().filter(is_shown).collect();
    let cols: Vec<Col> = columns.iter().map(|column| col(*column)).collect();
    let (sorted, descending) = app.list.sort();
    let arrow = if descending { canvas.glyphs.down } else { canvas.glyphs.up };
    let title = |column: &Column| match *column == sorted {
        true => format!("{}{arrow}", column.title()),
        false => column.title().to_owned(),
    };
    let titles: Vec<String> = columns.iter().map(title).collect();
    let rows: Vec<Row> = lines.iter().skip(top).take(height).map(|line| row(app, &columns, *line)).collect();
    let placement = Placement { area, cursor: app.list.cursor().wrapping_sub(top) };
    let areas = table::draw(canvas, placement, &cols, &titles, &rows, pass.widths);
    pass.drawn.hits.extend(areas.into_iter().map(|(at, area)| (area, Hit::Title(columns[at]))));
    pass.add_rows(area, top, rows.len());
    if rows.is_empty() && height > 1 {
        canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(2), nothing(app), Role::Dim);
    }
}

/// The reason why nothing is shown.
fn nothing(app: &App) -> &'static str {
    let endpoints = app.store.endpoints();
    if endpoints.iter().all(|endpoint| !endpoint.is_known) {
        "Waiting for the first reply."
    } else if app.store.len() > 0 {
        "No task matches the filter; / changes it."
    } else if endpoints.iter().any(|endpoint| !endpoint.is_up()) {
        "No task is running at the reachable endpoints."
    } else {
        "No task is running."
    }
}

fn col(column: Column) -> Col {
    let col = |rank| Col::new(column.title(), rank);
    match column {
        Column::Endpoint => col(4),
        Column::Serial => col(7).right(),
        Column::Id => col(0).min_width(10),
        Column::Kind => col(3).min_width(14),
        Column::State => col(6),
        Column::Age => col(1).right(),
        Column::InStatus => col(2).right(),
        Column::Progress => col(5),
        Column::Status => col(0).min_width(24).rest(),
        Column::Parent => col(9).right(),
        Column::History => col(10).right(),
        Column::Attrs => col(8),
    }
}

fn row(app: &App, columns: &[Column], line: Line) -> Row {
    match line {
        Line::Group(at) => {
            let group = app.list.group(at);
            let mark = if group.is_folded { app.glyphs.folded } else { app.glyphs.unfolded };
            let kind = if group.kind.is_empty() { "(without a kind)" } else { &group.kind };
            let text = format!("{mark} {kind} ({})", group.count);
            Row { title: Some(text), ..Row::default() }
        }
        Line::Task { slot, depth, is_context } => {
            let task = app.store.task(slot);
            let is_stale = !app.store.endpoint(task.key).is_up();
            Row {
                cells: columns.iter().map(|column| cell(app, task, depth, *column)).collect(),
                is_marked: app.list.marks.contains(&task.key),
                role: (is_context || is_stale || task.gone).then_some(Role::Dim),
                ..Row::default()
            }
        }
    }
}

fn cell(app: &App, task: &Task, depth: u16, column: Column) -> Cell {
    let (row, now) = (&task.row, app.shown_at());
    match column {
        Column::Endpoint => {
            let endpoint = app.store.endpoint(task.key);
            let text = if endpoint.is_up() { endpoint.name.clone() } else { format!("?{}", endpoint.name) };
            Cell { text, role: Some(Role::Dim) }
        }
        Column::Serial => format::serial(row.serial).into(),
        Column::Id => match (app.list.shape(), depth) {
            (Shape::Tree, 1..) => {
                let blanks = "  ".repeat(usize::from(depth.min(MAX_DEPTH)) - 1);
                format!("{blanks}{}{}", app.glyphs.branch, row.id).into()
            }
            (Shape::Groups, _) => format!("  {}", row.id).into(),
            _ => row.id.as_str().into(),
        },
        Column::Kind => row.kind.as_deref().unwrap_or_default().into(),
        Column::State if task.gone => "ended".into(),
        Column::State => Cell {
            text: row.state.as_ref().map(|state| state.to_string()).unwrap_or_default(),
            role: (row.is_cancelling()).then_some(Role::Warning),
        },
        Column::Age => format::age(task.age(now)).into(),
        Column::InStatus => format::age(task.status_age(now)).into(),
        Column::Progress => progress(app, task).into(),
        Column::Status => status(task),
        Column::Parent => format::serial(row.parent).into(),
        Column::History => row.history_len.map(|len| len.to_string()).unwrap_or_default().into(),
        Column::Attrs => format::attrs(&row.attrs).into(),
    }
}

fn progress(app: &App, task: &Task) -> String {
    match &task.row.progress {
        None => String::new(),
        Some(progress) if progress.total == 0 => format::progress(progress),
        Some(progress) => {
            let part = progress.done as f64 / progress.total as f64;
            format!("{} {}", app.glyphs.bar(part, 5), format::progress(progress))
        }
    }
}

/// The status. Marks such as `(cancelling)` come first, so that truncation keeps them.
fn status(task: &Task) -> Cell {
    let row = &task.row;
    let is_cancelling = row.is_cancelling();
    let mark = match (task.gone, is_cancelling, row.protected, row.is_cancellable()) {
        (true, ..) => "(ended) ",
        (_, true, true, _) => "(cancelling, protected) ",
        (_, true, false, _) => "(cancelling) ",
        (_, false, _, false) => "(not cancellable) ",
        (_, false, true, true) => "(protected) ",
        (_, false, false, true) => "",
    };
    Cell { text: format!("{mark}{}", row.status), role: is_cancelling.then_some(Role::Warning) }
}
