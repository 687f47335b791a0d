//! HiveOS: what a script `h-stats.sh` is to set.

use serde_json::{Map, Value, json};

use crate::dialect::{Subject, bus, percent, whole};

/// `khs`, the total in kH/s, and `stats`, the object beside it. `ar` is accepted, rejected,
/// invalid; temperatures are whole degrees, fans percent.
pub fn stats(subject: &Subject) -> Value {
    let metrics = &subject.stats;
    let devices = subject.devices();
    let mut stats = Map::new();
    let mut set = |name: &str, value: Value| stats.insert(name.to_owned(), value);
    let rates: Vec<_> = match devices.is_empty() {
        true => vec![json!(metrics.hashrate)],
        false => devices.iter().map(|it| json!(it.hashrate)).collect(),
    };
    set("hs", rates.into());
    set("hs_units", json!("hs"));
    set("temp", devices.iter().map(|it| json!(it.temperature.map(whole))).collect());
    set("fan", devices.iter().map(|it| json!(it.fan.map(percent))).collect());
    set("bus_numbers", devices.iter().map(|it| json!(bus(it))).collect());
    set("uptime", json!(metrics.uptime.unwrap_or(0)));
    set("ver", json!(subject.version.as_deref().unwrap_or_default()));
    set("ar", shares([metrics.shares, metrics.rejected, metrics.invalid]));
    set("algo", json!(metrics.algorithm));
    if let Some((second, devices)) = subject.second() {
        set("hs2", devices.iter().map(|it| json!(it.hashrate)).collect());
        set("hs_units2", json!("hs"));
        set("total_khs2", json!(second.hashrate.map(|it| it / 1000.0)));
        set("ar2", shares([second.shares, second.rejected, second.invalid]));
        set("algo2", json!(second.algorithm));
    }
    json!({ "khs": metrics.hashrate.unwrap_or(0.0) / 1000.0, "stats": stats })
}

/// The agent adds these up, so that what is not known is none.
fn shares(counts: [Option<u64>; 3]) -> Value {
    json!(counts.map(|it| it.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::samples::{cards, dual};

    #[test]
    fn figures_are_in_the_order_of_the_agent() {
        let expected = json!({
            "khs": 100_000.0,
            "stats": {
                "hs": [50_500_000.0, 49_500_000.0], "hs_units": "hs", "temp": [61, null],
                "fan": [50, null], "bus_numbers": [10, 1], "uptime": 3_725, "ver": "2024.3.2",
                "ar": [12, 1, 2], "algo": "kawpow",
            },
        });
        assert_eq!(stats(&cards()), expected);
    }

    #[test]
    fn a_second_algorithm_has_fields_of_its_own() {
        let told = stats(&dual());
        let told = &told["stats"];
        assert_eq!((&told["hs"][1], &told["hs2"]), (&json!(49_500_000.0), &json!([3e7])));
        assert_eq!((&told["total_khs2"], &told["ar2"]), (&json!(30_000.0), &json!([4, 0, 0])));
        assert_eq!(told["algo2"], "zil");
    }

    #[test]
    fn without_devices_the_total_stands_alone() {
        let mut subject = cards();
        subject.stats.devices.clear();
        assert_eq!(stats(&subject)["stats"]["hs"], json!([100_000_000.0]));
        assert_eq!(stats(&Subject::default())["khs"], 0.0);
    }
}
