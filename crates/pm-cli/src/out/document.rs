//! What programs get: one document, or its items one by one.
//!
//! The shape is the same for every verb: `items`, each with the endpoint it is from, and `endpoints`, each with what it
//! tells about itself or its error. `docs/cli.md` is the promise, `docs/cli.schema.json` the same for machines.

use std::io;

use serde_json::{Map, Value, json};

use super::{clean, print};
use crate::config::Output;

/// What was found, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) items: Vec<Value>,
    pub(crate) endpoints: Vec<Value>,
    /// Members of the document itself, such as `total`.
    pub(crate) more: Map<String, Value>,
}

impl Document {
    /// Prints it in a format for programs; for those of people, nothing happens.
    pub(crate) fn print(self, format: Output) -> io::Result<()> {
        match format {
            Output::Json => {
                let mut document = json!({ "items": self.items, "endpoints": self.endpoints });
                document.as_object_mut().expect("an object was just made").extend(self.more);
                print(&line(&document))
            }
            Output::Ndjson => print(&self.items.iter().map(line).collect::<String>()),
            Output::Ids => {
                let several = self.endpoints.len() > 1;
                print(&self.items.iter().map(|item| name(item, several)).collect::<String>())
            }
            Output::Table | Output::Wide => Ok(()),
        }
    }
}

/// A value on a line of its own, without anything that a terminal obeys.
pub(crate) fn line(value: &Value) -> String {
    let mut text = clean::json(&value.to_string());
    text.push('\n');
    text
}

/// How the other verbs call this item: a serial, or `id:ID` where there are none. With several endpoints, the endpoint
/// stands before it, with a tab between.
fn name(item: &Value, several: bool) -> String {
    let text = |key: &str| item[key].as_str().filter(|text| !text.is_empty());
    let name = match (text("serial"), text("id")) {
        (Some(serial), _) => serial.to_owned(),
        (None, Some(id)) => format!("id:{id}"),
        (None, None) => ["kind", "key", "task", "endpoint"].into_iter().find_map(text).unwrap_or_default().to_owned(),
    };
    let endpoint = if several { format!("{}\t", text("endpoint").unwrap_or_default()) } else { String::new() };
    // The tab between the two is ours; one in a text is not.
    let endpoint = endpoint.strip_suffix('\t').map(|endpoint| format!("{}\t", clean::line(endpoint)));
    format!("{}{}\n", endpoint.unwrap_or_default(), clean::line(&name))
}

/// How a task is called in words: its id, and its serial if it has one.
pub(crate) fn name_of(row: &pm_client::Row) -> String {
    match (row.id.as_str(), row.serial.as_str()) {
        (id, "") => id.to_owned(),
        ("", serial) => format!("task {serial}"),
        (id, serial) => format!("{id} ({serial})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_named_as_other_verbs_take_it() {
        assert_eq!(name(&json!({ "endpoint": "a", "serial": "7", "id": "x" }), false), "7\n");
        assert_eq!(name(&json!({ "endpoint": "a", "serial": "", "id": "x\ny" }), true), "a\tid:x\\u{a}y\n");
        assert_eq!(name(&json!({ "endpoint": "a", "kind": "import" }), false), "import\n");
    }
}
