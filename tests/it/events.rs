//! What a real host tells of its miners, over streams and on the command line.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::host::{Host, wait_for};

/// A stream of server-sent events.
struct Stream(BufReader<reqwest::blocking::Response>);

impl Stream {
    fn open(host: &Host, query: &str) -> Self {
        let request = host.request("GET", &format!("/events{query}"));
        let response = request.timeout(Duration::from_secs(300)).send().unwrap();
        assert_eq!(response.status().as_u16(), 200);
        Self(BufReader::new(response))
    }

    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Reads on to the next message of type `kind`.
    fn until(&mut self, kind: &str) -> Value {
        let mut others = Vec::new();
        while let Some(message) = self.next() {
            if message["type"] == kind {
                return message;
            }
            others.push(message);
        }
        panic!("the stream ended without {kind}: {others:?}")
    }
}

#[test]
fn the_life_of_a_miner_is_told() {
    let host = Host::start();
    let mut stream = Stream::open(&host, "?types=miner.*");
    host.simulate("rig-1", &json!({}));
    let starting = stream.until("miner.starting");
    assert_eq!(starting["data"], json!({ "name": "rig-1", "minerType": "sim" }));
    let started = stream.until("miner.started");
    assert_eq!(started["data"]["pid"], host.program("rig-1"));
    let connected = stream.until("miner.connected");
    wait_for("the pool", || {
        (connected["data"]["pool"] == host.miner("rig-1")["stats"]["pool"]["url"]).then_some(())
    });
    let mut stats = stream.until("miner.stats");
    while stats["data"]["hashrate"].is_null() {
        stats = stream.until("miner.stats");
    }
    assert_eq!(
        (&stats["data"]["name"], &stats["data"]["minerType"]),
        (&json!("rig-1"), &json!("sim"))
    );
    assert!(stats["data"]["hashrate"].as_f64().is_some_and(|it| it > 0.0), "{stats}");
    host.ok("DELETE", "/miners/rig-1", &Value::Null);
    stream.until("miner.stopping");
    let stopped = stream.until("miner.stopped");
    assert_eq!(
        (&stopped["data"]["name"], &stopped["data"]["asked"]),
        (&json!("rig-1"), &json!(true))
    );
    assert!(stopped["data"]["reason"].as_str().unwrap().starts_with("stopped with"), "{stopped}");
}

#[test]
fn a_failed_start_and_a_crash_are_told() {
    let host = Host::start();
    let mut stream = Stream::open(&host, "?types=miner.*");
    host.simulate("rig-1", &json!({}));
    stream.until("miner.started");
    crate::host::signal(host.program("rig-1"), rustix::process::Signal::KILL);
    let stopped = stream.until("miner.stopped");
    assert_eq!(stopped["data"]["asked"], false);
    assert!(stopped["data"]["reason"].as_str().unwrap().contains("SIGKILL"), "{stopped}");
    stream.until("miner.started");
}

#[test]
fn the_state_comes_first_and_a_restart_of_the_host_is_noticed() {
    let mut host = Host::start();
    host.simulate("rig-1", &json!({}));
    wait_for("a hashrate", || host.miner("rig-1")["stats"]["hashrate"].as_f64());
    let mut stream = Stream::open(&host, "");
    let state = stream.until("state.sync");
    let miner = &state["data"]["miners"][0];
    assert_eq!((&miner["name"], &miner["status"]), (&json!("rig-1"), &json!("running")));
    assert!(miner["hashrate"].as_f64().unwrap() > 0.0, "{state}");
    let last = host.get("/events/recent")["newest"].to_string();
    let program = host.program("rig-1");
    host.kill();
    assert!(stream.next().is_none_or(|it| it["id"].is_u64()));
    host.up(&[]);
    let mut again = Stream::open(&host, &format!("?after={last}"));
    assert!(again.until("events.missed")["data"].get("count").is_none());
    again.until("state.sync");
    assert_eq!(again.until("miner.adopted")["data"]["pid"], program);
}

#[test]
fn the_host_ends_although_somebody_listens() {
    let mut host = Host::start();
    let mut stream = Stream::open(&host, "");
    stream.until("state.sync");
    host.interrupt();
    assert!(stream.next().is_none());
}

/// `adit events -f` while it runs.
struct Follower(Child, BufReader<ChildStdout>);

impl Follower {
    fn start(host: &Host) -> Self {
        let mut command = host.command(&["events", "-f", "--json", "--type", "miner.*"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self(child, lines)
    }

    fn until(&mut self, kind: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.1.read_line(&mut line).unwrap(), 0, "it ended without {kind}");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_command_line_shows_and_follows_events() {
    let mut host = Host::start();
    host.simulate("rig-1", &json!({}));
    let shown = host.run_json(&["events", "--type", "miner.started"]);
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["data"]["name"]), (1, &json!("rig-1")));
    let plain = host.run(&["events", "--miner", "rig-1"]);
    let plain = String::from_utf8(plain.stdout).unwrap();
    assert!(plain.contains("miner.started") && plain.contains("rig-1"), "{plain}");
    let bad = host.run(&["events", "--type", "Started"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("write it like miner.started"));

    let mut follower = Follower::start(&host);
    follower.until("miner.started");
    host.kill();
    host.up(&[]);
    follower.until("miner.adopted");
    host.ok("DELETE", "/miners/rig-1", &Value::Null);
    follower.until("miner.stopped");
}
