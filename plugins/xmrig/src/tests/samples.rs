//! What XMRig 6.26 really said.

use adit_plugin_api::{Observation, PerformanceMetrics, Phase, ShareResult};

use super::*;

const EARLY: &str = include_str!("../../samples/summary-early.json");
const MINING: &str = include_str!("../../samples/summary-v2.json");
const NO_POOL: &str = include_str!("../../samples/summary-no-pool.json");
const DISCONNECTED: &str = include_str!("../../samples/summary-disconnected.json");
const BENCH: &str = include_str!("../../samples/summary-bench.json");
const VERSION_1: &str = include_str!("../../samples/summary-v1.json");
const BACKENDS: &str = include_str!("../../samples/backends.json");
const BACKENDS_EARLY: &str = include_str!("../../samples/backends-early.json");

fn stats(summary: &str, backends: &str) -> PerformanceMetrics {
    let replies = [testing::reply("summary", summary), testing::reply("backends", backends)];
    driver().stats(&testing::launch(), &replies).unwrap()
}

#[test]
fn figures_are_as_recorded() {
    for (name, summary, backends) in [
        ("early", EARLY, BACKENDS_EARLY),
        ("mining", MINING, BACKENDS),
        ("no-pool", NO_POOL, BACKENDS),
        ("disconnected", DISCONNECTED, BACKENDS),
        ("bench", BENCH, BACKENDS),
        ("version-1", VERSION_1, BACKENDS),
    ] {
        testing::golden(format!("golden/stats-{name}.json"), &stats(summary, backends));
    }
}

#[test]
fn a_miner_that_hashes_is_told_apart_from_one_that_waits_or_prepares() {
    assert_eq!(stats(EARLY, BACKENDS_EARLY).phase, Some(Phase::Preparing));
    assert_eq!(stats(EARLY, BACKENDS).phase, Some(Phase::Waiting));
    assert_eq!(stats(MINING, BACKENDS).phase, Some(Phase::Mining));
    assert_eq!(stats(DISCONNECTED, BACKENDS).phase, Some(Phase::Degraded));
    let mut summary: Value = MINING.parse().unwrap();
    summary["paused"] = true.into();
    assert_eq!(stats(&summary.to_string(), BACKENDS).phase, Some(Phase::Paused));
    // Connected, threads there, and no hash.
    summary["paused"] = false.into();
    summary["hashrate"]["total"][0] = json!(0.0);
    assert_eq!(stats(&summary.to_string(), BACKENDS).phase, Some(Phase::Mining));
    summary["connection"]["uptime_ms"] = 40_000.into();
    assert_eq!(stats(&summary.to_string(), BACKENDS).phase, Some(Phase::Degraded));
}

#[test]
fn what_nobody_measured_is_absent() {
    let early = stats(EARLY, BACKENDS_EARLY);
    assert_eq!(early.hashrate, None);
    assert_eq!(early.hashrates["10s"], None);
    assert_eq!(early.pool.unwrap().latency_ms, None);
    let lost = stats(NO_POOL, BACKENDS).pool.unwrap();
    assert_eq!((lost.connected, lost.latency_ms, lost.difficulty), (Some(false), None, None));
}

#[test]
fn numbers_as_large_as_they_can_be_stay_exact() {
    let bench = stats(BENCH, BACKENDS);
    assert_eq!(bench.diff_current, Some(u64::MAX));
    assert_eq!(bench.pool.unwrap().difficulty, Some(u64::MAX));
}

/// From XMRig's source; there was no such device.
#[test]
fn threads_of_one_gpu_are_one_device_and_devices_add_up() {
    let thread = |bus: &str, rate: Value, health: Value| {
        json!({ "index": 0, "bus_id": bus, "name": "gfx1030", "board": "RX 6800",
                "hashrate": [rate, null, null], "health": health })
    };
    let amd = json!({ "temperature": 61, "power": 120, "clock": 1200, "mem_clock": 875,
                      "rpm": 1500 });
    let nvidia = json!({ "temperature": 0, "power": 0, "clock": 0, "mem_clock": 5005,
                         "fan_speed": [70, 65] });
    let backends = json!([
        { "type": "cpu", "hashrate": [10.0, null, null], "threads": [{}], "msr": true },
        { "type": "opencl", "threads": [
            thread("0A:00.0", json!(100.5), amd.clone()), thread("0A:00.0", json!(99.5), amd),
            thread("n/a", json!(1.0), json!({})),
        ] },
        { "type": "cuda", "threads": [thread("01:00.0", json!(50.0), nvidia)] },
    ]);
    let metrics = stats(MINING, &backends.to_string());
    assert_eq!(metrics.hashrate, Some(261.0));
    testing::golden("golden/stats-gpus.json", &metrics);
    let mut unknown = backends;
    unknown[1]["threads"][1]["hashrate"][0] = Value::Null;
    let metrics = stats(MINING, &unknown.to_string());
    assert_eq!(metrics.devices[1].hashrate, None);
    assert_eq!(metrics.hashrate, Some(18.02), "XMRig's own total, when a part is unknown");
}

#[test]
fn replies_that_make_no_sense_are_refused_or_read_in_part() {
    let launch = testing::launch();
    let mut cut = MINING.to_owned();
    cut.truncate(500);
    for body in ["", "null", "[]", "{}", "\"x\"", "<html>", &cut, r#"{"kind":"miner"}"#] {
        let error = driver().stats(&launch, &[testing::reply("summary", body)]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{body}");
    }
    assert!(driver().stats(&launch, &[]).is_err());
    assert!(driver().stats(&launch, &[testing::reply("backends", BACKENDS)]).is_err());
    // The backends are not needed.
    for backends in ["", "{}", "[1, null, []]", r#"[{"type":"cpu","threads":7}]"#, "[[["] {
        let metrics = stats(MINING, backends);
        assert_eq!(metrics.hashrate, Some(18.02), "{backends}");
        assert!(metrics.devices.is_empty(), "{backends}");
    }
    let mut strange: Value = MINING.parse().unwrap();
    strange["hashrate"] = json!({ "total": [-1.0, "x", {}], "highest": "y" });
    strange["results"] = json!({ "shares_good": -1, "shares_total": 2.5, "hashes_total": [] });
    strange["connection"] = json!("none");
    strange["algo"] = "x\u{1b}[2J".into();
    let metrics = stats(&strange.to_string(), BACKENDS_EARLY);
    assert_eq!((metrics.hashrate, metrics.shares, metrics.rejected), (None, None, None));
    assert_eq!((metrics.pool, metrics.algorithm), (None, None));
    // A rejected share cannot make the count negative.
    strange["results"] = json!({ "shares_good": 5, "shares_total": 3, "hashes_total": 7 });
    assert_eq!(stats(&strange.to_string(), BACKENDS_EARLY).rejected, Some(0));
    strange["results"] = json!({ "shares_good": 0, "shares_total": 0, "hashes_total": 7 });
    assert_eq!(stats(&strange.to_string(), BACKENDS_EARLY).avg_difficulty, None);
}

fn observe(log: &str) -> Vec<Observation> {
    driver().output(&log.lines().collect::<Vec<_>>()).unwrap()
}

#[test]
fn logs_say_what_is_recorded() {
    for (name, log) in [
        ("pipe", include_str!("../../samples/log-pipe-nocolor.txt")),
        ("pipe-color", include_str!("../../samples/log-pipe-color.txt")),
        ("pty-color", include_str!("../../samples/log-pty-color.txt")),
        ("api-config", include_str!("../../samples/log-api-config.txt")),
        ("bench", include_str!("../../samples/log-bench-rx-light.txt")),
    ] {
        let mut seen = observe(log);
        seen.retain(|seen| *seen != Observation::Progress);
        testing::golden(format!("golden/log-{name}.json"), &seen);
    }
}

#[test]
fn a_log_alone_counts_what_xmrig_counted() {
    let seen = observe(include_str!("../../samples/log-pipe-nocolor.txt"));
    let count = |result| {
        let share = Observation::Share { result };
        seen.iter().filter(|seen| **seen == share).count()
    };
    assert_eq!((count(ShareResult::Accepted), count(ShareResult::Rejected)), (23, 1));
    // Huge pages were switched off and the light mode was chosen: nothing to complain of, and two
    // losses of the pool.
    let errors = seen.iter().filter(|seen| matches!(seen, Observation::Error { .. })).count();
    assert_eq!(errors, 3);
}
