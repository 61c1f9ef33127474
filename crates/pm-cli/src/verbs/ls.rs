//! `pm ls`: running tasks.

use std::collections::HashSet;

use pm_client::{Outcome, Row};
use serde_json::{Value, json};

use super::{QueryArgs, note_original};
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Source, Tally, Tasks};
use crate::out::{Format, Out, Style, Table, format, say, table::Cell};
use crate::query::Selection;

/// The default limit for a table on a terminal.
const TERMINAL_LIMIT: u64 = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks to list, as kind=import,export minAge=5s attr.tenant=acme status='waiting *'; sort=-statusAge; limit=50 or
    /// limit=all; groupBy=kind to count. Filters: state, kind, id, status, parent, serial, attr.NAME, minAge, maxAge,
    /// minStatusAge, maxStatusAge
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let selection = Selection::parse(&args.words, false)?;
    list(&args.query, selection, Source::Live).await
}

/// Lists the tasks of all endpoints.
pub(super) async fn list(ask: &QueryArgs, mut selection: Selection, source: Source) -> Result<Exit, Stop> {
    let (endpoints, out) = ask.resolve()?;
    if !selection.limit_is_given && out.is_on_screen() {
        selection.limit = Some(TERMINAL_LIMIT);
    }
    selection.names_only = out.format == Format::Ids && selection.group_by.is_none();
    let answers = fleet::all(endpoints, |client| {
        let selection = selection.clone();
        async move { fleet::tasks(&client, &selection, source).await }
    })
    .await;
    if selection.group_by.is_some() {
        return groups(out, &answers);
    }
    let total: u64 = answers.iter().filter_map(|answer| answer.result.as_ref().ok()).map(|found| found.total).sum();
    let rows = merged(&answers, &selection);
    let shown = rows.len() as u64;
    if out.is_table() {
        if answers.iter().any(|answer| answer.result.is_ok()) {
            let now = |at: usize| answers[at].result.as_ref().map(|found| found.server_time).unwrap_or_default();
            out.table(&table(&rows, &answers, source, now, out.format == Format::Wide))?;
        }
    } else {
        let mut document = fleet::document(&answers, |_| Vec::new(), about);
        document.more.insert("total".to_owned(), total.into());
        document.more.insert("truncated".to_owned(), (total > shown).into());
        let item =
            |(at, row): &(usize, &Row)| fleet::with_endpoint(answers[*at].endpoint.name.as_str().into(), json!(row));
        document.print_with(rows.iter().map(item), out.format)?;
    }
    if total > shown {
        say(&format!("showing {shown} of {total} tasks; limit=all shows all, filters select fewer"));
    }
    for answer in &answers {
        if let Ok(found) = &answer.result {
            fleet::say_not_shown(&answer.endpoint.name, found.not_shown);
            if found.is_original {
                note_original(&answer.endpoint.name);
            }
        }
    }
    fleet::say_errors(&answers);
    let tally = Tally::of(&answers);
    // An idle program is fine, but a filter that matches nothing has its own exit code.
    Ok(if selection.filter.is_empty() { tally.exit() } else { tally.exit_with(total as usize) })
}

/// Prints the counts by value.
fn groups(out: Out, answers: &[Answer<Tasks>]) -> Result<Exit, Stop> {
    let several = answers.len() > 1;
    let items = |found: &Tasks| found.groups.iter().map(group).collect();
    fleet::show(
        out,
        || fleet::document(answers, items, about),
        || {
            let mut table = Table::new(&["ENDPOINT", "TASKS", "VALUE"]);
            for answer in answers {
                for (value, count) in answer.result.iter().flat_map(|found| &found.groups) {
                    let name = if several { answer.endpoint.name.as_str() } else { "" };
                    let value = value.as_deref().unwrap_or("(none)");
                    table.row(vec![Cell::new(name, Style::Dim), count.to_string().into(), value.into()]);
                }
            }
            let is_empty = table.is_empty();
            Ok(out.table(&if is_empty { Table::new(&["TASKS", "VALUE"]) } else { table.without_empty_columns() })?)
        },
    )?;
    fleet::say_errors(answers);
    Ok(Tally::of(answers).exit())
}

fn group((value, count): &(Option<String>, u64)) -> Value {
    match value {
        Some(value) => json!({ "value": value, "count": count }),
        None => json!({ "count": count }),
    }
}

fn about(found: &Tasks) -> Value {
    let mut about = json!({ "serverTime": found.server_time, "total": found.total });
    if found.not_shown > 0 {
        about["notShown"] = found.not_shown.into();
    }
    if found.is_original {
        about["isOriginal"] = true.into();
    }
    about
}

/// The rows of all endpoints in one order, each with the index of its endpoint.
fn merged<'a>(answers: &'a [Answer<Tasks>], selection: &Selection) -> Vec<(usize, &'a Row)> {
    let mut rows: Vec<(usize, &Row)> = Vec::new();
    for (at, answer) in answers.iter().enumerate() {
        if let Ok(found) = &answer.result {
            rows.extend(found.rows.iter().map(|row| (at, row)));
        }
    }
    if answers.len() > 1 {
        rows.sort_by(|(_, a), (_, b)| selection.order.compare(a, b));
    }
    if let Some(limit) = selection.limit {
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    rows
}

fn table(
    rows: &[(usize, &Row)],
    answers: &[Answer<Tasks>],
    source: Source,
    now: impl Fn(usize) -> pm_wire::Timestamp,
    is_wide: bool,
) -> Table {
    let mut table = match source {
        Source::Live => Table::new(&[
            "ENDPOINT",
            "ID",
            "SERIAL",
            "KIND",
            "AGE",
            "STATUS",
            "IN STATUS",
            "PROGRESS",
            "PARENT",
            "STARTED",
            "ATTRS",
        ]),
        Source::Ended => Table::new(&[
            "ENDPOINT",
            "ID",
            "SERIAL",
            "KIND",
            "OUTCOME",
            "RAN",
            "ENDED",
            "STATUS",
            "CANCELLED BY",
            "PARENT",
            "STARTED",
            "ATTRS",
        ]),
    };
    let shows_serials = is_wide || source == Source::Ended || has_shared_ids(rows);
    for (at, row) in rows {
        let only = |is_shown: bool, text: String| if is_shown { text } else { String::new() };
        let started = only(is_wide, row.started_at.map(|at| at.to_string()).unwrap_or_default());
        let parent = only(is_wide, format::serial(row.parent));
        let mut cells: Vec<Cell> = vec![
            Cell::new(only(answers.len() > 1, answers[*at].endpoint.name.clone()), Style::Dim),
            row.id.as_str().into(),
            only(shows_serials, format::serial(row.serial)).into(),
            row.kind.as_deref().unwrap_or_default().into(),
        ];
        match source {
            Source::Live => cells.extend(format::activity(row)),
            Source::Ended => cells.extend([
                Cell::new(row.outcome.as_ref().map_or("", Outcome::as_str), Style::of_outcome(row.outcome.as_ref())),
                format::ran(row).into(),
                format::ago(row.ended_at, now(*at)).into(),
                row.status.as_str().into(),
                super::cancelled_by(row).unwrap_or_default().into(),
            ]),
        }
        cells.extend([parent.into(), Cell::new(started, Style::Dim), format::attrs(&row.attrs).into()]);
        table.row(cells);
    }
    match rows.is_empty() {
        // Titles alone show that nothing was found.
        true => Table::new(&["ID", "AGE", "STATUS"]),
        false => table.without_empty_columns(),
    }
}

/// Returns `true` if two tasks of one endpoint share an id, so that serials are needed.
fn has_shared_ids(rows: &[(usize, &Row)]) -> bool {
    let mut seen = HashSet::new();
    !rows.iter().all(|(at, row)| seen.insert((at, &row.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rows: &str) -> String {
        let rows: Vec<Row> = serde_json::from_str(&format!("[{rows}]")).unwrap();
        let rows: Vec<(usize, &Row)> = rows.iter().map(|row| (0, row)).collect();
        let settings = crate::config::CommonArgs::default();
        let endpoint = settings.settings(None).unwrap().endpoints.list()[0].clone();
        let answers = [Answer { endpoint, result: Ok(Tasks::default()), took: std::time::Duration::ZERO }];
        table(&rows, &answers, Source::Live, |_| pm_wire::Timestamp::default(), false).render(None, false).text
    }

    fn row(more: &str) -> String {
        format!(r#"{{"serial":"7","id":"a","state":"running","ageMs":4000,"statusAgeMs":2500,"status":"x"{more}}}"#)
    }

    #[test]
    fn empty_columns_are_removed() {
        assert_eq!(shown(&row("")), "ID  AGE    STATUS  IN STATUS\na   4.0 s  x       2.5 s\n");
        let more = row(r#","kind":"import","progress":{"done":3,"total":10,"unit":"files"}"#);
        assert!(shown(&more).starts_with("ID  KIND    AGE    STATUS  IN STATUS  PROGRESS\n"));
        assert!(shown(&more).contains("3/10 files"));
        assert_eq!(shown(""), "ID  AGE  STATUS\n");
    }

    #[test]
    fn tasks_that_share_an_id_show_their_serials() {
        let two = format!("{},{}", row(""), row("").replace("\"7\"", "\"9\""));
        let text = shown(&two);
        assert!(text.starts_with("ID  SERIAL  AGE") && text.contains("a   7 ") && text.contains("a   9 "), "{text}");
    }

    #[test]
    fn the_status_shows_a_pending_cancel() {
        assert!(shown(&row("").replace("running", "cancelling")).contains("(cancelling) x"));
        assert!(shown(&row(r#","cancellable":false"#)).contains("(not cancellable) x"));
    }
}
