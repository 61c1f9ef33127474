//! `pm why`: explains what one task is waiting for, compared with its kind: a sentence, and the facts behind it.
//!
//! | file | contents |
//! |---|---|
//! | `evidence.rs` | the data fetched from the server |
//! | `sentence.rs` | its interpretation |

mod evidence;
mod sentence;

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{TaskArgs, finish};
use crate::exit::{Exit, Stop};
use crate::fleet;
use crate::out::{Style, clean, format, print};

use evidence::Evidence;

pub(crate) async fn run(task: TaskArgs) -> Result<Exit, Stop> {
    let (out, answers) =
        task.query_all(|client, target| async move { evidence::gather(&client, &target).await }).await?;
    fleet::show(
        out,
        || fleet::document(&answers, |evidence| vec![item(evidence)], |evidence| fleet::at(evidence.server_time)),
        || {
            let mut text = String::new();
            for answer in &answers {
                let Ok(evidence) = &answer.result else { continue };
                let place = if answers.len() > 1 { format!("{}: ", answer.endpoint.name) } else { String::new() };
                let why = sentence::explain(evidence);
                let sentence = clean::line(&format!("{place}{}", why.sentence));
                let _ = writeln!(text, "{}", out.styled(Style::Bold, &sentence));
                for fact in &why.facts {
                    let _ = writeln!(text, "  - {}", clean::line(fact));
                }
            }
            Ok(print(&text)?)
        },
    )?;
    Ok(finish(&answers, |evidence| evidence.is_original))
}

fn item(evidence: &Evidence) -> Value {
    let why = sentence::explain(evidence);
    let mut item = json!({
        "serial": format::serial(evidence.task.serial),
        "id": evidence.task.id,
        "waitsFor": why.waits_for.name(),
        "sentence": why.sentence,
        "facts": why.facts,
        "evidence": { "task": evidence.task, "children": evidence.children, "history": evidence.history },
    });
    if let Some(since) = why.since {
        item["sinceMs"] = format::to_millis(since).into();
    }
    if let Some(unusual) = why.is_unusual {
        item["isUnusual"] = unusual.into();
    }
    for (name, value) in [
        ("waits", (!evidence.waits.is_empty()).then(|| json!(evidence.waits))),
        ("holdsUp", (!evidence.holds_up.is_empty()).then(|| json!(evidence.holds_up))),
        ("kind", evidence.kind.as_ref().map(|kind| json!(kind))),
        ("parent", evidence.parent.as_ref().map(|parent| json!(parent))),
    ] {
        if let Some(value) = value {
            item["evidence"][name] = value;
        }
    }
    item
}
