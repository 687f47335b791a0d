//! Figures that a driver publishes by itself, beside those that the host collects.

use adit_plugin_api::{DeviceMetrics, PerformanceMetrics, Phase};

use crate::figures;

/// Most devices of one miner.
const DEVICES: usize = 1_024;
/// Largest further data, in bytes of JSON.
const EXTRA_BYTES: usize = 64 << 10;

/// What is wrong with published figures, in a sentence.
///
/// # Errors
/// The sentence.
pub fn check(metrics: &PerformanceMetrics) -> Result<(), String> {
    let devices = &metrics.devices;
    let rates = [metrics.hashrate]
        .into_iter()
        .chain(metrics.hashrates.values().copied())
        .chain(metrics.algorithms.iter().map(|it| it.hashrate))
        .chain(devices.iter().map(|it| it.hashrate))
        .flatten();
    for rate in rates {
        if figures::hashrate(rate).is_none() {
            let most = figures::MOST_HASHRATE;
            return Err(format!(
                "a hashrate of {rate:e}: write H/s, a number that is not negative and at most {most:e}"
            ));
        }
    }
    if let Some(fan) = devices.iter().filter_map(|it| it.fan).find(|it| !(0.0..=1.0).contains(it)) {
        return Err(format!("a fan speed of {fan}: write a share of its maximum, 0 to 1"));
    }
    if let Some(device) = devices.iter().find(|it| it.id.is_empty()) {
        let name = device.name.as_deref().unwrap_or("without a name");
        return Err(format!("a device {name:?} has no id"));
    }
    if devices.len() > DEVICES {
        return Err(format!("{} devices: at most {DEVICES} can be told apart", devices.len()));
    }
    let extra = serde_json::to_vec(&metrics.extra_data).map_or(usize::MAX, |text| text.len());
    if extra > EXTRA_BYTES {
        return Err(format!("extraData has {extra} bytes, more than the {EXTRA_BYTES} allowed"));
    }
    match metrics.phase {
        Some(phase @ (Phase::Stopping | Phase::Backoff | Phase::Stopped | Phase::Failed)) => {
            Err(format!("the phase {phase:?} is the host's to tell"))
        }
        _ => Ok(()),
    }
}

/// The collected figures, completed by the published ones: what both tell is believed of the
/// collected ones, because those are of this very moment.
pub fn complete(
    collected: Option<PerformanceMetrics>,
    published: &PerformanceMetrics,
) -> PerformanceMetrics {
    let Some(mut metrics) = collected else { return published.clone() };
    let more = published.clone();
    metrics.hashrate = metrics.hashrate.or(more.hashrate);
    metrics.shares = metrics.shares.or(more.shares);
    metrics.rejected = metrics.rejected.or(more.rejected);
    metrics.invalid = metrics.invalid.or(more.invalid);
    metrics.stale = metrics.stale.or(more.stale);
    metrics.uptime = metrics.uptime.or(more.uptime);
    metrics.last_share = metrics.last_share.or(more.last_share);
    metrics.algorithm = metrics.algorithm.or(more.algorithm);
    metrics.diff_current = metrics.diff_current.or(more.diff_current);
    metrics.avg_difficulty = metrics.avg_difficulty.or(more.avg_difficulty);
    metrics.phase = metrics.phase.or(more.phase);
    metrics.hashes_total = metrics.hashes_total.or(more.hashes_total);
    metrics.pool = metrics.pool.or(more.pool);
    for (window, rate) in more.hashrates {
        metrics.hashrates.entry(window).or_insert(rate);
    }
    if metrics.algorithms.is_empty() {
        metrics.algorithms = more.algorithms;
    }
    for (key, value) in more.extra_data {
        metrics.extra_data.entry(key).or_insert(value);
    }
    if metrics.devices.is_empty() {
        metrics.devices = more.devices;
        return metrics;
    }
    for device in &mut metrics.devices {
        if let Some(more) = more.devices.iter().find(|more| is_same(device, more)) {
            fill(device, more);
        }
    }
    // A device that only the driver knows has no part in what the program hashes.
    metrics
}

/// Whether both are one device, by whatever both know.
fn is_same(one: &DeviceMetrics, other: &DeviceMetrics) -> bool {
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    one.id == other.id || same(&one.pci, &other.pci) || same(&one.uuid, &other.uuid)
}

fn fill(device: &mut DeviceMetrics, more: &DeviceMetrics) {
    let text = |to: &mut Option<String>, from: &Option<String>| {
        if to.is_none() {
            to.clone_from(from);
        }
    };
    text(&mut device.pci, &more.pci);
    text(&mut device.uuid, &more.uuid);
    text(&mut device.name, &more.name);
    device.temperature = device.temperature.or(more.temperature);
    device.memory_temperature = device.memory_temperature.or(more.memory_temperature);
    device.fan = device.fan.or(more.fan);
    device.power = device.power.or(more.power);
    device.accepted = device.accepted.or(more.accepted);
    device.rejected = device.rejected.or(more.rejected);
    device.invalid = device.invalid.or(more.invalid);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metrics(json: serde_json::Value) -> PerformanceMetrics {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_the_host_collected_stands_and_gaps_are_filled() {
        let collected = metrics(json!({
            "hashrate": 10.0, "extraData": { "a": 1 }, "hashrates": { "10s": 10.0 },
            "devices": [{ "id": "index:0", "pci": "0000:01:00.0", "hashrate": 10.0 }],
        }));
        let published = metrics(json!({
            "hashrate": 99.0, "shares": 3, "extraData": { "a": 2, "b": 3 },
            "hashrates": { "60s": 9.0 },
            "devices": [
                { "id": "uuid:x", "pci": "0000:01:00.0", "hashrate": 5.0, "temperature": 61.0 },
                { "id": "uuid:y", "hashrate": 7.0 },
            ],
        }));
        let expected = metrics(json!({
            "hashrate": 10.0, "shares": 3, "extraData": { "a": 1, "b": 3 },
            "hashrates": { "10s": 10.0, "60s": 9.0 },
            "devices": [{
                "id": "index:0", "pci": "0000:01:00.0", "hashrate": 10.0, "temperature": 61.0,
            }],
        }));
        assert_eq!(complete(Some(collected), &published), expected);
        assert_eq!(complete(None, &published), published);
        let nothing = PerformanceMetrics::default();
        assert_eq!(complete(Some(nothing), &published), published);
    }

    #[test]
    fn figures_that_cannot_be_are_refused() {
        for (json, told) in [
            (json!({ "hashrate": -1.0 }), "not negative"),
            (json!({ "hashrate": 1.7e308 }), "at most 1e24"),
            (json!({ "devices": [{ "id": "a", "hashrate": -1.0 }] }), "not negative"),
            (json!({ "hashrates": { "10s": -5.0 } }), "not negative"),
            (json!({ "devices": [{ "id": "a", "fan": 55.0 }] }), "0 to 1"),
            (json!({ "devices": [{ "name": "x" }] }), "has no id"),
            (json!({ "devices": vec![json!({ "id": "a" }); DEVICES + 1] }), "at most"),
            (json!({ "extraData": { "a": "x".repeat(EXTRA_BYTES) } }), "more than"),
            (json!({ "phase": "failed" }), "the host's to tell"),
        ] {
            let error = check(&metrics(json)).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let infinite = PerformanceMetrics { hashrate: Some(f64::INFINITY), ..Default::default() };
        assert!(check(&infinite).is_err());
        assert_eq!(check(&metrics(json!({ "hashrate": 1.0, "phase": "mining" }))), Ok(()));
    }
}
