//! A miner as the operator sees it.

use adit_plugin_api::{PerformanceMetrics, Phase};
use serde::{Deserialize, Serialize};

use crate::{
    name::{DriverId, MinerName},
    profile::ProfileId,
    restart::RestartPolicy,
    watchdog::incident::Health,
};

/// What the operator wants of a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// It shall run.
    Running,
    /// It shall not run.
    Stopped,
}

impl Desired {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// A text that is no wish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither running nor stopped")]
pub struct NoWish(String);

impl std::str::FromStr for Desired {
    type Err = NoWish;

    fn from_str(text: &str) -> Result<Self, NoWish> {
        match text {
            "running" => Ok(Self::Running),
            "stopped" => Ok(Self::Stopped),
            other => Err(NoWish(other.to_owned())),
        }
    }
}

/// One miner in lists and details.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinerView {
    /// Its name.
    pub name: MinerName,
    /// Id of its driver.
    pub miner_type: DriverId,
    /// What the operator wants.
    pub desired: Desired,
    /// What it does.
    pub phase: Phase,
    /// Whether a program runs.
    pub running: bool,
    /// Why it is in this phase, when there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the host will try again, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at_ms: Option<i64>,
    /// Whether its driver is missing or out of order; the program runs on all the same.
    pub driverless: bool,
    /// The run, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunView>,
    /// Times its program was started again since the host began or the operator started it.
    pub restarts: u32,
    /// What happens when its program ends by itself.
    pub restart: RestartPolicy,
    /// The profile that it was made from; it may be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_id: Option<ProfileId>,
    /// The last figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<PerformanceMetrics>,
    /// What the watchdog thinks of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Health>,
}

/// A run in lists and details.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// Process id of the program; a device has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Process id of the keeper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper_pid: Option<i32>,
    /// Addresses of the device, `host:port`; none for a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// When it was launched, in Unix milliseconds.
    pub started_at_ms: i64,
    /// Path of the program.
    pub program: String,
    /// Version of the program, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
