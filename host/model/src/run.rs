//! One launch of a miner's program, as host and keeper write it down.

use std::{collections::BTreeMap, path::PathBuf};

use adit_plugin_api::{Console, StopPlan};
use serde::{Deserialize, Serialize};

use crate::name::MinerName;

/// Id of a run: unique for all time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub uuid::Uuid);

impl RunId {
    /// A new id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

/// Everything a keeper needs to run a program. Holds secrets: stored with mode 0600.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSpec {
    /// The run.
    pub run: RunId,
    /// The miner it belongs to.
    pub miner: MinerName,
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments, one word each.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// The directories that it may write in; anywhere when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<PathBuf>,
    /// What its stdin, stdout and stderr are.
    pub console: Console,
    /// What to write to its stdin right after the start.
    pub stdin: Option<String>,
    /// How to end it.
    pub stop: StopPlan,
    /// How much of its output to keep.
    #[serde(default)]
    pub log: LogLimits,
}

/// Bounds of a miner's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogLimits {
    /// Size at which a log file is closed and the next begun, in bytes.
    pub file_bytes: u64,
    /// Number of files kept, the one being written included.
    pub files: u32,
    /// What may reach the disk over time, in bytes per second.
    pub bytes_per_second: u64,
    /// What may reach the disk at once, in bytes.
    pub burst_bytes: u64,
}

impl Default for LogLimits {
    /// Two files of 4 MiB; 256 KiB a second, 1 MiB at once.
    fn default() -> Self {
        Self { file_bytes: 4 << 20, files: 2, bytes_per_second: 256 << 10, burst_bytes: 1 << 20 }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitRecord {
    /// The run.
    pub run: RunId,
    /// Exit code, when the program ended by itself.
    pub code: Option<i32>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// Whether it ended because a stop was asked for.
    pub by_stop: bool,
    /// When it was launched, in Unix milliseconds.
    pub started_at_ms: i64,
    /// When it ended, in Unix milliseconds.
    pub ended_at_ms: i64,
    /// CPU time of the program and its children, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Lines of output that were dropped to bound the log.
    pub lines_dropped: u64,
}

/// A run that is going on, as its keeper tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Version of the keeper's socket protocol.
    pub protocol: u32,
    /// The run.
    pub run: RunId,
    /// The keeper.
    pub keeper: ProcessId,
    /// The program.
    pub program: ProcessId,
    /// When it was launched, in Unix milliseconds.
    pub started_at_ms: i64,
    /// Whether a stop is under way.
    pub stopping: bool,
    /// Lines of output so far, and how many of them were dropped to bound the log.
    pub lines: u64,
    /// Lines of output that were dropped.
    pub lines_dropped: u64,
    /// Milliseconds since the program's last output; `None` before the first.
    pub silent_ms: Option<u64>,
    /// Why the log cannot be written at the moment, such as a full disk.
    pub log_error: Option<String>,
}

/// A process that cannot be mistaken for another one, not even after its pid was used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessId {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// `/proc/sys/kernel/random/boot_id` of the boot it belongs to.
    pub boot_id: String,
}
