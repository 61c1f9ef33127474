//! Attacks of web pages on the server, tried in a real Chromium by `tests/browser/attack.mjs`.
//!
//! The server is `crates/pm/examples/attacked.rs`. playwright-core, which drives the browser, is kept below
//! `target/browser`. Chromium is that of the system, or Debian's package, which root gets installed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::check::WORKSPACE;
use crate::step::{Done, Outcome, cargo, install_on_debian, pass, pass_within, target_dir, works};

/// From npm; it brings no other package and no browser.
pub(crate) const DRIVER: &str = "playwright-core@1.60.0";
/// Finds barriers to access.
pub(crate) const AXE: &str = "axe-core@4.14.1";
/// Checks the types of the page's modules.
pub(crate) const TYPES: &str = "typescript@7.0.2";
const PACKAGES: [&str; 3] = [DRIVER, AXE, TYPES];
const SCRIPT: &str = "tests/browser/attack.mjs";
const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

pub(crate) fn check() -> Outcome {
    if !works(Command::new("node").arg("--version")) {
        return Ok(Done::LeftOut("no node; apt-get install nodejs npm".into()));
    }
    let (chromium, modules) = match chromium().and_then(|chromium| Ok((chromium, driver()?))) {
        Ok(both) => both,
        Err(why) => return Ok(Done::LeftOut(why)),
    };
    pass(cargo(&["build", "--example=attacked"]).args(WORKSPACE))?;
    let example = target_dir("debug").join("examples").join(format!("attacked{}", std::env::consts::EXE_SUFFIX));
    let mut attack = Command::new("node");
    pass_within(attack.arg(SCRIPT).arg(example).arg(chromium).arg(modules), Duration::from_secs(300))?;
    Ok(Done::Whole)
}

/// The browser of this system, or the one that can be installed here.
pub(crate) fn chromium() -> Result<PathBuf, String> {
    if let Some(chromium) = std::env::var_os("CHROMIUM") {
        return Ok(chromium.into());
    }
    let found = || CHROMIUM.iter().map(PathBuf::from).find(|path| works(Command::new(path).arg("--version")));
    if let Some(chromium) = found() {
        return Ok(chromium);
    }
    let missing = "no Chromium; apt-get install chromium, or say where it is by CHROMIUM";
    install_on_debian("chromium").map_err(|why| format!("{missing} ({why})"))?;
    found().ok_or_else(|| missing.into())
}

/// A folder with the driver, which is fetched if need be.
fn driver() -> Result<PathBuf, String> {
    packages(&[DRIVER])
}

/// A folder with packages of npm, which are fetched if need be: `name@version`, none of which brings a browser.
pub(crate) fn packages(wanted: &[&str]) -> Result<PathBuf, String> {
    let home = std::path::absolute(target_dir("browser")).map_err(|error| format!("target/browser: {error}"))?;
    let is_there = |package: &&&str| {
        let (name, version) = package.rsplit_once('@').unwrap_or((package, ""));
        let text = std::fs::read_to_string(home.join("node_modules").join(name).join("package.json"));
        text.is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
    };
    if wanted.iter().all(|package| is_there(&package)) {
        return Ok(home);
    }
    std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let mut install = Command::new("npm");
    // All packages that any step uses: npm removes those that are not named.
    let all: BTreeSet<&str> = wanted.iter().copied().chain(PACKAGES).collect();
    install.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]).args(&all).arg("--prefix");
    let names = wanted.join(", ");
    pass_within(install.arg(&home), Duration::from_secs(180))
        .map_err(|why| format!("{names} could not be installed: {why}"))?;
    let missing = wanted.iter().find(|package| !is_there(package));
    missing.map_or(Ok(home.clone()), |package| Err(format!("npm installed no {package}")))
}
