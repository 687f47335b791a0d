//! A device on the network: a miner without a program, seen from outside.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::host::{Host, built, wait_for};

const NONE: &Value = &Value::Null;

/// The simulated device, until this is dropped.
struct Asic {
    process: Child,
    address: String,
}

impl Asic {
    fn start(port: &str) -> Self {
        // Another test may have the port for a moment.
        wait_for("a port for the device", || {
            let mut process =
                Command::new(built("sim-asic")).arg(port).stdout(Stdio::piped()).spawn().unwrap();
            let mut address = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
            if !address.starts_with("127.0.0.1:") {
                process.wait().unwrap();
                return None;
            }
            Some(Self { process, address: address.trim().to_owned() })
        })
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }
}

impl Drop for Asic {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn start(host: &Host, config: &Value) -> Value {
    host.ok("POST", "/miners", &json!({ "name": "asic-1", "type": "asic", "config": config }))
}

#[test]
fn a_device_is_watched_commanded_and_let_go() {
    let asic = Asic::start("0");
    let host = Host::start();
    start(&host, &json!({ "address": asic.address, "control": true, "boards": 3, "pool": 1 }));
    let miner = host.wait_for_phase("asic-1", "mining");
    let run = &miner["run"];
    assert_eq!(run["addresses"], json!([asic.address]));
    assert!(run.get("pid").is_none() && run.get("keeperPid").is_none(), "{run}");
    let stats = &miner["stats"];
    assert_eq!((&stats["hashrate"], &stats["algorithm"]), (&json!(13.5e12), &json!("sha256d")));
    assert_eq!(stats["pool"]["url"], "pool-1.example:3333", "the start switches the pool");
    assert_eq!(stats["devices"].as_array().unwrap().len(), 3);

    host.ok("POST", "/miners/asic-1/pause", NONE);
    host.wait_for_phase("asic-1", "paused");
    host.ok("POST", "/miners/asic-1/resume", NONE);
    host.wait_for_phase("asic-1", "mining");
    let (status, answer) = host.call("POST", "/miners/asic-1/stdin", &json!({ "input": "h" }));
    assert_eq!(status, 400, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("no program that reads a stdin"));
    let plan = host.get("/miners/asic-1/plan");
    assert_eq!(plan["device"]["addresses"], json!([asic.address]), "{plan}");
    assert_eq!(plan["device"]["stop"].as_array().unwrap().len(), 3);
    assert_eq!(host.get("/miners/asic-1/logs?lines=9")["lines"], json!([]));

    let runs = host.get("/miners/asic-1/runs");
    assert_eq!(runs[0]["program"], json!(asic.address), "{runs}");
    host.ok("DELETE", "/miners/asic-1", NONE);
    let stopped = host.miner("asic-1");
    assert_eq!((&stopped["phase"], &stopped["running"]), (&json!("stopped"), &json!(false)));
    let runs = host.get("/miners/asic-1/runs");
    assert_eq!(runs[0]["byStop"], true, "{runs}");
    assert!(runs.to_string().contains("stopped watching the device after"), "{runs}");
    // The end switched the boards off; a watcher sees it.
    host.ok("DELETE", "/miners/asic-1?remove=true", NONE);
    start(&host, &json!({ "address": asic.address }));
    host.wait_for_phase("asic-1", "paused");
}

#[test]
fn a_device_is_found_again_by_the_next_host_and_its_silence_is_told() {
    let asic = Asic::start("0");
    let mut host = Host::start();
    start(&host, &json!({ "address": asic.address }));
    let before = host.wait_for_phase("asic-1", "mining");
    host.kill();
    host.up(&[]);
    let after = host.wait_for_phase("asic-1", "mining");
    assert_eq!(before["run"]["id"], after["run"]["id"], "the run goes on");
    assert_eq!(before["run"]["startedAtMs"], after["run"]["startedAtMs"]);
    assert_eq!(host.get("/miners/asic-1/runs").as_array().unwrap().len(), 1);

    let port = asic.port().to_owned();
    drop(asic);
    let silent = host.wait_for_phase("asic-1", "degraded");
    let reason = silent["reason"].as_str().unwrap();
    assert!(reason.contains("the device does not answer"), "{reason}");
    assert!(silent["stats"].get("hashrate").is_none(), "{silent}");
    let asic = Asic::start(&port);
    let back = wait_for("the device", || {
        let miner = host.miner("asic-1");
        (miner["phase"] == "mining").then_some(miner)
    });
    assert!(back.get("reason").is_none(), "{back}");
    assert_eq!(back["run"]["id"], before["run"]["id"]);
    drop(asic);

    // One that is gone is let go all the same.
    host.ok("DELETE", "/miners/asic-1", NONE);
    host.kill();
    host.up(&[]);
    assert_eq!(host.wait_for_phase("asic-1", "stopped")["running"], false);
}

#[test]
fn a_device_that_refuses_its_start_is_told_and_tried_again() {
    let asic = Asic::start("0");
    let host = Host::start();
    let config = json!({ "address": asic.address, "control": true, "boards": 4 });
    let body = json!({ "name": "asic-1", "type": "asic", "config": config });
    let (status, answer) = host.call("POST", "/miners", &body);
    assert!(status >= 400, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("Invalid ASC id"), "{answer}");
    let failed = host.wait_for_phase("asic-1", "failed");
    assert!(failed["reason"].as_str().unwrap().contains("Invalid ASC id"), "{failed}");
    assert_eq!(failed["running"], false);
}
