//! What could be wrong with a rig, and what to do about it. Facts in, findings out.

pub mod machine;

use serde::{Deserialize, Serialize};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at, for programs: camelCase, stable.
    pub id: String,
    /// Whether it is well.
    pub verdict: Verdict,
    /// What was seen, one sentence.
    pub told: String,
    /// What to do about it, one sentence; absent where there is nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The line for a shell that does it, whole; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Whether something is well, from good to bad.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    #[default]
    Ok,
    /// It cannot be known, or matters for some miners only.
    Note,
    /// It works, and worse than it could.
    Warning,
    /// Something does not work, or will soon not.
    Problem,
}

impl Verdict {
    /// The word for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl Finding {
    /// Something that is well.
    pub fn ok(id: &str, told: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            verdict: Verdict::Ok,
            told: told.into(),
            fix: None,
            command: None,
        }
    }

    /// Something that is not, and what to do about it.
    pub fn bad(
        id: &str,
        verdict: Verdict,
        told: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { id: id.to_owned(), verdict, told: told.into(), fix: Some(fix.into()), command: None }
    }

    /// Something that cannot be known here.
    pub fn unknown(id: &str, told: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            verdict: Verdict::Note,
            told: told.into(),
            fix: None,
            command: None,
        }
    }

    /// The same with the line for a shell that mends it.
    #[must_use]
    pub fn with_command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

/// The worst of all verdicts.
pub fn worst(findings: &[Finding]) -> Verdict {
    findings.iter().map(|it| it.verdict).max().unwrap_or_default()
}
