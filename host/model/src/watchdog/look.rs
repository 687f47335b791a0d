//! One look at a run: its figures and its signs of life.

use adit_plugin_api::{Observation, PerformanceMetrics, Phase};
use serde::{Deserialize, Serialize};

/// Signs of life of a run, counted since the host has it in its hands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase", default)]
pub struct Signs {
    /// Lines of output that were read.
    pub lines: u64,
    /// Lines in which the driver saw the program at work: progress, a hashrate above 0.
    pub progress: u64,
    /// Lines that told a hashrate above 0.
    pub hashing: u64,
    /// Lines that told a hashrate of 0.
    pub idle: u64,
    /// Lines that told a share, whatever its fate.
    pub shares: u64,
    /// Whether the program has an API that the driver asks.
    pub has_api: bool,
    /// Times that the API answered with figures.
    pub api_replies: u64,
    /// CPU time of the program, in milliseconds; absent when it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
}

impl Signs {
    /// Counts what a line said.
    pub fn note(&mut self, observation: &Observation) {
        match observation {
            Observation::Hashrate { hashrate } if *hashrate > 0.0 => {
                self.hashing += 1;
                self.progress += 1;
            }
            Observation::Hashrate { .. } => self.idle += 1,
            Observation::Share { .. } => {
                self.shares += 1;
                self.progress += 1;
            }
            Observation::Progress => self.progress += 1,
            _ => {}
        }
    }
}

/// One look at a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Look {
    /// When, in Unix milliseconds. May jump.
    pub at_ms: i64,
    /// What the run does.
    pub phase: Phase,
    /// Its figures; what the API does not tell comes from the output and may be old.
    pub metrics: PerformanceMetrics,
    /// Its signs of life.
    pub signs: Signs,
    /// Whether the host cannot see: its driver is missing or out of order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
}
