//! `pm tree`: tasks as a tree of parents and children.

use pm_client::{Query, Row, TaskPage};
use serde_json::{Value, json};

use super::{QueryArgs, TaskName, find};
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally};
use crate::out::{Style, Table, format, say, table::Cell};
use crate::query::Selection;

/// The most rows of a reply.
const MAX_ROWS: u32 = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks to show, as kind=import* minAge=5s; limit=50
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// Show only the subtree of this task: serial or id
    #[arg(long, value_name = "TASK")]
    root: Option<String>,
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let others: Vec<String> = args.words.iter().filter(|word| !word.starts_with("limit=")).cloned().collect();
    Selection::only_filters(&others, "a tree has its own order: children after their parent")?;
    let selection = Selection::parse(&args.words, false)?;
    let (endpoints, out) = args.query.resolve()?;
    let limit = selection.limit.map_or(MAX_ROWS, |limit| u32::try_from(limit).unwrap_or(MAX_ROWS).min(MAX_ROWS));
    let query: Query = selection.filters().limit(limit);
    let root = args.root.as_deref().map(TaskName::new);
    let query = match &root {
        Some(root) => query.root(&root.task_ref()),
        None => query,
    };
    let answers = fleet::all(endpoints, |client| {
        let (query, root) = (query.clone(), root.clone());
        async move {
            if let Some(root) = root.filter(|root| root.ambiguous_digits().is_some()) {
                find(&client, &root).await?;
            }
            client.v1().tree(&query).await
        }
    })
    .await;
    let items = |tasks: &TaskPage| tasks.tasks.iter().map(|row| json!(row)).collect::<Vec<Value>>();
    let about = |tasks: &TaskPage| {
        let TaskPage { server_time, total, truncated, .. } = tasks;
        json!({ "serverTime": server_time, "total": total, "truncated": truncated })
    };
    fleet::show(out, || fleet::document(&answers, items, about), || Ok(out.table(&table(&answers))?))?;
    for answer in &answers {
        let Ok(tasks) = &answer.result else { continue };
        if tasks.truncated {
            let (shown, total) = (tasks.tasks.len(), tasks.total);
            say(&format!("{}: showing {shown} of {total} tasks; filters select fewer", answer.endpoint.name));
        }
        let not_shown = tasks.missing.as_ref().map_or(0, |missing| missing.tasks_not_shown);
        fleet::say_not_shown(&answer.endpoint.name, not_shown);
    }
    fleet::say_errors_about_a_task(&answers);
    let total: u64 = answers.iter().filter_map(|answer| answer.result.as_ref().ok()).map(|tasks| tasks.total).sum();
    let tally = Tally::of(&answers);
    Ok(if selection.filter.is_empty() { tally.exit() } else { tally.exit_with(total as usize) })
}

fn table(answers: &[Answer<TaskPage>]) -> Table {
    let mut table = Table::new(&["ENDPOINT", "TASK", "SERIAL", "KIND", "AGE", "STATUS", "IN STATUS", "PROGRESS"]);
    for answer in answers {
        let Ok(tasks) = &answer.result else { continue };
        let endpoint = if answers.len() > 1 { answer.endpoint.name.as_str() } else { "" };
        for (row, branch) in tasks.tasks.iter().zip(branches(&tasks.tasks)) {
            let mut cells = vec![
                Cell::new(endpoint, Style::Dim),
                format!("{branch}{}", row.id).into(),
                format::serial(row.serial).into(),
                row.kind.as_deref().unwrap_or_default().into(),
            ];
            cells.extend(format::activity(row));
            table.row(cells);
        }
    }
    if table.is_empty() { Table::new(&["TASK", "SERIAL", "AGE", "STATUS"]) } else { table.without_empty_columns() }
}

/// The tree lines before each task.
fn branches(rows: &[Row]) -> Vec<String> {
    let depth = |row: &Row| row.depth.unwrap_or(0) as usize;
    // From the end, as later rows determine whether a line continues. `continues[d]`: a task at depth d follows.
    let mut continues: Vec<bool> = Vec::new();
    let mut all: Vec<String> = rows
        .iter()
        .rev()
        .map(|row| {
            let depth = depth(row);
            let follows = continues.get(depth).copied().unwrap_or(false);
            continues.resize(depth + 1, false);
            continues[depth] = true;
            let above = (1..depth).map(|at| if continues[at] { "│ " } else { "  " });
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
    fn tree_lines_connect_parents_and_children() {
        let rows: Vec<Row> = [0, 1, 2, 2, 1, 0, 1]
            .iter()
            .map(|depth| serde_json::from_value(json!({ "serial": "1", "depth": depth })).unwrap())
            .collect();
        assert_eq!(branches(&rows), ["", "├ ", "│ ├ ", "│ └ ", "└ ", "", "└ "]);
    }
}
