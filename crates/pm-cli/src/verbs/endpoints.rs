//! `pm endpoints`: the state of each endpoint.

use std::time::Duration;

use pm_client::{Client, ClientError, Query};
use serde_json::json;

use super::QueryArgs;
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally, error};
use crate::out::{Style, Table, format, say, table::Cell};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    query: QueryArgs,
}

/// Facts about an endpoint that responds.
#[derive(Debug)]
struct Health {
    /// The version of pm; `None` for a Go original.
    version: Option<String>,
    tasks: u64,
    uptime: Option<Duration>,
    scope: Option<String>,
    server_time: pm_wire::Timestamp,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (endpoints, out) = args.query.resolve()?;
    let answers = fleet::all(endpoints, |client| async move { health(&client).await }).await;
    if out.is_table() {
        out.table(&table(&answers))?;
    } else {
        let mut document = fleet::document(&answers, |_| Vec::new(), |_| json!({}));
        document.items = answers.iter().map(item).collect();
        document.print(out.format)?;
    }
    for answer in &answers {
        if let Err(error) = &answer.result {
            say(&error::message(&answer.endpoint.name, error));
        }
    }
    Ok(Tally::of(&answers).exit())
}

async fn health(client: &Client) -> Result<Health, ClientError> {
    match client.v1().info().await {
        Ok(info) => {
            let tasks = client.v1().tasks(&Query::new().limit(0)).await?;
            Ok(Health {
                version: Some(info.version),
                tasks: tasks.total,
                uptime: info.uptime,
                scope: info.permission.map(|permission| permission.to_string()),
                server_time: info.server_time,
            })
        }
        Err(ClientError::NoV1 { .. }) => {
            let list = client.procs().list().await?;
            let tasks = list.procs.len() as u64;
            Ok(Health { version: None, tasks, uptime: None, scope: None, server_time: list.server_time })
        }
        Err(error) => Err(error),
    }
}

fn item(answer: &Answer<Health>) -> serde_json::Value {
    let mut item = json!({
        "endpoint": answer.endpoint.name,
        "address": answer.endpoint.client.endpoint(),
        "ok": answer.result.is_ok(),
        "tookMs": pm_wire::duration::millis(answer.took),
    });
    match &answer.result {
        Ok(health) => {
            item["tasks"] = health.tasks.into();
            item["serverTime"] = json!(health.server_time);
            item["isOriginal"] = health.version.is_none().into();
            for (name, value) in [
                ("version", health.version.as_ref().map(|text| json!(text))),
                ("uptimeMs", health.uptime.map(|uptime| json!(format::to_millis(uptime)))),
                ("scope", health.scope.as_ref().map(|text| json!(text))),
            ] {
                if let Some(value) = value {
                    item[name] = value;
                }
            }
        }
        Err(error) => item["error"] = error::json(error),
    }
    item
}

fn table(answers: &[Answer<Health>]) -> Table {
    let mut table = Table::new(&["ENDPOINT", "ADDRESS", "UP", "LATENCY", "VERSION", "TASKS", "UPTIME", "SCOPE"]);
    for Answer { endpoint, result, took } in answers {
        let address = endpoint.client.endpoint();
        let address = if address == endpoint.name { "" } else { address };
        let mut cells: Vec<Cell> = vec![endpoint.name.as_str().into(), address.into()];
        let took = format::duration(*took);
        match result {
            Ok(health) => cells.extend([
                Cell::new("yes", Style::Good),
                took.into(),
                health.version.as_deref().unwrap_or("Go original").into(),
                health.tasks.to_string().into(),
                format::duration(health.uptime).into(),
                health.scope.as_deref().unwrap_or_default().into(),
            ]),
            Err(error) => cells.extend([
                Cell::new(format!("no: {}", error::code(error)), Style::Bad),
                took.into(),
                "".into(),
                "".into(),
                "".into(),
                "".into(),
            ]),
        }
        table.row(cells);
    }
    table.without_empty_columns()
}
