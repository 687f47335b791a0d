//! The payloads of messages.
//!
//! What asks for something is read strictly: a field that is not known is refused, not ignored.
//! What tells something may have more fields than this version knows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use adit_model::{
    name::{DriverId, MinerName},
    peer::{NodeRole, PublicKey},
    rights::Right,
};

/// Who one is, at the begin of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Handshake {
    /// What people call the node.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// Version of its program.
    pub version: String,
    /// Made anew at each start of the program, so that two machines with one key are noticed.
    #[schemars(with = "String")]
    pub instance: Uuid,
    /// What the receiver may do at the sender.
    pub rights: Vec<Right>,
    /// The key that will take over from the session's, while a rotation is under way.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<PublicKey>,
}

/// A sign of life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    /// What the last ping took there and back, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

/// The answer to a ping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pong {}

/// Asks for all figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetStats {}

/// Figures of a node's miners. A pushed one has only what changed since the one before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether it has everything, so that all that was known before is void.
    #[serde(default)]
    pub full: bool,
    /// Fields of miners that are new or changed, by the miner's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub miners: BTreeMap<String, Map<String, Value>>,
    /// Fields that have no value any more, by the miner's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unset: BTreeMap<String, Vec<String>>,
    /// Miners that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Time between two reports, in milliseconds; told with a full one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
}

/// Starts a miner: one that exists, a profile, or a new one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StartMiner {
    /// Name of the miner to start, or of the new one.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner_name: Option<MinerName>,
    /// Profile to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_id: Option<String>,
    /// Miner type of a new miner.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner_type: Option<DriverId>,
    /// Configuration of a new miner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
}

/// Stops a miner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopMiner {
    /// Its name.
    #[schemars(with = "String")]
    pub miner_name: MinerName,
}

/// Asks for what a miner printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetLogs {
    /// The miner's name.
    #[schemars(with = "String")]
    pub miner_name: MinerName,
    /// Last lines to return; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
    /// A cursor: return what came after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What a miner printed, secrets masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// Lines in order. Text from outside: show, never trust.
    pub lines: Vec<String>,
    /// Where the next piece begins.
    pub cursor: String,
    /// Bytes that were rotated away before they could be read.
    #[serde(default)]
    pub skipped_bytes: u64,
}

/// Asks for a chart of a miner's past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetHistory {
    /// The miner's name.
    #[schemars(with = "String")]
    pub miner_name: MinerName,
    /// From when on, in Unix milliseconds; the last five minutes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Until when, in Unix milliseconds; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Most points to return; 1,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<u32>,
    /// What of: hashrate when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
}

/// Asks for the samples that a node took of a miner while it could not be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetSamples {
    /// The miner's name.
    #[schemars(with = "String")]
    pub miner_name: MinerName,
    /// Age of the oldest that are wanted, in milliseconds. Ages, because clocks differ.
    pub ago_ms: u64,
}

/// Samples of a miner, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Samples {
    /// The samples.
    pub samples: Vec<OldSample>,
    /// What the sender's clock says now, in Unix milliseconds: where two clocks agree as far as can
    /// be measured, times need not be guessed from ages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_ms: Option<i64>,
    /// Age at which the next piece begins, in milliseconds; 0 when there is none.
    #[serde(default)]
    pub next_ago_ms: u64,
}

/// What a miner did at one moment; what nobody reported is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OldSample {
    /// Its age, in milliseconds.
    pub ago_ms: u64,
    /// Hashes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// Accepted shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<f64>,
    /// Rejected shares since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<f64>,
    /// The hottest device, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// All devices together, in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// The phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// A chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// As the node's own REST API has them.
    pub points: Value,
}

/// Installs the program of a miner type: a released version, verified there. Never bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Install {
    /// Which type.
    #[schemars(with = "String")]
    pub miner_type: DriverId,
    /// The version; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Writes a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deploy {
    /// Its name: one line for people, never a path.
    pub name: String,
    /// The miner type it is for.
    #[schemars(with = "String")]
    pub miner_type: DriverId,
    /// The configuration.
    pub config: Map<String, Value>,
    /// Names of pools there, in order of priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<Vec<Value>>,
    /// Name of a miner to start from it at once.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<MinerName>,
}

/// Something that happened at the sender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What kind of thing: `area.verb`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, by the sender's clock.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What there is to say about it.
    pub data: Value,
}

/// A message from a driver to the same driver there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriverMessage {
    /// The driver's id.
    #[schemars(with = "String")]
    pub driver: DriverId,
    /// What it says, in base64.
    pub data: String,
}

/// A driver's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriverAnswer {
    /// What it says, in base64.
    pub data: String,
}

/// Announces the key that will take over from the session's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotate {
    /// The key.
    #[schemars(with = "String")]
    pub next_key: PublicKey,
}

/// What was asked is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// What there is to say about it.
    #[serde(default)]
    pub result: Value,
}

/// What was asked was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The kind of fault, for programs: upper case, stable.
    pub code: String,
    /// One sentence.
    pub message: String,
}

impl Fault {
    /// A fault with this code and sentence.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}
