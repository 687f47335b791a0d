//! Charts on the terminal.

use clap::Args;
use jiff::SignedDuration;
use serde_json::Value;

use crate::cli::{Common, Error, client::Client, show};
use adit_model::history::{
    Metric,
    thin::{PhasePoint, Point},
};

/// Width of a chart on the terminal, in characters.
const WIDTH: u32 = 72;
/// Height of a chart, in lines.
const HEIGHT: usize = 10;
/// Columns that the scale of a chart takes.
pub(in crate::cli) const SCALE: usize = 16;
/// Points that are asked for when the answer is JSON and nobody says how many.
const POINTS: u32 = 1_000;
/// How long before its end a chart begins when nobody says.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What a chart shows.
#[derive(Args)]
pub(super) struct Chart {
    /// Its beginning: a time such as 2026-01-31T18:00:00Z, or how long ago, such as 90m, 24h, 7d
    /// [default: 24h]
    #[arg(long)]
    since: Option<When>,
    /// Its end; now when left out
    #[arg(long)]
    until: Option<When>,
    /// Points at most
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    points: Option<u32>,
    /// hashrate, accepted, rejected, temperature, power or phase [default: hashrate]
    #[arg(long)]
    metric: Option<Metric>,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When(pub(super) jiff::Timestamp);

impl Chart {
    /// Whether the command line says anything of it.
    pub(super) fn is_asked_for(&self) -> bool {
        let Self { since, until, points, metric } = self;
        since.is_some() || until.is_some() || points.is_some() || metric.is_some()
    }

    /// Prints the chart of `subject` that the route `place` answers with. `more` are further
    /// parameters of it, each behind a `&`.
    pub(super) async fn print(
        &self,
        common: &Common,
        client: &Client,
        subject: &str,
        (place, more): (&str, &str),
    ) -> Result<(), Error> {
        let until = self.until.map_or_else(jiff::Timestamp::now, |it| it.0);
        let since =
            self.since.map_or_else(|| until.saturating_sub(DAY).unwrap_or(until), |it| it.0);
        let metric = self.metric.unwrap_or_default();
        let points = self.points.unwrap_or(if common.json { POINTS } else { WIDTH });
        let path = format!(
            "{place}?since={since}&until={until}&points={points}&metric={}{more}",
            metric.as_str()
        );
        if common.json {
            let answer: Value = client.get(&path).await?;
            show::json(&answer);
        } else if metric == Metric::Phase {
            let points: Vec<PhasePoint> = client.get(&path).await?;
            let row = |it: PhasePoint| {
                let phase = serde_json::to_value(it.phase).unwrap_or_default();
                [it.timestamp.to_string(), phase.as_str().unwrap_or("-").to_owned()]
            };
            show::table(["SINCE", "PHASE"], &points.into_iter().map(row).collect::<Vec<_>>());
        } else {
            let points: Vec<Point> = client.get(&path).await?;
            if points.is_empty() {
                println!("nothing is known of {} in this time", show::plain(subject));
                return Ok(());
            }
            let columns = columns(&points, since, until, WIDTH as usize);
            for line in lines(&columns, HEIGHT, |value| label(metric, value)) {
                println!("{line}");
            }
            println!("{:>14}  {since}  {until}", "");
        }
        Ok(())
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write a time such as 2026-01-31T18:00:00Z, or how long ago, such as 90m, 24h or 7d"
                .to_owned()
        };
        if let Ok(at) = text.parse() {
            return Ok(Self(at));
        }
        let unit = text.chars().last().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        let ago = jiff::SignedDuration::from_secs(i64::from(count) * seconds);
        jiff::Timestamp::now().checked_sub(ago).map(Self).map_err(|_| wrong())
    }
}

fn label(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Hashrate => show::hashrate(Some(value)),
        Metric::Temperature => format!("{value:.1} °C"),
        Metric::Power => format!("{value:.0} W"),
        Metric::Accepted | Metric::Rejected | Metric::Phase => format!("{value:.0}"),
    }
}

/// The mean of each part of the time; `None`: a gap.
fn columns(
    points: &[Point],
    since: jiff::Timestamp,
    until: jiff::Timestamp,
    width: usize,
) -> Vec<Option<f64>> {
    let span = (until.as_millisecond() - since.as_millisecond()).max(1);
    let mut sums = vec![(0.0, 0_u32); width];
    for point in points {
        let offset = point.timestamp.as_millisecond() - since.as_millisecond();
        let column = i64::try_from(width).unwrap_or(1).saturating_mul(offset) / span;
        let sum = usize::try_from(column).ok().and_then(|column| sums.get_mut(column));
        if let Some((sum, count)) = sum {
            *sum += point.mean;
            *count += 1;
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect()
}

/// The lines of a bar chart with its scale at the left, [`SCALE`] columns wide.
pub(in crate::cli) fn lines(
    columns: &[Option<f64>],
    height: usize,
    label: impl Fn(f64) -> String,
) -> Vec<String> {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = columns.iter().flatten().copied().fold(0.0, f64::max);
    let line = |row: usize| {
        let bar = |value: &Option<f64>| {
            let Some(value) = value else { return ' ' };
            let eighths = eighths(*value, most, height).max(1).saturating_sub(row * 8);
            EIGHTHS[eighths.min(8)]
        };
        let scale = match row {
            0 => label(0.0),
            row if row + 1 == height => label(most),
            _ => String::new(),
        };
        format!("{scale:>14} ┤{}", columns.iter().map(bar).collect::<String>())
            .trim_end()
            .to_owned()
    };
    (0..height).rev().map(line).collect()
}

/// How high a bar is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a bar is some eighths high"
)]
fn eighths(value: f64, most: f64, height: usize) -> usize {
    let all = (height * 8) as f64;
    if most > 0.0 { (value / most * all).round().clamp(0.0, all) as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_by_time_or_by_how_long_ago() {
        let at = |text: &str| text.parse::<When>();
        assert_eq!(at("2026-01-31T18:00:00Z").unwrap().0.as_second(), 1_769_882_400);
        let ago = jiff::Timestamp::now().as_second() - at("2h").unwrap().0.as_second();
        assert!((7_199..7_300).contains(&ago), "{ago}");
        for wrong in ["", "h", "2", "-2h", "2 h", "yesterday", "2é", "99999999999d"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_chart_shows_heights_and_gaps() {
        let columns = [Some(100.0), Some(50.0), None, Some(0.0), Some(1.0)];
        let lines = lines(&columns, HEIGHT, |value| format!("{value:.0} H/s"));
        assert_eq!(lines.len(), HEIGHT);
        assert_eq!(lines[0], "       100 H/s ┤█");
        assert_eq!(lines[5], "               ┤██");
        assert_eq!(lines[9], "         0 H/s ┤██ ▁▁");
        assert_eq!(super::lines(&[None], HEIGHT, |_| String::new())[9], "               ┤");
    }

    #[test]
    fn points_fall_into_the_column_of_their_time() {
        let point = |s: i64| Point::of_one(s * 1_000, 7.0);
        let at = |s| jiff::Timestamp::from_second(s).unwrap();
        let points = [point(-1), point(0), point(10), point(99), point(100)];
        let columns = columns(&points, at(0), at(100), 10);
        let seen: Vec<_> = columns.iter().map(Option::is_some).collect();
        let mut expected = [false; 10];
        (expected[0], expected[1], expected[9]) = (true, true, true);
        assert_eq!(seen, expected);
    }
}
