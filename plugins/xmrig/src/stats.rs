//! Figures from the replies to `GET /2/summary` and `GET /2/backends`.

mod devices;

use adit_plugin_api::{Error, PerformanceMetrics, Phase, PoolMetrics, Reply, Result, Value};

use crate::output::Pages;

/// Id of the probe for the summary.
pub(crate) const SUMMARY: &str = "summary";
/// Id of the probe for the backends.
pub(crate) const BACKENDS: &str = "backends";

/// A miner that was connected for this long and does not hash has a problem; before, it may just
/// have come back.
const SETTLED_MS: u64 = 30_000;

/// XMRig's averaging windows, in the order of its lists.
const WINDOWS: [&str; 3] = ["10s", "60s", "15m"];

/// Reads the figures. What is missing or makes no sense stays absent; without the backends there
/// are no devices.
///
/// # Errors
/// [`adit_plugin_api::ErrorKind::Unavailable`] when no reply holds figures of an XMRig.
pub(crate) fn read(replies: &[Reply]) -> Result<PerformanceMetrics> {
    let find = |id| replies.iter().find(|reply| reply.id == id);
    let reply = find(SUMMARY).ok_or_else(|| Error::unavailable("there is no reply"))?;
    if matches!(reply.status, 401 | 403) {
        return Err(Error::unavailable(
            "the API refuses the run's token: another program has XMRig's port; restart the miner",
        ));
    }
    let summary = reply.json()?;
    // xmrig-proxy has the same API and counts in kH/s.
    if summary["kind"] != "miner" || !summary["results"].is_object() {
        return Err(Error::unavailable("summary: the reply is not from XMRig"));
    }
    let backends = find(BACKENDS).and_then(|reply| reply.json().ok()).unwrap_or_default();
    let devices = devices::read(&backends, &summary);

    let mut metrics = figures(&summary);
    metrics.phase = Some(phase(&summary, &backends));
    // The two replies are moments apart. The parts are to add up to the whole.
    let parts: Option<Vec<f64>> = devices.iter().map(|device| device.hashrate).collect();
    if let Some(parts) = parts.filter(|parts| !parts.is_empty()) {
        let sum = parts.iter().sum();
        metrics.hashrate = Some(sum);
        metrics.hashrates.insert(WINDOWS[0].to_owned(), Some(sum));
    }
    extra(&mut metrics, &summary, &backends);
    metrics.devices = devices;
    Ok(metrics)
}

/// The huge pages in use and wanted, once there are threads: before, XMRig still asks for some.
pub(crate) fn huge_pages(metrics: &PerformanceMetrics) -> Option<Pages> {
    let is_ready = matches!(metrics.phase, Some(Phase::Waiting | Phase::Mining));
    let count = |name: &str| metrics.extra_data.get(name)?.as_u64();
    count("hugePages").zip(count("hugePagesWanted")).filter(|_| is_ready)
}

fn figures(summary: &Value) -> PerformanceMetrics {
    let (results, rates) = (&summary["results"], &summary["hashrate"]["total"]);
    let good = results["shares_good"].as_u64();
    let hashes = results["hashes_total"].as_u64();
    // Without any worker so far XMRig writes zeros, which nobody measured.
    let is_measured = has_measured(summary);
    let rate = |index: usize| figure(&rates[index]).filter(|_| is_measured);
    PerformanceMetrics {
        hashrate: rate(0),
        hashrates: WINDOWS
            .iter()
            .enumerate()
            .map(|(index, window)| ((*window).to_owned(), rate(index)))
            .collect(),
        shares: good,
        rejected: results["shares_total"].as_u64().zip(good).map(|(all, good)| {
            // Total counts good and rejected ones.
            all.saturating_sub(good)
        }),
        uptime: summary["uptime"].as_u64(),
        algorithm: text(&summary["algo"]),
        diff_current: results["diff_current"].as_u64().filter(|diff| *diff > 0),
        avg_difficulty: hashes.zip(good).and_then(|(hashes, good)| hashes.checked_div(good)),
        hashes_total: hashes,
        pool: pool(&summary["connection"]),
        ..PerformanceMetrics::default()
    }
}

fn has_measured(summary: &Value) -> bool {
    let rates = &summary["hashrate"];
    !rates["highest"].is_null() || (0..3).any(|index| rates["total"][index] != 0.0)
}

fn pool(connection: &Value) -> Option<PoolMetrics> {
    let url = text(&connection["pool"])?;
    let known = |key: &str| connection[key].as_u64().filter(|value| *value > 0);
    Some(PoolMetrics {
        // An operator may have written a scheme.
        url: url.split_once("://").map_or(url.as_str(), |(_, address)| address).to_owned(),
        connected: is_connected(connection),
        session_ms: known("uptime_ms"),
        // XMRig calls the median time of an answer to a share a ping.
        latency_ms: figure(&connection["ping"]).filter(|ping| *ping > 0.0),
        difficulty: known("diff"),
        error: None,
    })
}

/// The name of a lost pool stays, so that only the time of the session tells.
fn is_connected(connection: &Value) -> Option<bool> {
    connection["uptime_ms"].as_u64().map(|uptime| uptime > 0)
}

/// XMRig has no word for what it does.
fn phase(summary: &Value, backends: &Value) -> Phase {
    let connection = &summary["connection"];
    if summary["paused"] == true {
        return Phase::Paused;
    }
    if is_connected(connection) != Some(true) {
        let was_connected = text(&connection["pool"]).is_some();
        return if was_connected { Phase::Degraded } else { Phase::Connecting };
    }
    let is_ready = match backends.as_array() {
        // A backend tells of threads only while it has some.
        Some(backends) => backends.iter().any(|backend| !backend["threads"].is_null()),
        None => has_measured(summary),
    };
    let stands_still = figure(&summary["hashrate"]["total"][0]) == Some(0.0)
        && connection["uptime_ms"].as_u64() > Some(SETTLED_MS);
    match is_ready {
        false => Phase::Preparing,
        true if stands_still => Phase::Degraded,
        true if summary["results"]["shares_good"].as_u64() > Some(0) => Phase::Mining,
        true => Phase::Waiting,
    }
}

fn extra(metrics: &mut PerformanceMetrics, summary: &Value, backends: &Value) {
    let connection = &summary["connection"];
    let number = |value: &Value| value.as_u64().map(Value::from);
    // XMRig writes 0 for what it does not know.
    let known = |value: &Value| value.as_u64().filter(|value| *value > 0).map(Value::from);
    let pages = &summary["hugepages"];
    let memory = &summary["resources"]["memory"]["resident_set_memory"];
    for (name, value) in [
        ("version", text(&summary["version"]).map(Value::from)),
        ("worker", text(&summary["worker_id"]).map(Value::from)),
        ("paused", summary["paused"].as_bool().map(Value::from)),
        ("donateLevel", number(&summary["donate_level"])),
        ("hashrateMax", figure(&summary["hashrate"]["highest"]).map(Value::from)),
        ("hugePages", number(&pages[0]).filter(|_| pages[1] != 0)),
        ("hugePagesWanted", known(&pages[1])),
        ("msr", devices::cpu(backends)["msr"].as_bool().map(Value::from)),
        ("tls", text(&connection["tls"]).map(Value::from)),
        ("tlsFingerprint", text(&connection["tls-fingerprint"]).map(Value::from)),
        ("connectionsLost", number(&connection["failures"])),
        ("avgShareTimeMs", known(&summary["results"]["avg_time_ms"])),
        ("bestShare", known(&summary["results"]["best"][0])),
        ("memoryBytes", known(memory)),
        ("cpu", text(&summary["cpu"]["brand"]).map(Value::from)),
        ("gpus", devices::health(backends)),
        ("bestShares", best(&summary["results"]["best"])),
        ("poolIp", text(&connection["ip"]).map(Value::from)),
        ("userAgent", text(&summary["ua"]).map(Value::from)),
        ("features", words(&summary["features"])),
        ("cpuBackend", text(&summary["cpu"]["backend"]).map(Value::from)),
        ("msrPreset", text(&summary["cpu"]["msr"]).map(Value::from)),
        ("assembly", text(&summary["cpu"]["assembly"]).map(Value::from)),
        ("hardwareAes", devices::cpu(backends)["hw-aes"].as_bool().map(Value::from)),
        ("threadPriority", devices::cpu(backends)["priority"].as_i64().map(Value::from)),
        ("threadProfile", text(&devices::cpu(backends)["profile"]).map(Value::from)),
        ("threadMemoryBytes", known(&devices::cpu(backends)["memory"])),
        ("argon2Implementation", text(&devices::cpu(backends)["argon2-impl"]).map(Value::from)),
        ("backends", devices::kinds(backends)),
    ] {
        metrics.extra_data.extend(value.map(|value| (name.to_owned(), value)));
    }
}

/// The best shares, best first; unknown while there is none.
fn best(shares: &Value) -> Option<Value> {
    let shares: Vec<u64> = shares.as_array()?.iter().take(10).filter_map(Value::as_u64).collect();
    shares.first().is_some_and(|best| *best > 0).then(|| shares.into())
}

/// A list of at most 32 texts.
fn words(list: &Value) -> Option<Value> {
    let words: Vec<String> = list.as_array()?.iter().take(32).filter_map(text).collect();
    (!words.is_empty()).then(|| words.into())
}

fn figure(value: &Value) -> Option<f64> {
    value.as_f64().filter(|figure| figure.is_finite() && *figure >= 0.0)
}

/// A printable text of reasonable length.
fn text(value: &Value) -> Option<String> {
    let is_good =
        |text: &&str| (1..=300).contains(&text.len()) && !text.chars().any(char::is_control);
    value.as_str().filter(is_good).map(str::to_owned)
}

/// One sum of figures, unknown when one of them is.
fn sum(figures: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    figures.into_iter().try_fold(0.0, |sum, figure| Some(sum + figure?))
}
