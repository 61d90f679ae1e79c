//! A row of the comparison: a figure of ours, one of theirs, and what was aimed at.

use std::fmt::Write;

use serde_json::{Value, json};

/// What a row aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// At most so many times the other figure.
    Times(f64),
    /// At least so many times the other figure.
    AtLeastTimes(f64),
    /// At most so much.
    AtMost(f64),
    /// Nothing: shown for its own sake.
    Shown,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Operation and mode.
    pub(crate) what: String,
    /// Shape of the load.
    pub(crate) load: String,
    /// Unit of both figures.
    pub(crate) unit: &'static str,
    /// Our figure.
    pub(crate) ours: f64,
    /// Beside what, and its figure.
    pub(crate) other: Option<(String, f64)>,
    /// What was aimed at.
    pub(crate) target: Target,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.other.as_ref().map(|(_, figure)| self.ours / figure.max(f64::MIN_POSITIVE))
    }

    fn reached(&self) -> Option<bool> {
        match self.target {
            Target::Times(most) => self.ratio().map(|ratio| ratio <= most),
            Target::AtLeastTimes(least) => self.ratio().map(|ratio| ratio >= least),
            Target::AtMost(most) => Some(self.ours <= most),
            Target::Shown => None,
        }
    }

    fn aim(&self) -> String {
        match self.target {
            Target::Times(most) => format!("<= {most}x"),
            Target::AtLeastTimes(least) => format!(">= {least}x"),
            Target::AtMost(most) => format!("<= {}", figure(most)),
            Target::Shown => String::new(),
        }
    }

    /// For records.
    pub(crate) fn json(&self) -> Value {
        json!({
            "what": self.what,
            "load": self.load,
            "unit": self.unit,
            "pharos": self.ours,
            "beside": self.other.as_ref().map(|(name, _)| name),
            "other": self.other.as_ref().map(|(_, figure)| figure),
            "ratio": self.ratio(),
            "target": self.aim(),
            "reached": self.reached(),
        })
    }
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        10_000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All rows, as a table that is Markdown as well.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["what", "load", "unit", "Pharos", "beside", "", "ratio", "target", "reached"];
    let mut lines = vec![head.map(str::to_owned)];
    for row in rows {
        let (name, other) = match &row.other {
            Some((name, value)) => (name.clone(), figure(*value)),
            None => (String::new(), String::new()),
        };
        lines.push([
            row.what.clone(),
            row.load.clone(),
            row.unit.to_owned(),
            figure(row.ours),
            name,
            other,
            row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}x")),
            row.aim(),
            row.reached().map_or("", |yes| if yes { "yes" } else { "no" }).to_owned(),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(out, "| {cell:<width$} ");
        }
        out += "|\n";
        if number == 0 {
            let rule = widths.map(|width| "-".repeat(width + 2)).join("|");
            let _ = writeln!(out, "|{rule}|");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_judged() {
        let row = |ours, target| Row {
            what: "w".into(),
            load: "l".into(),
            unit: "us",
            ours,
            other: Some(("k".into(), 10.0)),
            target,
        };
        assert_eq!(row(5.0, Target::Times(0.5)).reached(), Some(true));
        assert_eq!(row(5.1, Target::Times(0.5)).reached(), Some(false));
        assert_eq!(row(16.0, Target::AtLeastTimes(1.6)).reached(), Some(true));
        assert_eq!(row(16.0, Target::AtMost(15.0)).reached(), Some(false));
        assert_eq!(row(16.0, Target::Shown).reached(), None);
        assert_eq!(table(&[row(5.0, Target::Times(0.5))]).lines().count(), 3);
    }
}
