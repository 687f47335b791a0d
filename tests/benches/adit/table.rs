//! The table of results.

use std::time::Duration;

/// One figure beside its baseline.
pub(crate) struct Row {
    what: String,
    ours: String,
    baseline: String,
    ratio: Option<f64>,
    goal: Option<(String, bool)>,
}

impl Row {
    /// A figure without a baseline or a goal yet.
    pub(crate) fn new(what: impl Into<String>, ours: impl Into<String>) -> Self {
        let (what, ours) = (what.into(), ours.into());
        Self { what, ours, baseline: String::new(), ratio: None, goal: None }
    }

    /// What it is compared with, and that one's figure.
    pub(crate) fn beside(mut self, name: &str, figure: impl Into<String>) -> Self {
        self.baseline = format!("{} ({name})", figure.into());
        self
    }

    /// Ours over the baseline's.
    pub(crate) fn ratio(mut self, ours: f64, baseline: f64) -> Self {
        self.ratio = Some(ours / baseline);
        self
    }

    /// What it should be, and whether it is.
    pub(crate) fn goal(mut self, goal: impl Into<String>, is_met: bool) -> Self {
        self.goal = Some((goal.into(), is_met));
        self
    }
}

/// Prints the titles of the columns.
pub(crate) fn print_head() {
    line("", "what", "ours", "baseline", "ratio", "goal", "");
}

/// Prints the rows of one group.
pub(crate) fn print(group: &str, rows: &[Row]) {
    for (place, row) in rows.iter().enumerate() {
        let group = if place == 0 { group } else { "" };
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        let (goal, verdict) = match &row.goal {
            Some((goal, true)) => (goal.as_str(), "met"),
            Some((goal, false)) => (goal.as_str(), "NOT MET"),
            None => ("", ""),
        };
        line(group, &row.what, &row.ours, &row.baseline, &ratio, goal, verdict);
    }
}

fn line(
    group: &str,
    what: &str,
    ours: &str,
    baseline: &str,
    ratio: &str,
    goal: &str,
    verdict: &str,
) {
    println!("{group:7} {what:46} {ours:>22}  {baseline:52} {ratio:>8}  {goal:26} {verdict}");
}

/// A time with a unit that fits it.
pub(crate) fn time(time: Duration) -> String {
    nanoseconds(time.as_secs_f64() * 1e9)
}

/// The same for a time shorter than a `Duration` can tell.
pub(crate) fn nanoseconds(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.1} ns"),
        ..1e6 => format!("{:.1} µs", ns / 1e3),
        ..1e10 => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.1} s", ns / 1e9),
    }
}

/// KiB as MiB.
pub(crate) fn mib(kib: u32) -> String {
    format!("{:.2} MiB", f64::from(kib) / 1024.0)
}

/// A share as percent of one core.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}
