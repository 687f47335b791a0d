//! The history of miners: what is kept of a tick, how it is packed, and how charts are made of it.
//!
//! Time is tick numbers, and a gap is the lack of them. Everything here is a function from values
//! to values; the database is elsewhere.

pub mod chunk;
pub mod column;
pub mod phases;
pub mod reading;
pub mod recent;
pub mod recorder;
pub mod retention;
pub mod tail;
pub mod thin;
mod varint;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What is kept of a miner, each in a column of its own.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Hashes per second.
    #[default]
    Hashrate,
    /// Accepted shares since the run began.
    Accepted,
    /// Rejected shares since the run began.
    Rejected,
    /// The hottest device, in degrees Celsius.
    Temperature,
    /// All devices together, in watts.
    Power,
    /// What the miner does.
    Phase,
}

impl Metric {
    /// All of them, by number.
    pub const ALL: [Self; 6] = [
        Self::Hashrate,
        Self::Accepted,
        Self::Rejected,
        Self::Temperature,
        Self::Power,
        Self::Phase,
    ];

    /// Its place in [`ALL`](Self::ALL), and in the keys of the database.
    pub fn number(self) -> u8 {
        match self {
            Self::Hashrate => 0,
            Self::Accepted => 1,
            Self::Rejected => 2,
            Self::Temperature => 3,
            Self::Power => 4,
            Self::Phase => 5,
        }
    }

    /// Its word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hashrate => "hashrate",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Temperature => "temperature",
            Self::Power => "power",
            Self::Phase => "phase",
        }
    }
}

/// A text that names no metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no metric: write hashrate, accepted, rejected, temperature, power or phase")]
pub struct NoMetric(String);

impl FromStr for Metric {
    type Err = NoMetric;

    fn from_str(text: &str) -> Result<Self, NoMetric> {
        let found = Self::ALL.into_iter().find(|metric| metric.as_str() == text);
        found.ok_or_else(|| NoMetric(text.chars().take(40).collect()))
    }
}

/// What a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One miner.
    Miner,
    /// All miners of one algorithm together.
    Algorithm,
    /// All miners of the node together. Hashrates of different algorithms do not add up, so it has
    /// none.
    Fleet,
    /// All miners at one pool together. They have a hashrate while they mine the same algorithm.
    Pool,
    /// One miner of another node, by that node's id and its name: no miner of this node can be
    /// called like that.
    Remote,
}

impl Kind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Miner => "miner",
            Self::Algorithm => "algorithm",
            Self::Fleet => "fleet",
            Self::Pool => "pool",
            Self::Remote => "remote",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Miner, Self::Algorithm, Self::Fleet, Self::Pool, Self::Remote];
        all.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| text.to_owned())
    }
}

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged history: {0}")]
pub struct Damaged(pub &'static str);

/// A miner's hashrate over all its history, as existing clients know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HashrateStats {
    /// The miner.
    pub miner_name: String,
    /// How many samples there are.
    pub total_points: u64,
    /// Their mean in whole H/s: existing clients read whole numbers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_rate: Option<u64>,
    /// The largest in whole H/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<u64>,
    /// The least in whole H/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_rate: Option<u64>,
    /// The mean as it is, in H/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The largest as it is, in H/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The least as it is, in H/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// When the first was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<jiff::Timestamp>,
    /// When the last was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<jiff::Timestamp>,
}
