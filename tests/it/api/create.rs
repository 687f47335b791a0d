//! `POST /miners`: one plan of the driver, one write, one start.

use std::fs;

use serde_json::json;

use crate::host::Host;

/// How often the driver was asked for a plan.
fn plans(host: &Host) -> u64 {
    let text = host.request("GET", "/metrics").send().unwrap().text().unwrap();
    let calls = text.lines().filter(|line| {
        line.contains("driver_calls_total{driver=\"sim\"") && line.contains("op=\"start\"")
    });
    let counts: Vec<f64> =
        calls.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    assert!(!counts.is_empty(), "{text}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let sum = counts.iter().sum::<f64>() as u64;
    sum
}

#[test]
fn a_driver_is_asked_for_one_plan_a_start() {
    let host = Host::start();
    let config = json!({ "preparingMs": 0, "shareIntervalMs": 200, "seed": 1 });
    host.ok("POST", "/miners", &json!({ "name": "one", "type": "sim", "config": config }));
    assert_eq!(plans(&host), 1, "created");
    // Saving a profile asks too, whether it could be started.
    host.ok("POST", "/profiles", &json!({ "name": "p", "minerType": "sim", "config": config }));
    let before = plans(&host);
    host.ok("POST", "/profiles/p/start", &json!({}));
    assert_eq!(plans(&host), before + 1, "started from a profile");
    host.ok("POST", "/miners", &json!({ "name": "two", "profile": "p" }));
    assert_eq!(plans(&host), before + 2, "created from a profile");
    host.ok("POST", "/miners/one/restart", &json!(null));
    assert_eq!(plans(&host), before + 3, "restarted");
    // What runs is what was planned: the port that the plan names is the one that is used.
    let plan = host.get("/miners/two/plan");
    let pid = host.program("two");
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    for argument in plan["args"].as_array().into_iter().flatten() {
        assert!(line.contains(argument.as_str().unwrap()), "{line}: {plan}");
    }
}

#[test]
fn options_of_the_watchdog_survive_a_first_start_that_fails() {
    let mut host = Host::start();
    // The description of the run cannot be written over a folder.
    let in_the_way = host.state().join("miners/rig/miner.json");
    fs::create_dir_all(in_the_way.join("x")).unwrap();
    let options = json!({ "enabled": false, "silenceS": 77 });
    let config = json!({ "preparingMs": 0, "seed": 1 });
    let body = json!({ "name": "rig", "type": "sim", "config": config, "watchdog": options });
    let (status, answer) = host.call("POST", "/miners", &body);
    assert!(status >= 500, "{status} {answer}");
    let kept = |host: &Host| {
        let told = host.get("/miners/rig/watchdog");
        assert_eq!(told["enabled"], false, "{told}");
        assert!(told.to_string().contains("77"), "{told}");
    };
    kept(&host);
    host.kill();
    fs::remove_dir_all(in_the_way).unwrap();
    host.up(&[]);
    kept(&host);
    // It is wanted, so the next host starts it.
    host.wait_for_phase("rig", "mining");
}
