//! A miner's life with a host that lives.

use serde_json::{Value, json};

use crate::host::{Host, is_alive, pid_at, signal, wait_for};

const NONE: &Value = &Value::Null;

#[test]
fn a_miner_hashes_pauses_and_stops() {
    let host = Host::start();
    let made = host.simulate("rig-1", &json!({ "hashrate": 5000.0, "algorithm": "rx/0" }));
    assert_eq!((&made["name"], &made["minerType"]), (&json!("rig-1"), &json!("sim")));
    let miner = host.wait_for_phase("rig-1", "mining");
    let pid = pid_at(&miner["run"]["pid"]);
    assert!(is_alive(pid));
    let stats = wait_for("a hashrate and a share", || {
        let stats = host.get("/miners/rig-1/stats");
        (stats["hashrate"].is_number() && stats["shares"].as_u64() > Some(0)).then_some(stats)
    });
    assert_eq!(stats["algorithm"], "rx/0");

    host.ok("POST", "/miners/rig-1/pause", NONE);
    host.wait_for_phase("rig-1", "paused");
    host.ok("POST", "/miners/rig-1/resume", NONE);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid, "a pause is no restart");

    assert_eq!(host.ok("DELETE", "/miners/rig-1", NONE), json!({ "status": "stopped" }));
    assert!(!is_alive(pid));
    let stopped = host.miner("rig-1");
    assert_eq!((&stopped["phase"], &stopped["running"]), (&json!("stopped"), &json!(false)));
    let runs = host.get("/miners/rig-1/runs");
    assert_eq!((&runs[0]["byStop"], &runs[0]["code"]), (&json!(true), &json!(0)), "{runs}");

    host.ok("POST", "/miners/rig-1/start", NONE);
    host.wait_for_phase("rig-1", "mining");
    assert_ne!(host.program("rig-1"), pid);
    host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
    assert_eq!(host.call("GET", "/miners/rig-1", NONE).0, 404);
    assert_eq!(host.get("/miners"), json!([]));
    assert!(!host.state().join("miners/rig-1").exists());
}

#[test]
fn output_is_shown_followed_and_answers_stdin() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    let page = wait_for("output", || {
        let page = host.get("/miners/rig-1/logs?lines=5");
        (!page["lines"].as_array().unwrap().is_empty()).then_some(page)
    });
    host.ok("POST", "/miners/rig-1/stdin", &json!({ "input": "echo hello from outside\n" }));
    let mut cursor = page["cursor"].as_str().unwrap().to_owned();
    wait_for("the echo", || {
        let page = host.get(&format!("/miners/rig-1/logs?after={cursor}&wait=1"));
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
        let lines = page["lines"].as_array().unwrap().clone();
        lines.iter().any(|line| line == "hello from outside").then_some(())
    });
}

#[test]
fn a_crashed_miner_is_restarted_after_a_pause() {
    let host = Host::start();
    // A pause that nobody overlooks.
    let config = json!({ "preparingMs": 0, "shareIntervalMs": 200, "seed": 1 });
    let restart = json!({ "firstPauseS": 4 });
    let body = json!({ "name": "rig-1", "type": "sim", "config": config, "restart": restart });
    host.ok("POST", "/miners", &body);
    host.wait_for_phase("rig-1", "mining");
    let first = host.program("rig-1");
    signal(first, rustix::process::Signal::KILL);
    let waiting = host.wait_for_phase("rig-1", "backoff");
    assert!(waiting["reason"].as_str().unwrap().contains("signal 9 (SIGKILL)"), "{waiting}");
    let second = host.wait_for_phase("rig-1", "mining");
    assert_ne!(pid_at(&second["run"]["pid"]), first);
    assert_eq!(second["restarts"], 1);
    let runs = host.get("/miners/rig-1/runs");
    assert_eq!((&runs[1]["signal"], &runs[1]["byStop"]), (&json!(9), &json!(false)), "{runs}");
}

#[test]
fn a_miner_that_crashes_again_and_again_fails_with_evidence() {
    let host = Host::start();
    let restart = json!({ "firstPauseS": 0, "crashLoopExits": 3, "retryFailedAfterS": 0 });
    let config = json!({ "misbehave": { "exitAfterMs": 50, "exitCode": 7 } });
    let body = json!({ "name": "rig-1", "type": "sim", "config": config, "restart": restart });
    host.ok("POST", "/miners", &body);
    let failed = host.wait_for_phase("rig-1", "failed");
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("ended 3 times within 120 s"), "{reason}");
    assert!(reason.contains("exit code 7"), "{reason}");
    assert_eq!(failed["running"], false);
    assert_eq!(host.get("/miners/rig-1/runs").as_array().unwrap().len(), 3);
}

#[test]
fn grandchildren_die_with_the_miner_and_sigterm_is_not_enough_to_stay() {
    let host = Host::start();
    let misbehave = json!({ "ignoreSigterm": true, "grandchildSetsid": true });
    host.simulate("rig-1", &json!({ "misbehave": misbehave }));
    host.wait_for_phase("rig-1", "mining");
    let keeper = pid_at(&host.miner("rig-1")["run"]["keeperPid"]);
    let family = wait_for("a grandchild", || {
        let family = descendants(keeper);
        (family.len() >= 2).then_some(family)
    });
    host.ok("DELETE", "/miners/rig-1", NONE);
    for pid in family {
        assert!(!is_alive(pid), "{pid} lives on");
    }
}

#[test]
fn a_restart_is_a_new_run() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    let first = host.program("rig-1");
    host.ok("POST", "/miners/rig-1/restart", NONE);
    let miner = host.wait_for_phase("rig-1", "mining");
    assert_ne!(pid_at(&miner["run"]["pid"]), first);
    assert!(!is_alive(first));
}

#[test]
fn the_plan_shows_what_runs_without_its_secrets() {
    let host = Host::start();
    host.simulate("rig-1", &json!({ "wallet": "4WALLETSECRET", "password": "hunter-two" }));
    let text = host.get("/miners/rig-1/plan").to_string();
    assert!(text.contains("sim-miner") && text.contains("***"), "{text}");
    assert!(!text.contains("4WALLETSECRET") && !text.contains("hunter-two"), "{text}");
    let pid = host.program("rig-1");
    let args = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!args.contains("4WALLETSECRET"), "{args}");
    let log = host.log();
    assert!(!log.contains("4WALLETSECRET") && !log.contains("hunter-two"), "{log}");
}

#[test]
fn a_flooding_miner_is_kept_and_its_last_lines_too() {
    let host = Host::start();
    let misbehave = json!({ "floodLinesPerSecond": 100_000 });
    host.simulate("rig-1", &json!({ "misbehave": misbehave }));
    wait_for("dropped lines", || {
        let lines = host.get("/miners/rig-1/logs?lines=9000");
        lines.to_string().contains("lines dropped here").then_some(())
    });
    let page = host.get("/miners/rig-1/logs?lines=1000");
    assert_eq!(page["lines"].as_array().unwrap().len(), 1000);
    let folder = host.state().join("miners/rig-1");
    let bytes: u64 = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("log."))
        // One may be renamed meanwhile.
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum();
    assert!(bytes <= 10 << 20, "{bytes} bytes of log");
    assert!(host.miner("rig-1")["running"] == true);
}

/// Every process below `pid`.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children: Vec<u32> =
        children.unwrap_or_default().split_whitespace().map(|it| it.parse().unwrap()).collect();
    let below = children.iter().flat_map(|child| descendants(*child));
    children.iter().copied().chain(below).collect()
}
