//! Which pool a miner is at after an outage, and what it does when its driver does not say.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::{impatient, incidents, wait_for_action};
use crate::{
    drivers::foulty,
    host::{Host, signal, wait_for},
};

fn pool_of(host: &Host) -> Value {
    host.miner("rig-1")["stats"]["pool"]["url"].clone()
}

#[test]
fn a_miner_that_was_sent_to_its_next_pool_starts_at_the_first_one_again_when_that_is_back() {
    let mut host = impatient("return_s = 2");
    // A port without a listener so far.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let first = listener.local_addr().unwrap().to_string();
    drop(listener);
    let config = json!({ "pools": [first, "second.example:2"],
                         "misbehave": { "poolLossAfterMs": 2500 } });
    host.simulate("rig-1", &config);
    wait_for_action(&host, "rig-1", "next-pool");
    wait_for("the second pool", || (pool_of(&host) == "second.example:2").then_some(()));
    // It is still the second one for the next host and for the next start.
    host.kill();
    host.up(&[]);
    wait_for("an adopted run", || host.miner("rig-1")["run"]["pid"].as_u64());
    let lose = |host: &Host| {
        let run = host.miner("rig-1")["run"]["id"].clone();
        signal(host.program("rig-1"), rustix::process::Signal::KILL);
        wait_for("the next run", || {
            let next = host.miner("rig-1");
            (next["running"] == true && next["run"]["id"] != run).then_some(())
        });
        wait_for("its pool", || pool_of(host).as_str().map(str::to_owned))
    };
    // This one stays with its pool, or the watchdog would send it on.
    host.run_json(&["watchdog", "set", "rig-1", "poolS=3600"]);
    assert_eq!(lose(&host), "second.example:2");
    let _listener = TcpListener::bind(&first).unwrap();
    wait_for("the first pool to be known as reachable", || {
        host.log().contains("comes first at its next start").then_some(())
    });
    assert_eq!(pool_of(&host), "second.example:2", "a restart for it would cost shares");
    assert_eq!(lose(&host), first);
}

#[test]
fn hashes_and_shares_are_mining_when_the_driver_tells_no_phase() {
    let host = impatient("");
    host.run_json(&["driver", "add", foulty(&host, "0.1.0").to_str().unwrap()]);
    let config = json!({ "args": ["--preparing-ms", "0"] });
    host.ok("POST", "/miners", &json!({ "name": "rig-1", "type": "foulty", "config": config }));
    host.wait_for_phase("rig-1", "mining");
    let metrics = host.request("GET", "/metrics").send().unwrap().text().unwrap();
    let line = r#"miner_phase{instance="rig-1",phase="mining"} 1"#;
    assert!(metrics.lines().any(|it| it == line), "{metrics}");
    assert!(incidents(&host, "rig-1").iter().all(|it| it["action"].is_null()));
}
