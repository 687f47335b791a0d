//! `kill -9` of a keeper, alone or with its host, and records that lie about who is alive.

use std::{
    fs,
    process::{Child, Command},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    host::{Host, is_alive, signal, wait_for},
    lifecycle::descendants,
    survival::{
        NONE, everything_of, figures, keeper, mining, mining_afresh, pid, programs, record,
        wait_for_silence,
    },
};

/// A miner that holds on to life, and all its processes with its keeper.
fn tough_miner(host: &Host) -> (Value, Vec<u32>) {
    let misbehave = json!({ "ignoreSigterm": true, "grandchildSetsid": true });
    let miner = mining(host, &json!({ "misbehave": misbehave }));
    let mut family = wait_for("a grandchild", || {
        let family = descendants(keeper(&miner));
        (family.len() >= 2).then_some(family)
    });
    family.push(keeper(&miner));
    (miner, family)
}

#[test]
fn a_miner_whose_keeper_is_killed_is_cleared_away_and_started_afresh() {
    let host = Host::start();
    let (first, family) = tough_miner(&host);
    signal(keeper(&first), Signal::KILL);
    wait_for("the loss to show", || {
        let now = host.miner("rig-1");
        (now["phase"] != "mining" || now["run"]["pid"] != first["run"]["pid"]).then_some(())
    });
    let second = mining_afresh(&host, pid(&first));
    for pid in family {
        assert!(!is_alive(pid), "{pid} lives on");
    }
    assert_eq!(programs(&host.state()), [second]);
    let runs = host.get("/miners/rig-1/runs");
    let cause = runs[1]["cause"].as_str().unwrap();
    assert!(cause.contains("keeper") && runs[1]["byStop"].is_null(), "{runs}");
    assert_eq!(runs.as_array().unwrap().len(), 2, "{runs}");
    figures(&host);
}

#[test]
fn a_miner_whose_keeper_and_host_are_killed_together_is_started_afresh_by_the_next() {
    let mut host = Host::start();
    let (first, family) = tough_miner(&host);
    signal(keeper(&first), Signal::KILL);
    host.kill();
    host.up(&[]);
    let second = mining_afresh(&host, pid(&first));
    for pid in family {
        assert!(!is_alive(pid), "{pid} lives on");
    }
    assert_eq!(programs(&host.state()), [second]);
}

#[test]
fn a_stopped_miner_whose_keeper_was_killed_is_cleared_away_and_stays_off() {
    let mut host = Host::start();
    let (first, _) = tough_miner(&host);
    let request = host.request("DELETE", "/miners/rig-1");
    let asked = std::thread::spawn(move || drop(request.send()));
    wait_for("the wish to be written down", || {
        (host.miner("rig-1")["desired"] == "stopped").then_some(())
    });
    signal(keeper(&first), Signal::KILL);
    host.kill();
    asked.join().unwrap();
    host.up(&[]);
    host.wait_for_phase("rig-1", "stopped");
    let host_alone = [host.pid()];
    wait_for("what is left to end", || {
        let left = everything_of(&host.state());
        left.iter().all(|pid| host_alone.contains(pid)).then_some(())
    });
}

/// A process that has nothing to do with any miner.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn identity(&self, boot_id: &Value) -> Value {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
        let start: u64 = start.parse().unwrap();
        json!({ "pid": self.0.id(), "startTime": start, "bootId": boot_id })
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_pid_that_belongs_to_somebody_else_now_is_neither_adopted_nor_killed() {
    let mut host = Host::start();
    mining(&host, &json!({}));
    let boot_id = record(&host, "state.json")["program"]["bootId"].clone();
    let bystander = Bystander::new();
    let real = bystander.identity(&boot_id);
    let mut reused = real.clone();
    reused["startTime"] = json!(real["startTime"].as_u64().unwrap() - 1);
    let mut rebooted = real.clone();
    rebooted["bootId"] = json!("11111111-2222-4333-8444-555555555555");
    for (round, fake) in (1..).zip([&reused, &rebooted, &real]) {
        let miner = host.wait_for_phase("rig-1", "mining");
        host.kill();
        signal(keeper(&miner), Signal::KILL);
        wait_for_silence(&host.state());
        let mut state = record(&host, "state.json");
        (state["program"], state["keeper"]) = (fake.clone(), fake.clone());
        fs::write(host.state().join("miners/rig-1/state.json"), state.to_string()).unwrap();
        host.up(&[]);
        let afresh = mining_afresh(&host, pid(&miner));
        assert_ne!(afresh, bystander.0.id());
        assert_eq!(programs(&host.state()), [afresh]);
        assert!(is_alive(bystander.0.id()), "killed by mistake: {fake}");
        let runs = host.get("/miners/rig-1/runs");
        assert_eq!(runs.as_array().unwrap().len(), round + 1, "{runs}");
        let cause = runs[1]["cause"].as_str().unwrap();
        assert!(cause.contains("a reboot"), "{cause}");
    }
}

#[test]
fn a_start_waits_for_a_keeper_that_takes_long_to_leave() {
    let host = Host::start();
    let first = mining(&host, &json!({}));
    host.ok("DELETE", "/miners/rig-1", NONE);
    // By another name, so that this process is taken for nothing of the run.
    let (lock, other) = (host.state().join("miners/rig-1/lock"), host.state().join("other"));
    fs::hard_link(lock, &other).unwrap();
    let held = fs::File::open(other).unwrap();
    held.lock().unwrap();
    let request = host.request("POST", "/miners/rig-1/start");
    let asked = std::thread::spawn(move || request.send().unwrap().status().as_u16());
    wait_for("an attempt", || host.log().contains("alive").then_some(()));
    assert!(programs(&host.state()).is_empty());
    held.unlock().unwrap();
    assert_eq!(asked.join().unwrap(), 200);
    mining_afresh(&host, pid(&first));
}

#[test]
fn records_that_are_gone_or_damaged_cost_no_running_miner() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    let folder = host.state().join("miners/rig-1");
    for name in ["state.json", "spec.json"] {
        host.kill();
        fs::write(folder.join(name), "{\"run\":").unwrap();
        host.up(&[]);
        host.wait_for_phase("rig-1", "mining");
        assert_eq!(host.program("rig-1"), pid(&miner), "{name}");
        host.kill();
        fs::remove_file(folder.join(name)).unwrap();
        host.up(&[]);
        host.wait_for_phase("rig-1", "mining");
        assert_eq!(host.program("rig-1"), pid(&miner), "{name}");
    }
    assert_eq!(programs(&host.state()), [pid(&miner)]);
}
