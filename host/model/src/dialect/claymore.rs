//! Claymore's protocol: one line of JSON asks, one line answers. Only what reads is known here; this
//! protocol has been used to steal the income of whole farms through its other methods.

use adit_plugin_api::DeviceMetrics;
use serde_json::{Value, json};

use crate::dialect::{Subject, percent, whole};

/// The answer to one line. `subject` is asked for only when figures are.
pub fn answer(line: &str, subject: impl FnOnce() -> Subject) -> Value {
    let Ok(request) = serde_json::from_str::<Value>(line) else {
        return error(&Value::Null, -32_700, "Parse error");
    };
    let id = match &request["id"] {
        id @ (Value::Number(_) | Value::String(_)) => id.clone(),
        _ => Value::Null,
    };
    match request["method"].as_str() {
        Some("miner_getstat1") => {
            json!({ "id": id, "jsonrpc": "2.0", "result": stat1(&subject()) })
        }
        Some("miner_ping") => json!({ "id": id, "jsonrpc": "2.0", "result": "pong" }),
        Some(_) => error(&id, -32_601, "Method not found: this port only tells figures"),
        None => error(&id, -32_600, "Invalid Request"),
    }
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({ "id": id, "jsonrpc": "2.0", "error": { "code": code, "message": message } })
}

/// Nine texts, or ten with the watts of each device. Hashrates are whole kH/s, the uptime is in
/// minutes. The protocol has no word for what is not known: 0 stands for it.
fn stat1(subject: &Subject) -> Vec<String> {
    let metrics = &subject.stats;
    let devices = subject.devices();
    let khs = |rate: Option<f64>| whole(rate.unwrap_or(0.0) / 1000.0).to_string();
    let rates = |devices: &[&DeviceMetrics], all: Option<f64>| match devices.is_empty() {
        true => khs(all),
        false => joined(devices.iter().map(|it| khs(it.hashrate))),
    };
    let count = |value: Option<u64>| value.unwrap_or(0);
    let second = subject.second();
    let (dual, dual_rates) = match &second {
        Some((it, devices)) => (
            format!("{};{};{}", khs(it.hashrate), count(it.shares), count(it.rejected)),
            rates(devices, it.hashrate),
        ),
        None => ("0;0;0".to_owned(), joined(devices.iter().map(|_| "off".to_owned()))),
    };
    let heat = |it: &&DeviceMetrics| {
        let (temperature, fan) = (it.temperature.unwrap_or(0.0), it.fan.unwrap_or(0.0));
        format!("{};{}", whole(temperature), percent(fan))
    };
    let dual_invalid = second.as_ref().map_or(0, |(it, _)| count(it.invalid));
    let mut told = vec![
        format!("{} {}", subject.miner_type, subject.version.as_deref().unwrap_or("-")),
        (count(metrics.uptime) / 60).to_string(),
        format!("{};{};{}", khs(metrics.hashrate), count(metrics.shares), count(metrics.rejected)),
        rates(&devices, metrics.hashrate),
        dual,
        dual_rates,
        joined(devices.iter().map(heat)),
        metrics.pool.as_ref().map(|it| it.url.clone()).unwrap_or_default(),
        format!("{};0;{dual_invalid};0", count(metrics.invalid)),
    ];
    let power: Option<Vec<f64>> = devices.iter().map(|it| it.power).collect();
    if let Some(power) = power.filter(|it| !it.is_empty()) {
        told.push(joined(power.into_iter().map(|it| whole(it).to_string())));
    }
    told
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::samples::{cards, dual};

    #[test]
    fn figures_are_nine_texts() {
        let asked = r#"{"id":0,"jsonrpc":"2.0","method":"miner_getstat1"}"#;
        let expected = json!([
            "acme 2024.3.2",
            "62",
            "100000;12;1",
            "50500;49500",
            "0;0;0",
            "off;off",
            "61;50;0;0",
            "pool.example:4444",
            "2;0;0;0",
        ]);
        let told = answer(asked, cards);
        assert_eq!(told, json!({ "id": 0, "jsonrpc": "2.0", "result": expected }));
        let told = answer(asked, dual);
        assert_eq!(
            (&told["result"][4], &told["result"][5]),
            (&json!("30000;4;0"), &json!("30000"))
        );
        let mut subject = cards();
        subject.stats.devices.pop();
        assert_eq!(answer(asked, || subject)["result"][9], "220");
    }

    #[test]
    fn nothing_but_reading_is_known() {
        for method in [
            "miner_restart",
            "miner_reboot",
            "control_gpu",
            "miner_addconnection",
            "miner_setactiveconnection",
            "miner_file",
            "miner_shuffle",
            "",
        ] {
            let asked = json!({ "id": "x", "jsonrpc": "2.0", "method": method }).to_string();
            let told = answer(&asked, || panic!("it was asked for figures"));
            assert_eq!((&told["error"]["code"], &told["id"]), (&json!(-32_601), &json!("x")));
        }
        let ping = answer(r#"{"id":1,"method":"miner_ping"}"#, Subject::default);
        assert_eq!(ping["result"], "pong");
        for (line, code) in [("", -32_700), ("nonsense", -32_700), ("[]", -32_600), ("{}", -32_600)]
        {
            assert_eq!(answer(line, Subject::default)["error"]["code"], code, "{line}");
        }
    }
}
