//! mmpOS: the answer to `GET /mmpos`.

use adit_plugin_api::DeviceMetrics;
use serde_json::{Value, json};

use crate::dialect::{Subject, bus, is_cpu};

/// The figures as the agent reads them. Its `air` is accepted, invalid, rejected: another order
/// than that of HiveOS.
pub fn stats(subject: &Subject) -> Value {
    let metrics = &subject.stats;
    let devices = subject.devices();
    let count = |value: Option<u64>| value.unwrap_or(0);
    let each = |of: fn(&DeviceMetrics) -> Option<u64>| -> Vec<u64> {
        devices.iter().map(|it| count(of(it))).collect()
    };
    let place = |device: &&DeviceMetrics| match bus(device) {
        Some(bus) => json!(bus),
        None if is_cpu(device) => json!("cpu"),
        None => json!(device.id),
    };
    let total = [metrics.shares, metrics.invalid, metrics.rejected].map(count);
    // Without devices the program as a whole is one.
    let (busid, hash, shares) = if devices.is_empty() {
        let [accepted, invalid, rejected] = total.map(|it| vec![it]);
        (vec![json!("cpu")], vec![json!(metrics.hashrate)], (accepted, rejected, invalid))
    } else {
        let hash = devices.iter().map(|it| json!(it.hashrate)).collect();
        let shares = (each(|it| it.accepted), each(|it| it.rejected), each(|it| it.invalid));
        (devices.iter().map(place).collect(), hash, shares)
    };
    json!({
        "busid": busid,
        "hash": hash,
        "units": "hs",
        "air": total,
        "shares": { "accepted": shares.0, "rejected": shares.1, "invalid": shares.2 },
        "miner_name": subject.miner_type,
        "miner_version": subject.version.as_deref().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::samples::cards;

    #[test]
    fn figures_are_in_the_order_of_the_agent() {
        let expected = json!({
            "busid": [10, 1], "hash": [50_500_000.0, 49_500_000.0], "units": "hs",
            "air": [12, 2, 1],
            "shares": { "accepted": [7, 0], "rejected": [1, 0], "invalid": [2, 0] },
            "miner_name": "acme", "miner_version": "2024.3.2",
        });
        assert_eq!(stats(&cards()), expected);
    }

    #[test]
    fn a_processor_has_no_bus() {
        let mut subject = cards();
        subject.stats.devices =
            vec![DeviceMetrics { id: "cpu:0".to_owned(), ..DeviceMetrics::default() }];
        let told = stats(&subject);
        assert_eq!((&told["busid"], &told["hash"]), (&json!(["cpu"]), &json!([null])));
        subject.stats.devices.clear();
        let told = stats(&subject);
        assert_eq!((&told["busid"], &told["shares"]["invalid"]), (&json!(["cpu"]), &json!([2])));
    }
}
