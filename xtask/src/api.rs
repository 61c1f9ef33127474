//! Checks the public interface of the published crates: it shows only those third-party items that are listed in
//! [`table::CRATES`], and keeps what the baseline promised.
//!
//! A type of another crate in a public signature ties our versions to the versions of that crate. The items are read
//! from rustdoc's JSON, whose format is unstable: the few members that are read here have been there for years, and a
//! JSON without them fails.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::Value;

use crate::step::{Done, Outcome, cargo, output, pass, pass_within, settle, target_dir, works};

/// Set for rustdoc when cargo runs it through this program, to the rustdoc that is meant.
const RUSTDOC: &str = "PM_XTASK_RUSTDOC";
/// The file with the commit that the interface is compared with.
const BASELINE: &str = "xtask/api-baseline";
/// The cargo-semver-checks to install. Another one on the path is as good.
const SEMVER_CHECKS: &str = "0.51.0";
/// Crates whose items are no promise beyond that of the toolchain.
const STANDARD: [&str; 5] = ["std", "core", "alloc", "proc_macro", "test"];

/// The step `api`.
pub(crate) fn check() -> Outcome {
    let mut errors = Vec::new();
    println!(
        "{:<12}{:>8}{:>14}  third-party items in public signatures, all features",
        "crate", "items", "third-party"
    );
    for (name, listed) in table::CRATES {
        let text = rustdoc_json(name)?;
        let json = serde_json::from_str(&text).map_err(|error| format!("rustdoc's JSON of {name}: {error}"))?;
        let (count, shown) = third_party(&json).ok_or(format!("rustdoc's JSON of {name} has another format"))?;
        println!("{name:<12}{count:>8}{:>14}", shown.len());
        errors.extend(compare(name, listed, &shown));
    }
    settle(&errors)?;
    semver()
}

/// Returns rustdoc's JSON of a crate with all its features.
fn rustdoc_json(name: &str) -> Result<String, String> {
    let this = std::env::current_exe().map_err(|error| format!("could not find this program: {error}"))?;
    let rustdoc = std::env::var("RUSTDOC").unwrap_or_else(|_| "rustdoc".into());
    let mut command = cargo(&["rustdoc", "--quiet", "--all-features", "--lib", "--locked", "--package", name, "--"]);
    // Only rustdoc gets the leave to use what is unstable, so cargo builds nothing anew for it.
    command
        .args(["-Zunstable-options", "--output-format=json", "--cap-lints=allow"])
        .env("RUSTDOC", this)
        .env(RUSTDOC, rustdoc);
    pass(&mut command)?;
    let file = target_dir("doc").join(format!("{}.json", name.replace('-', "_")));
    fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Runs rustdoc for a cargo that [`rustdoc_json`] has started; otherwise returns `None`.
pub(crate) fn as_rustdoc() -> Option<ExitCode> {
    let mut rustdoc = Command::new(std::env::var_os(RUSTDOC)?);
    let status = rustdoc.args(std::env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1").status();
    Some(if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The places that show an item.
type Shown = BTreeMap<String, BTreeSet<String>>;

/// Returns how many local items a crate has, and the items of other crates that they show, with the places.
fn third_party(json: &Value) -> Option<(usize, Shown)> {
    let (index, paths, crates) =
        (json.get("index")?.as_object()?, json.get("paths")?.as_object()?, json.get("external_crates")?);
    let mut shown = Shown::new();
    let mut count = 0;
    for item in index.values().filter(|item| item["crate_id"] == 0) {
        count += 1;
        let inner = item.get("inner")?;
        // Of `impl<T> Trait for T` in another crate, and of auto traits.
        if inner["impl"]["is_synthetic"] == true || inner["impl"]["blanket_impl"].is_object() {
            continue;
        }
        let mut ids = BTreeSet::new();
        references(inner, &mut ids);
        for id in ids {
            let Some(path) = paths.get(&id) else { continue };
            let krate = path["crate_id"].to_string();
            let Some(krate) = crates[&krate]["name"].as_str() else { continue };
            if STANDARD.contains(&krate) || krate == "pm" || krate.starts_with("pm_") {
                continue;
            }
            let names: Vec<&str> = path["path"].as_array()?.iter().filter_map(Value::as_str).collect();
            // Details of a macro's expansion.
            if names.contains(&"__private") {
                continue;
            }
            let span = &item["span"];
            let place = format!("{}:{}", span["filename"].as_str().unwrap_or("?"), span["begin"][0]);
            shown.entry(names.join("::")).or_default().insert(place);
        }
    }
    Some((count, shown))
}

/// Collects the ids of all types and traits that a part of an item names.
fn references(value: &Value, ids: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let (Some(id), Some(_), true) = (members.get("id"), members.get("path"), members.contains_key("args")) {
                ids.insert(id.to_string());
            }
            members.values().for_each(|value| references(value, ids));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, ids)),
        _ => {}
    }
}

/// Returns what is shown and not listed, or listed and not shown.
fn compare(name: &str, listed: &[&str], shown: &Shown) -> Vec<String> {
    let new = shown.iter().filter(|(item, _)| !listed.contains(&item.as_str()));
    let new = new.map(|(item, places)| {
        let place = places.first().map_or("?", String::as_str);
        format!("{place}: {name} shows `{item}`, which is not listed in xtask/src/api/table.rs")
    });
    let gone = listed.iter().filter(|item| !shown.contains_key(**item));
    let gone = gone.map(|item| format!("xtask/src/api/table.rs: {name} no longer shows `{item}`"));
    new.chain(gone).collect()
}

/// Compares the interface with that of the newest tag, or of the commit that [`BASELINE`] names.
fn semver() -> Outcome {
    let left_out = |why: String| Ok(Done::Partly(vec![format!("the comparison with an earlier interface: {why}")]));
    let tag = output(Command::new("git").args(["tag", "--list", "v*", "--sort=-version:refname"])).unwrap_or_default();
    let named = tag.lines().next().map(str::to_owned).or_else(|| fs::read_to_string(BASELINE).ok());
    let Some(revision) = named.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else {
        return left_out(format!("there is no tag, and {BASELINE} names no commit"));
    };
    if !works(Command::new("git").args(["cat-file", "-e", &format!("{revision}^{{commit}}")])) {
        return left_out(format!("commit {revision} is not in this repository"));
    }
    let parts = |name: &str| ["src", "Cargo.toml"].map(|part| format!("crates/{name}/{part}"));
    let sources = table::CRATES.iter().flat_map(|(name, _)| parts(name));
    if works(Command::new("git").args(["diff", "--quiet", &revision, "--"]).args(sources)) {
        println!("no source of a published crate differs from {revision}");
        return Ok(Done::Whole);
    }
    let tool = match find() {
        Ok(tool) => tool,
        Err(why) => return left_out(why),
    };
    let mut command = Command::new(tool);
    command.args(["semver-checks", "check-release", "--all-features", "--release-type=minor", "--baseline-rev"]);
    pass(command.arg(revision).args(table::CRATES.iter().map(|(name, _)| format!("--package={name}"))))
}

/// Returns a cargo-semver-checks that runs, built if need be.
fn find() -> Result<PathBuf, String> {
    let root = target_dir("tools");
    let ours = root.join("bin").join(format!("cargo-semver-checks{}", std::env::consts::EXE_SUFFIX));
    for tool in ["cargo-semver-checks".into(), ours.clone()] {
        if works(Command::new(&tool).args(["semver-checks", "--version"])) {
            return Ok(tool);
        }
    }
    println!("cargo-semver-checks is missing and is being built; this takes minutes, once");
    let mut install = cargo(&["install", "cargo-semver-checks", "--version", SEMVER_CHECKS, "--locked", "--debug"]);
    install.arg("--root").arg(&root).arg("--target-dir").arg(root.join("build"));
    pass_within(&mut install, Duration::from_secs(1800))
        .map_err(|why| format!("cargo-semver-checks {SEMVER_CHECKS} could not be installed: {why}"))?;
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json() -> Value {
        serde_json::json!({
            "external_crates": { "1": { "name": "std" }, "2": { "name": "http" }, "3": { "name": "pm_core" } },
            "paths": {
                "10": { "crate_id": 1, "path": ["std", "string", "String"] },
                "20": { "crate_id": 2, "path": ["http", "Request"] },
                "30": { "crate_id": 3, "path": ["pm_core", "Task"] },
            },
            "index": {
                "1": {
                    "crate_id": 0,
                    "links": { "http": 20 },
                    "span": { "filename": "src/lib.rs", "begin": [7, 1] },
                    "inner": { "function": { "sig": {
                        "inputs": [["request", { "resolved_path": { "path": "Request", "id": 20, "args": {
                            "angle_bracketed": { "args": [
                                { "type": { "resolved_path": { "path": "String", "id": 10, "args": null } } },
                            ] },
                        } } }]],
                        "output": { "resolved_path": { "path": "Task", "id": 30, "args": null } },
                    } } },
                },
                "2": { "crate_id": 0, "links": { "http": 20 }, "inner": { "struct": {} } },
                "3": {
                    "crate_id": 0,
                    "inner": { "impl": { "is_synthetic": false, "blanket_impl": { "generic": "T" },
                        "trait": { "path": "Request", "id": 20, "args": null } } },
                },
            },
        })
    }

    #[test]
    fn items_of_other_crates_are_found_with_their_places() {
        let (count, shown) = third_party(&json()).unwrap();
        assert_eq!(count, 3);
        assert_eq!(shown, Shown::from([("http::Request".into(), BTreeSet::from(["src/lib.rs:7".into()]))]));
    }

    #[test]
    fn another_format_is_an_error() {
        assert!(third_party(&serde_json::json!({ "items": [] })).is_none());
    }

    #[test]
    fn only_listed_items_pass_and_only_shown_ones_are_listed() {
        let shown = third_party(&json()).unwrap().1;
        assert!(compare("pm", &["http::Request"], &shown).is_empty());
        let errors = compare("pm", &["http::Response"], &shown);
        assert_eq!(
            errors,
            [
                "src/lib.rs:7: pm shows `http::Request`, which is not listed in xtask/src/api/table.rs",
                "xtask/src/api/table.rs: pm no longer shows `http::Response`",
            ]
        );
    }
}
