//! `pm tree`: which task is part of which.

use pm_client::{Query, Row, Tasks};
use serde_json::{Value, json};

use super::{Ask, Target};
use crate::fleet::{self, Answer, Exit, Stop, Tally};
use crate::out::{Style, Table, say, table::Cell, words};
use crate::query::Wanted;

/// The most that a server gives at once.
const MOST: u32 = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which tasks, as kind=import* minAge=5s; limit=50
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// Only the branch that begins at this task: its serial, or its id
    #[arg(long, value_name = "TASK")]
    root: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let others: Vec<String> = args.words.iter().filter(|word| !word.starts_with("limit=")).cloned().collect();
    Wanted::only_filters(&others, "a tree has an order of its own: each task behind its parent")?;
    let wanted = Wanted::read(&args.words, false)?;
    let (endpoints, out) = args.ask.begin()?;
    let limit = wanted.limit.map_or(MOST, |limit| u32::try_from(limit).unwrap_or(MOST).min(MOST));
    let query: Query = wanted.filters().limit(limit);
    let query = match &args.root {
        Some(root) => query.root(&Target::new(root).task_ref()),
        None => query,
    };
    let answers = fleet::all(endpoints, |client| {
        let query = query.clone();
        async move { client.tree(&query).await }
    })
    .await;
    let items = |tasks: &Tasks| tasks.tasks.iter().map(|row| json!(row)).collect::<Vec<Value>>();
    let about =
        |tasks: &Tasks| json!({ "serverTime": tasks.server_time, "total": tasks.total, "truncated": tasks.truncated });
    fleet::show(out, || fleet::document(&answers, items, about), || Ok(out.table(&table(&answers))?))?;
    for answer in &answers {
        if let Ok(tasks) = &answer.result
            && tasks.truncated
        {
            let (shown, total) = (tasks.tasks.len(), tasks.total);
            say(&format!("{}: {shown} of {total} tasks are shown; filters show fewer", answer.endpoint.name));
        }
    }
    fleet::say_errors_about_a_task(&answers);
    let total: u64 = answers.iter().filter_map(|answer| answer.result.as_ref().ok()).map(|tasks| tasks.total).sum();
    let tally = Tally::of(&answers);
    Ok(if wanted.filter.is_empty() { tally.exit() } else { tally.exit_with(total as usize) })
}

fn table(answers: &[Answer<Tasks>]) -> Table {
    let mut table = Table::new(&["ENDPOINT", "TASK", "SERIAL", "KIND", "AGE", "STATUS", "IN STATUS", "PROGRESS"]);
    for answer in answers {
        let Ok(tasks) = &answer.result else { continue };
        let endpoint = if answers.len() > 1 { answer.endpoint.name.as_str() } else { "" };
        for (row, branch) in tasks.tasks.iter().zip(branches(&tasks.tasks)) {
            table.row(vec![
                Cell::new(endpoint, Style::Dim),
                format!("{branch}{}", row.id).into(),
                row.serial.as_str().into(),
                row.kind.as_deref().unwrap_or_default().into(),
                words::length(row.age_ms).into(),
                words::status(row),
                words::length(row.status_age_ms).into(),
                row.progress.as_ref().map(words::progress).unwrap_or_default().into(),
            ]);
        }
    }
    if table.is_empty() { Table::new(&["TASK", "SERIAL", "AGE", "STATUS"]) } else { table.without_empty_columns() }
}

/// What stands before each task: the lines that lead to it.
fn branches(rows: &[Row]) -> Vec<String> {
    let depth = |row: &Row| row.depth.unwrap_or(0) as usize;
    // From the end, as only what comes later tells whether a line goes on. `goes_on[d]`: a task at depth d follows.
    let mut goes_on: Vec<bool> = Vec::new();
    let mut all: Vec<String> = rows
        .iter()
        .rev()
        .map(|row| {
            let depth = depth(row);
            let follows = goes_on.get(depth).copied().unwrap_or(false);
            goes_on.resize(depth + 1, false);
            goes_on[depth] = true;
            let above = (1..depth).map(|at| if goes_on[at] { "│ " } else { "  " });
            let own = match depth {
                0 => "",
                _ if follows => "├ ",
                _ => "└ ",
            };
            above.chain([own]).collect()
        })
        .collect();
    all.reverse();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_from_parents_to_children() {
        let rows: Vec<Row> = [0, 1, 2, 2, 1, 0, 1]
            .iter()
            .map(|depth| serde_json::from_value(json!({ "serial": "1", "depth": depth })).unwrap())
            .collect();
        assert_eq!(branches(&rows), ["", "├ ", "│ ├ ", "│ └ ", "└ ", "", "└ "]);
    }
}
