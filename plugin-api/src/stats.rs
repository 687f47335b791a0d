//! What a miner is doing, in numbers: fixed units, absent when unknown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One moment of one miner.
///
/// Units are the same everywhere: hashes per second, seconds, watts, degrees Celsius,
/// milliseconds for latency. A value the miner did not report is `None`, never 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PerformanceMetrics {
    /// Hashes per second now, of the main algorithm; the 10 s window where the miner has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// Shares the pool accepted since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Shares the pool rejected since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
    /// Shares the miner itself found wrong (hardware errors) since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<u64>,
    /// Shares that came too late since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<u64>,
    /// Seconds since the run began, as the miner itself counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<u64>,
    /// When the last share was accepted, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_share: Option<i64>,
    /// The main algorithm's id as miners write it, such as `rx/0` or `kawpow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Difficulty of the current job. May be as large as `u64::MAX`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_current: Option<u64>,
    /// Mean difficulty of the accepted shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_difficulty: Option<u64>,
    /// What the run is doing, when the miner tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Hashes per second by averaging window: `10s`, `60s`, `15m`. A window that the miner has but
    /// cannot fill yet is `null`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hashrates: BTreeMap<String, Option<f64>>,
    /// Hashes computed since the run began, of the main algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashes_total: Option<u64>,
    /// The pool in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolMetrics>,
    /// Figures by algorithm for a miner that runs more than one at a time; the first is the main
    /// one and equals the figures above. Empty for a miner with a single algorithm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<AlgorithmMetrics>,
    /// Figures by device. Their hashrates of one algorithm add up to that algorithm's hashrate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceMetrics>,
    /// Whatever else this miner reports, under names of the driver's choice. Never a secret.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra_data: Map<String, Value>,
}

/// One algorithm's figures of a miner that runs several at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct AlgorithmMetrics {
    /// The algorithm's id as miners write it.
    pub algorithm: String,
    /// Hashes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// Accepted shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Rejected shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
    /// Invalid shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<u64>,
    /// Stale shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<u64>,
    /// The pool this algorithm is mined at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolMetrics>,
}

/// The pool a miner works for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PoolMetrics {
    /// `host:port`, without user and password.
    pub url: String,
    /// Whether the session with the pool is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Age of the session with the pool, in milliseconds. It tells a new session from one that was
    /// there before a change of pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_ms: Option<u64>,
    /// Time between a share and the pool's answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Share difficulty the pool set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u64>,
    /// What the pool or the connection complained of last. Text from outside: show, never trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One CPU, GPU, board or chip of a miner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceMetrics {
    /// The most stable id known: `pci:0000:01:00.0`, `uuid:GPU-…`, `cpu:0` or `index:3`.
    pub id: String,
    /// PCI address `0000:01:00.0`, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// The vendor's UUID of the device, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The program's own index of the device, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Algorithm this figure belongs to; absent: the main one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Hashes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// Accepted shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u64>,
    /// Rejected shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
    /// Invalid shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<u64>,
    /// Core temperature in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Memory temperature in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_temperature: Option<f64>,
    /// Fan speed as a share of its maximum, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fan: Option<f64>,
    /// Power draw in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
}

/// What a miner is doing.
///
/// A driver reports the phases of a run; the host alone sets `stopping`, `backoff`, `stopped` and
/// `failed`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// The program was launched and has said nothing yet.
    #[default]
    Starting,
    /// It builds what it needs before it can hash: a dataset, a DAG, kernels.
    Preparing,
    /// It tries to reach a pool.
    Connecting,
    /// It hashes and waits for its first share.
    Waiting,
    /// It hashes and shares are being accepted.
    Mining,
    /// It was asked to pause.
    Paused,
    /// It runs, but something is wrong: no pool, a lost device, no hashes.
    Degraded,
    /// It was asked to stop.
    Stopping,
    /// It ended and will be started again after a pause.
    Backoff,
    /// It does not run and is not meant to.
    Stopped,
    /// It does not run because it cannot; the reason is shown beside it.
    Failed,
    /// A phase this version does not know.
    #[serde(other)]
    Unknown,
}
