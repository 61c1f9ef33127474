//! The rows, what they should be, and how they are printed.

use std::fmt::Write;

use serde_json::{Value, json};

/// The goal of a row.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Nothing in particular.
    None,
    /// At most so much, in the row's unit.
    Most(f64),
    /// At most so many times the yardstick.
    MostTimes(f64),
    /// At least so many times the yardstick.
    LeastTimes(f64),
    /// At most so much more than the yardstick, in the row's unit.
    Over(f64),
}

struct Row {
    section: &'static str,
    name: String,
    value: f64,
    unit: &'static str,
    yardstick: Option<(String, f64)>,
    goal: Goal,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.yardstick.as_ref().map(|(_, yardstick)| self.value / yardstick)
    }

    fn met(&self) -> Option<bool> {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        let yardstick = self.yardstick.as_ref().map_or(f64::NAN, |(_, yardstick)| *yardstick);
        match self.goal {
            Goal::None => None,
            Goal::Most(most) => Some(self.value <= most),
            Goal::MostTimes(most) => Some(ratio <= most),
            Goal::LeastTimes(least) => Some(ratio >= least),
            Goal::Over(most) => Some(self.value - yardstick <= most),
        }
    }

    fn cells(&self) -> [String; 6] {
        let goal = match self.goal {
            Goal::None => String::new(),
            Goal::Most(most) => format!("<= {} {}", figure(most), self.unit),
            Goal::MostTimes(most) => format!("<= {most}x"),
            Goal::LeastTimes(least) => format!(">= {least}x"),
            Goal::Over(most) => format!("<= {} {} over", figure(most), self.unit),
        };
        let verdict = match self.met() {
            None => "",
            Some(true) => "ok",
            Some(false) => "MISS",
        };
        [
            format!("{}: {}", self.section, self.name),
            format!("{} {}", figure(self.value), self.unit),
            self.yardstick.as_ref().map_or(String::new(), |(name, value)| format!("{name}, {}", figure(*value))),
            self.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}x")),
            goal,
            verdict.to_owned(),
        ]
    }
}

fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => {
            let digits = format!("{value:.0}");
            let mut grouped = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place) % 3 == 0 && digit != '-' {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        v if v == v.trunc() => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Returns a number of thousands or millions.
pub(crate) fn thousands(count: u64) -> String {
    figure(count as f64)
}

/// All rows, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    section: &'static str,
}

impl Report {
    /// The section of the rows that follow.
    pub(crate) fn section(&mut self, name: &'static str) {
        eprintln!("measuring: {name}");
        self.section = name;
    }

    /// A figure by itself.
    pub(crate) fn plain(&mut self, name: impl Into<String>, value: f64, unit: &'static str, goal: Goal) {
        self.rows.push(Row { section: self.section, name: name.into(), value, unit, yardstick: None, goal });
    }

    /// A figure beside its yardstick.
    pub(crate) fn beside(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        yardstick: (&str, f64),
        goal: Goal,
    ) {
        let yardstick = Some((yardstick.0.to_owned(), yardstick.1));
        self.rows.push(Row { section: self.section, name: name.into(), value, unit, yardstick, goal });
    }

    /// Adds a note about a figure, or about one that could not be measured.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The table in Markdown, then the notes and what was missed.
    pub(crate) fn markdown(&self, machine: &str) -> String {
        let mut lines = vec![["work", "measured", "yardstick", "ratio", "goal", ""].map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3, 4, 5].map(width);
        let mut text = format!("{machine}\n\n");
        for (number, line) in lines.iter().enumerate() {
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let _ = match column {
                    1 | 3 => write!(text, "| {cell:>width$} "),
                    _ => write!(text, "| {cell:<width$} "),
                };
            }
            text.push_str("|\n");
            if number == 0 {
                for (column, width) in widths.into_iter().enumerate() {
                    let dashes = "-".repeat(width.max(2) - usize::from(matches!(column, 1 | 3)));
                    let _ = write!(text, "| {dashes}{} ", if matches!(column, 1 | 3) { ":" } else { "" });
                }
                text.push_str("|\n");
            }
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        let missed: Vec<_> = self.rows.iter().filter(|row| row.met() == Some(false)).collect();
        let goals = self.rows.iter().filter(|row| row.met().is_some()).count();
        let _ = writeln!(text, "{} of {goals} goals met", goals - missed.len());
        for row in missed {
            let [name, value, yardstick, ratio, goal, _] = row.cells();
            let _ = writeln!(text, "missed: {name}: {value} ({yardstick} {ratio}), goal {goal}");
        }
        text
    }

    /// Returns the rows and notes as JSON.
    pub(crate) fn json(&self, machine: &str) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "section": row.section,
                    "name": row.name,
                    "value": row.value,
                    "unit": row.unit,
                    "yardstick": row.yardstick.as_ref().map(|(name, value)| json!({ "name": name, "value": value })),
                    "ratio": row.ratio(),
                    "goal": row.cells()[4],
                    "met": row.met(),
                })
            })
            .collect();
        json!({ "machine": machine, "rows": rows, "notes": self.notes })
    }
}
