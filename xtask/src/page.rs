//! The page of pm, tried in a real browser by `tests/page/all.mjs`, and its pictures.
//!
//! Its program is `crates/pm/examples/page.rs`, that of the pictures `pm demo`. What node needs is kept below
//! `target/browser`; the browser is that of `browser.rs`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::browser::{AXE, DRIVER, TYPES, chromium, packages};
use crate::check::WORKSPACE;
use crate::step::{Done, Outcome, cargo, pass, pass_within, target_dir, works};

const TESTS: &str = "tests/page/all.mjs";
const TYPE_CHECK: &str = "tests/page/tsconfig.json";
const PICTURES: &str = "tests/page/screenshots.mjs";

/// Types, then all tests.
pub(crate) fn check() -> Outcome {
    run(&[])
}

/// Runs all tests, or those with one of these words in their names, which include `figures at length`.
pub(crate) fn run(words: &[&str]) -> Outcome {
    if let Some(missing) = no_node() {
        return Ok(missing);
    }
    let (chromium, modules) = match chromium().and_then(|chromium| Ok((chromium, packages(&[DRIVER, AXE, TYPES])?))) {
        Ok(both) => both,
        Err(why) => return Ok(Done::LeftOut(why)),
    };
    if words.is_empty() {
        pass(Command::new(modules.join("node_modules/.bin/tsc")).args(["--project", TYPE_CHECK]))?;
    }
    pass(cargo(&["build", "--example=page"]).args(WORKSPACE))?;
    let mut tests = Command::new("node");
    tests.env("PM_PROGRAM", built("examples/page")).env("PM_CHROMIUM", chromium).env("PM_MODULES", modules);
    tests.env("PM_SHOTS", target_dir("page"));
    pass_within(tests.arg(TESTS).args(words), Duration::from_secs(1800))?;
    Ok(Done::Whole)
}

/// Makes the pictures of the README from the demo.
pub(crate) fn screenshots() -> Outcome {
    if let Some(missing) = no_node() {
        return Ok(missing);
    }
    let (chromium, modules) = match chromium().and_then(|chromium| Ok((chromium, packages(&[DRIVER])?))) {
        Ok(both) => both,
        Err(why) => return Ok(Done::LeftOut(why)),
    };
    pass(&mut cargo(&["build", "--package=pm-cli", "--locked"]))?;
    let mut pictures = Command::new("node");
    pictures.env("PM_PROGRAM", built("pm")).env("PM_CHROMIUM", chromium).env("PM_MODULES", modules);
    pass_within(pictures.arg(PICTURES).arg("docs/pictures"), Duration::from_secs(300))?;
    Ok(Done::Whole)
}

fn no_node() -> Option<Done> {
    let is_there = works(Command::new("node").arg("--version"));
    (!is_there).then(|| Done::LeftOut("no node; apt-get install nodejs npm".into()))
}

/// Returns the path of a program that cargo built.
fn built(name: &str) -> PathBuf {
    let path = target_dir("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    std::path::absolute(&path).unwrap_or(path)
}
