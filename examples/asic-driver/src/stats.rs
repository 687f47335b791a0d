//! Figures from cgminer's replies to `summary`, `devs`, `pools` and `coin`.

use adit_plugin_api::{
    DeviceMetrics, Error, PerformanceMetrics, Phase, PoolMetrics, Reply, Result, Value,
};

/// The questions, which are also the ids of the probes.
pub(crate) const QUESTIONS: [&str; 4] = ["summary", "devs", "pools", "coin"];

/// Boards of one device.
const BOARDS_MAX: usize = 64;

/// A device that has hashed nothing for this long after its start has a problem.
const WARM_S: u64 = 600;

/// The figures, and the numbers of the boards.
///
/// # Errors
/// [`adit_plugin_api::ErrorKind::Unavailable`] when there is no summary.
pub(crate) fn read(replies: &[Reply]) -> Result<(PerformanceMetrics, Vec<u64>)> {
    let summary = section(replies, "summary")?;
    let summary = &summary[0];
    if !summary["Accepted"].is_number() {
        return Err(Error::unavailable("summary: the reply is not from cgminer"));
    }
    // Older firmware has no command for the coin, and some needs no board to answer.
    let devs = section(replies, "devs").unwrap_or_default();
    let pools = section(replies, "pools").unwrap_or_default();
    let coin = section(replies, "coin").unwrap_or_default();
    let devs: Vec<&Value> = list(&devs).iter().take(BOARDS_MAX).collect();

    let pool = pool(list(&pools));
    let mut metrics = PerformanceMetrics {
        hashrate: rate(summary, "5s").or_else(|| rate(summary, "av")),
        shares: summary["Accepted"].as_u64(),
        rejected: summary["Rejected"].as_u64(),
        invalid: summary["Hardware Errors"].as_u64(),
        stale: summary["Stale"].as_u64(),
        uptime: summary["Elapsed"].as_u64(),
        last_share: last_share(list(&pools)),
        algorithm: coin[0]["Hash Method"].as_str().map(algorithm),
        devices: devs.iter().filter_map(|board| device(board)).collect(),
        pool,
        ..PerformanceMetrics::default()
    };
    if let Some(average) = rate(summary, "av") {
        metrics.hashrates.insert("average".to_owned(), Some(average));
    }
    let off = |board: &&Value| board["Enabled"] == "N";
    let all_off = !devs.is_empty() && devs.iter().all(off);
    metrics.phase = Some(phase(&metrics, all_off));
    let sum: Option<f64> = metrics.devices.iter().map(|device| device.hashrate).sum();
    match sum.filter(|_| !metrics.devices.is_empty()) {
        Some(sum) => metrics.hashrate = Some(sum),
        // Parts of which one is missing do not make the whole.
        None => metrics.devices.iter_mut().for_each(|device| device.hashrate = None),
    }
    let boards = devs.iter().filter_map(|board| number(board)).collect();
    Ok((metrics, boards))
}

/// The list in the section `name` of the reply to `name`.
fn section(replies: &[Reply], name: &str) -> Result<Value> {
    let reply = replies.iter().find(|reply| reply.id == name);
    let reply = reply.ok_or_else(|| Error::unavailable(format!("{name}: there is no reply")))?;
    if let Some(error) = &reply.error {
        return Err(Error::unavailable(format!("{name}: the device does not answer: {error}")));
    }
    let text = String::from_utf8_lossy(&reply.body);
    let value: Value = text
        .trim_end_matches(['\0', '\n'])
        .parse()
        .map_err(|_| Error::unavailable(format!("{name}: the reply is no JSON")))?;
    let list = &value[name.to_ascii_uppercase().as_str()];
    match list.as_array() {
        Some(items) if !items.is_empty() => Ok(list.clone()),
        _ => Err(Error::unavailable(format!("{name}: the device tells nothing"))),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[][..], Vec::as_slice)
}

/// A hashrate in H/s: firmware reports kilo, mega or giga, as a number or as a text.
fn rate(from: &Value, window: &str) -> Option<f64> {
    [("KHS", 1e3), ("MHS", 1e6), ("GHS", 1e9), ("THS", 1e12)].iter().find_map(|(unit, scale)| {
        let value = &from[format!("{unit} {window}").as_str()];
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        Some(number * scale).filter(|rate| rate.is_finite() && *rate >= 0.0)
    })
}

fn number(board: &Value) -> Option<u64> {
    ["ASC", "PGA", "GPU"].iter().find_map(|kind| board[*kind].as_u64())
}

fn device(board: &Value) -> Option<DeviceMetrics> {
    let index = u32::try_from(number(board)?).ok()?;
    let name = board["Name"].as_str().map(|name| name.chars().take(64).collect::<String>());
    Some(DeviceMetrics {
        id: format!("index:{index}"),
        index: Some(index),
        name,
        hashrate: rate(board, "5s").or_else(|| rate(board, "av")),
        accepted: board["Accepted"].as_u64(),
        rejected: board["Rejected"].as_u64(),
        invalid: board["Hardware Errors"].as_u64(),
        // 0 where it has no sensor.
        temperature: board["Temperature"].as_f64().filter(|celsius| *celsius > 0.0),
        ..DeviceMetrics::default()
    })
}

/// The pool in use: the first of those that are alive, by priority.
fn pool(pools: &[Value]) -> Option<PoolMetrics> {
    let priority = |pool: &&Value| pool["Priority"].as_u64().unwrap_or(u64::MAX);
    let is_active = |pool: &&Value| pool["Stratum Active"] == true;
    let is_alive = |pool: &&Value| pool["Status"] == "Alive";
    let active = pools.iter().filter(is_active).min_by_key(priority);
    let alive = active.or_else(|| pools.iter().filter(is_alive).min_by_key(priority));
    let pool = alive.or_else(|| pools.iter().min_by_key(priority))?;
    let url = pool["URL"].as_str()?;
    let url = url.split_once("://").map_or(url, |(_, address)| address);
    let difficulty = pool["Stratum Difficulty"].as_f64().and_then(whole);
    Some(PoolMetrics {
        url: url.chars().take(300).collect(),
        connected: Some(alive.is_some()),
        difficulty,
        ..PoolMetrics::default()
    })
}

fn last_share(pools: &[Value]) -> Option<i64> {
    let times = pools.iter().filter_map(|pool| pool["Last Share Time"].as_i64());
    times.filter(|time| *time > 0).max()
}

/// The id that miners write for what cgminer calls a method.
fn algorithm(method: &str) -> String {
    match method {
        "sha256" => "sha256d".to_owned(),
        other => other.chars().take(32).collect::<String>().to_ascii_lowercase(),
    }
}

fn phase(metrics: &PerformanceMetrics, all_off: bool) -> Phase {
    let hashes = metrics.hashrate.is_some_and(|rate| rate > 0.0);
    let connected = metrics.pool.as_ref().and_then(|pool| pool.connected);
    match (all_off, connected, hashes) {
        (true, ..) => Phase::Paused,
        (_, Some(false), _) => Phase::Degraded,
        (_, _, true) if metrics.shares > Some(0) => Phase::Mining,
        (_, _, true) => Phase::Waiting,
        _ if metrics.uptime.is_some_and(|uptime| uptime < WARM_S) => Phase::Preparing,
        _ => Phase::Degraded,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in range before"
)]
fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && (1.0..1e19).contains(&number)).then_some(number as u64)
}
