//! `[drivers]`: where drivers are, where their code runs, and what they may use.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;

use adit_drivers::{
    handle::{Isolation, Limits},
    health::Tolerance,
    lock::Trust,
    runner::Rations,
};
use adit_model::name::DriverId;

/// Where drivers are, where their code runs, and what they may use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriverSettings {
    /// Folders to search before the standard ones.
    pub dirs: Vec<PathBuf>,
    /// Limit of one call to a driver, in milliseconds; making an object may take twice as long.
    pub call_timeout_ms: u64,
    /// Calls to one driver that may be under way at once.
    pub calls_at_once: usize,
    /// `"any"`, or `"pinned"`: only files whose SHA-256 was approved with `adit driver trust`.
    pub trust: Trust,
    /// `"process"` or `"in-process"` by driver id. Without: drivers that came with the host run in
    /// its process, all others in one of their own.
    pub isolation: BTreeMap<DriverId, Isolation>,
    /// Memory that a driver's own process may fill, in MiB.
    pub memory_mib: u64,
    /// Share of one processor core that a driver's own process may use, in percent.
    pub cpu_percent: u32,
    /// Threads that a driver's own process may have, besides those that answer the host.
    pub threads: u64,
    /// What a driver's own process may store in its folder, in MiB.
    pub disk_mib: u64,
    /// Lines that a driver's own process may write to the host's log each second.
    pub log_lines_per_second: u32,
    /// Ids of drivers whose own process may use the network.
    pub network: BTreeSet<DriverId>,
    /// Whether a driver is refused when this system cannot hold its process to all limits.
    pub require_enforcement: bool,
    /// So many panics, missed deadlines and crashes within ten minutes, and a driver is in
    /// quarantine; 0: never.
    pub quarantine_failures: usize,
}

impl Default for DriverSettings {
    fn default() -> Self {
        let usual = Rations::default();
        Self {
            dirs: Vec::new(),
            call_timeout_ms: 5_000,
            calls_at_once: 3,
            trust: Trust::default(),
            isolation: BTreeMap::new(),
            memory_mib: usual.memory_bytes >> 20,
            cpu_percent: usual.cpu_percent,
            threads: usual.threads,
            disk_mib: usual.disk_bytes >> 20,
            log_lines_per_second: usual.log_lines_per_second,
            network: usual.network,
            require_enforcement: usual.require_enforcement,
            quarantine_failures: Tolerance::default().failures,
        }
    }
}

impl DriverSettings {
    /// Refuses values that make no sense, with what to write instead.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, value, least, most) in [
            ("drivers.call_timeout_ms", self.call_timeout_ms, 100, 600_000),
            ("drivers.calls_at_once", self.calls_at_once as u64, 1, 64),
            ("drivers.memory_mib", self.memory_mib, 64, 1 << 20),
            ("drivers.cpu_percent", u64::from(self.cpu_percent), 1, 6_400),
            ("drivers.threads", self.threads, 1, 4_096),
            ("drivers.disk_mib", self.disk_mib, 1, 1 << 20),
            ("drivers.log_lines_per_second", u64::from(self.log_lines_per_second), 1, 10_000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} {value}: write {least} to {most}"));
            }
        }
        Ok(())
    }

    /// How long drivers may take.
    pub fn limits(&self) -> Limits {
        let call = Duration::from_millis(self.call_timeout_ms);
        Limits { call, create: call * 2, calls_at_once: self.calls_at_once }
    }

    /// How many failures drivers are forgiven.
    pub fn tolerance(&self) -> Tolerance {
        Tolerance { failures: self.quarantine_failures, ..Tolerance::default() }
    }

    /// What a driver's own process gets.
    pub fn rations(&self) -> Rations {
        Rations {
            memory_bytes: self.memory_mib << 20,
            cpu_percent: self.cpu_percent,
            threads: self.threads,
            disk_bytes: self.disk_mib << 20,
            log_lines_per_second: self.log_lines_per_second,
            network: self.network.clone(),
            require_enforcement: self.require_enforcement,
        }
    }
}
