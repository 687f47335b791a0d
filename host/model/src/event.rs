//! Something that happened, as everybody who listens is told.

mod filter;

pub use filter::{BadFilter, Filter};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Room for ids between two milliseconds of a host's start: see [`first_id`].
const IDS_A_MILLISECOND: u64 = 1 << 12;

/// Something that happened on this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// Grows from event to event, also over a restart of the host. Below 2^53.
    pub id: u64,
    /// When it happened, to the millisecond.
    #[serde(rename = "timestamp")]
    pub at: jiff::Timestamp,
    /// What kind of thing happened: `area.verb` in lower case, such as `miner.started`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What there is to say about it, an object. What concerns a miner has its name in `name`.
    pub data: Value,
}

impl Event {
    /// The name of the miner that this is about, if it is about one.
    pub fn miner(&self) -> Option<&str> {
        let name = self.kind.starts_with("miner.") || self.data.get("minerType").is_some();
        self.data.get("name").filter(|_| name).and_then(Value::as_str)
    }
}

/// The id before the first event of a host that started at `at_ms` (Unix milliseconds).
///
/// Each host counts on from its own start, so the ids of two hosts do not overlap unless the
/// clock was set back in between or one published more than 4,096 events a millisecond.
pub fn first_id(at_ms: i64) -> u64 {
    u64::try_from(at_ms).unwrap_or(0).saturating_mul(IDS_A_MILLISECOND)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_of_a_later_host_are_larger_and_exact_in_every_language() {
        let at_ms = 1_795_000_000_000;
        assert!(first_id(at_ms) + 4_000 < first_id(at_ms + 1));
        // JavaScript has no larger exact integer.
        assert!(first_id(at_ms + 1_000 * 86_400_000) < 1 << 53);
        assert_eq!(first_id(-1), 0);
    }

    #[test]
    fn only_events_of_a_miner_name_one() {
        let event = |kind: &str, data| Event {
            id: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            kind: kind.to_owned(),
            data,
        };
        assert_eq!(event("miner.started", json!({ "name": "rig-1" })).miner(), Some("rig-1"));
        assert_eq!(event("profile.created", json!({ "name": "night" })).miner(), None);
        assert_eq!(event("miner.started", json!({})).miner(), None);
        let watchdog = json!({ "name": "rig-1", "minerType": "sim" });
        assert_eq!(event("watchdog.restarted", watchdog).miner(), Some("rig-1"));
    }
}
