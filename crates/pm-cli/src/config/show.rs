//! `pm config`: each value, and who said it. Of tokens, only where they are.

use serde_json::{Value, json};

use super::{Endpoint, Settings, Theme};
use crate::out::Table;
use clap::ValueEnum;

/// One line of `pm config`.
struct Line {
    key: String,
    value: String,
    from: String,
}

/// Each value with its origin, as a table for people.
pub(crate) fn show(settings: &Settings) -> Table {
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for line in lines(settings) {
        table.row(vec![line.key.into(), line.value.into(), line.from.into()]);
    }
    table
}

/// The same for programs.
pub(crate) fn items(settings: &Settings) -> Vec<Value> {
    let item = |line: Line| json!({ "key": line.key, "value": line.value, "from": line.from });
    lines(settings).into_iter().map(item).collect()
}

fn lines(settings: &Settings) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |key: &str, value: String, from: String| lines.push(Line { key: key.to_owned(), value, from });
    let file = settings.file.as_ref();
    match file {
        Some(file) => add("config", file.path.display().to_string(), "read".to_owned()),
        None => add("config", "none".to_owned(), "no file is there".to_owned()),
    }
    add("timeout", length(settings.timeout.value), settings.timeout.origin.to_string());
    add("connect-timeout", length(settings.connect_timeout.value), settings.connect_timeout.origin.to_string());
    add("output", word(settings.output.value), settings.output.origin.to_string());
    add("color", word(settings.color.value), settings.color.origin.to_string());
    add("theme", word::<Theme>(settings.theme.value), settings.theme.origin.to_string());
    for endpoint in settings.endpoints.list() {
        add("endpoint", described(endpoint), settings.endpoints.origin.to_string());
    }
    for (name, group) in file.into_iter().flat_map(|file| &file.groups) {
        add(&format!("@{name}"), group.value.join(", "), group.origin.to_string());
    }
    lines
}

/// Name, address, and where the token is.
fn described(endpoint: &Endpoint) -> String {
    let address = endpoint.client.endpoint();
    let address = if endpoint.name == address { String::new() } else { format!(" = {address}") };
    format!("{}{address} (token: {})", endpoint.name, endpoint.token)
}

fn word<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
}

/// As it is written in the file and in flags.
fn length(length: std::time::Duration) -> String {
    match length.subsec_nanos() {
        0 => format!("{}s", length.as_secs()),
        _ => format!("{}ms", length.as_millis()),
    }
}
