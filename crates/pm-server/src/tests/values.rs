//! Feeds the values that are shown back into filters: the server, the command and the page read them alike.

use std::fs;
use std::path::Path;

use pm_core::ProcessList;
use pm_wire::filter::Filter;
use serde_json::{Value, json};

use super::described::ask;
use crate::service::service;

#[test]
fn each_value_that_group_by_shows_finds_its_tasks_as_a_filter() {
    let list = ProcessList::new();
    let mut tasks = vec![
        list.task("nan").attr("x", f64::NAN).start(),
        list.task("inf").attr("x", f64::INFINITY).start(),
        list.task("-inf").attr("x", f64::NEG_INFINITY).start(),
        list.task("-0").attr("x", -0.0).start(),
        list.task("0").attr("x", 0.0).start(),
        list.task("huge").attr("x", 1e300).start(),
        list.task("tiny").attr("x", 5e-324).start(),
        list.task("tenth").attr("x", 0.1).start(),
        list.task("1e20").attr("x", 1e20).start(),
        list.task("2^63").attr("x", 9_223_372_036_854_775_808.0).start(),
        list.task("least").attr("x", i64::MIN).start(),
        list.task("most").attr("x", u64::MAX).start(),
        list.task("exact").attr("x", 1_u64 << 53).start(),
        list.task("yes").attr("x", true).start(),
    ];
    for text in ["1e300", "NaN", "007", "a,b*", "two \"words\"", "true", "\\", "\u{1b}[2J"] {
        tasks.push(list.task(text).attr("x", text).start());
    }
    let mut service = service(&list);
    let mut get = |target: &str| ask(&mut service, "GET", target, &[], "").json();
    let page = get("/v1/tasks?groupBy=attr.x&limit=1000");
    let rows: Vec<pm_wire::v1::Row> = serde_json::from_value(page["tasks"].clone()).unwrap();
    let mut found_in_all = 0;
    for group in page["groups"].as_array().unwrap() {
        let (value, count) = (group["value"].as_str().unwrap(), group["count"].as_u64().unwrap());
        let escaped: String =
            value.chars().flat_map(|c| if ",*\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
        let found = get(&format!("/v1/tasks?limit=0&attr.x={}", pm_wire::encode_id(&escaped)));
        assert_eq!(found["total"], count, "{value}");
        // The command's matcher, over the rows as they came.
        let mut filter = Filter::default();
        filter.add("attr.x", &escaped).unwrap();
        let fits = |row: &&pm_wire::v1::Row| {
            filter.matches_parts(&pm_wire::filter::Parts { attrs: Some(&row.attrs), ..Default::default() })
        };
        assert_eq!(rows.iter().filter(fits).count() as u64, count, "{value}");
        found_in_all += count;
    }
    assert_eq!(found_in_all, tasks.len() as u64);
}

#[test]
fn the_page_sorts_by_the_keys_of_the_server_and_its_filter_finds_what_the_server_finds() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let order = fs::read_to_string(page.join("order.js")).unwrap();
    let sorts = order.split_once("export const SORTS = ").unwrap().1.split_once("})").unwrap().0;
    for key in pm_wire::v1::SortKey::ALL.into_iter().filter(|key| *key != pm_wire::v1::SortKey::EndedAt) {
        assert!(sorts.contains(&format!("{}:", key.as_str())), "{} is not in order.js", key.as_str());
    }
    let values = r#"{"nan":"NaN","inf":"inf","zero":0,"minus":-0,"huge":1e300,"tiny":5e-324,"tenth":0.1,
        "round":100000000000000000000,"far":9223372036854776000,"most":"18446744073709551615",
        "least":"-9223372036854775808","yes":true,"text":"1e300"}"#;
    let attrs: std::collections::BTreeMap<String, Value> = serde_json::from_str(values).unwrap();
    let strings: Vec<String> = attrs.values().map(|value| pm_wire::attr_text(value).into_owned()).collect();
    let script = format!(
        "import {{ Filter }} from {filter}; import {{ shown }} from {text};
        const attrs = {values};
        const task = (name) => ({{ attrs: {{ x: attrs[name] }} }});
        const names = Object.keys(attrs).sort();
        const fits = (text) => names.filter((name) => new Filter(`attr.x=${{text}}`).fits(task(name), 0)).length;
        const strings = names.map((name) => shown(attrs[name]));
        console.log(JSON.stringify([strings, strings.map(fits)]));",
        filter = json!(page.join("filter.js")),
        text = json!(page.join("text.js")),
    );
    let node = std::process::Command::new("node")
        .args(["--experimental-default-type=module", "--no-warnings", "--input-type=module", "--eval", &script])
        .output();
    let output = match node {
        Ok(output) => output,
        Err(error) if std::env::var_os("PM_TEST_TOOLS").is_none() => return eprintln!("node: {error}; left out"),
        Err(error) => panic!("node: {error}"),
    };
    let shown: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(shown[0], json!(strings));
    let expected: Vec<usize> =
        strings.iter().map(|text| strings.iter().filter(|other| *other == text).count()).collect();
    assert_eq!(shown[1], json!(expected));
}
