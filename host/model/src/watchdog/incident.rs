//! What is written down of a warning or an action, with what it was decided from.

use serde::{Deserialize, Serialize};

use crate::{
    name::MinerName,
    watchdog::{Cause, Excuse, Finding, Verdict, ladder::Remedy, look::Look},
};

/// Lines of output in the evidence.
pub const LINES: usize = 200;
/// Longest line in the evidence, in characters.
pub const LINE_CHARS: usize = 500;
/// Looks in the evidence: ten minutes at one look in 10 s.
pub const LOOKS: usize = 60;

/// A warning or an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its number on this node; grows.
    pub id: i64,
    /// The miner.
    pub miner: MinerName,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// The run that was judged.
    pub run: String,
    /// What was wrong.
    pub cause: Cause,
    /// What was done; absent: nothing, this is a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Remedy>,
    /// One sentence for people.
    pub summary: String,
}

/// What a decision was made from. Secrets are masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Evidence {
    /// What each source said, one sentence each.
    pub signals: Vec<String>,
    /// The last lines of output, oldest first.
    pub lines: Vec<String>,
    /// The last looks, oldest first.
    pub looks: Vec<Look>,
    /// Why some of it is missing, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// What the watchdog thinks of a miner, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `healthy`, `excused`, `warning` or `sick`.
    pub state: HealthState,
    /// Why it is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excuse: Option<Excuse>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// The operator works on the miner until then, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_until_ms: Option<i64>,
}

/// The judgement in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// Nothing speaks against it.
    Healthy,
    /// It is not judged.
    Excused,
    /// One source says that something is odd.
    Warning,
    /// It is sick.
    Sick,
}

impl HealthState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Excused => "excused",
            Self::Warning => "warning",
            Self::Sick => "sick",
        }
    }
}

impl Health {
    /// The view of a verdict.
    pub fn of(verdict: &Verdict, maintenance_until_ms: Option<i64>) -> Self {
        let (state, excuse) = match verdict {
            Verdict::Healthy => (HealthState::Healthy, None),
            Verdict::Excused(excuse) => (HealthState::Excused, Some(*excuse)),
            Verdict::Warning(_) => (HealthState::Warning, None),
            Verdict::Sick(_) => (HealthState::Sick, None),
        };
        Self { state, excuse, finding: verdict.finding().cloned(), maintenance_until_ms }
    }
}
