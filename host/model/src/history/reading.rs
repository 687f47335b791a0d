//! What is kept of one series at one tick: whole numbers, each absent when nobody told it.

use std::collections::BTreeMap;

use adit_plugin_api::{AlgorithmMetrics, PerformanceMetrics, Phase};

use crate::{
    figures::hashrate as sensible,
    history::{Kind, Metric, phases},
    sample::Sample,
};

/// From here on 0.01 H/s are fine enough for any hashrate.
const COARSE: f64 = 50.0;
/// Hashrates from here on are kept as they are, in H/s: their hundredths fit no `i64`.
const VAST: f64 = 9.2e16;
/// Temperatures and powers beyond are no measurements.
const ABSURD: f64 = 1e9;
/// Counts from here on are not exact as a float, 2^53.
const MOST_COUNT: f64 = 9_007_199_254_740_992.0;
/// Totals of so many algorithms at most: their names come from miners.
const MOST_ALGORITHMS: usize = 64;
/// Longest name of an algorithm, in bytes.
const LONGEST_ALGORITHM: usize = 64;
/// Totals of so many pools at most: their addresses come from miners.
const MOST_POOLS: usize = 64;
/// Longest address of a pool, in bytes.
const LONGEST_POOL: usize = 128;

/// The codes of one series at one tick, by [`Metric::number`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading(pub [Option<i64>; Metric::ALL.len()]);

impl Reading {
    /// The code of `metric`.
    pub fn get(&self, metric: Metric) -> Option<i64> {
        self.0[usize::from(metric.number())]
    }

    fn set(&mut self, metric: Metric, code: Option<i64>) {
        self.0[usize::from(metric.number())] = code;
    }

    /// What is kept of `sample`.
    pub fn of(sample: &Sample) -> Self {
        Self::of_figures(sample.metrics.as_ref(), sample.phase)
    }

    /// What is kept of a miner in `phase` with these figures.
    pub fn of_figures(metrics: Option<&PerformanceMetrics>, phase: Phase) -> Self {
        let mut reading = metrics.map(figures).unwrap_or_default();
        reading.set(Metric::Phase, phases::code(phase));
        reading
    }

    /// The value of a number, in its unit.
    pub fn number(&self, metric: Metric) -> Option<f64> {
        self.get(metric).map(|code| value(metric, code))
    }

    /// The phase.
    pub fn phase(&self) -> Option<Phase> {
        self.get(Metric::Phase).map(phases::phase)
    }

    /// Sets a number from its value; what cannot be is left out.
    pub fn set_number(&mut self, metric: Metric, value: f64) {
        let code = match metric {
            Metric::Hashrate => sensible(value).and_then(hashrate_code),
            Metric::Temperature | Metric::Power => tenths_code(value),
            Metric::Accepted | Metric::Rejected => {
                (0.0..MOST_COUNT).contains(&value).then(|| whole(value.round()))
            }
            Metric::Phase => None,
        };
        self.set(metric, code);
    }

    /// Sets the phase.
    pub fn set_phase(&mut self, phase: Phase) {
        self.set(Metric::Phase, phases::code(phase));
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

fn figures(metrics: &PerformanceMetrics) -> Reading {
    let mut reading = Reading::default();
    reading.set(Metric::Hashrate, metrics.hashrate.and_then(sensible).and_then(hashrate_code));
    reading.set(Metric::Accepted, metrics.shares.and_then(count_code));
    reading.set(Metric::Rejected, metrics.rejected.and_then(count_code));
    reading.set(Metric::Temperature, temperature(metrics).and_then(tenths_code));
    reading.set(Metric::Power, power(metrics).and_then(tenths_code));
    reading
}

fn temperature(metrics: &PerformanceMetrics) -> Option<f64> {
    metrics.devices.iter().filter_map(|device| device.temperature).reduce(f64::max)
}

fn power(metrics: &PerformanceMetrics) -> Option<f64> {
    metrics.devices.iter().filter_map(|device| device.power).reduce(|a, b| a + b)
}

/// The value of a code of `metric`, in its unit.
pub fn value(metric: Metric, code: i64) -> f64 {
    match metric {
        Metric::Hashrate => hashrate(code),
        Metric::Temperature | Metric::Power => float(code) / 10.0,
        Metric::Accepted | Metric::Rejected | Metric::Phase => float(code),
    }
}

/// Hundredths of H/s. What those cannot tell (tiny and vast hashrates) is kept bit by bit, as a
/// negative number. `None`: no hashrate.
pub fn hashrate_code(hashrate: f64) -> Option<i64> {
    if !(hashrate.is_finite() && hashrate >= 0.0) {
        return None;
    }
    let hundredths = (hashrate * 100.0).round();
    let is_told = hashrate >= COARSE || hundredths / 100.0 == hashrate;
    if hashrate < VAST && is_told {
        return Some(whole(hundredths));
    }
    i64::try_from(hashrate.to_bits()).ok().map(|bits| -1 - bits)
}

fn hashrate(code: i64) -> f64 {
    match u64::try_from(-1 - code.min(-1)) {
        Ok(bits) if code < 0 => f64::from_bits(bits),
        _ => float(code) / 100.0,
    }
}

fn tenths_code(value: f64) -> Option<i64> {
    (value.abs() < ABSURD).then(|| whole((value * 10.0).round()))
}

fn count_code(count: u64) -> Option<i64> {
    i64::try_from(count).ok()
}

#[expect(clippy::cast_possible_truncation, reason = "callers keep below 2^63")]
fn whole(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::cast_precision_loss, reason = "15 digits are enough for any measurement")]
pub(crate) fn float(value: i64) -> f64 {
    value as f64
}

/// What is kept of a tick: every miner, then the totals by algorithm, of the fleet and by pool. Sums
/// of hashrates are made within one algorithm only.
pub fn readings(samples: &[Sample]) -> Vec<(Kind, &str, Reading)> {
    let mut readings: Vec<_> = samples
        .iter()
        .map(|sample| (Kind::Miner, sample.name.as_str(), Reading::of(sample)))
        .collect();
    let mut algorithms: BTreeMap<&str, Total> = BTreeMap::new();
    let mut fleet = Total::default();
    for metrics in samples.iter().filter_map(|sample| sample.metrics.as_ref()) {
        fleet.add(None, metrics.shares, metrics.rejected);
        fleet.add_devices(metrics);
        for part in parts(metrics) {
            let name = part.algorithm.as_str();
            let is_known = algorithms.contains_key(name);
            let is_welcome =
                (1..=LONGEST_ALGORITHM).contains(&name.len()) && algorithms.len() < MOST_ALGORITHMS;
            if is_known || is_welcome {
                let total = algorithms.entry(name).or_default();
                total.add(part.hashrate, part.shares, part.rejected);
                if metrics.algorithms.is_empty() {
                    total.add_devices(metrics);
                }
            }
        }
    }
    readings.extend(algorithms.iter().map(|(name, it)| (Kind::Algorithm, *name, it.reading())));
    readings.push((Kind::Fleet, "", fleet.reading()));
    readings.extend(pools(samples).iter().map(|(url, it)| (Kind::Pool, *url, it.total.reading())));
    readings.retain(|(_, _, reading)| !reading.is_empty());
    readings
}

/// The miners at one pool.
#[derive(Default)]
struct Pool<'a> {
    total: Total,
    algorithm: Option<&'a str>,
    is_mixed: bool,
}

/// The totals by pool. What a miner does for its main algorithm it does for its pool.
fn pools(samples: &[Sample]) -> BTreeMap<&str, Pool<'_>> {
    let mut pools: BTreeMap<&str, Pool<'_>> = BTreeMap::new();
    for metrics in samples.iter().filter_map(|sample| sample.metrics.as_ref()) {
        let Some(url) = metrics.pool.as_ref().map(|pool| address(&pool.url)) else { continue };
        let is_welcome = pools.contains_key(url) || pools.len() < MOST_POOLS;
        if !is_welcome || !(1..=LONGEST_POOL).contains(&url.len()) {
            continue;
        }
        let pool = pools.entry(url).or_default();
        let algorithm = metrics.algorithm.as_deref();
        pool.is_mixed |= pool.algorithm.is_some_and(|it| Some(it) != algorithm);
        pool.algorithm = algorithm.or(pool.algorithm);
        pool.total.add(metrics.hashrate, metrics.shares, metrics.rejected);
        pool.total.add_devices(metrics);
    }
    for pool in pools.values_mut().filter(|pool| pool.is_mixed || pool.algorithm.is_none()) {
        pool.total.hashrate = None;
    }
    pools
}

/// Where a pool is, without what a program may put before it: that may be a wallet.
fn address(url: &str) -> &str {
    url.rsplit('@').next().unwrap_or_default()
}

/// One algorithm's part of a miner's figures.
struct Part<'a> {
    algorithm: &'a String,
    hashrate: Option<f64>,
    shares: Option<u64>,
    rejected: Option<u64>,
}

fn parts(metrics: &PerformanceMetrics) -> Vec<Part<'_>> {
    let part = |it: &'_ AlgorithmMetrics| (it.hashrate, it.shares, it.rejected);
    if metrics.algorithms.is_empty() {
        let PerformanceMetrics { hashrate, shares, rejected, .. } = *metrics;
        let algorithm = metrics.algorithm.iter();
        return algorithm.map(|algorithm| Part { algorithm, hashrate, shares, rejected }).collect();
    }
    let several = metrics.algorithms.iter().map(|it| {
        let (hashrate, shares, rejected) = part(it);
        Part { algorithm: &it.algorithm, hashrate, shares, rejected }
    });
    several.collect()
}

#[derive(Default)]
struct Total {
    hashrate: Option<f64>,
    accepted: Option<u64>,
    rejected: Option<u64>,
    temperature: Option<f64>,
    power: Option<f64>,
}

impl Total {
    fn add(&mut self, hashrate: Option<f64>, accepted: Option<u64>, rejected: Option<u64>) {
        let hashrate = hashrate.filter(|it| it.is_finite() && *it >= 0.0);
        let add = |sum: Option<u64>, it: Option<u64>| match it {
            Some(it) => Some(sum.unwrap_or(0).saturating_add(it)),
            None => sum,
        };
        self.hashrate = hashrate.map(|it| self.hashrate.unwrap_or(0.0) + it).or(self.hashrate);
        self.accepted = add(self.accepted, accepted);
        self.rejected = add(self.rejected, rejected);
    }

    fn add_devices(&mut self, metrics: &PerformanceMetrics) {
        let hottest = temperature(metrics);
        self.temperature = self.temperature.into_iter().chain(hottest).reduce(f64::max);
        self.power = self.power.into_iter().chain(power(metrics)).reduce(|a, b| a + b);
    }

    fn reading(&self) -> Reading {
        let mut reading = Reading::default();
        reading.set(Metric::Hashrate, self.hashrate.and_then(hashrate_code));
        reading.set(Metric::Accepted, self.accepted.and_then(count_code));
        reading.set(Metric::Rejected, self.rejected.and_then(count_code));
        reading.set(Metric::Temperature, self.temperature.and_then(tenths_code));
        reading.set(Metric::Power, self.power.and_then(tenths_code));
        reading
    }
}

#[cfg(test)]
mod tests;
