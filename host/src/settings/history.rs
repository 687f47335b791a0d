//! What the operator can set about the history.

use serde::Deserialize;

/// How long figures and events are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySettings {
    /// Days until figures and events are deleted. 0 turns the history off: nothing is written, and
    /// what is there stays and can be read.
    pub retention_days: u32,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { retention_days: 30 }
    }
}

impl HistorySettings {
    /// What is wrong, and what to write instead.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.retention_days <= 3_650 {
            return Ok(());
        }
        Err(format!(
            "history.retention_days {}: write 1 to 3650, or 0 to turn the history off",
            self.retention_days
        ))
    }
}
