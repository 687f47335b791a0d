//! What a peer reports: its last figures, and what of them goes into this node's history.

use adit_plugin_api::{PerformanceMetrics, Phase};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::node::{payload::Report, report::Moment, session::Reason};
use adit_model::{history::reading::Reading, name::MinerName};

/// Largest figures that are kept of one node, in bytes: 100 miners with 12 devices each take less
/// than half of it.
const MOST_BYTES: usize = 1 << 20;
/// Most miners of one node.
const MOST_MINERS: usize = 1_000;
/// Most miners of one node whose figures are recorded; names that come and go count too.
const MOST_RECORDED: usize = 128;
/// Shortest time after which what was missed is asked for, in milliseconds.
const SETTLED_MS: i64 = 2_000;
/// Longest time between two reports that a node may claim, in milliseconds.
const LONGEST_INTERVAL_MS: u32 = 600_000;

/// The figures of a peer, as they were last reported. Kept as text: a controller has thousands.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    text: Box<[u8]>,
    /// When the last report came, in Unix milliseconds by this node's clock.
    pub(crate) at_ms: Option<i64>,
    interval_ms: u32,
    /// What the history gets at the next tick; nothing of a miner that is no more.
    series: Vec<(MinerName, Option<Reading>)>,
    /// From when on the history lacks samples, in Unix milliseconds.
    gap_ms: Option<i64>,
    /// When something was missed last.
    missed_at_ms: i64,
    fetching: bool,
    /// Something was missed while it was fetched.
    missed_again: bool,
}

/// What is found at a tick of the history.
#[derive(Debug, PartialEq)]
pub(crate) struct Looked<'a> {
    pub(crate) readings: Vec<(&'a MinerName, Reading)>,
    /// Whether what was missed is to be fetched now.
    pub(crate) fetch: bool,
}

impl Reported {
    /// Of a peer that was last heard at `seen_ms`: what it did since then is not known.
    pub(crate) fn since(seen_ms: Option<i64>) -> Self {
        Self { gap_ms: seen_ms, ..Self::default() }
    }

    pub(crate) fn moment(&self) -> Moment {
        serde_json::from_slice(&self.text).unwrap_or_default()
    }

    /// Takes a report in.
    pub(crate) fn take(&mut self, report: Report, at_ms: i64) -> Result<(), Reason> {
        if report == Report::default() {
            // All is as it was.
            self.at_ms = Some(at_ms);
            return Ok(());
        }
        let mut moment = if report.full { Moment::new() } else { self.moment() };
        for (name, changed) in report.miners {
            moment.entry(name).or_default().extend(changed);
        }
        for (name, fields) in report.unset {
            if let Some(miner) = moment.get_mut(&name) {
                fields.iter().for_each(|field| drop(miner.remove(field)));
            }
        }
        for name in report.removed {
            moment.remove(&name);
        }
        let text = serde_json::to_vec(&moment).unwrap_or_default();
        if text.len() > MOST_BYTES || moment.len() > MOST_MINERS {
            return Err(Reason::TooMuch);
        }
        let read = |(name, fields): (String, Map<String, Value>)| {
            Some((MinerName::new(name).ok()?, reading(&fields)))
        };
        let readings: Option<Vec<_>> = moment.into_iter().map(read).collect();
        self.record(readings.ok_or(Reason::TooMuch)?);
        self.text = text.into();
        self.at_ms = Some(at_ms);
        if let Some(interval_ms) = report.interval_ms {
            self.interval_ms = interval_ms.min(LONGEST_INTERVAL_MS);
        }
        Ok(())
    }

    /// Both are in the order of names.
    fn record(&mut self, readings: Vec<(MinerName, Reading)>) {
        self.series.iter_mut().for_each(|(_, reading)| *reading = None);
        for (name, reading) in readings {
            match self.series.binary_search_by(|(known, _)| known.cmp(&name)) {
                Ok(at) => self.series[at].1 = Some(reading),
                Err(at) if self.series.len() < MOST_RECORDED => {
                    self.series.reserve_exact(1);
                    self.series.insert(at, (name, Some(reading)));
                }
                Err(_) => {}
            }
        }
    }

    /// From `since_ms` on something is missing that nobody could look at.
    pub(crate) fn missed(&mut self, since_ms: i64, now_ms: i64) {
        if self.at_ms.is_some() {
            self.gap_ms = self.gap_ms.or(Some(since_ms));
            self.missed_at_ms = now_ms;
            self.missed_again |= self.fetching;
        }
    }

    /// What goes into the history now, in a tick every `step_ms`. Figures count as those of the
    /// moment while reports come in time.
    pub(crate) fn look(&mut self, now_ms: i64, step_ms: u32, connected: bool) -> Looked<'_> {
        let patience_ms = i64::from(self.interval_ms.max(step_ms)).saturating_mul(2);
        let in_time = |at_ms: i64| now_ms.saturating_sub(at_ms) <= patience_ms;
        if !(connected && self.at_ms.is_some_and(in_time)) {
            self.gap_ms = self.gap_ms.or(self.at_ms);
            self.missed_at_ms = now_ms;
            self.missed_again |= self.fetching;
            return Looked { readings: Vec::new(), fetch: false };
        }
        // The node itself must have written down what is asked for.
        let settled = now_ms.saturating_sub(self.missed_at_ms) >= patience_ms.max(SETTLED_MS);
        let fetch = self.gap_ms.is_some() && !self.fetching && settled;
        if fetch {
            (self.fetching, self.missed_again) = (true, false);
        }
        let told = self.series.iter().filter_map(|(name, reading)| Some((name, (*reading)?)));
        Looked { readings: told.filter(|(_, reading)| !reading.is_empty()).collect(), fetch }
    }

    /// From when on samples are missing.
    pub(crate) fn gap_ms(&self) -> Option<i64> {
        self.gap_ms
    }

    /// The miners that have a history here.
    pub(crate) fn recorded(&self) -> Vec<MinerName> {
        self.series.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What was to be fetched is there, or could not be had.
    pub(crate) fn fetched(&mut self, is_done: bool) {
        self.fetching = false;
        if is_done && !self.missed_again {
            self.gap_ms = None;
        }
    }
}

fn reading(fields: &Map<String, Value>) -> Reading {
    let phase = fields.get("phase").and_then(|phase| Phase::deserialize(phase).ok());
    let running = fields.get("running") == Some(&Value::Bool(true));
    let metrics = running.then(|| PerformanceMetrics::deserialize(fields).unwrap_or_default());
    Reading::of_figures(metrics.as_ref(), phase.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use adit_model::history::Metric;

    fn moment(value: Value) -> Moment {
        serde_json::from_value(value).unwrap()
    }

    fn report(miners: Value) -> Report {
        Report { full: true, miners: moment(miners), ..Report::default() }
    }

    /// Hashrates by name, and whether to fetch.
    fn look(reported: &mut Reported, now_ms: i64, connected: bool) -> (Vec<(String, f64)>, bool) {
        let looked = reported.look(now_ms, 1_000, connected);
        let hashrate = |reading: &Reading| reading.number(Metric::Hashrate).unwrap_or(-1.0);
        let told = looked.readings.iter().map(|(name, it)| (name.to_string(), hashrate(it)));
        (told.collect(), looked.fetch)
    }

    #[test]
    fn a_peer_cannot_fill_the_memory_nor_choose_names() {
        let mut known = Reported::default();
        let report = |name: &str, text: &str| Report {
            miners: moment(json!({ name: { "extraData": text } })),
            ..Report::default()
        };
        assert_eq!(known.take(report("a", &"x".repeat(MOST_BYTES)), 1), Err(Reason::TooMuch));
        assert_eq!(known.take(report("../x", ""), 1), Err(Reason::TooMuch));
        let many = (0..=MOST_MINERS).map(|n| (format!("m{n}"), Map::new())).collect();
        let many = Report { miners: many, ..Report::default() };
        assert_eq!(known.take(many, 1), Err(Reason::TooMuch));
        assert!(known.moment().is_empty());
    }

    #[test]
    fn names_that_come_and_go_fill_no_history() {
        let mut known = Reported::default();
        for n in 0..2 * MOST_RECORDED {
            known.take(report(json!({ format!("m{n}"): { "phase": "mining" } })), 1).unwrap();
        }
        assert_eq!(known.recorded().len(), MOST_RECORDED);
    }

    #[test]
    fn reports_are_recorded_while_they_come_in_time() {
        let mut known = Reported::default();
        let rig = json!({ "rig": { "running": true, "phase": "mining", "hashrate": 5.0 } });
        assert_eq!(look(&mut known, 0, true), (vec![], false));
        known.take(report(rig), 1_000).unwrap();
        let there = vec![("rig".to_owned(), 5.0)];
        assert_eq!(look(&mut known, 1_500, true), (there.clone(), false));
        assert_eq!(look(&mut known, 3_000, true), (there.clone(), false));
        // Nothing changes, and that is told.
        known.take(Report::default(), 3_500).unwrap();
        assert_eq!(look(&mut known, 5_000, true), (there.clone(), false));
        // Silence, and then a lost connection.
        assert_eq!(look(&mut known, 6_000, true), (vec![], false));
        assert_eq!(look(&mut known, 6_000, false), (vec![], false));
        assert_eq!(known.gap_ms(), Some(3_500));
        known.take(Report::default(), 7_500).unwrap();
        assert_eq!(look(&mut known, 7_500, true), (there.clone(), false), "not written down yet");
        known.take(Report::default(), 8_000).unwrap();
        assert_eq!(look(&mut known, 8_000, true), (there.clone(), true));
        assert_eq!(look(&mut known, 9_000, true), (there.clone(), false), "it is under way");
        known.fetched(false);
        assert_eq!(look(&mut known, 10_000, true), (there.clone(), true), "once more");
        // Missed again meanwhile: what was fetched is not all of it.
        assert_eq!(look(&mut known, 12_000, true), (vec![], false));
        known.fetched(true);
        known.take(Report::default(), 14_000).unwrap();
        assert_eq!(look(&mut known, 14_000, true), (there.clone(), true));
        known.fetched(true);
        assert_eq!(look(&mut known, 15_000, true), (there.clone(), false));
        assert_eq!(known.gap_ms(), None);
        // This node was not there itself.
        known.missed(12_000, 15_000);
        known.take(Report::default(), 17_000).unwrap();
        assert_eq!(look(&mut known, 17_000, true), (there, true));
        assert_eq!(known.gap_ms(), Some(12_000));
    }

    #[test]
    fn the_time_before_the_start_is_missing_too() {
        let mut known = Reported::since(Some(500));
        known
            .take(report(json!({ "rig": { "phase": "stopped", "hashrate": 1.0 } })), 1_000)
            .unwrap();
        // A miner that does not run has a phase and no figures.
        look(&mut known, 1_000, false);
        known.take(Report::default(), 3_000).unwrap();
        assert_eq!(look(&mut known, 3_000, true), (vec![("rig".to_owned(), -1.0)], true));
        let mut slow = Reported::default();
        let seldom = Report { interval_ms: Some(60_000), ..report(json!({ "rig": {} })) };
        slow.take(seldom, 0).unwrap();
        slow.look(119_000, 1_000, true);
        assert_eq!(slow.gap_ms(), None);
    }
}
