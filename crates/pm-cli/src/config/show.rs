//! `pm config`: each value and its origin. Of tokens, only where they come from.

use serde_json::{Value, json};

use super::args::Settings;
use super::endpoints::Endpoint;
use super::setting::Theme;
use crate::out::Table;
use clap::ValueEnum;

/// One line of `pm config`.
struct Line {
    key: String,
    value: String,
    from: String,
}

/// A table of all values with their origins.
pub(crate) fn show(settings: &Settings) -> Table {
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for line in lines(settings) {
        table.row(vec![line.key.into(), line.value.into(), line.from.into()]);
    }
    table
}

/// All values with their origins, as JSON.
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
        None => add("config", "none".to_owned(), "no file found".to_owned()),
    }
    add("timeout", duration(settings.timeout.value), settings.timeout.origin.to_string());
    add("connect-timeout", duration(settings.connect_timeout.value), settings.connect_timeout.origin.to_string());
    add("output", name(settings.output.value), settings.output.origin.to_string());
    add("color", name(settings.color.value), settings.color.origin.to_string());
    add("theme", name::<Theme>(settings.theme.value), settings.theme.origin.to_string());
    for endpoint in settings.endpoints.list() {
        add("endpoint", described(endpoint), settings.endpoints.origin.to_string());
    }
    for (name, group) in file.into_iter().flat_map(|file| &file.groups) {
        add(&format!("@{name}"), group.value.join(", "), group.origin.to_string());
    }
    lines
}

/// Name, address, and where the token comes from.
fn described(endpoint: &Endpoint) -> String {
    let address = endpoint.client.endpoint();
    let address = if endpoint.name == address { String::new() } else { format!(" = {address}") };
    format!("{}{address} (token: {})", endpoint.name, endpoint.token)
}

fn name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
}

/// The duration as the file and flags accept it.
fn duration(duration: std::time::Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
