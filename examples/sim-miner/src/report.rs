//! What the miner says about itself: lines for people, JSON for programs.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::sim::{Event, Sim};

/// The first lines.
pub(crate) fn banner(sim: &Sim) -> Vec<String> {
    let settings = sim.settings();
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let wallet = if settings.has_wallet { "wallet set" } else { "no wallet" };
    vec![
        format!(" * ABOUT    sim-miner {version} {os}-{arch}, a simulation: nothing is mined"),
        format!(" * DEVICES  {} simulated, {:.1} H/s", settings.devices, settings.hashrate),
        format!(" * POOL     {} algo {}", settings.pool, settings.algorithm),
        format!(" * WORKER   {} ({wallet})", settings.worker),
    ]
}

/// The line for `event`: its tag and its text.
pub(crate) fn line(event: Event, sim: &Sim) -> (&'static str, String) {
    let settings = sim.settings();
    let (pool, difficulty) = (&settings.pool, sim.difficulty());
    match event {
        Event::Preparing { ms } => ("miner", format!("preparing dataset ({ms} ms)")),
        Event::Prepared => ("miner", "dataset ready".to_owned()),
        Event::Connecting => ("net", format!("connecting to {pool}")),
        Event::Connected { latency_ms } => {
            ("net", format!("connected to {pool} ({latency_ms} ms)"))
        }
        Event::Job { height } => (
            "net",
            format!(
                "new job from {pool} diff {difficulty} algo {} height {height}",
                settings.algorithm
            ),
        ),
        Event::Share { is_accepted: true, device, latency_ms, accepted, rejected } => (
            "share",
            format!(
                "accepted ({accepted}/{rejected}) diff {difficulty} device {device} ({latency_ms} ms)"
            ),
        ),
        Event::Share { is_accepted: false, device, latency_ms, accepted, rejected } => (
            "share",
            format!(
                "rejected ({accepted}/{rejected}) diff {difficulty} device {device} \
                 \"low difficulty share\" ({latency_ms} ms)"
            ),
        ),
        Event::PoolLost => ("net", format!("lost {pool}: \"connection reset by peer\"")),
        Event::PoolUnreachable => {
            ("net", format!("cannot reach {pool}: \"connection refused\", retry in 5 s"))
        }
        Event::Speed => ("miner", speed(sim)),
        Event::Paused => ("miner", "paused".to_owned()),
        Event::Resumed(phase) => ("miner", format!("resumed ({})", phase.word())),
    }
}

/// Hashrates of all windows.
pub(crate) fn speed(sim: &Sim) -> String {
    let show = |rate: Option<f64>| rate.map_or("n/a".to_owned(), |rate| format!("{rate:.1}"));
    let [now, minute, quarter] = [sim.hashrate(), sim.window(60), sim.window(900)].map(show);
    format!("speed 10s/60s/15m {now} {minute} {quarter} H/s max {} H/s", show(sim.peak()))
}

/// Shares so far.
pub(crate) fn results(sim: &Sim) -> String {
    let (accepted, rejected) = (sim.accepted(), sim.rejected());
    format!("results accepted {accepted} rejected {rejected} diff {}", sim.difficulty())
}

/// The pool and how it is reached.
pub(crate) fn connection(sim: &Sim) -> String {
    let state = if sim.is_connected() { "up" } else { "down" };
    let latency = sim.latency_ms().map_or("n/a".to_owned(), |ms| format!("{ms} ms"));
    format!("connection to {} is {state}, latency {latency}", sim.settings().pool)
}

/// The reply to `GET /stats`. Hashrates in H/s, temperature in °C, power in W, fan in percent,
/// times in seconds.
pub(crate) fn stats(sim: &Sim, now: SystemTime) -> Value {
    let settings = sim.settings();
    let devices: Vec<Value> = sim.devices().iter().enumerate().map(device).collect();
    let last_accepted = sim.since_accepted().map(|ago| unix_seconds(now, ago));
    let accepted = sim.accepted();
    json!({
        "program": "sim-miner",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": sim.uptime().as_secs(),
        "phase": sim.phase().word(),
        "paused": sim.is_paused(),
        "algorithm": settings.algorithm,
        "worker": settings.worker,
        "hashrate": {
            "10s": sim.hashrate(),
            "60s": sim.window(60),
            "15m": sim.window(900),
            "max": sim.peak(),
        },
        "hashes_total": sim.hashes(),
        "difficulty": sim.difficulty(),
        "shares": {
            "accepted": accepted,
            "rejected": sim.rejected(),
            "last_accepted": last_accepted,
            "average_difficulty": (accepted > 0).then(|| sim.difficulty()),
        },
        "pool": {
            "url": settings.pool,
            "connected": sim.is_connected(),
            "latency_ms": sim.latency_ms(),
            "error": sim.is_lost().then_some("connection refused"),
        },
        "devices": devices,
    })
}

fn device((index, device): (usize, &crate::sim::device::Device)) -> Value {
    json!({
        "index": index,
        "name": format!("Simulated device {index}"),
        "hashrate": device.now(),
        "accepted": device.accepted,
        "rejected": device.rejected,
        "temperature": device.temperature(),
        "power": device.power(),
        "fan": device.fan(),
    })
}

fn unix_seconds(now: SystemTime, ago: Duration) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.saturating_sub(ago).as_secs()
}
