//! Another build of Adit, usually that of an earlier commit, takes turns with this one.
//!
//! The variable `ADIT_TEST_OTHER` names the folder with the other build's binaries;
//! `.ci/test other-build` makes one of the commit in `ADIT_TEST_COMMIT`.

use std::{env, path::PathBuf};

use serde_json::json;

use crate::{
    host::{Host, built},
    node::{allow, id, init, join, remote_miner},
    survival::{
        Follower, NONE, Random, assert_no_gap, counting, figures, keeper, mining, mining_afresh,
        pid, programs, start_and_kill, wait_for_silence,
    },
};

/// How often a host is killed in the long test.
const KILLS: u32 = 200;

/// The host of the other build, and that of this one.
fn binaries() -> [PathBuf; 2] {
    let folder = env::var_os("ADIT_TEST_OTHER").expect("ADIT_TEST_OTHER names another build");
    [PathBuf::from(folder).join("adit"), built("adit")]
}

#[test]
#[ignore = "needs another build of Adit"]
fn miners_are_adopted_in_both_directions() {
    let binaries = binaries();
    for (first, second) in [(0, 1), (1, 0)] {
        let mut host = Host::absent();
        host.binary.clone_from(&binaries[first]);
        host.up(&[]);
        let miner = mining(&host, &counting());
        host.simulate("stopped", &json!({}));
        host.wait_for_phase("stopped", "mining");
        host.ok("DELETE", "/miners/stopped", NONE);
        for turn in [second, first, second] {
            host.interrupt();
            host.binary.clone_from(&binaries[turn]);
            host.up(&[]);
            let adopted = host.wait_for_phase("rig-1", "mining");
            assert_eq!((pid(&adopted), keeper(&adopted)), (pid(&miner), keeper(&miner)));
            host.wait_for_phase("stopped", "stopped");
            figures(&host);
        }
        // Commands reach a keeper that the other build started.
        host.ok("POST", "/miners/rig-1/restart", NONE);
        mining_afresh(&host, pid(&miner));
        host.ok("DELETE", "/miners/rig-1", NONE);
        let runs = host.get("/miners/rig-1/runs");
        assert_eq!((&runs[0]["byStop"], &runs[1]["byStop"]), (&json!(true), &json!(true)));
        host.kill();
        wait_for_silence(&host.state());
    }
}

#[test]
#[ignore = "needs another build of Adit"]
fn a_miner_does_not_notice_hosts_of_two_builds_that_are_killed() {
    let binaries = binaries();
    let mut random = Random::new();
    let mut host = Host::start();
    let first = mining(&host, &counting());
    let mut log = Follower::new();
    for round in 0..KILLS {
        host.kill();
        assert_eq!(programs(&host.state()), [pid(&first)], "round {round}");
        host.binary.clone_from(&binaries[usize::try_from(random.below(2)).unwrap()]);
        if random.below(2) == 0 {
            start_and_kill(&host, &mut random, 300);
        }
        host.up(&[]);
        random.pause(100);
        if random.below(4) == 0 {
            log.read(&host);
            let now = host.wait_for_phase("rig-1", "mining");
            assert_eq!((pid(&now), keeper(&now)), (pid(&first), keeper(&first)));
        }
    }
    host.ok("DELETE", "/miners/rig-1", NONE);
    let runs = host.get("/miners/rig-1/runs");
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    log.read(&host);
    assert_no_gap(&log.lines);
}

#[test]
#[ignore = "needs another build of Adit"]
fn nodes_of_two_builds_pair_and_command_each_other() {
    let binaries = binaries();
    for (of_controller, of_worker) in [(0, 1), (1, 0)] {
        let node = |which: usize, name: &str, role: &str| {
            let mut host = Host::absent();
            host.binary.clone_from(&binaries[which]);
            init(&mut host, name, role, "[node]\nlisten = \"127.0.0.1:0\"\n");
            host
        };
        let controller = node(of_controller, "farm", "controller");
        let worker = node(of_worker, "rig", "worker");
        join(&worker, &controller, &["test"]);
        let rig = id(&worker);
        allow(&worker, &id(&controller), &["stats", "logs", "control"]);
        worker.simulate("rig-1", &json!({}));
        worker.wait_for_phase("rig-1", "mining");
        crate::host::wait_for("stats of the worker", || {
            remote_miner(&controller, &rig, "rig-1")["hashrate"].as_f64()
        });
        let stop = json!({ "minerName": "rig-1" });
        controller.ok("POST", &format!("/remote/{rig}/stop"), &stop);
        worker.wait_for_phase("rig-1", "stopped");
        controller.ok("POST", &format!("/remote/{rig}/start"), &stop);
        worker.wait_for_phase("rig-1", "mining");
        controller.ok("DELETE", &format!("/peers/{rig}"), NONE);
        crate::host::wait_for("the session to end", || {
            let peers = worker.get("/peers");
            (peers[0]["connected"] != true).then_some(())
        });
    }
}
