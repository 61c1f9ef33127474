//! Menus, completions, the dialog before a cancel, and help, drawn over the body.

use ratatui_core::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr as _;

use crate::out::{clean, format};
use crate::top::app::{App, Drawn, KEYS, Kill, Mode, REPLAY_KEYS, Stage};
use crate::top::canvas::Canvas;
use crate::top::edit::Edit;
use crate::top::model::Column;
use crate::top::theme::Role;

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, body: Rect, drawn: &mut Drawn, cursor: &mut Option<Position>) {
    match &app.mode {
        Mode::Normal | Mode::Goto(_) => {}
        Mode::Filter { offers, selected, error, .. } => {
            let mut lines: Vec<(String, Role)> = Vec::new();
            let width = offers.iter().map(|offer| offer.word.width()).max().unwrap_or(0);
            for (at, offer) in offers.iter().enumerate() {
                let role = if *selected == Some(at) { Role::Selected } else { Role::Plain };
                let mark = if *selected == Some(at) { ">" } else { " " };
                lines.push((format!("{mark} {:<width$}  {}", offer.word, offer.note), role));
            }
            if let Some(error) = error {
                lines.push((error.clone(), Role::Bad));
            }
            let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(body.height);
            let area = Rect { y: body.bottom() - height, height, ..body };
            canvas.clear(area);
            for (y, (text, role)) in (area.top()..area.bottom()).zip(&lines) {
                canvas.put(area.x, y, area.width, text, *role);
            }
        }
        Mode::Sort(at) => {
            let (sorted, descending) = app.list.sort();
            let line = |column: Column| match (column == sorted, descending) {
                (true, true) => format!("{} {}", column.title(), canvas.glyphs.down),
                (true, false) => format!("{} {}", column.title(), canvas.glyphs.up),
                (false, _) => column.title().to_owned(),
            };
            let lines: Vec<String> = Column::ALL.into_iter().map(line).collect();
            menu(canvas, body, "sort by", &lines, *at);
        }
        Mode::Columns(at) => {
            let line = |column: Column| {
                let mark = if app.columns.contains(&column) { "[x]" } else { "[ ]" };
                format!("{mark} {}", column.title())
            };
            let lines: Vec<String> = Column::ALL.into_iter().map(line).collect();
            menu(canvas, body, "columns", &lines, *at);
        }
        Mode::Help(top) => {
            let keys = KEYS.iter().chain(if app.replayed.is_some() { REPLAY_KEYS } else { &[] });
            let lines: Vec<String> = keys.map(|(key, what)| format!("{key:<9} {what}")).collect();
            let area = framed(canvas, body, "keys", 78, lines.len());
            drawn.help_top = (*top).min(lines.len().saturating_sub(usize::from(area.height)));
            for (y, line) in (area.top()..area.bottom()).zip(lines.iter().skip(drawn.help_top)) {
                canvas.put(area.x, y, area.width, line, Role::Plain);
                canvas.look(Rect { y, width: area.width.min(9), height: 1, ..area }, Role::Key);
            }
        }
        Mode::Kill(kill) => kill_dialog(canvas, kill, body, app.now, cursor),
    }
}

/// Draws a centered box with a title. Returns the area inside.
fn framed(canvas: &mut Canvas<'_>, body: Rect, title: &str, width: u16, lines: usize) -> Rect {
    // Avoids a narrow strip of the list beside it.
    let width = if width.saturating_add(8) >= body.width { body.width } else { width };
    let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(body.height);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    canvas.clear(area);
    let line = canvas.glyphs.line.repeat(usize::from(width));
    if height > 0 {
        canvas.put(area.x, area.y, width, &line, Role::Dim);
        canvas.put(area.x + 2, area.y, width.saturating_sub(2), &format!(" {title} "), Role::Title);
    }
    if height > 1 {
        canvas.put(area.x, area.bottom() - 1, width, &line, Role::Dim);
    }
    Rect {
        x: area.x + 1.min(width),
        y: area.y + 1.min(height),
        width: width.saturating_sub(2),
        height: height.saturating_sub(2),
    }
}

fn menu(canvas: &mut Canvas<'_>, body: Rect, title: &str, lines: &[String], selected: usize) {
    let area = framed(canvas, body, title, 24, lines.len());
    let top = (selected + 1).saturating_sub(usize::from(area.height));
    for (y, (at, line)) in (area.top()..area.bottom()).zip(lines.iter().enumerate().skip(top)) {
        let mark = if at == selected { ">" } else { " " };
        canvas.put(area.x, y, area.width, &format!("{mark} {line}"), Role::Plain);
        if at == selected {
            canvas.look(Rect { y, height: 1, ..area }, Role::Selected);
        }
    }
}

fn kill_dialog(canvas: &mut Canvas<'_>, kill: &Kill, body: Rect, now: f64, cursor: &mut Option<Position>) {
    let count = format::count(kill.targets.len() as u64, "task", "tasks");
    let reason = match kill.reason.text().trim() {
        "" => ", without a reason".to_owned(),
        reason => format!(": {reason}"),
    };
    let title = match kill.stage {
        Stage::Sent => format!("kill {count}, requested {} ago{reason}", format::millis(now - kill.sent_at)),
        Stage::Confirm => format!("kill {count}{reason}"),
        Stage::Reason => format!("kill {count}"),
    };
    let area = framed(canvas, body, &title, body.width.saturating_sub(4).clamp(30, 120), 2 * kill.targets.len() + 3);
    // The input and its hint stay at the bottom, however small the area.
    let foot = 2.min(area.height);
    let list = Rect { height: area.height - foot, ..area };
    let several = kill.targets.iter().any(|target| target.endpoint != kill.targets[0].endpoint);
    let mut y = list.y;
    let mut shown = 0;
    for target in kill.targets.iter().skip(kill.top) {
        if y >= list.bottom() {
            break;
        }
        let place = if several { format!(" on {}", target.endpoint) } else { String::new() };
        canvas.put(list.x, y, list.width, &format!("{}{place}", target.name), Role::Title);
        y += 1;
        shown += 1;
        let (text, role) = match (&target.verdict, kill.stage, target.is_cancellable) {
            (Some((text, role)), ..) => (text.clone(), *role),
            (None, Stage::Sent, _) => ("waiting".to_owned(), Role::Dim),
            (None, _, false) => (format!("not cancellable: {}", target.about), Role::Warning),
            (None, _, true) => (target.about.clone(), Role::Plain),
        };
        if y < list.bottom() {
            canvas.put(list.x + 2, y, list.width.saturating_sub(2), &text, role);
            y += 1;
        }
    }
    let hidden = kill.targets.len() - shown - kill.top.min(kill.targets.len() - shown);
    if hidden > 0 && list.height > 0 {
        canvas.put_right(list.x, list.bottom() - 1, list.width, &format!(" and {hidden} more below "), Role::Key);
    }
    let line = |y: u16| Rect { y, height: 1, ..area };
    if foot == 0 {
        return;
    }
    let last = area.bottom() - 1;
    let (prompt, hint) = match kill.stage {
        Stage::Reason => (Some(("reason: ", &kill.reason)), "Enter cancels these tasks, Esc goes back".to_owned()),
        Stage::Confirm => {
            let number = kill.targets.len();
            (Some(("number of tasks: ", &kill.number)), format!("to confirm, type {number} and Enter; Esc goes back"))
        }
        Stage::Sent => (None, format!("{}; Esc goes back", kill.summary())),
    };
    canvas.put(area.x, last, area.width, &hint, Role::Key);
    if let (Some((name, text)), true) = (prompt, foot > 1) {
        let used = canvas.put(area.x, last - 1, area.width, name, Role::Title);
        let input = line(last - 1);
        let input = Rect { x: input.x + used, width: input.width.saturating_sub(used), ..input };
        *cursor = Some(Position::new(edit(canvas, text, input), input.y));
    }
}

/// Draws a line of input, scrolled so that the cursor is visible. Returns the column of the cursor.
pub(super) fn edit(canvas: &mut Canvas<'_>, edit: &Edit, area: Rect) -> u16 {
    let (before, behind) = edit.parts();
    let space = usize::from(area.width.saturating_sub(1));
    // Drops characters on the left until the rest fits before the cursor.
    let mut from = before.as_str();
    while clean::line(from).width() > space {
        let mut chars = from.chars();
        chars.next();
        from = chars.as_str();
    }
    canvas.look(area, Role::Input);
    let used = canvas.put(area.x, area.y, area.width, from, Role::Input);
    canvas.put(area.x + used, area.y, area.width.saturating_sub(used), &behind, Role::Input);
    area.x.saturating_add(used)
}
