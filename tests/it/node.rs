//! Nodes that command each other, seen from outside.

mod fleet;
mod killed;
mod namespaces;
mod partition;
mod past;
mod relay;

use serde_json::{Value, json};

use crate::host::{Host, wait_for};

/// A host that is a node of `role`, listening on loopback.
fn node(name: &str, role: &str) -> Host {
    node_at(name, role, "127.0.0.1:0")
}

fn node_at(name: &str, role: &str, listen: &str) -> Host {
    node_with(name, role, &format!("[node]\nlisten = \"{listen}\"\n"))
}

/// A node whose settings file has `text` after the usual settings.
pub(crate) fn node_with(name: &str, role: &str, text: &str) -> Host {
    let mut host = Host::absent();
    init(&mut host, name, role, text);
    host
}

/// Starts `host` with `text` after its usual settings and makes it a node.
pub(crate) fn init(host: &mut Host, name: &str, role: &str, text: &str) {
    let usual = std::fs::read_to_string(host.settings()).unwrap();
    std::fs::write(host.settings(), format!("{usual}{text}")).unwrap();
    host.up(&[]);
    host.ok("POST", "/node/init", &json!({ "name": name, "role": role }));
}

pub(crate) fn id(host: &Host) -> String {
    host.get("/node/info")["identity"]["id"].as_str().unwrap().to_owned()
}

/// Has `worker` join `controller` and waits until both see each other.
pub(crate) fn join(worker: &Host, controller: &Host, tags: &[&str]) {
    let made = controller.ok("POST", "/node/invite", &json!({ "tags": tags }));
    worker.ok("POST", "/node/join", &json!({ "invite": made["invite"] }));
    wait_for_peer(controller, &id(worker));
    wait_for_peer(worker, &id(controller));
}

fn wait_for_peer(host: &Host, peer: &str) {
    wait_for("the peer to be connected", || {
        (host.get(&format!("/peers/{peer}"))["connected"] == true).then_some(())
    });
}

/// Gives the peer `peer` of `host` these rights there.
pub(crate) fn allow(host: &Host, peer: &str, rights: &[&str]) {
    host.ok("PUT", &format!("/peers/{peer}"), &json!({ "rights": rights }));
}

/// The figures of a miner of `peer`, as `controller` was told.
pub(crate) fn remote_miner(controller: &Host, peer: &str, miner: &str) -> Value {
    controller.get("/remote/stats")["peers"][peer]["miners"][miner].clone()
}
