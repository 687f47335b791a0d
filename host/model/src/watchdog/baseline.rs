//! What is usual for a miner, learned from its own runs.

use std::collections::BTreeMap;

use adit_plugin_api::PerformanceMetrics;
use serde::{Deserialize, Serialize};

use crate::watchdog::history::is_main;

/// Figures that are needed before a baseline is believed: ten minutes at one look in 10 s.
pub const ENOUGH: u32 = 60;
/// How far one figure moves what was learned. An outlier moves it no further than any other.
const STEP: f64 = 0.005;
/// At this share of the usual hashrate and below, a miner is slow.
pub const SLOW: f64 = 0.5;
/// Pairs of algorithm and device that are remembered for one miner.
const MOST: usize = 512;

/// What is usual for one device, or for the whole miner, at one algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Hashes per second: the middle of what was seen, so that outliers do not count.
    pub hashrate: f64,
    /// Watts, when they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// Figures it was learned from.
    pub samples: u32,
    /// Seconds of hashing for one accepted share, of the whole miner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_gap_s: Option<f64>,
    /// The difficulty at which this was measured, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_difficulty: Option<f64>,
}

/// What a baseline is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The algorithm's id.
    pub algorithm: String,
    /// The device's id; empty for the whole miner.
    pub device: String,
}

/// All that is usual for one miner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baselines {
    known: BTreeMap<Key, Baseline>,
    /// First figures, hashrate and power, of what is not known yet.
    first: BTreeMap<Key, Vec<(f64, Option<f64>)>>,
    is_news: bool,
}

impl Baselines {
    /// What was stored.
    pub fn from_stored(stored: impl IntoIterator<Item = (Key, Baseline)>) -> Self {
        let usable = |it: &Baseline| it.hashrate.is_finite() && it.hashrate > 0.0;
        let known = stored.into_iter().filter(|(_, it)| usable(it)).collect();
        Self { known, first: BTreeMap::new(), is_news: false }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Baseline)> {
        self.known.iter()
    }

    /// Whether something was learned since the last call.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.is_news)
    }

    /// The baseline of a device, or of the whole miner for an empty `device`, once it is believed.
    pub fn get(&self, algorithm: Option<&str>, device: &str) -> Option<&Baseline> {
        self.known.get(&key(algorithm, device)).filter(|it| it.samples >= ENOUGH)
    }

    /// Whether the whole miner is far below what is usual; `None` while that is not known.
    pub fn is_slow(&self, metrics: &PerformanceMetrics) -> Option<bool> {
        let usual = self.get(metrics.algorithm.as_deref(), "")?.hashrate;
        Some(metrics.hashrate? < usual * SLOW)
    }

    /// Learns from figures of a miner that hashes.
    pub fn learn(&mut self, metrics: &PerformanceMetrics) {
        let algorithm = metrics.algorithm.as_deref();
        let powers: Option<Vec<f64>> = metrics.devices.iter().map(|it| it.power).collect();
        let power = powers.filter(|it| !it.is_empty()).map(|it| it.iter().sum());
        self.learn_one(key(algorithm, ""), metrics.hashrate, power);
        for device in metrics.devices.iter().filter(|it| is_main(it, metrics)) {
            self.learn_one(key(algorithm, &device.id), device.hashrate, device.power);
        }
    }

    /// Learns how long a share takes, of a miner whose hashrate is known.
    pub fn learn_shares(&mut self, algorithm: Option<&str>, gap_s: f64, difficulty: Option<f64>) {
        if let Some(baseline) = self.known.get_mut(&key(algorithm, "")) {
            (baseline.share_gap_s, baseline.share_difficulty) = (Some(gap_s), difficulty);
            self.is_news = true;
        }
    }

    fn learn_one(&mut self, key: Key, hashrate: Option<f64>, power: Option<f64>) {
        let is_usable = |it: &f64| it.is_finite() && *it > 0.0;
        let power = power.filter(is_usable);
        let Some(hashrate) = hashrate.filter(is_usable) else { return };
        if let Some(baseline) = self.known.get_mut(&key) {
            baseline.learn(hashrate, power);
            self.is_news = true;
            return;
        }
        let is_known = self.first.contains_key(&key);
        if !is_known && self.known.len() + self.first.len() >= MOST {
            return;
        }
        let first = self.first.entry(key.clone()).or_default();
        first.push((hashrate, power));
        if first.len() >= ENOUGH as usize {
            let hashrate = median(first.iter().map(|it| it.0)).unwrap_or(hashrate);
            let power = median(first.iter().filter_map(|it| it.1));
            self.first.remove(&key);
            let new = Baseline { hashrate, power, samples: ENOUGH, ..Baseline::default() };
            self.known.insert(key, new);
            self.is_news = true;
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn key(algorithm: Option<&str>, device: &str) -> Key {
    Key { algorithm: algorithm.unwrap_or_default().to_owned(), device: device.to_owned() }
}

impl Baseline {
    /// Moves towards a figure by a step that does not depend on how far away it is: this finds the
    /// median. The steps of a miner that is slow are smaller, so that an illness does not become
    /// usual within hours, and what the operator changed does within days.
    fn learn(&mut self, hashrate: f64, power: Option<f64>) {
        self.samples = self.samples.saturating_add(1);
        let step = if hashrate < self.hashrate * SLOW { STEP / 20.0 } else { STEP };
        self.hashrate = towards(self.hashrate, hashrate, step);
        if let Some(power) = power {
            self.power = Some(self.power.map_or(power, |usual| towards(usual, power, step)));
        }
    }
}

/// `usual` moved towards `seen` by at most the share `step` of itself.
fn towards(usual: f64, seen: f64, step: f64) -> f64 {
    seen.clamp(usual * (1.0 - step), usual * (1.0 + step))
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::DeviceMetrics;

    use super::*;

    fn figures(hashrate: f64) -> PerformanceMetrics {
        PerformanceMetrics {
            hashrate: Some(hashrate),
            algorithm: Some("kawpow".to_owned()),
            ..PerformanceMetrics::default()
        }
    }

    fn taught(rates: impl IntoIterator<Item = f64>) -> Baselines {
        let mut baselines = Baselines::default();
        for rate in rates {
            baselines.learn(&figures(rate));
        }
        baselines
    }

    fn usual(baselines: &Baselines) -> f64 {
        baselines.get(Some("kawpow"), "").unwrap().hashrate
    }

    #[test]
    fn outliers_do_not_move_what_is_usual() {
        let wild = |n: u32| if n.is_multiple_of(10) { 1e12 } else { 1000.0 + f64::from(n % 7) };
        let learned = usual(&taught((0..2000).map(wild)));
        assert!((950.0..1100.0).contains(&learned), "{learned}");
    }

    #[test]
    fn an_hour_of_illness_is_not_usual_a_week_is() {
        let mut baselines = taught(std::iter::repeat_n(1000.0, 500));
        for _ in 0..360 {
            baselines.learn(&figures(100.0));
        }
        assert_eq!(baselines.is_slow(&figures(100.0)), Some(true));
        for _ in 0..7 * 8640 {
            baselines.learn(&figures(100.0));
        }
        assert_eq!(baselines.is_slow(&figures(100.0)), Some(false));
    }

    #[test]
    fn little_is_not_believed_and_algorithms_are_apart() {
        assert_eq!(taught([1000.0; 30]).is_slow(&figures(1.0)), None);
        let baselines = taught([1000.0; 100]);
        let other = PerformanceMetrics { algorithm: Some("rx/0".to_owned()), ..figures(1.0) };
        assert_eq!(baselines.is_slow(&other), None);
        assert_eq!(baselines.is_slow(&figures(1.0)), Some(true));
    }

    #[test]
    fn devices_are_learned_with_their_power() {
        let device = DeviceMetrics {
            id: "pci:0000:01:00.0".to_owned(),
            hashrate: Some(30.0),
            power: Some(120.0),
            ..DeviceMetrics::default()
        };
        let metrics = PerformanceMetrics { devices: vec![device], ..figures(30.0) };
        let mut baselines = Baselines::default();
        for _ in 0..ENOUGH {
            baselines.learn(&metrics);
        }
        assert!(baselines.take_news() && !baselines.take_news());
        let learned = baselines.get(Some("kawpow"), "pci:0000:01:00.0").unwrap();
        assert_eq!((learned.hashrate, learned.power), (30.0, Some(120.0)));
    }

    #[test]
    fn what_is_stored_and_makes_no_sense_is_left_out() {
        let key = || key(Some("rx/0"), "");
        for hashrate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let stored = Baseline { hashrate, samples: 1000, ..Baseline::default() };
            assert_eq!(Baselines::from_stored([(key(), stored)]).iter().count(), 0);
        }
    }
}
