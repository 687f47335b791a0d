//! What other people's tools want to read, made of the figures that every driver has: the summary
//! of XMRig, the statistics of HiveOS and mmpOS, and the answer of Claymore's miners.
//!
//! Each dialect has its own units and its own order; here is the one place that knows them. What
//! nobody reported is `null` where the dialect allows it.

pub mod claymore;
pub mod hive;
pub mod mmp;
pub mod xmrig;

use adit_plugin_api::{DeviceMetrics, PerformanceMetrics};

use crate::miner::MinerView;

/// What the dialects tell of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    /// Name of the miner.
    pub name: String,
    /// Its type.
    pub miner_type: String,
    /// Version of its program, when known.
    pub version: Option<String>,
    /// Name of this rig.
    pub worker: String,
    /// Whether its program runs.
    pub running: bool,
    /// Algorithms that it can mine, as its driver says.
    pub algorithms: Vec<String>,
    /// Its figures.
    pub stats: PerformanceMetrics,
    /// The machine.
    pub machine: Machine,
}

/// What XMRig tells of a machine; absent where the system does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Memory in bytes: free, and all.
    pub memory: Option<(u64, u64)>,
    /// Mean number of waiting processes over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Processors.
    pub threads: u64,
    /// Its processors.
    pub processor: Processor,
}

/// The processors of a machine, taken together. A fact that the system does not report is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Processor {
    /// Its name.
    pub brand: Option<String>,
    /// Family, as its maker counts.
    pub family: Option<u64>,
    /// Model of the family.
    pub model: Option<u64>,
    /// Revision of the model.
    pub stepping: Option<u64>,
    /// Physical cores.
    pub cores: Option<u64>,
    /// Sockets.
    pub packages: Option<u64>,
    /// Memory nodes.
    pub nodes: Option<u64>,
    /// Level 2 caches, in bytes.
    pub l2: Option<u64>,
    /// Level 3 caches, in bytes.
    pub l3: Option<u64>,
    /// What it can do, in XMRig's names.
    pub flags: Vec<&'static str>,
}

impl Processor {
    /// Whether it has the feature that XMRig calls `flag`.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// Family, model and stepping as the processor itself packs them into one number (CPUID leaf 1).
    pub fn signature(&self) -> Option<u64> {
        let (family, model, stepping) = (self.family?, self.model?, self.stepping?);
        let extended = family.saturating_sub(15);
        let base = family.min(15);
        Some((extended << 20) | ((model >> 4) << 16) | (base << 8) | ((model & 15) << 4) | stepping)
    }
}

impl Subject {
    /// `miner` on the rig `worker`. Its driver's algorithms are not known here.
    pub fn new(miner: MinerView, worker: &str, machine: Machine) -> Self {
        let stats = miner.stats.unwrap_or_default();
        let told = stats.extra_data.get("version").and_then(|it| it.as_str()).map(str::to_owned);
        Self {
            name: miner.name.to_string(),
            miner_type: miner.miner_type.to_string(),
            version: told.or_else(|| miner.run.and_then(|run| run.version)),
            worker: worker.to_owned(),
            running: miner.running,
            algorithms: Vec::new(),
            stats,
            machine,
        }
    }

    /// The devices of the main algorithm.
    fn devices(&self) -> Vec<&DeviceMetrics> {
        let main = self.stats.algorithm.as_ref();
        let is_main = |it: &&DeviceMetrics| it.algorithm.is_none() || it.algorithm.as_ref() == main;
        self.stats.devices.iter().filter(is_main).collect()
    }

    /// The second algorithm of a miner that runs two, and its devices.
    fn second(&self) -> Option<(&adit_plugin_api::AlgorithmMetrics, Vec<&DeviceMetrics>)> {
        let second = self.stats.algorithms.get(1)?;
        let is_its = |it: &&DeviceMetrics| it.algorithm.as_ref() == Some(&second.algorithm);
        Some((second, self.stats.devices.iter().filter(is_its).collect()))
    }
}

/// Number of the PCI bus of `device`, when it is on one.
fn bus(device: &DeviceMetrics) -> Option<u64> {
    let address = device.pci.as_deref().or_else(|| device.id.strip_prefix("pci:"))?;
    let (rest, _) = address.rsplit_once(':')?;
    let bus = rest.rsplit_once(':').map_or(rest, |(_, bus)| bus);
    u64::from_str_radix(bus, 16).ok()
}

/// Whether `device` is a processor.
fn is_cpu(device: &DeviceMetrics) -> bool {
    device.id.starts_with("cpu")
}

/// A share of 1 as whole percent.
fn percent(share: f64) -> u64 {
    whole(share * 100.0)
}

/// The nearest whole number; nothing below 0.
fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "such a conversion saturates, and what is negative or no number becomes 0"
    )]
    let whole = value.round() as u64;
    whole
}

#[cfg(test)]
pub(crate) mod samples {
    use adit_plugin_api::{AlgorithmMetrics, PoolMetrics};
    use serde_json::json;

    use super::*;

    /// Two graphics cards, one of which tells nothing but its hashrate.
    pub(crate) fn cards() -> Subject {
        let pool = PoolMetrics {
            url: "pool.example:4444".to_owned(),
            connected: Some(true),
            session_ms: Some(3_600_000),
            latency_ms: Some(41.6),
            difficulty: Some(4_294_967_296),
            error: None,
        };
        let known = DeviceMetrics {
            id: "pci:0000:0a:00.0".to_owned(),
            pci: Some("0000:0a:00.0".to_owned()),
            name: Some("NVIDIA GeForce RTX 3080".to_owned()),
            hashrate: Some(50_500_000.0),
            accepted: Some(7),
            rejected: Some(1),
            invalid: Some(2),
            temperature: Some(61.4),
            fan: Some(0.5),
            power: Some(220.2),
            ..DeviceMetrics::default()
        };
        let silent = DeviceMetrics {
            id: "pci:0000:01:00.0".to_owned(),
            hashrate: Some(49_500_000.0),
            ..DeviceMetrics::default()
        };
        let stats = PerformanceMetrics {
            hashrate: Some(100_000_000.0),
            hashrates: [("60s".to_owned(), Some(99_000_000.0))].into(),
            shares: Some(12),
            rejected: Some(1),
            invalid: Some(2),
            uptime: Some(3_725),
            algorithm: Some("kawpow".to_owned()),
            diff_current: Some(4_294_967_296),
            pool: Some(pool),
            devices: vec![known, silent],
            extra_data: json!({ "version": "2024.3.2" }).as_object().cloned().unwrap_or_default(),
            ..PerformanceMetrics::default()
        };
        Subject {
            name: "rig-1".to_owned(),
            miner_type: "acme".to_owned(),
            version: Some("2024.3.2".to_owned()),
            worker: "rig".to_owned(),
            running: true,
            algorithms: vec!["kawpow".to_owned(), "zil".to_owned()],
            stats,
            machine: Machine::default(),
        }
    }

    /// The same with a second algorithm on the first card.
    pub(crate) fn dual() -> Subject {
        let mut subject = cards();
        let of = |algorithm: &str, hashrate, shares| AlgorithmMetrics {
            algorithm: algorithm.to_owned(),
            hashrate: Some(hashrate),
            shares: Some(shares),
            ..AlgorithmMetrics::default()
        };
        subject.stats.algorithms = vec![of("kawpow", 1e8, 12), of("zil", 3e7, 4)];
        let mut other = subject.stats.devices[0].clone();
        (other.algorithm, other.hashrate) = (Some("zil".to_owned()), Some(3e7));
        subject.stats.devices.push(other);
        subject
    }

    #[test]
    fn buses_are_read_from_addresses() {
        let of = |id: &str, pci: Option<&str>| {
            let pci = pci.map(str::to_owned);
            bus(&DeviceMetrics { id: id.to_owned(), pci, ..DeviceMetrics::default() })
        };
        assert_eq!(of("pci:0000:0a:00.0", None), Some(10));
        assert_eq!(of("index:3", Some("0000:c1:00.0")), Some(193));
        assert_eq!(of("uuid:GPU-1", Some("01:00.0")), Some(1));
        for none in ["cpu:0", "index:3", "pci:", "pci:zz:00.0"] {
            assert_eq!(of(none, None), None, "{none}");
        }
    }
}
