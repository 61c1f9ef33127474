//! Counts that were made earlier, and how those of now differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::callgrind::Count;

/// The growth of a count that is accepted: in percent, and in instructions, as a few more are many percent of few.
const TOLERANCE: (f64, f64) = (3.0, 2.0);

/// Functions of an operation that a file of counts holds: those that execute most.
const FUNCTIONS: usize = 12;

/// Functions that are shown of an operation that has grown.
const SHOWN: usize = 5;

type Functions = BTreeMap<String, f64>;

/// The counts of all operations, and what they depend on besides the sources.
#[derive(Serialize, Deserialize)]
pub(crate) struct Counts {
    made_with: MadeWith,
    operations: BTreeMap<String, Count>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct MadeWith {
    architecture: String,
    compiler: String,
    c_library: String,
    /// The clock that lists read here.
    clock: String,
}

impl MadeWith {
    fn here() -> Self {
        let library = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
        let library = library.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let source = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        // As `pm_core::Clock::Tsc` decides.
        let is_counter =
            matches!(source.as_deref().map(str::trim), Ok("tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page"));
        let is_counter = is_counter && cfg!(target_arch = "x86_64");
        Self {
            architecture: std::env::consts::ARCH.to_owned(),
            compiler: env!("PM_BENCH_COMPILER").to_owned(),
            c_library: library.unwrap_or_default(),
            clock: if is_counter { "time stamp counter" } else { "system" }.to_owned(),
        }
    }

    /// Returns what differs, if anything does.
    fn difference(&self, other: &Self) -> Option<String> {
        let pairs = [
            (&self.architecture, &other.architecture),
            (&self.compiler, &other.compiler),
            (&self.c_library, &other.c_library),
            (&self.clock, &other.clock),
        ];
        pairs.iter().find(|(here, there)| here != there).map(|(here, there)| format!("{there} there, {here} here"))
    }
}

impl Counts {
    pub(crate) fn new<'n>(counts: impl IntoIterator<Item = (&'n str, Count)>) -> Self {
        let operations = counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        Self { made_with: MadeWith::here(), operations }
    }

    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read(file).map_err(|error| format!("could not read {}: {error}", file.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{} does not hold counts: {error}", file.display()))
    }

    /// Writes the counts, rounded, with the functions that execute most.
    pub(crate) fn write(&self, file: &Path) -> Result<(), String> {
        let rounded = |count: f64| (count * 10.0).round() / 10.0;
        let short = |(name, count): (&String, &Count)| {
            let functions = ranked(&count.functions).into_iter().take(FUNCTIONS);
            let functions =
                functions.map(|(name, cost)| (name.to_owned(), rounded(cost))).filter(|(_, cost)| *cost > 0.0);
            (name.clone(), Count { all: rounded(count.all), functions: functions.collect() })
        };
        let short = Self { made_with: MadeWith::here(), operations: self.operations.iter().map(short).collect() };
        let text = serde_json::to_string_pretty(&short).expect("numbers and strings can be written");
        fs::write(file, text + "\n").map_err(|error| format!("could not write {}: {error}", file.display()))
    }

    /// Prints a table in the order of `names`. Returns why some counts can't be compared with those before, if so.
    ///
    /// # Errors
    ///
    /// The operations that have grown too much, with the functions that did.
    pub(crate) fn compare(&self, before: Option<&Self>, names: &[&str]) -> Result<Option<String>, String> {
        let (mut grown, mut shrunk, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        println!("{:<46}{:>14}{:>14}{:>10}", "instructions of one", "now", "before", "change");
        for &name in names {
            let Some(now) = self.operations.get(name) else { continue };
            let Some(before) = before.and_then(|before| before.operations.get(name)) else {
                println!("{name:<46}{:>14.1}{:>14}{:>10}", now.all, "-", "-");
                unknown.push(name);
                continue;
            };
            let change = format!("{:+.2} %", (now.all / before.all - 1.0) * 100.0);
            println!("{name:<46}{:>14.1}{:>14.1}{change:>10}", now.all, before.all);
            let slack = TOLERANCE.1.max(before.all * TOLERANCE.0 / 100.0);
            if now.all > before.all + slack {
                let growth = growth(&before.functions, &now.functions);
                grown.push(format!("\n{name}: {:.1}, {:.1} before ({change}){growth}", now.all, before.all));
            } else if now.all < before.all - slack {
                shrunk.push(name);
            }
        }
        let Some(before) = before else { return Ok(None) };
        if let Some(difference) = self.made_with.difference(&before.made_with) {
            return Ok(Some(format!("the counts before were made otherwise: {difference}")));
        }
        if !shrunk.is_empty() {
            println!("smaller than before, bless them to keep them so: {}", shrunk.join("; "));
        }
        if !grown.is_empty() {
            let (percent, few) = TOLERANCE;
            return Err(format!(
                "more than {percent} % and {few} instructions above the counts before:{}",
                grown.concat()
            ));
        }
        Ok((!unknown.is_empty()).then(|| format!("there are no counts before of {}", unknown.join("; "))))
    }
}

/// Returns the functions, those that execute most first.
fn ranked(functions: &Functions) -> Vec<(&str, f64)> {
    let mut ranked: Vec<_> = functions.iter().map(|(name, &cost)| (name.as_str(), cost)).collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked
}

/// Returns lines that name the functions that grew most. One that is not listed executed no more than the least of
/// those that are.
fn growth(before: &Functions, now: &Functions) -> String {
    let least = before.values().copied().fold(f64::INFINITY, f64::min);
    let least = if before.len() < FUNCTIONS { 0.0 } else { least };
    let growth = |(name, &now): (&String, &f64)| {
        let known = before.get(name).copied();
        (now - known.unwrap_or(least), format!("\n  {name}: {now:.1}, {} before", shown(known, least)))
    };
    let mut lines: Vec<_> = now.iter().map(growth).filter(|(grown, _)| *grown >= 0.5).collect();
    lines.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    lines.into_iter().take(SHOWN).map(|(_, line)| line).collect()
}

fn shown(known: Option<f64>, least: f64) -> String {
    known.map_or_else(|| format!("at most {least:.1}"), |known| format!("{known:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(costs: &[(&str, f64)]) -> Functions {
        costs.iter().map(|&(name, cost)| (name.to_owned(), cost)).collect()
    }

    fn counts(all: &[(&str, f64)]) -> Counts {
        Counts::new(
            all.iter().map(|&(name, cost)| (name, Count { all: cost, functions: functions(&[("work", cost)]) })),
        )
    }

    #[test]
    fn a_count_may_grow_by_three_percent_or_two_instructions() {
        let before = counts(&[("long", 1000.0), ("short", 10.0)]);
        let names = ["long", "short"];
        let compare = |now: &[(&str, f64)]| counts(now).compare(Some(&before), &names);
        assert_eq!(compare(&[("long", 1030.0), ("short", 12.0)]), Ok(None));
        let error = compare(&[("long", 1031.0), ("short", 12.0)]).unwrap_err();
        assert!(error.ends_with("\nlong: 1031.0, 1000.0 before (+3.10 %)\n  work: 1031.0, 1000.0 before"), "{error}");
        assert!(compare(&[("long", 900.0), ("short", 12.1)]).unwrap_err().contains("short: 12.1"));
    }

    #[test]
    fn a_count_is_not_compared_with_that_of_another_compiler() {
        let (mut before, now) = (counts(&[("one", 10.0)]), counts(&[("one", 20.0), ("two", 5.0)]));
        assert!(now.compare(Some(&before), &["one"]).is_err());
        let unknown = now.compare(Some(&before), &["two"]);
        assert_eq!(unknown, Ok(Some("there are no counts before of two".to_owned())));
        before.made_with.compiler = "rustc 1.0.0".to_owned();
        let why = now.compare(Some(&before), &["one"]).unwrap().unwrap();
        assert!(why.contains("rustc 1.0.0 there"), "{why}");
    }

    #[test]
    fn functions_that_grew_are_named_most_first() {
        let listed: Vec<String> = (0..FUNCTIONS).map(|number| format!("f{number}")).collect();
        let before = listed.iter().map(|name| (name.clone(), 10.0)).collect();
        let now = functions(&[("f0", 11.0), ("f1", 9.0), ("new", 30.0), ("small", 8.0)]);
        let expected = "\n  new: 30.0, at most 10.0 before\n  f0: 11.0, 10.0 before";
        assert_eq!(growth(&before, &now), expected);
    }
}
