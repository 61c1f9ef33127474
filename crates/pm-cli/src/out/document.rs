//! JSON output: one document, or its items line by line.
//!
//! The shape is the same for every verb: `items`, each with its endpoint, and `endpoints`, each with facts about it or
//! its error. `docs/cli.md` specifies it, `docs/cli.schema.json` in machine-readable form.

use std::io::{self, BufWriter, Write};

use serde_json::{Map, Value, json};

use super::clean;
use super::print::Format;

/// The items found, and the endpoints queried.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) items: Vec<Value>,
    pub(crate) endpoints: Vec<Value>,
    /// Members of the document itself, such as `total`.
    pub(crate) more: Map<String, Value>,
}

impl Document {
    /// Prints the document; does nothing if the format is a table.
    pub(crate) fn print(mut self, format: Format) -> io::Result<()> {
        let items = std::mem::take(&mut self.items);
        self.print_with(items, format)
    }

    /// Prints the document with these items instead of its own. Each is printed as it is made: as JSON, all of them
    /// would take several times the memory of the tasks.
    pub(crate) fn print_with(self, items: impl IntoIterator<Item = Value>, format: Format) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        self.write(items, format, &mut out)?;
        out.flush()
    }

    fn write(self, items: impl IntoIterator<Item = Value>, format: Format, out: &mut impl Write) -> io::Result<()> {
        match format {
            Format::Json => {
                let mut document = json!({ "items": [], "endpoints": self.endpoints });
                document.as_object_mut().expect("an object was just made").extend(self.more);
                let document = line(&document);
                // Within a string, the quotes would be escaped.
                let at = document.find(r#""items":[]"#).expect("a document has items") + r#""items":["#.len();
                out.write_all(&document.as_bytes()[..at])?;
                for (at, item) in items.into_iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(out, "{comma}{}", line(&item).trim_end())?;
                }
                out.write_all(&document.as_bytes()[at..])?;
            }
            Format::Ndjson => {
                for item in items {
                    out.write_all(line(&item).as_bytes())?;
                }
            }
            Format::Ids => {
                let several = self.endpoints.len() > 1;
                for item in items {
                    out.write_all(name(&item, several).as_bytes())?;
                }
            }
            Format::Table | Format::Wide => {}
        }
        Ok(())
    }
}

/// The value on one line, without terminal control characters.
pub(crate) fn line(value: &Value) -> String {
    let mut text = clean::json(&value.to_string());
    text.push('\n');
    text
}

/// The name under which other verbs accept this item: a serial, or `id:ID` without one. With several endpoints, the
/// endpoint and a tab come first.
fn name(item: &Value, several: bool) -> String {
    let text = |key: &str| item[key].as_str().filter(|text| !text.is_empty());
    let name = match (text("serial"), text("id")) {
        (Some(serial), _) => serial.to_owned(),
        (None, Some(id)) => format!("id:{id}"),
        (None, None) => ["kind", "key", "task", "endpoint"].into_iter().find_map(text).unwrap_or_default().to_owned(),
    };
    let endpoint = if several { format!("{}\t", text("endpoint").unwrap_or_default()) } else { String::new() };
    // Only the separating tab is printed as such; one within a name is escaped.
    let endpoint = endpoint.strip_suffix('\t').map(|endpoint| format!("{}\t", clean::line(endpoint)));
    format!("{}{}\n", endpoint.unwrap_or_default(), clean::line(&name))
}

/// The name of a task in messages: its id, and its serial if it has one.
pub(crate) fn name_of(row: &pm_client::Row) -> String {
    match (row.id.as_str(), row.serial) {
        (id, None) => id.to_owned(),
        ("", Some(serial)) => format!("task {serial}"),
        (id, Some(serial)) => format!("{id} ({serial})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stand_in_their_place_whatever_the_endpoints_say() {
        let mut document = Document { endpoints: vec![json!({ "endpoint": r#""items":[]"# })], ..Document::default() };
        document.more.insert("total".to_owned(), 2.into());
        let mut out = Vec::new();
        document.write([json!({ "id": "a" }), json!({ "id": "\u{9b}" })], Format::Json, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.ends_with("\"items\":[{\"id\":\"a\"},{\"id\":\"\\u009b\"}],\"total\":2}\n"), "{out}");
        let read: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(read["endpoints"][0]["endpoint"], r#""items":[]"#);
    }

    #[test]
    fn an_item_is_named_as_other_verbs_accept_it() {
        assert_eq!(name(&json!({ "endpoint": "a", "serial": "7", "id": "x" }), false), "7\n");
        assert_eq!(name(&json!({ "endpoint": "a", "serial": "", "id": "x\ny" }), true), "a\tid:x\\u{a}y\n");
        assert_eq!(name(&json!({ "endpoint": "a", "kind": "import" }), false), "import\n");
    }
}
