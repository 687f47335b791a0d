//! Three nodes, each in a network of its own: only root may make these.
//!
//! The controller and two rigs hang on a fourth network, the road, by virtual cables. On the road
//! a relay of this process carries what they say: 300 ms late each way, and every twentieth piece
//! is lost and sent again, so that all behind it is late. The kernel could do the same (netem), but
//! not every kernel has that. A pulled cable is a real one: the kernel drops every packet.

use std::{
    fs,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::relay::{Relay, Weather};
use crate::host::Host;

/// Longest wait: silence is noticed after a minute, and the next attempt comes within another.
const PATIENCE: Duration = Duration::from_secs(300);
const WEATHER: Weather = Weather { delay: Duration::from_millis(300), loses: true };
/// Networks at the road, by the number in their addresses.
const ENDS: [&str; 3] = ["farm", "one", "two"];

/// The networks of a controller and two rigs, and the road. Taken away at the end.
struct Networks(Vec<String>);

#[expect(clippy::disallowed_methods, reason = "a test prepares its networks")]
fn ip(args: &[&str]) -> Result<Output, String> {
    let output = Command::new("/usr/sbin/ip").args(args).output();
    let output = output.map_err(|error| format!("cannot run /usr/sbin/ip: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

impl Networks {
    /// The error is why this machine lets nobody make networks.
    fn new() -> Result<Self, String> {
        let mut networks = Self(Vec::new());
        for name in ["road"].iter().chain(&ENDS) {
            let name = format!("adit-{name}-{}", std::process::id());
            ip(&["netns", "add", &name])?;
            networks.0.push(name.clone());
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
        }
        let road = &networks.0[0];
        for ((number, end), network) in ENDS.iter().enumerate().zip(&networks.0[1..]) {
            ip(&[
                "-n", road, "link", "add", end, "type", "veth", "peer", "name", "road", "netns",
                network,
            ])?;
            for (network, cable, last) in [(road, *end, "1"), (network, "road", "2")] {
                let old = format!("10.77.{number}.{last}/24");
                let new = format!("fd77:{number}::{last}/64");
                ip(&["-n", network, "addr", "add", &old, "dev", cable])?;
                ip(&["-n", network, "addr", "add", &new, "dev", cable, "nodad"])?;
                ip(&["-n", network, "link", "set", cable, "up"])?;
            }
        }
        Ok(networks)
    }

    /// A host in the network of `end`, which takes a sample every two seconds.
    fn up(&self, end: &str) -> Host {
        let mut host = Host::absent();
        let settings = "[miners]\nstats_interval_ms = 2000\noutput_interval_ms = 50\n";
        fs::write(host.settings(), settings).unwrap();
        host.network = Some(self.of(end).to_owned());
        host.up(&[]);
        host
    }

    fn of(&self, end: &str) -> &str {
        let middle = format!("-{end}-");
        self.0.iter().find(|name| name.contains(&middle)).unwrap()
    }

    /// Carries what comes to `listen` on the road to `target`.
    fn relay(&self, listen: &str, target: &str) -> Relay {
        let road = format!("/run/netns/{}", self.0[0]);
        let enter = move || {
            let road = fs::File::open(road).unwrap();
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            // Of this thread alone.
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&road), kind)
                .unwrap();
        };
        Relay::between(listen.to_owned(), target.to_owned(), WEATHER, enter)
    }

    /// Pulls out or plugs in the cable of an end.
    fn cable(&self, end: &str, state: &str) {
        ip(&["-n", &self.0[0], "link", "set", end, state]).unwrap();
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        self.0.iter().for_each(|name| drop(ip(&["netns", "del", name])));
    }
}

fn wait_for(what: &str, mut look: impl FnMut() -> bool) {
    let began = Instant::now();
    while !look() {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn is_connected(host: &Host, peer: &str) -> bool {
    host.run_json(&["peer", "show", peer])["connected"] == true
}

fn miner(controller: &Host, rig: &str) -> Value {
    let output = controller.run(&["remote", "stats", rig, "--json"]);
    let stats: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    stats["miners"]["sim"].clone()
}

fn id(host: &Host) -> String {
    host.run_json(&["node", "info"])["identity"]["id"].as_str().unwrap().to_owned()
}

fn pid(rig: &Host) -> Value {
    rig.run_json(&["miner", "list"])[0]["run"]["pid"].clone()
}

fn moments(points: &Value) -> Vec<String> {
    let points = points.as_array().cloned().unwrap_or_default();
    points.iter().map(|point| point["timestamp"].as_str().unwrap().to_owned()).collect()
}

/// Moments at which a controller has a sample of the miner of a rig.
fn kept(controller: &Host, rig: &str) -> Vec<String> {
    let points = ["--since", "1h", "--points", "10000", "--source", "controller"];
    let args = [&["history", "show", "sim", "--peer", rig, "--json"], &points[..]].concat();
    moments(&serde_json::from_slice(&controller.run(&args).stdout).unwrap_or_default())
}

/// Waits until the controller has every sample that the rig has now, from `since` on.
fn wait_for_samples(controller: &Host, rig: &Host, name: &str, since: &str) {
    let own = rig.run_json(&["history", "show", "sim", "--since", since, "--points", "10000"]);
    let own = moments(&own);
    assert!(own.len() >= 10, "{name}: {own:?}");
    let mut missing = own.clone();
    let began = Instant::now();
    while !missing.is_empty() {
        let told = format!("{name}: of {} samples these are missing: {missing:?}", own.len());
        assert!(began.elapsed() < PATIENCE, "{told}");
        std::thread::sleep(Duration::from_millis(500));
        let kept = kept(controller, name);
        missing.retain(|moment| !kept.contains(moment));
    }
}

/// Pairs a rig with the controller over `address` and starts a miner there.
fn join(controller: &Host, rig: &Host, name: &str, address: &str) {
    let made = controller.run_json(&["node", "invite", "--address", address]);
    rig.run_json(&["node", "init", name, "--role", "worker"]);
    rig.run_json(&["node", "join", made["invite"].as_str().unwrap()]);
    rig.run_json(&[
        "miner",
        "start",
        "sim",
        "--type",
        "sim",
        "--set",
        "preparingMs=0",
        "--set",
        "shareIntervalMs=200",
    ]);
    wait_for("the rig and its miner", || {
        is_connected(controller, name) && miner(controller, name)["phase"] == "mining"
    });
    assert!(is_connected(rig, "farm"));
}

#[test]
#[ignore = "needs root to make networks"]
fn three_nodes_on_a_bad_network_survive_a_pulled_cable_and_a_restart() {
    let networks = Networks::new().unwrap_or_else(|reason| panic!("{reason}"));
    let mut controller = networks.up("farm");
    controller.run_json(&["node", "init", "farm", "--role", "controller"]);
    let rigs = [networks.up("one"), networks.up("two")];
    // The first rig comes over the old protocol, the second over the new one.
    for (rig, (name, road, farm)) in rigs.iter().zip([
        ("one", "10.77.1.1:9091", "10.77.0.2:9091"),
        ("two", "[fd77:2::1]:9091", "[fd77::2]:9091"),
    ]) {
        let relay = networks.relay(road, farm);
        join(&controller, rig, name, &relay.address);
        let took = controller.run_json(&["peer", "ping", name])["rtt_ms"].as_f64().unwrap();
        assert!(took >= 2.0 * WEATHER.delay.as_secs_f64() * 1_000.0, "{name}: {took} ms");
    }
    let fleet = controller.run_json(&["remote", "stats"]);
    assert_eq!((&fleet["nodes"], &fleet["connected"]), (&json!(2), &json!(2)), "{fleet}");
    let first = ["one", "two"].map(|name| {
        let mut first = None;
        wait_for("the first sample", || {
            first = kept(&controller, name).into_iter().next();
            first.is_some()
        });
        first.unwrap()
    });
    let pids = [pid(&rigs[0]), pid(&rigs[1])];
    controller.run_json(&["remote", "stop", "sim", "--peer", &id(&rigs[1])]);
    wait_for("the second miner to stop", || pid(&rigs[1]).is_null());
    assert_eq!(pid(&rigs[0]), pids[0]);
    controller.run_json(&["remote", "start", "sim", "--peer", &id(&rigs[1])]);
    wait_for("the second miner to run", || pid(&rigs[1]).is_u64());
    let pids = [pid(&rigs[0]), pid(&rigs[1])];
    // The controller dies while a rig cannot be reached.
    networks.cable("one", "down");
    controller.kill();
    networks.cable("one", "up");
    controller.up(&[]);
    for name in ["one", "two"] {
        wait_for("the rigs to come back", || is_connected(&controller, name));
    }
    assert_eq!([pid(&rigs[0]), pid(&rigs[1])], pids);
    // Cut without a word: both ends notice by the silence.
    networks.cable("one", "down");
    wait_for("the loss to be noticed", || !is_connected(&controller, "one"));
    wait_for("the rig to notice it", || !is_connected(&rigs[0], "farm"));
    assert!(is_connected(&controller, "two"));
    networks.cable("one", "up");
    wait_for("the rig to come back", || is_connected(&controller, "one"));
    for name in ["one", "two"] {
        wait_for("its miner to be seen", || miner(&controller, name)["phase"] == "mining");
    }
    assert_eq!([pid(&rigs[0]), pid(&rigs[1])], pids);
    for ((rig, name), since) in rigs.iter().zip(["one", "two"]).zip(&first) {
        wait_for_samples(&controller, rig, name, since);
    }
}
