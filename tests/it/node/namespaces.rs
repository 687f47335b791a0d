//! Three nodes, each in a network of its own: only root may make these.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::host::{Host, wait_for};

/// Networks of a controller and two rigs, joined by virtual cables. Taken away at the end.
struct Networks {
    names: [String; 3],
}

#[expect(clippy::disallowed_methods, reason = "a test prepares its networks")]
fn ip(args: &[&str]) -> Output {
    Command::new("/usr/sbin/ip").args(args).output().unwrap()
}

fn must(args: &[&str]) {
    let output = ip(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Networks {
    fn new() -> Self {
        let names = ["farm", "one", "two"].map(|it| format!("adit-{it}-{}", std::process::id()));
        let networks = Self { names };
        for name in &networks.names {
            must(&["netns", "add", name]);
            must(&["-n", name, "link", "set", "lo", "up"]);
        }
        let farm = &networks.names[0];
        for (number, rig) in ["1", "2"].into_iter().zip(&networks.names[1..]) {
            let (here, there) = (format!("farm{number}"), "rig0");
            must(&[
                "-n", farm, "link", "add", &here, "type", "veth", "peer", "name", there, "netns",
                rig,
            ]);
            for (network, cable, last) in [(farm, here.as_str(), "1"), (rig, there, "2")] {
                let old = format!("10.77.{number}.{last}/24");
                let new = format!("fd77:{number}::{last}/64");
                must(&["-n", network, "addr", "add", &old, "dev", cable]);
                must(&["-n", network, "addr", "add", &new, "dev", cable, "nodad"]);
                must(&["-n", network, "link", "set", cable, "up"]);
            }
        }
        networks
    }

    /// Pulls out or plugs in the cable of a rig (1 or 2).
    fn cable(&self, rig: usize, state: &str) {
        must(&["-n", &self.names[0], "link", "set", &format!("farm{rig}"), state]);
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| drop(ip(&["netns", "del", name])));
    }
}

fn up(network: &str) -> Host {
    let mut host = Host::absent();
    host.network = Some(network.to_owned());
    host.up(&[]);
    host
}

fn is_connected(host: &Host, peer: &str) -> bool {
    host.run_json(&["peer", "show", peer])["connected"] == true
}

fn miner(controller: &Host, rig: &str) -> Value {
    controller.run_json(&["remote", "stats", rig])["miners"]["sim"].clone()
}

#[test]
#[ignore = "needs root to make networks"]
fn three_nodes_survive_a_pulled_cable_and_a_restart() {
    let networks = Networks::new();
    let [farm, one, two] = &networks.names;
    let mut controller = up(farm);
    controller.run_json(&["node", "init", "farm", "--role", "controller"]);
    let rigs = [up(one), up(two)];
    // The first rig comes over the old protocol, the second over the new one.
    for (rig, (name, address)) in
        rigs.iter().zip([("one", "10.77.1.1:9091"), ("two", "[fd77:2::1]:9091")])
    {
        let made = controller.run_json(&["node", "invite", "--address", address]);
        rig.run_json(&["node", "init", name, "--role", "worker"]);
        rig.run_json(&["node", "join", made["invite"].as_str().unwrap()]);
        let config = ["--set", "preparingMs=0", "--set", "shareIntervalMs=200"];
        let start = [&["miner", "start", "sim", "--type", "sim"], &config[..]].concat();
        rig.run_json(&start);
        wait_for("the rig and its miner", || {
            (is_connected(&controller, name) && miner(&controller, name)["phase"] == "mining")
                .then_some(())
        });
    }
    let pid = |rig: &Host| rig.run_json(&["miner", "list"])[0]["run"]["pid"].clone();
    let pids = [pid(&rigs[0]), pid(&rigs[1])];
    controller.run_json(&["remote", "stop", "sim", "--peer", &id(&rigs[1])]);
    controller.run_json(&["remote", "start", "sim", "--peer", &id(&rigs[1])]);
    assert_ne!(pid(&rigs[1]), pids[1]);
    networks.cable(1, "down");
    controller.kill();
    networks.cable(1, "up");
    controller.up(&[]);
    for name in ["one", "two"] {
        wait_for("the rigs to come back", || is_connected(&controller, name).then_some(()));
    }
    assert_eq!(pid(&rigs[0]), pids[0]);
    // Cut without a word: both ends notice by the silence.
    networks.cable(1, "down");
    let began = std::time::Instant::now();
    while is_connected(&controller, "one") {
        assert!(began.elapsed().as_secs() < 300, "the loss was never noticed");
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert!(is_connected(&controller, "two"));
    assert_eq!(pid(&rigs[0]), pids[0]);
    networks.cable(1, "up");
    let began = std::time::Instant::now();
    while !is_connected(&controller, "one") {
        assert!(began.elapsed().as_secs() < 300, "it never came back");
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert_eq!(miner(&controller, "one")["phase"], json!("mining"));
    assert!(fs::exists(controller.state().join("node/key")).unwrap());
}

fn id(host: &Host) -> String {
    host.run_json(&["node", "info"])["identity"]["id"].as_str().unwrap().to_owned()
}
