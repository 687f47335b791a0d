//! Whether figures can be true.

use std::collections::BTreeMap;

use adit_plugin_api::{PerformanceMetrics, Phase};

/// How far the sum of devices may be from the whole, as a share of the whole: rounding of printed
/// figures, and figures of slightly different moments.
const TOLERANCE: f64 = 0.01;
/// Years in which Unix seconds of a share make sense.
const SHARE_TIMES: std::ops::Range<i64> = 1_230_768_000..4_102_444_800;
/// Longest believable run, in seconds: ten years.
const LONGEST_RUN: u64 = 10 * 365 * 86_400;

/// What cannot be true about the units of figures.
pub(super) fn unit_notes(metrics: &PerformanceMetrics) -> Vec<String> {
    let mut notes = Vec::new();
    let mut number = |name: String, value: Option<f64>, least: f64, most: f64| {
        if let Some(value) = value.filter(|it| !(least..=most).contains(it)) {
            notes.push(format!("{name}: {value} is not between {least} and {most}"));
        }
    };
    let hashes = 1e24;
    number("hashrate".to_owned(), metrics.hashrate, 0.0, hashes);
    for (window, hashrate) in &metrics.hashrates {
        number(format!("hashrates[{window}]"), *hashrate, 0.0, hashes);
    }
    for algorithm in &metrics.algorithms {
        number(format!("algorithms[{}]", algorithm.algorithm), algorithm.hashrate, 0.0, hashes);
    }
    for device in &metrics.devices {
        let at = |what: &str| format!("devices[{}].{what}", device.id);
        number(at("hashrate"), device.hashrate, 0.0, hashes);
        number(at("temperature"), device.temperature, -60.0, 150.0);
        number(at("memoryTemperature"), device.memory_temperature, -60.0, 150.0);
        number(at("fan"), device.fan, 0.0, 1.0);
        number(at("power"), device.power, 0.0, 20_000.0);
    }
    let latency = metrics.pool.as_ref().and_then(|pool| pool.latency_ms);
    number("pool.latencyMs".to_owned(), latency, 0.0, 600_000.0);
    if let Some(at) = metrics.last_share.filter(|at| !SHARE_TIMES.contains(at)) {
        notes.push(format!("lastShare: {at} is no time in Unix seconds"));
    }
    if let Some(uptime) = metrics.uptime.filter(|it| *it > LONGEST_RUN) {
        notes.push(format!("uptime: {uptime} s is more than ten years"));
    }
    let hosts_own = [Phase::Stopping, Phase::Backoff, Phase::Stopped, Phase::Failed];
    if let Some(phase) = metrics.phase.filter(|it| hosts_own.contains(it)) {
        notes.push(format!("phase: only the host knows of {phase:?}"));
    }
    for device in &metrics.devices {
        if device.id.is_empty() {
            notes.push("devices: one has no id".to_owned());
        }
    }
    notes
}

/// Algorithms whose devices do not add up.
pub(super) fn device_notes(metrics: &PerformanceMetrics) -> Vec<String> {
    let main = metrics.algorithms.first().map(|it| it.algorithm.clone());
    let main = main.or_else(|| metrics.algorithm.clone()).unwrap_or_default();
    let mut totals: BTreeMap<String, f64> = BTreeMap::new();
    totals.extend(metrics.hashrate.map(|it| (main.clone(), it)));
    for algorithm in &metrics.algorithms {
        totals.extend(algorithm.hashrate.map(|it| (algorithm.algorithm.clone(), it)));
    }
    let mut sums: BTreeMap<String, (f64, bool)> = BTreeMap::new();
    for device in &metrics.devices {
        let algorithm = device.algorithm.clone().unwrap_or_else(|| main.clone());
        let sum = sums.entry(algorithm).or_insert((0.0, true));
        sum.0 += device.hashrate.unwrap_or_default();
        sum.1 &= device.hashrate.is_some();
    }
    let mut notes = Vec::new();
    for (algorithm, (sum, whole)) in sums {
        let Some(total) = totals.get(&algorithm).filter(|_| whole) else { continue };
        if (sum - total).abs() > total.abs() * TOLERANCE {
            let of = if algorithm.is_empty() { String::new() } else { format!("{algorithm}: ") };
            notes.push(format!("{of}devices have {sum} H/s, the miner {total} H/s"));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::DeviceMetrics;

    use super::*;

    fn device(id: &str, hashrate: f64) -> DeviceMetrics {
        DeviceMetrics { id: id.to_owned(), hashrate: Some(hashrate), ..DeviceMetrics::default() }
    }

    #[test]
    fn devices_add_up() {
        let metrics = |total| PerformanceMetrics {
            hashrate: Some(total),
            devices: vec![device("a", 100.0), device("b", 50.2)],
            ..PerformanceMetrics::default()
        };
        assert_eq!(device_notes(&metrics(150.0)).len(), 0);
        assert_eq!(device_notes(&metrics(160.0)).len(), 1);
        assert_eq!(device_notes(&metrics(0.15)).len(), 1);
    }

    #[test]
    fn units_are_seen_by_what_cannot_be() {
        let plain = PerformanceMetrics::default;
        let hot = DeviceMetrics { temperature: Some(500.0), fan: Some(45.0), ..device("a", 1.0) };
        for (metrics, count) in [
            (plain(), 0),
            (PerformanceMetrics { devices: vec![hot], ..plain() }, 2),
            (PerformanceMetrics { hashrate: Some(-1.0), ..plain() }, 1),
            (PerformanceMetrics { hashrate: Some(f64::NAN), ..plain() }, 1),
            (PerformanceMetrics { last_share: Some(1_790_000_000_000), ..plain() }, 1),
            (PerformanceMetrics { last_share: Some(1_790_000_000), ..plain() }, 0),
            (PerformanceMetrics { phase: Some(Phase::Stopped), ..plain() }, 1),
        ] {
            assert_eq!(unit_notes(&metrics).len(), count, "{metrics:?}");
        }
    }
}
