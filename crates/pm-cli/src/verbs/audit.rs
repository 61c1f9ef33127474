//! `pm audit`: attempts to cancel tasks, and their results.

use pm_client::{AuditRecord, AuditReport};
use serde_json::{Value, json};

use super::QueryArgs;
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally};
use crate::out::{Style, Table, format, say, table::Cell};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Most records of each endpoint, newest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (endpoints, out) = args.query.resolve()?;
    let limit = args.limit;
    let answers = fleet::all(endpoints, |client| async move { client.v1().audit(limit).await }).await;
    let items = |audit: &AuditReport| audit.records.iter().map(|record| json!(record)).collect::<Vec<Value>>();
    let about = |audit: &AuditReport| json!({ "serverTime": audit.server_time, "dropped": audit.dropped });
    fleet::show(out, || fleet::document(&answers, items, about), || Ok(out.table(&table(&answers))?))?;
    for answer in &answers {
        if let Ok(audit) = &answer.result
            && audit.dropped > 0
        {
            say(&format!("{}: {} older records dropped", answer.endpoint.name, audit.dropped));
        }
    }
    fleet::say_errors(&answers);
    Ok(Tally::of(&answers).exit())
}

fn table(answers: &[Answer<AuditReport>]) -> Table {
    let mut table = Table::new(&["ENDPOINT", "WHEN", "WHO", "FROM", "WHAT", "RESULT", "REASON"]);
    for answer in answers {
        let Ok(audit) = &answer.result else { continue };
        let endpoint = if answers.len() > 1 { answer.endpoint.name.as_str() } else { "" };
        for record in &audit.records {
            table.row(vec![
                Cell::new(endpoint, Style::Dim),
                format::ago(record.at, audit.server_time).into(),
                record.identity.as_str().into(),
                record.peer.as_str().into(),
                object(record).into(),
                record.result.as_str().into(),
                record.reason.as_str().into(),
            ]);
        }
    }
    if table.is_empty() { Table::new(&["WHEN", "WHO", "WHAT", "RESULT"]) } else { table.without_empty_columns() }
}

/// The task or the filter of an attempt.
fn object(record: &AuditRecord) -> String {
    match (&record.task, &record.serial, &record.filter) {
        (Some(task), Some(serial), _) => format!("{task} ({serial})"),
        (Some(task), None, _) => task.clone(),
        (None, Some(serial), _) => serial.to_string(),
        (None, None, Some(filter)) => filter.clone(),
        (None, None, None) => record.action.as_ref().map(|action| action.to_string()).unwrap_or_default(),
    }
}
