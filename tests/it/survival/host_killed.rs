//! `kill -9` of the host at any moment.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};

use crate::{
    host::{Host, is_alive, wait_for},
    survival::{
        Follower, NONE, Random, assert_no_gap, counting, figures, keeper, mining, mining_afresh,
        pid, programs, start_and_kill, wait_for_silence,
    },
};

#[test]
fn a_miner_does_not_notice_hosts_that_are_killed_at_any_moment() {
    let mut random = Random::new();
    let mut host = Host::start();
    let first = mining(&host, &counting());
    let uptime = figures(&host)["uptime"].as_u64();
    let mut log = Follower::new();
    for _ in 0..60 {
        host.kill();
        assert_eq!(programs(&host.state()), [pid(&first)]);
        if random.below(2) == 0 {
            start_and_kill(&host, &mut random, 300);
        }
        host.up(&[]);
        random.pause(100);
        if random.below(3) == 0 {
            log.read(&host);
            host.wait_for_phase("rig-1", "mining");
            let now = host.miner("rig-1");
            assert_eq!((pid(&now), keeper(&now)), (pid(&first), keeper(&first)));
        }
    }
    wait_for("a longer uptime", || (figures(&host)["uptime"].as_u64() > uptime).then_some(()));
    assert_eq!(host.program("rig-1"), pid(&first));
    host.ok("DELETE", "/miners/rig-1", NONE);
    let runs = host.get("/miners/rig-1/runs");
    assert_eq!((&runs[0]["code"], &runs[0]["byStop"]), (&json!(0), &json!(true)), "{runs}");
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    log.read(&host);
    let last = assert_no_gap(&log.lines);
    assert_eq!(log.count(&format!("counted {last} lines")), 1);
    assert_eq!(log.count("[adit] started "), 1);
    wait_for("the keeper's end", || (!is_alive(keeper(&first))).then_some(()));
}

/// Watches for a second copy of a program.
struct Watch {
    most: JoinHandle<usize>,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn new(state: PathBuf) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&over);
        let most = thread::spawn(move || {
            let mut most = 0;
            while !asked.load(Ordering::Relaxed) {
                most = most.max(programs(&state).len());
                thread::sleep(std::time::Duration::from_millis(5));
            }
            most
        });
        Self { most, over }
    }

    /// The highest number of copies that was seen at once.
    fn most(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.most.join().unwrap()
    }
}

#[test]
fn orders_survive_hosts_that_are_killed_while_they_carry_them_out() {
    let mut random = Random::new();
    let mut host = Host::start();
    mining(&host, &json!({}));
    let watch = Watch::new(host.state());
    let mut wanted = "running".to_owned();
    let orders = [
        ("POST", "/miners/rig-1/start", "running"),
        ("DELETE", "/miners/rig-1", "stopped"),
        ("POST", "/miners/rig-1/restart", "running"),
    ];
    for round in 0..40 {
        let (method, path, wish) = orders[usize::try_from(random.below(3)).unwrap()];
        let request = host.request(method, path);
        let asked =
            thread::spawn(move || request.send().is_ok_and(|answer| answer.status().is_success()));
        let most_ms = [4, 30, 300][usize::try_from(random.below(3)).unwrap()];
        random.pause(most_ms);
        host.kill();
        let acknowledged = asked.join().unwrap();
        if random.below(3) == 0 {
            start_and_kill(&host, &mut random, 400);
        }
        host.up(&[]);
        let desired = host.miner("rig-1")["desired"].as_str().unwrap().to_owned();
        let fine = desired == wish || (!acknowledged && desired == wanted);
        assert!(fine, "{round}: {desired} after {path} ({acknowledged}), before {wanted}");
        wanted = desired;
        let reached = if wanted == "running" { "mining" } else { "stopped" };
        let miner = host.wait_for_phase("rig-1", reached);
        let running: Vec<u32> = if wanted == "running" { vec![pid(&miner)] } else { vec![] };
        assert_eq!(programs(&host.state()), running, "{round}");
    }
    host.ok("DELETE", "/miners/rig-1", NONE);
    assert_eq!(watch.most(), 1);
    assert_one_after_the_other(&host);
    let runs = host.get("/miners/rig-1/runs?limit=1000");
    let open: Vec<&Value> =
        runs.as_array().unwrap().iter().filter(|run| run["endedAtMs"].is_null()).collect();
    assert!(open.is_empty(), "runs without an end: {open:?}");
    host.kill();
    wait_for_silence(&host.state());
}

/// The keepers' remarks: no run begins before the one before it has ended.
fn assert_one_after_the_other(host: &Host) {
    let mut log = Follower::new();
    log.read(host);
    let mut running = false;
    let mut begun = 0;
    for line in log.lines.iter().filter(|line| line.starts_with("[adit] ")) {
        if line.starts_with("[adit] started ") {
            assert!(!running, "two runs at once: {line}");
            running = true;
            begun += 1;
        } else if line.contains("] exited with ") || line.contains("] ended by ") {
            assert!(running, "an end without a beginning: {line}");
            running = false;
        }
    }
    assert!(!running && begun > 1, "{begun} runs");
}

#[test]
fn an_exit_that_no_host_saw_is_known_to_the_next_one() {
    let mut host = Host::start();
    let misbehave = json!({ "exitAfterMs": 8000, "exitCode": 37 });
    let config = json!({ "preparingMs": 0, "shareIntervalMs": 200, "misbehave": misbehave });
    let restart = json!({ "firstPauseS": 2 });
    let body = json!({ "name": "rig-1", "type": "sim", "config": config, "restart": restart });
    let made = host.ok("POST", "/miners", &body);
    host.kill();
    wait_for_silence(&host.state());
    host.up(&[]);
    let runs = wait_for("the end in the history", || {
        let runs = host.get("/miners/rig-1/runs");
        (!runs[0]["endedAtMs"].is_null()).then_some(runs)
    });
    assert_eq!((&runs[0]["code"], &runs[0]["byStop"]), (&json!(37), &json!(false)), "{runs}");
    let waiting = host.miner("rig-1");
    if waiting["phase"] == "backoff" {
        let reason = waiting["reason"].as_str().unwrap();
        assert!(reason.contains("exit code 37"), "{reason}");
    }
    mining_afresh(&host, pid(&made));
    assert_eq!(host.get("/miners/rig-1/runs").as_array().unwrap().len(), 2);
}

#[test]
fn a_run_that_a_host_noted_and_did_not_live_to_launch_is_over() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    let never_launched = |id: &str| {
        let database = rusqlite::Connection::open(host.state().join("adit.db")).unwrap();
        let sql = "INSERT INTO run (id, miner, driver, program, started_at_ms)
                   VALUES (?1, 'rig-1', 'sim', 'x', 4000000000000)";
        database.execute(sql, [id]).unwrap();
    };
    never_launched("11111111-2222-4333-8444-555555555555");
    host.kill();
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    let runs = host.get("/miners/rig-1/runs");
    assert!(runs[0]["cause"].as_str().unwrap().contains("before the program began"), "{runs}");
    assert!(runs[1]["endedAtMs"].is_null(), "the run that goes on: {runs}");
    assert_eq!(host.program("rig-1"), pid(&miner));
}

#[test]
fn miners_that_were_stopped_and_started_keep_to_that_over_many_hosts() {
    let mut host = Host::start();
    for name in ["on", "off"] {
        host.simulate(name, &json!({}));
        host.wait_for_phase(name, "mining");
    }
    host.ok("DELETE", "/miners/off", NONE);
    let on = host.program("on");
    for _ in 0..3 {
        host.kill();
        host.up(&[]);
        host.wait_for_phase("on", "mining");
        host.wait_for_phase("off", "stopped");
        assert_eq!(programs(&host.state()), [on]);
    }
}
