//! What the operator can set about events.

use serde::Deserialize;

/// Who hears of what happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventSettings {
    /// Event streams that may be open at once.
    pub max_subscribers: usize,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self { max_subscribers: 256 }
    }
}

impl EventSettings {
    /// What is wrong, and what to write instead.
    pub(super) fn check(&self) -> Result<(), String> {
        if (1..=100_000).contains(&self.max_subscribers) {
            return Ok(());
        }
        Err(format!("events.max_subscribers {}: write 1 to 100000", self.max_subscribers))
    }
}
