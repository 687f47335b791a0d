//! The end of a host that was asked for: what runs on, what ends, and what the operator is told.

use std::{fs::File, path::Path, process::Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    host::{Host, is_alive, signal, wait_for},
    survival::{NONE, figures, keeper, mining, pid, programs, wait_for_silence},
};

/// Two miners that are hashing.
fn two_miners(host: &Host) -> Vec<u32> {
    let names = ["rig-1", "rig-2"];
    for name in names {
        host.simulate(name, &json!({}));
    }
    names.iter().map(|name| pid(&host.wait_for_phase(name, "mining"))).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The pids of `adit miner list`, which must succeed.
fn listed_pids(host: &Host) -> Vec<Value> {
    let listed = host.run_json(&["miner", "list"]);
    listed.as_array().unwrap().iter().map(|miner| miner["pid"].clone()).collect()
}

/// The command that the operator is told to stop all miners with.
fn stop_command(host: &Host) -> String {
    format!("adit --state-dir {} down --stop-miners", host.state().display())
}

#[test]
fn at_ctrl_c_the_miners_run_on_and_the_operator_is_told() {
    let mut host = Host::start();
    let pids = two_miners(&host);
    let said = host.interrupt();
    assert!(said.contains("2 miners run on without a host"), "{said}");
    assert!(said.contains(&stop_command(&host)), "{said}");
    assert_eq!(listed_pids(&host), pids);
    host.up(&[]);
    for (name, pid) in ["rig-1", "rig-2"].iter().zip(&pids) {
        host.wait_for_phase(name, "mining");
        assert_eq!(host.program(name), *pid);
    }
    signal(host.pid(), Signal::TERM);
    assert!(host.wait().contains("2 miners run on"));
    assert!(pids.iter().all(|pid| is_alive(*pid)));
}

#[test]
fn down_leaves_the_miners_and_says_so() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    let output = host.run(&["down"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("1 miner runs on without a host"), "{said}");
    assert!(said.contains(&stop_command(&host)), "{said}");
    host.wait();
    assert_eq!(listed_pids(&host), [pid(&miner)]);

    // Without a host there is nothing to end, which is told apart from success.
    let again = host.run(&["down"]);
    assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains(&stop_command(&host)), "{}", text(&again.stderr));
    assert!(is_alive(pid(&miner)));

    let stopped = host.run(&["down", "--stop-miners"]);
    assert!(stopped.status.success(), "{}", text(&stopped.stderr));
    assert!(text(&stopped.stdout).contains("stopped 1 miner"), "{}", text(&stopped.stdout));
    assert!(!is_alive(pid(&miner)));
    wait_for_silence(&host.state());
    host.up(&[]);
    let now = host.wait_for_phase("rig-1", "stopped");
    assert_eq!(now["desired"], "stopped");
    let runs = host.get("/miners/rig-1/runs");
    assert_eq!((&runs[0]["code"], &runs[0]["byStop"]), (&json!(0), &json!(true)), "{runs}");
    host.ok("POST", "/miners/rig-1/start", NONE);
    host.wait_for_phase("rig-1", "mining");
}

#[test]
fn down_can_stop_the_miners_with_the_host() {
    let mut host = Host::start();
    let pids = two_miners(&host);
    let output = host.run(&["down", "--stop-miners"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("no miner runs"), "{}", text(&output.stdout));
    host.wait();
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    host.up(&[]);
    for name in ["rig-1", "rig-2"] {
        host.wait_for_phase(name, "stopped");
    }
    assert!(programs(&host.state()).is_empty());
}

#[test]
fn down_waits_for_a_keeper_that_is_slow_to_answer() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    host.kill();
    signal(keeper(&miner), Signal::STOP);
    let mut down = host.command(&["down", "--stop-miners"]);
    let mut down = down.stdout(std::process::Stdio::null()).spawn().unwrap();
    // Longer than a keeper that is well ever takes.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    signal(keeper(&miner), Signal::CONT);
    assert!(down.wait().unwrap().success());
    assert!(!is_alive(pid(&miner)));
}

#[test]
fn down_ends_orphans_too() {
    let mut host = Host::start();
    let misbehave = json!({ "ignoreSigterm": true, "grandchildSetsid": true });
    let miner = mining(&host, &json!({ "misbehave": misbehave }));
    let family = wait_for("a grandchild", || {
        let family = crate::lifecycle::descendants(keeper(&miner));
        (family.len() >= 2).then_some(family)
    });
    host.kill();
    signal(keeper(&miner), Signal::KILL);
    let output = host.run(&["down", "--stop-miners"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(family.iter().all(|pid| !is_alive(*pid)));
}

/// The pids of the demonstration's two miners, hashing.
fn demo_pids(host: &Host) -> Vec<u32> {
    let pids = ["demo-cpu", "demo-gpu"].map(|name| {
        wait_for("the demonstration's miner", || {
            (host.call("GET", &format!("/miners/{name}"), NONE).0 == 200).then_some(())
        });
        let miner = host.wait_for_phase(name, "mining");
        wait_for("a hashrate", || {
            host.get(&format!("/miners/{name}/stats"))["hashrate"].is_number().then_some(())
        });
        pid(&miner)
    });
    pids.to_vec()
}

#[test]
fn the_demonstration_ends_with_its_miners() {
    let mut host = Host::absent();
    host.up(&["--demo"]);
    let pids = demo_pids(&host);
    assert_eq!(programs(&host.state()).len(), 2);
    let said = host.interrupt();
    assert!(said.contains("ending the demonstration"), "{said}");
    assert!(!said.contains("run on"), "{said}");
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    wait_for_silence(&host.state());
}

#[test]
fn the_demonstration_can_be_kept_and_a_killed_one_taken_up_again() {
    let mut host = Host::absent();
    host.up(&["--demo", "--keep"]);
    let pids = demo_pids(&host);
    let said = host.interrupt();
    assert!(said.contains("2 miners run on without a host"), "{said}");
    assert_eq!(listed_pids(&host), pids);
    host.up(&["--demo"]);
    assert_eq!(demo_pids(&host), pids);
    host.kill();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    host.up(&["--demo"]);
    assert_eq!(demo_pids(&host), pids);
    host.interrupt();
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn figures_go_on_after_a_host_that_ended_by_itself() {
    let mut host = Host::start();
    mining(&host, &json!({ "hashrate": 5000.0 }));
    let before = figures(&host)["shares"].as_u64();
    host.interrupt();
    host.up(&[]);
    wait_for("more shares", || (figures(&host)["shares"].as_u64() > before).then_some(()));
}

/// A driver of the simulated miner that gives its programs ten minutes to end, and they use them.
fn slow_to_stop(host: &Host) -> String {
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/declarative/sim-written.toml");
    let mut text = std::fs::read_to_string(example).unwrap();
    for (from, to) in [
        ("grace = 5", "grace = 600"),
        ("\"--devices=${devices}\"", "\"--devices=${devices}\", \"--ignore-sigterm\""),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let path = host.folder.path().join("slow.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn stopping_waits_for_a_stop_plan_that_takes_longer_than_one_answer() {
    let host = Host::start();
    host.run_json(&["driver", "add", &slow_to_stop(&host)]);
    for (name, remove) in [("stopped", false), ("removed", true)] {
        let config = json!({ "wallet": "4WALLET", "quick": true });
        host.ok(
            "POST",
            "/miners",
            &json!({ "name": name, "type": "sim-written", "config": config }),
        );
        let program = pid(&host.wait_for_phase(name, "mining"));
        let errors = host.folder.path().join(name);
        let mut command = host.command(&["miner", "stop", name]);
        command.args(remove.then_some("--remove"));
        command.stdout(Stdio::piped()).stderr(File::create(&errors).unwrap());
        let mut command = command.spawn().unwrap();
        wait_for("the first answer", || {
            let said = std::fs::read_to_string(&errors).unwrap();
            said.contains(&format!("the miner {name} is still stopping")).then_some(())
        });
        assert!(command.try_wait().unwrap().is_none(), "it waits");
        assert!(is_alive(program));
        assert_eq!(host.miner(name)["phase"], "stopping");
        signal(program, Signal::KILL);
        let output = command.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stdout).trim(), format!("{name}: {name}"));
        assert!(!is_alive(program));
    }
    assert_eq!(host.miner("stopped")["phase"], "stopped");
    assert_eq!(host.call("GET", "/miners/removed", NONE).0, 404);
}
