//! All figures of this node as time series, made anew from what is known each time.
//!
//! Labels have bounded sets of values; no wallet, user or worker is ever one.

mod families;

use adit_plugin_api::{DeviceMetrics, PerformanceMetrics, Phase, PoolMetrics};

use crate::miners::{Miners, series::families::Families};
use adit_drivers::health::TOOK_S;
use adit_model::{miner::MinerView, series::Family};

/// Every phase.
const PHASES: [(Phase, &str); 11] = [
    (Phase::Starting, "starting"),
    (Phase::Preparing, "preparing"),
    (Phase::Connecting, "connecting"),
    (Phase::Waiting, "waiting"),
    (Phase::Mining, "mining"),
    (Phase::Paused, "paused"),
    (Phase::Degraded, "degraded"),
    (Phase::Stopping, "stopping"),
    (Phase::Backoff, "backoff"),
    (Phase::Stopped, "stopped"),
    (Phase::Failed, "failed"),
];

impl Miners {
    /// The figures of all miners, drivers and of the host itself.
    pub fn series(&self) -> Vec<Family> {
        let mut families = Families::new();
        families.build_info.add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        families.start_time.add(&[], self.0.started_s);
        for driver in self.0.parts.drivers.loaded() {
            let (id, health) = (driver.id().as_str(), driver.health());
            for (op, outcomes) in &health.by_op {
                for (outcome, count) in [
                    ("ok", outcomes.ok),
                    ("failed", outcomes.failed),
                    ("panicked", outcomes.panicked),
                    ("timed-out", outcomes.timed_out),
                ] {
                    let labels = [("driver", id), ("op", op), ("outcome", outcome)];
                    families.driver_calls.add(&labels, float(count));
                }
            }
            let (label, took) = ([("driver", id)], &health.took);
            let sum = took.sum.as_secs_f64();
            families.driver_took.add_counts(&label, &TOOK_S, &took.counts, sum);
            families.driver_stuck.add(&label, float(health.stuck as u64));
            families.driver_quarantined.add(&label, flag(driver.quarantine().is_some()));
        }
        for view in self.list() {
            let driver = self.0.parts.drivers.get(&view.miner_type);
            let version = driver.map(|it| it.manifest().version.clone()).unwrap_or_default();
            families.add_miner(&view, &version);
        }
        let watchdog = &self.0.parts.watchdog;
        for ((miner, remedy, cause), count) in watchdog.actions() {
            let labels = [
                ("instance", miner.as_str()),
                ("action", remedy.as_str()),
                ("cause", cause.as_str()),
            ];
            families.actions.add(&labels, float(count));
        }
        for ((miner, cause), count) in watchdog.restarts() {
            families.restarts.add(&[("instance", miner.as_str()), ("cause", cause)], float(count));
        }
        for (miner, count) in watchdog.pool_switches() {
            families.pool_switches.add(&[("instance", miner.as_str())], float(count));
        }
        families.add_remote_write(&self.remote_write());
        self.webhooks().iter().for_each(|it| families.add_webhook(it));
        families.all()
    }
}

impl Families {
    fn add_miner(&mut self, view: &MinerView, driver_version: &str) {
        let (name, driver) = (view.name.as_str(), view.miner_type.as_str());
        let none = PerformanceMetrics::default();
        let stats = view.stats.as_ref().unwrap_or(&none);
        let algo = stats.algorithm.as_deref().unwrap_or_default();
        let up = [("instance", name), ("driver", driver), ("algo", algo)];
        self.up.add(&up, flag(view.running));
        let pool = stats.pool.as_ref().map(url).unwrap_or_default();
        let version = view.run.as_ref().and_then(|run| run.version.as_deref()).unwrap_or_default();
        self.info.add(
            &[
                ("instance", name),
                ("driver", driver),
                ("driver_version", driver_version),
                ("miner_version", version),
                ("algo", algo),
                ("pool", &pool),
            ],
            1.0,
        );
        for (phase, word) in PHASES {
            self.phase.add(&[("instance", name), ("phase", word)], flag(view.phase == phase));
        }
        let state = view.watchdog.as_ref().map(|it| it.state.as_str());
        for word in ["healthy", "excused", "warning", "sick"] {
            let labels = [("instance", name), ("state", word)];
            if let Some(state) = state {
                self.health.add(&labels, flag(state == word));
            }
        }
        self.add_stats(name, algo, stats);
        for device in &stats.devices {
            self.add_device(name, algo, device);
        }
    }

    fn add_stats(&mut self, name: &str, algo: &str, stats: &PerformanceMetrics) {
        let only = [("instance", name)];
        let mut windows: Vec<(&str, f64)> = ["10s", "60s", "15m"]
            .into_iter()
            .filter_map(|window| Some((window, stats.hashrates.get(window).copied()??)))
            .collect();
        if !windows.iter().any(|(window, _)| *window == "10s") {
            windows.extend(stats.hashrate.map(|rate| ("10s", rate)));
        }
        for (window, rate) in windows {
            let labels = [("instance", name), ("algo", algo), ("window", window)];
            self.hashrate.add(&labels, rate);
        }
        self.add_shares(name, algo, [stats.shares, stats.rejected, stats.invalid, stats.stale]);
        // The first one is the main one, whose figures are above.
        for other in stats.algorithms.iter().skip(1) {
            let algo = other.algorithm.as_str();
            if let Some(rate) = other.hashrate {
                let labels = [("instance", name), ("algo", algo), ("window", "10s")];
                self.hashrate.add(&labels, rate);
            }
            self.add_shares(name, algo, [other.shares, other.rejected, other.invalid, other.stale]);
        }
        let main = [("instance", name), ("algo", algo)];
        self.hashes.add_some(&main, stats.hashes_total.map(float));
        self.difficulty.add_some(&only, stats.diff_current.map(float));
        #[expect(clippy::cast_precision_loss, reason = "seconds fit")]
        let last = stats.last_share.map(|at| at as f64);
        self.last_share.add_some(&only, last);
        if let Some(pool) = &stats.pool {
            let url = url(pool);
            let labels = [("instance", name), ("pool", url.as_str())];
            self.pool_connected.add_some(&labels, pool.connected.map(flag));
            self.pool_latency.add_some(&labels, pool.latency_ms.map(|ms| ms / 1000.0));
        }
        let extra = |key: &str| stats.extra_data.get(key).and_then(serde_json::Value::as_f64);
        self.huge_pages.add_some(&only, extra("hugePages"));
        self.huge_pages_wanted.add_some(&only, extra("hugePagesWanted"));
    }

    fn add_shares(&mut self, name: &str, algo: &str, counts: [Option<u64>; 4]) {
        for (result, count) in ["accepted", "rejected", "invalid", "stale"].into_iter().zip(counts)
        {
            let labels = [("instance", name), ("algo", algo), ("result", result)];
            self.shares.add_some(&labels, count.map(float));
        }
    }

    fn add_device(&mut self, name: &str, algo: &str, device: &DeviceMetrics) {
        let id = device.id.as_str();
        let pci = device.pci.as_deref().unwrap_or_default();
        let algo = device.algorithm.as_deref().unwrap_or(algo);
        let labels = [("instance", name), ("device", id), ("pci", pci), ("algo", algo)];
        self.device_hashrate.add_some(&labels, device.hashrate);
        let own = [("instance", name), ("device", id)];
        self.power.add_some(&own, device.power);
        self.fan.add_some(&own, device.fan);
        for (sensor, value) in [("core", device.temperature), ("memory", device.memory_temperature)]
        {
            let labels = [("instance", name), ("device", id), ("sensor", sensor)];
            self.temperature.add_some(&labels, value);
        }
    }
}

/// Where a pool is; what a program may put before it is no business of others.
fn url(pool: &PoolMetrics) -> String {
    pool.url.rsplit('@').next().unwrap_or_default().to_owned()
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

#[expect(clippy::cast_precision_loss, reason = "the format has floats only")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

trait AddSome {
    fn add_some(&mut self, labels: &[(&'static str, &str)], value: Option<f64>);
}

impl AddSome for Family {
    fn add_some(&mut self, labels: &[(&'static str, &str)], value: Option<f64>) {
        if let Some(value) = value {
            self.add(labels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use adit_model::series;

    fn view() -> MinerView {
        let stats = serde_json::json!({
            "hashrate": 12.5, "hashrates": { "10s": 12.5, "60s": null, "weird": 1.0 },
            "shares": 3, "rejected": 1, "algorithm": "rx/0", "diffCurrent": 1000,
            "hashesTotal": 5, "lastShare": 1_800_000_000, "phase": "mining",
            "pool": { "url": "WALLET:pass@pool.example:1", "connected": true, "latencyMs": 42.0 },
            "algorithms": [
                { "algorithm": "rx/0", "hashrate": 12.5 },
                { "algorithm": "kawpow", "hashrate": 30.0, "shares": 7 },
            ],
            "devices": [{
                "id": "pci:0000:01:00.0", "pci": "0000:01:00.0", "hashrate": 12.5,
                "temperature": 60.0, "memoryTemperature": 80.0, "power": 100.0, "fan": 0.5,
            }],
            "extraData": { "hugePages": 10, "hugePagesWanted": 20, "wallet": "WALLET" },
        });
        let view = serde_json::json!({
            "name": "rig", "minerType": "sim", "desired": "running", "phase": "mining",
            "running": true, "driverless": false, "restarts": 0, "restart": {}, "stats": stats,
        });
        serde_json::from_value(view).unwrap()
    }

    fn text(view: &MinerView) -> String {
        let mut families = Families::new();
        families.add_miner(view, "1.0.0");
        series::text(&families.all())
    }

    #[test]
    fn a_miner_becomes_series_in_base_units() {
        let text = text(&view());
        for line in [
            r#"miner_up{instance="rig",driver="sim",algo="rx/0"} 1"#,
            r#"miner_phase{instance="rig",phase="mining"} 1"#,
            r#"miner_phase{instance="rig",phase="failed"} 0"#,
            r#"miner_hashrate_hashes_per_second{instance="rig",algo="rx/0",window="10s"} 12.5"#,
            r#"miner_hashrate_hashes_per_second{instance="rig",algo="kawpow",window="10s"} 30"#,
            r#"miner_shares_total{instance="rig",algo="rx/0",result="accepted"} 3"#,
            r#"miner_shares_total{instance="rig",algo="kawpow",result="accepted"} 7"#,
            r#"miner_pool_latency_seconds{instance="rig",pool="pool.example:1"} 0.042"#,
            r#"miner_device_temperature_celsius{instance="rig",device="pci:0000:01:00.0",sensor="memory"} 80"#,
            r#"miner_device_fan_ratio{instance="rig",device="pci:0000:01:00.0"} 0.5"#,
            r#"miner_hugepages_requested{instance="rig"} 20"#,
            r#"miner_last_share_timestamp_seconds{instance="rig"} 1800000000"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }

    #[test]
    fn no_label_holds_a_wallet_and_no_window_is_made_up() {
        let text = text(&view());
        assert!(!text.contains("WALLET") && !text.contains("pass"), "{text}");
        assert!(!text.contains("weird") && !text.contains(r#"window="60s""#), "{text}");
    }

    #[test]
    fn no_series_is_there_twice_and_names_follow_the_rules() {
        let text = text(&view());
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|it| !it.starts_with('#')) {
            assert!(seen.insert(line.rsplit_once(' ').unwrap().0), "{line}");
        }
        for family in Families::new().all() {
            let is_counter = family.kind == series::Kind::Counter;
            assert_eq!(is_counter, family.name.ends_with("_total"), "{}", family.name);
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{}", family.name);
        }
    }
}
