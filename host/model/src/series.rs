//! Time series as Prometheus knows them: plain data, and its text format.

use std::fmt::Write;

/// What kind of figure a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until it begins anew at 0.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size: how many were at most so large, for several sizes.
    Histogram,
}

/// All series of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, with its unit; a counter's ends with `_total`.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// What kind of figure it has.
    pub kind: Kind,
    /// One point a series.
    pub points: Vec<Point>,
}

/// One series at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What follows the name of its family; empty unless that is a histogram.
    pub suffix: &'static str,
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The figure.
    pub value: f64,
}

impl Family {
    /// A gauge without points.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, points: Vec::new() }
    }

    /// A counter without points.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, points: Vec::new() }
    }

    /// A histogram without points.
    pub fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Histogram, points: Vec::new() }
    }

    /// Adds what was counted: `counts` has one class more than there are `ends`.
    pub fn add_counts(
        &mut self,
        labels: &[(&'static str, &str)],
        ends: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let ends = ends.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let mut total = 0.0;
        for (end, count) in ends.zip(counts) {
            #[expect(clippy::cast_precision_loss, reason = "series are floating-point numbers")]
            let count = *count as f64;
            total += count;
            self.put("_bucket", &[labels, &[("le", end.as_str())]].concat(), total);
        }
        self.put("_sum", labels, sum);
        self.put("_count", labels, total);
    }

    /// Adds a point. What is no number is left out: it would be a gap or an alarm nobody understands.
    pub fn add(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.put("", labels, value);
    }

    fn put(&mut self, suffix: &'static str, labels: &[(&'static str, &str)], value: f64) {
        if value.is_finite() {
            let labels = labels.iter().map(|(name, value)| (*name, label(value))).collect();
            self.points.push(Point { suffix, labels, value });
        }
    }
}

/// Longest value of a label, in characters.
const LABEL: usize = 200;

/// Text from outside as a label: of bounded length and without control characters.
fn label(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LABEL).collect()
}

/// The text format of Prometheus, version 0.0.4. Families without points are left out.
pub fn text(families: &[Family]) -> String {
    let points: usize = families.iter().map(|family| family.points.len()).sum();
    let mut text = String::with_capacity(points * 96 + families.len() * 128);
    for family in families.iter().filter(|family| !family.points.is_empty()) {
        let (name, help) = (family.name, family.help);
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string cannot fail.
        let _ok = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for point in &family.points {
            text.push_str(name);
            text.push_str(point.suffix);
            for (at, (label, value)) in point.labels.iter().enumerate() {
                text.push(if at == 0 { '{' } else { ',' });
                text.push_str(label);
                text.push_str("=\"");
                escape(value, &mut text);
                text.push('"');
            }
            if !point.labels.is_empty() {
                text.push('}');
            }
            let _ok = writeln!(text, " {}", point.value);
        }
    }
    text
}

fn escape(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut up = Family::gauge("miner_up", "Whether it runs.");
        up.add(&[("instance", "a"), ("algo", "rx/0")], 1.0);
        up.add(&[("instance", "b\"\\\nc\u{1b}")], 0.0);
        let mut shares = Family::counter("miner_shares_total", "Shares.");
        shares.add(&[], 18_446_744_073_709_551_615.0);
        shares.add(&[], f64::NAN);
        let empty = Family::gauge("nothing", "Nothing.");
        assert_eq!(
            text(&[up, empty, shares]),
            "# HELP miner_up Whether it runs.\n\
             # TYPE miner_up gauge\n\
             miner_up{instance=\"a\",algo=\"rx/0\"} 1\n\
             miner_up{instance=\"b\\\"\\\\c\"} 0\n\
             # HELP miner_shares_total Shares.\n\
             # TYPE miner_shares_total counter\n\
             miner_shares_total 18446744073709552000\n"
        );
    }

    #[test]
    fn a_histogram_counts_what_is_at_most_so_large() {
        let mut took = Family::histogram("took_seconds", "How long it took.");
        took.add_counts(&[("driver", "a")], &[0.001, 10.0], &[3, 0, 1], 60.5);
        assert_eq!(
            text(&[took]),
            "# HELP took_seconds How long it took.\n\
             # TYPE took_seconds histogram\n\
             took_seconds_bucket{driver=\"a\",le=\"0.001\"} 3\n\
             took_seconds_bucket{driver=\"a\",le=\"10\"} 3\n\
             took_seconds_bucket{driver=\"a\",le=\"+Inf\"} 4\n\
             took_seconds_sum{driver=\"a\"} 60.5\n\
             took_seconds_count{driver=\"a\"} 4\n"
        );
    }

    #[test]
    fn labels_are_bounded() {
        let mut family = Family::gauge("x", "X.");
        family.add(&[("pool", &"p".repeat(5000))], 1.0);
        assert_eq!(family.points[0].labels[0].1.len(), LABEL);
    }
}
