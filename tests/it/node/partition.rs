//! Networks that are slow, break and come back.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use super::{id, node, relay::Relay, remote_miner, wait_for_peer};
use crate::host::wait_for;

#[test]
fn a_network_that_is_slow_breaks_and_comes_back_costs_no_miner() {
    let (controller, worker) = (node("farm", "controller"), node("rig", "worker"));
    let listen = controller.get("/node/info")["listen"].as_str().unwrap().to_owned();
    let relay = Relay::to(listen);
    let made = controller.ok("POST", "/node/invite", &json!({ "address": relay.address }));
    worker.ok("POST", "/node/join", &json!({ "invite": made["invite"] }));
    let rig = id(&worker);
    wait_for_peer(&controller, &rig);
    let took = controller.ok("POST", &format!("/peers/{rig}/ping"), &Value::Null);
    assert!(took["rtt_ms"].as_f64().unwrap() >= 300.0, "{took}");
    worker.simulate("rig", &json!({}));
    let pid = worker.program("rig");
    let sees = |what: &str| {
        wait_for(what, || {
            (remote_miner(&controller, &rig, "rig")["phase"] == "mining").then_some(())
        });
    };
    sees("figures through the slow network");
    relay.break_down();
    // The command is on its way when the network breaks, and arrives over the next connection.
    thread::scope(|scope| {
        let stopping = scope.spawn(|| {
            let body = json!({ "minerName": "rig" });
            controller.call("POST", &format!("/remote/{rig}/stop"), &body)
        });
        thread::sleep(Duration::from_secs(1));
        assert_eq!(worker.program("rig"), pid, "nothing gets through");
        relay.mend();
        let (status, answer) = stopping.join().unwrap();
        assert_eq!((status, &answer["status"]), (200, &json!("stopped")), "{answer}");
    });
    assert_eq!(worker.get("/miners/rig/runs").as_array().unwrap().len(), 1);
    worker.ok("POST", "/miners/rig/start", &Value::Null);
    let pid = worker.program("rig");
    relay.break_down();
    thread::sleep(Duration::from_secs(2));
    relay.mend();
    wait_for_peer(&controller, &rig);
    sees("figures after the second break");
    assert_eq!(worker.program("rig"), pid);
}
