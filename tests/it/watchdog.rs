//! The watchdog over real runs: the sick are helped, with evidence, and the healthy never touched.

mod healthy;
mod income;
mod sick;

use serde_json::{Value, json};

use crate::host::{Host, wait_for};

/// A host whose patience is seconds instead of minutes.
pub(crate) fn impatient(more: &str) -> Host {
    let mut host = Host::absent();
    let settings = format!(
        "[miners]\nstats_interval_ms = 200\noutput_interval_ms = 50\n\
         [watchdog]\nstarting_s = 4\npreparing_s = 10\nwaiting_s = 4\npool_s = 2\nsilence_s = 3\n\
         api_s = 3\nzero_s = 3\nshare_s = 3\ndevice_s = 3\nslow_s = 3\nactions_per_hour = 20\n\
         retry_s = 0\n{more}\n"
    );
    std::fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    host
}

/// The incidents of a miner, newest first.
pub(crate) fn incidents(host: &Host, name: &str) -> Vec<Value> {
    let list = host.get(&format!("/miners/{name}/incidents"));
    list.as_array().unwrap().clone()
}

/// Waits for an incident with this action.
pub(crate) fn wait_for_action(host: &Host, name: &str, action: &str) -> Value {
    wait_for(&format!("{name}: {action}: {}\n{}", host.miner(name), host.log()), || {
        incidents(host, name).into_iter().find(|it| it["action"] == action)
    })
}

/// Has the miner `name` be found frozen and not without hashes, and be helped once: of two silences
/// that began together a late look may find either first.
pub(crate) fn patient_about_hashes(host: &Host, name: &str) {
    let options = json!({ "zeroS": 10, "actionsPerHour": 1 });
    host.ok("PUT", &format!("/miners/{name}/watchdog"), &options);
}

/// A simulated miner that comes to grief in this way.
pub(crate) fn grief(host: &Host, name: &str, misbehave: &Value) -> Value {
    host.simulate(name, &json!({ "misbehave": misbehave }))
}
