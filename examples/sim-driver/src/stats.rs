//! Figures from the reply to `GET /stats`.

use adit_plugin_api::{
    DeviceMetrics, Error, PerformanceMetrics, Phase, PoolMetrics, Reply, Result, Value,
};

/// Id of the one probe.
pub(crate) const PROBE: &str = "stats";

/// The simulated miner has at most this many.
const DEVICES_MAX: usize = 64;

/// Reads the figures. What is missing or makes no sense stays absent.
///
/// # Errors
/// When no reply holds figures of a simulated miner.
pub(crate) fn read(replies: &[Reply]) -> Result<PerformanceMetrics> {
    let reply = replies.iter().find(|reply| reply.id == PROBE);
    let stats = reply.ok_or_else(|| Error::unavailable("there is no reply"))?.json()?;
    if stats["program"] != "sim-miner" {
        return Err(Error::unavailable("stats: the reply is not from sim-miner"));
    }
    if stats["devices"].as_array().is_some_and(|list| list.len() > DEVICES_MAX) {
        return Err(Error::unavailable("stats: the reply lists more devices than there can be"));
    }
    let (rates, shares) = (&stats["hashrate"], &stats["shares"]);
    let windows = ["10s", "60s", "15m"];
    let mut metrics = PerformanceMetrics {
        hashrate: figure(&rates["10s"]),
        hashrates: windows.map(|window| (window.to_owned(), figure(&rates[window]))).into(),
        shares: shares["accepted"].as_u64(),
        rejected: shares["rejected"].as_u64(),
        uptime: stats["uptime"].as_u64(),
        last_share: shares["last_accepted"].as_i64().filter(|time| *time >= 0),
        avg_difficulty: shares["average_difficulty"].as_u64(),
        algorithm: text(&stats["algorithm"]),
        diff_current: stats["difficulty"].as_u64(),
        phase: text(&stats["phase"]).and_then(|word| phase(&word)),
        hashes_total: stats["hashes_total"].as_u64(),
        pool: pool(&stats),
        devices: devices(&stats["devices"]),
        ..PerformanceMetrics::default()
    };
    for (name, value) in [
        ("version", text(&stats["version"]).map(Value::from)),
        ("worker", text(&stats["worker"]).map(Value::from)),
        ("paused", stats["paused"].as_bool().map(Value::from)),
        ("hashrateMax", figure(&rates["max"]).map(Value::from)),
    ] {
        metrics.extra_data.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(metrics)
}

/// The phase that sim-miner calls `word`. Phases that only a host sets are none.
pub(crate) fn phase(word: &str) -> Option<Phase> {
    Some(match word {
        "starting" => Phase::Starting,
        "preparing" => Phase::Preparing,
        "connecting" => Phase::Connecting,
        "waiting" => Phase::Waiting,
        "mining" => Phase::Mining,
        "paused" => Phase::Paused,
        "degraded" => Phase::Degraded,
        _ => return None,
    })
}

fn pool(stats: &Value) -> Option<PoolMetrics> {
    let pool = &stats["pool"];
    Some(PoolMetrics {
        url: text(&pool["url"])?,
        connected: pool["connected"].as_bool(),
        latency_ms: figure(&pool["latency_ms"]),
        difficulty: stats["difficulty"].as_u64(),
        error: text(&pool["error"]),
        ..PoolMetrics::default()
    })
}

fn devices(list: &Value) -> Vec<DeviceMetrics> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(device).collect()
}

fn device(device: &Value) -> Option<DeviceMetrics> {
    let index = u32::try_from(device["index"].as_u64()?).ok()?;
    Some(DeviceMetrics {
        id: format!("index:{index}"),
        index: Some(index),
        name: text(&device["name"]),
        hashrate: figure(&device["hashrate"]),
        accepted: device["accepted"].as_u64(),
        rejected: device["rejected"].as_u64(),
        temperature: figure(&device["temperature"]),
        power: figure(&device["power"]),
        // The program reports percent.
        fan: figure(&device["fan"]).map(|percent| percent / 100.0).filter(|fan| *fan <= 1.0),
        ..DeviceMetrics::default()
    })
}

fn figure(value: &Value) -> Option<f64> {
    value.as_f64().filter(|figure| figure.is_finite() && *figure >= 0.0)
}

/// A text of reasonable length.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| (1..=300).contains(&text.len())).map(str::to_owned)
}

#[cfg(test)]
mod tests;
