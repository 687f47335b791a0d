//! Figures as everybody can take them: nothing that is no figure, and no text that steers a terminal.

use adit_plugin_api::{PerformanceMetrics, Phase};
use serde_json::Value;

/// Longest text in figures, in characters.
const LONGEST: usize = 1_000;
/// Largest hashrate that makes sense, in H/s: a thousand times what the whole Bitcoin network had in
/// 2025.
pub const MOST_HASHRATE: f64 = 1e24;
/// Temperatures that make sense, in °C. Broken sensors show 511, 255 or 2^16.
const TEMPERATURES: std::ops::RangeInclusive<f64> = -60.0..=200.0;
/// Largest power of one device, in watts: ten times that of the largest ASIC.
const MOST_POWER: f64 = 100_000.0;
/// Largest time, in seconds: a century.
const MOST_SECONDS: f64 = 3.2e9;
/// Largest latency, in milliseconds: a pool that takes an hour gives no answer.
const MOST_LATENCY: f64 = 3.6e6;
/// Largest count of shares: JSON's numbers are exact up to here, 2^53.
const MOST_SHARES: f64 = 9_007_199_254_740_992.0;
/// Largest difficulty. Programs show the largest number there is while they only measure.
const MOST_DIFFICULTY: f64 = 1e19;
/// A share may be accepted this much later than now: devices have clocks of their own.
const CLOCK_ERROR_S: i64 = 86_400;

/// A hashrate that makes sense.
pub fn hashrate(value: f64) -> Option<f64> {
    (0.0..=MOST_HASHRATE).contains(&value).then_some(value)
}

/// Stats without impossible values at `now_s` (Unix seconds): numbers that are not finite, negative or
/// absurd become unknown; strings lose control characters and are cut. Values of `extraData` may be
/// negative.
pub fn sound(metrics: &PerformanceMetrics, now_s: i64) -> PerformanceMetrics {
    let mut value = serde_json::to_value(metrics).unwrap_or_default();
    clean("", &mut value);
    let mut metrics: PerformanceMetrics = serde_json::from_value(value).unwrap_or_default();
    metrics.last_share.take_if(|at| *at > now_s.saturating_add(CLOCK_ERROR_S));
    metrics
}

fn clean(name: &str, value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.chars().any(char::is_control) || text.len() > LONGEST {
                *text = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
            }
        }
        Value::Number(number) => {
            if number.as_f64().is_none_or(|it| !makes_sense(name, it)) {
                *value = Value::Null;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| clean(name, it)),
        Value::Object(fields) => {
            for (field, it) in fields {
                // Names below these are the driver's own.
                let is_free = matches!(name, "extraData" | "hashrates");
                clean(if is_free { name } else { field }, it);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether `value` can be that of the field `name`.
fn makes_sense(name: &str, value: f64) -> bool {
    match name {
        "extraData" => value.abs() <= MOST_HASHRATE,
        "hashrate" | "hashrates" => hashrate(value).is_some(),
        "temperature" | "memoryTemperature" => TEMPERATURES.contains(&value),
        "power" => (0.0..=MOST_POWER).contains(&value),
        "fan" => (0.0..=1.0).contains(&value),
        "shares" | "accepted" | "rejected" | "invalid" | "stale" => {
            (0.0..=MOST_SHARES).contains(&value)
        }
        "uptime" => (0.0..=MOST_SECONDS).contains(&value),
        "sessionMs" => (0.0..=MOST_SECONDS * 1000.0).contains(&value),
        "latencyMs" => (0.0..=MOST_LATENCY).contains(&value),
        "diffCurrent" | "avgDifficulty" | "difficulty" => (0.0..MOST_DIFFICULTY).contains(&value),
        _ => value >= 0.0,
    }
}

/// Makes complete stats agree with each other: a phase that no source reports follows from hashes and
/// shares, and the hashrates of a paused miner are 0, whatever its averages are.
pub fn settle(metrics: &mut PerformanceMetrics) {
    let is_untold = matches!(metrics.phase, None | Some(Phase::Starting | Phase::Unknown));
    if is_untold && metrics.hashrate.is_some_and(|rate| rate > 0.0) {
        metrics.phase = Some(match metrics.shares {
            Some(0) => Phase::Waiting,
            // Some programs report no shares at all.
            _ => Phase::Mining,
        });
    }
    if metrics.phase == Some(Phase::Paused) {
        rest(metrics);
    }
}

fn rest(metrics: &mut PerformanceMetrics) {
    let own = std::iter::once(&mut metrics.hashrate);
    let windows = metrics.hashrates.values_mut();
    let algorithms = metrics.algorithms.iter_mut().map(|it| &mut it.hashrate);
    let devices = metrics.devices.iter_mut().map(|it| &mut it.hashrate);
    for rate in own.chain(windows).chain(algorithms).chain(devices).flatten() {
        *rate = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::DeviceMetrics;
    use serde_json::json;

    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn metrics(json: Value) -> PerformanceMetrics {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_cannot_be_is_unknown() {
        let device = DeviceMetrics {
            hashrate: Some(-5.0),
            temperature: Some(-5.0),
            ..DeviceMetrics::default()
        };
        let metrics = PerformanceMetrics {
            hashrate: Some(f64::NAN),
            algorithm: Some("rx\u{1b}[2J/0".to_owned()),
            last_share: Some(i64::MIN),
            devices: vec![device],
            ..PerformanceMetrics::default()
        };
        let sound = sound(&metrics, NOW_S);
        assert_eq!((sound.hashrate, sound.last_share), (None, None));
        assert_eq!(sound.algorithm.as_deref(), Some("rx[2J/0"));
        assert_eq!((sound.devices[0].hashrate, sound.devices[0].temperature), (None, Some(-5.0)));
    }

    #[test]
    fn absurd_values_are_unknown_wherever_they_stand() {
        let absurd = metrics(json!({
            "hashrate": 1.7e308, "hashrates": { "10s": 1.1e24, "60s": 5.0 },
            "shares": u64::MAX, "rejected": 1_u64 << 60, "invalid": 3, "stale": u64::MAX,
            "uptime": 9_000_000_000_u64, "lastShare": NOW_S + 2 * CLOCK_ERROR_S,
            "diffCurrent": u64::MAX, "avgDifficulty": u64::MAX,
            "pool": { "url": "a:1", "latencyMs": 1e12, "sessionMs": u64::MAX, "difficulty": 7 },
            "algorithms": [{ "algorithm": "kawpow", "hashrate": 1e30, "shares": u64::MAX }],
            "devices": [{ "id": "a", "hashrate": 1e300, "temperature": 511.0, "power": 1e9,
                          "memoryTemperature": -273.0, "fan": 55.0, "accepted": u64::MAX }],
            "extraData": { "hashrateMax": 1.7e308, "offset": -200, "deep": [{ "x": 1e300 }] },
        }));
        let expected = metrics(json!({
            "hashrates": { "10s": null, "60s": 5.0 }, "invalid": 3,
            "pool": { "url": "a:1", "difficulty": 7 },
            "algorithms": [{ "algorithm": "kawpow" }], "devices": [{ "id": "a" }],
            "extraData": { "hashrateMax": null, "offset": -200, "deep": [{ "x": null }] },
        }));
        assert_eq!(sound(&absurd, NOW_S), expected);
    }

    #[test]
    fn sound_figures_stay_as_they_are() {
        let sane = metrics(json!({
            "hashrate": 9.9e23, "hashrates": { "15m": null, "10s": 1.5 }, "shares": 1_u64 << 53,
            "uptime": 3_000_000_000_u64, "lastShare": NOW_S, "diffCurrent": 1_u64 << 62,
            "pool": { "url": "a:1", "latencyMs": 60_000.0, "sessionMs": 1_u64 << 40 },
            "devices": [{ "id": "a", "temperature": 110.0, "power": 9_000.0, "fan": 1.0 }],
            "hashesTotal": u64::MAX,
        }));
        assert_eq!(sound(&sane, NOW_S), sane);
    }

    #[test]
    fn a_phase_that_is_not_told_follows_from_hashes_and_shares() {
        for (reported, rate, shares, expected) in [
            (json!(null), json!(25e6), json!(3), json!("mining")),
            (json!("starting"), json!(25e6), json!(3), json!("mining")),
            (json!("unknown"), json!(25e6), json!(3), json!("mining")),
            (json!(null), json!(25e6), json!(0), json!("waiting")),
            (json!(null), json!(25e6), json!(null), json!("mining")),
            (json!(null), json!(0.0), json!(3), json!(null)),
            (json!(null), json!(null), json!(3), json!(null)),
            // What the driver says stands.
            (json!("degraded"), json!(25e6), json!(3), json!("degraded")),
            (json!("preparing"), json!(25e6), json!(3), json!("preparing")),
        ] {
            let case = format!("{reported} {rate} {shares}");
            let mut it = metrics(json!({ "phase": reported, "hashrate": rate, "shares": shares }));
            settle(&mut it);
            assert_eq!(json!(it.phase), expected, "{case}");
        }
    }

    #[test]
    fn a_miner_that_rests_hashes_nothing() {
        let mut it = metrics(json!({
            "phase": "paused", "hashrate": 18.0, "hashrates": { "10s": 18.0, "15m": null },
            "algorithms": [{ "algorithm": "a", "hashrate": 18.0 }],
            "devices": [{ "id": "a", "hashrate": 18.0 }, { "id": "b" }], "shares": 3,
        }));
        settle(&mut it);
        let expected = metrics(json!({
            "phase": "paused", "hashrate": 0.0, "hashrates": { "10s": 0.0, "15m": null },
            "algorithms": [{ "algorithm": "a", "hashrate": 0.0 }],
            "devices": [{ "id": "a", "hashrate": 0.0 }, { "id": "b" }], "shares": 3,
        }));
        assert_eq!(it, expected);
    }
}
