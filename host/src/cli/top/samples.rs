//! Miners for the tests.

use serde_json::json;

use crate::cli::top::state::{News, State};
use adit_model::{miner::MinerView, name::MinerName, restart::RestartPolicy};

pub(super) fn name(text: &str) -> MinerName {
    MinerName::new(text).unwrap()
}

/// A miner that runs since 100 s before [`NOW`].
pub(super) fn miner(name: &str, stats: &serde_json::Value) -> MinerView {
    serde_json::from_value(json!({
        "name": name, "minerType": "sim", "desired": "running", "phase": "mining",
        "running": true, "driverless": false, "restarts": 0,
        "restart": serde_json::to_value(RestartPolicy::default()).unwrap(),
        "run": { "id": "r", "pid": 7, "startedAtMs": NOW - 100_000, "program": "/p" },
        "stats": stats,
    }))
    .unwrap()
}

pub(super) const NOW: i64 = 1_800_000_000_000;

pub(super) fn look(miners: Vec<MinerView>) -> News {
    News::Look { about: None, miners, detail: None }
}

/// A state at [`NOW`] that knows nothing yet.
pub(super) fn fresh() -> State {
    let mut state = State::default();
    state.now_ms = NOW;
    state
}
