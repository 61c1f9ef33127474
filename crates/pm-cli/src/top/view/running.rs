//! The tasks that run.

use ratatui_core::layout::Rect;

use super::table::{self, Cell, Col, Place, Row};
use crate::out::words;
use crate::top::app::{App, Hit};
use crate::top::canvas::Canvas;
use crate::top::model::{Column, Line, Shape, Task};
use crate::top::theme::Role;

/// Deeper branches are not set in further.
const DEEPEST: u16 = 12;

pub(super) fn draw(app: &mut App, canvas: &mut Canvas<'_>, area: Rect) {
    let room = usize::from(area.height.saturating_sub(1));
    let top = app.list.scroll(room);
    let columns: Vec<Column> =
        app.columns.iter().copied().filter(|column| *column != Column::Endpoint || app.several()).collect();
    let cols: Vec<Col> = columns.iter().map(|column| col(*column)).collect();
    let (sorted, descending) = app.list.sort();
    let arrow = if descending { canvas.glyphs.down } else { canvas.glyphs.up };
    let title = |column: &Column| match *column == sorted {
        true => format!("{}{arrow}", column.title()),
        false => column.title().to_owned(),
    };
    let titles: Vec<String> = columns.iter().map(title).collect();
    let lines = app.list.lines();
    let rows: Vec<Row> = lines.iter().skip(top).take(room).map(|line| row(app, &columns, *line)).collect();
    let place = Place { area, cursor: app.list.cursor().wrapping_sub(top) };
    let places = table::draw(canvas, place, &cols, &titles, &rows, &mut app.widths);
    app.hits.extend(places.into_iter().map(|(at, place)| (place, Hit::Title(columns[at]))));
    let hits = (0..rows.len()).map(|line| {
        let y = area.y + 1 + u16::try_from(line).unwrap_or(0);
        (Rect::new(area.x, y, area.width, 1), Hit::Row(top + line))
    });
    app.hits.extend(hits);
    if rows.is_empty() && room > 1 {
        canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(2), nothing(app), Role::Dim);
    }
}

/// Why nothing is shown.
fn nothing(app: &App) -> &'static str {
    let places = app.store.places();
    if places.iter().all(|place| !place.is_known) {
        "Waiting for the first answer."
    } else if app.store.len() > 0 {
        "No task fits the filter; / changes it."
    } else if places.iter().any(|place| !place.is_up()) {
        "No task runs where it is known."
    } else {
        "No task runs now."
    }
}

fn col(column: Column) -> Col {
    let col = |rank| Col::new(column.title(), rank);
    match column {
        Column::Endpoint => col(4),
        Column::Serial => col(7).right(),
        Column::Id => col(0).least(10),
        Column::Kind => col(3).least(14),
        Column::State => col(6),
        Column::Age => col(1).right(),
        Column::InStatus => col(2).right(),
        Column::Progress => col(5),
        Column::Status => col(0).least(24).rest(),
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
            let is_old = !app.store.place(task.key).is_up();
            Row {
                cells: columns.iter().map(|column| cell(app, task, depth, *column)).collect(),
                is_marked: app.list.marks.contains(&task.key),
                role: (is_context || is_old || task.gone).then_some(Role::Dim),
                ..Row::default()
            }
        }
    }
}

fn cell(app: &App, task: &Task, depth: u16, column: Column) -> Cell {
    let (row, now) = (&task.row, app.shown_at());
    match column {
        Column::Endpoint => {
            let place = app.store.place(task.key);
            let text = if place.is_up() { place.name.clone() } else { format!("?{}", place.name) };
            Cell { text, role: Some(Role::Dim) }
        }
        Column::Serial => row.serial.as_str().into(),
        Column::Id => match (app.list.shape(), depth) {
            (Shape::Tree, 1..) => {
                let blanks = "  ".repeat(usize::from(depth.min(DEEPEST)) - 1);
                format!("{blanks}{}{}", app.glyphs.branch, row.id).into()
            }
            (Shape::Groups, _) => format!("  {}", row.id).into(),
            _ => row.id.as_str().into(),
        },
        Column::Kind => row.kind.as_deref().unwrap_or_default().into(),
        Column::State if task.gone => "ended".into(),
        Column::State => Cell { text: row.state.clone(), role: (row.state == "cancelling").then_some(Role::Odd) },
        Column::Age => words::length(task.age(now)).into(),
        Column::InStatus => words::length(task.status_age(now)).into(),
        Column::Progress => progress(app, task).into(),
        Column::Status => status(task),
        Column::Parent => row.parent.as_deref().unwrap_or_default().into(),
        Column::History => row.history_len.map(|len| len.to_string()).unwrap_or_default().into(),
        Column::Attrs => words::attrs(&row.attrs).into(),
    }
}

fn progress(app: &App, task: &Task) -> String {
    match &task.row.progress {
        None => String::new(),
        Some(far) if far.total == 0 => words::progress(far),
        Some(far) => {
            let part = far.done as f64 / far.total as f64;
            format!("{} {}", app.glyphs.bar(part, 5), words::progress(far))
        }
    }
}

/// The status; what needs an eye comes first, so that it is there when the text is cut.
pub(super) fn status(task: &Task) -> Cell {
    let row = &task.row;
    let is_cancelling = row.state == "cancelling";
    let mark = match (task.gone, is_cancelling, row.protected, row.is_cancellable()) {
        (true, ..) => "(ended) ",
        (_, true, true, _) => "(cancelling, protected) ",
        (_, true, false, _) => "(cancelling) ",
        (_, false, _, false) => "(not cancellable) ",
        (_, false, true, true) => "(protected) ",
        (_, false, false, true) => "",
    };
    Cell { text: format!("{mark}{}", row.status), role: is_cancelling.then_some(Role::Odd) }
}
