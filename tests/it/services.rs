//! What the host does for a driver in a process of its own: storage, figures, routes, messages to
//! peers, log. And what the end of that process, or calls that hang, mean to others.

use std::{fs, thread};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::{NONE, host_with, refused},
    host::{Host, is_alive, pid_at, signal, wait_for},
    node,
};

const APART: &str = "[drivers]\nisolation = { sim = \"process\", faulty = \"process\" }\n";

/// Largest value of a driver's storage.
const LARGEST: usize = 256 << 10;

/// The driver's process.
fn process(host: &Host, driver: &str) -> Value {
    let driver = host.get(&format!("/drivers/{driver}"));
    assert_eq!(driver["isolation"], "process", "{driver}");
    driver["process"].clone()
}

fn put(host: &Host, note: &str, size: usize) -> (u16, Value) {
    let request = host
        .request("PUT", &format!("/drivers/sim/x/notes/{note}"))
        .header("Content-Type", "application/octet-stream")
        .body(vec![b'x'; size]);
    let response = request.send().unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

fn notes(host: &Host) -> usize {
    host.get("/drivers/sim/x/notes")["notes"].as_array().unwrap().len()
}

#[test]
fn storage_has_a_quota_and_outlives_the_drivers_process_and_the_host() {
    let mut host = host_with(APART);
    let (status, told) = put(&host, "large", LARGEST + 1);
    assert_eq!((status, &told["code"]), (400, &json!("INVALID_INPUT")), "{told}");
    let kept = (0..64).take_while(|number| put(&host, &format!("n{number}"), LARGEST).0 == 200);
    assert_eq!(kept.count(), 63, "16 MiB, keys included");
    let (status, told) = put(&host, "more", LARGEST);
    assert_eq!(status, 400, "{told}");
    assert!(told["error"].as_str().unwrap().contains("16777216"), "{told}");
    // Another driver has room of its own, and none of this.
    assert_eq!(notes(&host), 63);
    host.ok("DELETE", "/drivers/sim/x/notes/n0", NONE);
    assert_eq!(put(&host, "more", LARGEST).0, 200);

    signal(pid_at(&process(&host, "sim")["pid"]), rustix::process::Signal::KILL);
    wait_for("the driver to be back", || {
        let (status, answer) = host.call("GET", "/drivers/sim/x/notes", NONE);
        (status == 200 && answer["notes"].as_array()?.len() == 63).then_some(())
    });
    assert_eq!(process(&host, "sim")["starts"], 2);
    host.kill();
    host.up(&[]);
    assert_eq!(notes(&host), 63);
}

#[test]
fn published_figures_reach_the_miner_the_history_and_the_events() {
    let host = host_with(APART);
    let new = json!({ "name": "publish-stats", "type": "faulty", "config": { "args": [] } });
    host.ok("POST", "/miners", &new);
    let power = |figures: &Value| {
        let devices = figures["devices"].as_array()?;
        devices.iter().find(|it| it["id"] == "meter")?["power"].as_f64()
    };
    let seen = wait_for("the miner's power", || power(&host.miner("publish-stats")["stats"]));
    assert!((seen - 123.5).abs() < 1e-9, "{seen}");
    let listed = host.get("/miners");
    assert_eq!(power(&listed[0]["stats"]), Some(seen), "{listed}");
    let point = wait_for("power in the history", || {
        let points = host.get("/history/miners/publish-stats/hashrate?metric=power");
        points.as_array()?.last().cloned()
    });
    assert!(point.to_string().contains("123.5"), "{point}");
    let text = host.request("GET", "/metrics").send().unwrap().text().unwrap();
    let mut lines = text.lines().filter(|it| it.starts_with("miner_device_power_watts{"));
    let ours = |it: &str| it.contains("\"publish-stats\"") && it.ends_with(" 123.5");
    assert!(lines.any(ours), "{text}");
    let told = wait_for("figures among the events", || {
        let told = host.get("/events/recent?types=miner.stats");
        told.to_string().contains("\"algorithm\":\"rx/meter\"").then_some(told)
    });
    assert!(told["events"].is_array(), "{told}");
    // What is said to the driver's logger is in the host's log, with the driver's id.
    wait_for("a line in the log", || {
        let log = host.log();
        let mut lines = log.lines();
        let said = "object with the fault \\\"publish-stats\\\"";
        lines
            .find(|it| it.contains(said) || it.contains("fault \"publish-stats\""))
            .filter(|it| it.contains("faulty"))
            .map(drop)
    });
}

#[test]
fn routes_ask_for_a_token_and_survive_what_the_process_does() {
    let text = format!("{APART}call_timeout_ms = 4000\nquarantine_failures = 0\n");
    let host = host_with(&text);
    let bare = host.bare_request(&Method::GET, "/drivers/faulty/x/hello").send().unwrap();
    assert_eq!(bare.status().as_u16(), 401);
    for (path, status, code) in [
        ("panic", 502, "DRIVER_PANICKED"),
        ("hang", 504, "DRIVER_TIMEOUT"),
        ("huge", 502, "DRIVER_FAILED"),
        ("garbage", 502, "DRIVER_FAILED"),
    ] {
        refused(&host, ("GET", &format!("/drivers/faulty/x/{path}"), NONE), (status, code));
    }
    for path in ["exit", "abort", "segv"] {
        let (status, told) = host.call("GET", &format!("/drivers/faulty/x/{path}"), NONE);
        assert_eq!(status, 502, "{path}: {told}");
        assert!(told["error"].as_str().unwrap().contains("process ended"), "{path}: {told}");
        wait_for("the next process", || {
            let hello = host.request("POST", "/drivers/faulty/x/hello").json(&json!({}));
            hello.send().unwrap().status().is_success().then_some(())
        });
    }
    assert!(process(&host, "faulty")["starts"].as_u64() >= Some(4));
}

#[test]
fn however_a_driver_ends_the_host_and_all_miners_go_on() {
    let limits = "call_timeout_ms = 5000\nquarantine_failures = 0\nmemory_mib = 192\n";
    let host = host_with(&format!("{APART}{limits}"));
    host.simulate("sim-1", &json!({}));
    let own = json!({ "name": "own", "type": "faulty", "config": { "args": [] } });
    host.ok("POST", "/miners", &own);
    let figures = |name: &str| host.miner(name)["stats"]["hashrate"].as_f64();
    for name in ["sim-1", "own"] {
        wait_for("figures", || figures(name));
    }
    let before = ["sim-1", "own"].map(|name| host.program(name));
    for (kind, cause) in [
        ("exit", "exit status 7"),
        ("abort", "SIGABRT"),
        ("segv", "SIGSEGV"),
        ("overflow", "stack overflow"),
        ("bomb", "memory allocation"),
        ("socket", "it broke the protocol"),
        ("hang", "did not return"),
        ("spin", "did not return"),
    ] {
        // Loaded anew, so that no pause after the last end is waited for.
        host.ok("POST", "/drivers/faulty/clear", NONE);
        let (status, told) = host.call("GET", &format!("/drivers/faulty/x/{kind}"), NONE);
        assert!([502, 504].contains(&status), "{kind}: {told}");
        let end = wait_for("the end of its process", || {
            let end = host.get("/drivers/faulty")["process"]["lastEnd"]["cause"].clone();
            end.as_str().map(str::to_owned)
        });
        assert!(end.contains(cause), "{kind}: {end}");
        // The host answers, the other driver serves, and no program noticed.
        assert_eq!(host.get("/drivers/sim/x/hello")["from"], "sim");
        assert_eq!(["sim-1", "own"].map(|name| host.program(name)), before, "{kind}");
        wait_for("figures of its miner again", || figures("own"));
    }
    for name in ["sim-1", "own"] {
        assert_eq!(host.miner(name)["restarts"], 0);
        assert!(figures(name).is_some());
    }
}

#[test]
fn what_a_driver_may_not_do_is_refused_and_shown() {
    let host = host_with(APART);
    let try_it = |what: &str| {
        let answer = host.request("GET", &format!("/drivers/faulty/x/try/{what}")).send().unwrap();
        answer.text().unwrap()
    };
    let token = host.state().join("token");
    let mode = fs::metadata(&token).unwrap().permissions();
    for what in ["limit-host", "kill", &format!("files/mode{}", token.display())] {
        let answer = try_it(what);
        assert!(answer.contains("Operation not permitted"), "{what}: {answer}");
    }
    // The host lives, and its secret is as it was.
    assert_eq!(host.get("/drivers/sim/x/hello")["from"], "sim");
    assert_eq!(fs::metadata(&token).unwrap().permissions(), mode);
    let refused = process(&host, "faulty")["refused"].clone();
    let call = |name: &str| refused.as_array().unwrap().iter().find(|it| it["call"] == name);
    for name in ["prlimit64", "kill"] {
        let call = call(name).unwrap_or_else(|| panic!("{name} in {refused}"));
        assert!(call["count"] == 1 && call["lastAt"].is_string(), "{call}");
    }
    let shown = host.run(&["driver", "show", "faulty"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("refused calls") && shown.contains("prlimit64 (1 times"), "{shown}");
    let log = host.log();
    assert!(log.contains("refused a system call") && log.contains("prlimit64"), "{log}");
}

#[test]
fn a_driver_that_keeps_its_threads_from_noticing_ends_with_the_host() {
    let mut host = host_with(&format!("{APART}call_timeout_ms = 600000\n"));
    host.get("/drivers/faulty");
    let runner = pid_at(&process(&host, "faulty")["pid"]);
    let holds = host.state().join("driver-data/faulty/holds");
    thread::scope(|scope| {
        let request = host.request("GET", "/drivers/faulty/x/try/flood/hold");
        // The host does not answer it: it is killed meanwhile.
        let asking = scope.spawn(move || drop(request.send()));
        wait_for("a driver that holds its threads", || holds.exists().then_some(()));
        signal(host.pid(), rustix::process::Signal::KILL);
        asking.join().unwrap();
    });
    host.kill();
    wait_for("the end of the driver's process", || (!is_alive(runner)).then_some(()));
}

#[test]
fn calls_that_hang_in_one_driver_hold_no_other_up() {
    let host = host_with(&format!("{APART}call_timeout_ms = 4000\ncalls_at_once = 2\n"));
    thread::scope(|scope| {
        let hang = || host.call("GET", "/drivers/faulty/x/hang", NONE);
        let hanging: Vec<_> = (0..5).map(|_| scope.spawn(hang)).collect();
        wait_for("two calls to be under way", || {
            // More than there may be at once wait, in that driver alone.
            let hello = host.get("/drivers/sim/x/hello");
            assert_eq!(hello["from"], "sim");
            hanging.iter().any(|it| it.is_finished()).then_some(())
        });
        for call in hanging {
            let (status, told) = call.join().unwrap();
            assert!([502, 503, 504].contains(&status), "{status} {told}");
        }
    });
    assert!(process(&host, "faulty")["starts"].as_u64() >= Some(1));
}

#[test]
fn a_driver_sends_messages_to_itself_on_a_peer() {
    let hosts = ["farm", "rig"].map(|name| {
        let role = if name == "farm" { "controller" } else { "worker" };
        node::node_with(name, role, &format!("{APART}[node]\nlisten = \"127.0.0.1:0\"\n"))
    });
    let [farm, rig] = &hosts;
    node::join(rig, farm, &[]);
    let (of_farm, of_rig) = (node::id(farm), node::id(rig));
    let send = |from: &Host, to: &str, body: &str| {
        let path = format!("/drivers/sim/x/send?to={to}");
        let request =
            from.request("POST", &path).header("Content-Type", "application/octet-stream");
        let response = request.body(body.to_owned()).send().unwrap();
        (response.status().as_u16(), response.text().unwrap())
    };
    // Only the driver knows what a message changes, so it takes every right to change something.
    let (status, body) = send(farm, &of_rig, "how warm?");
    assert!(status >= 400, "{status} {body}");
    node::allow(rig, &of_farm, &["stats", "control", "config", "payout"]);
    assert_eq!(send(farm, &of_rig, "how warm?"), (200, "how warm?".to_owned()));
    let pid = process(rig, "sim")["pid"].clone();
    // The other's process ends: an error here, and then the next one answers.
    signal(pid_at(&pid), rustix::process::Signal::KILL);
    wait_for("the other's next process", || {
        (send(farm, &of_rig, "again?") == (200, "again?".to_owned())).then_some(())
    });
    assert_ne!(process(rig, "sim")["pid"], pid);
    let (status, told) = send(farm, "nobody", "x");
    assert!(status == 400 && told.contains("nobody"), "{status} {told}");
    let (status, told) = send(farm, &of_rig, &"x".repeat(300 << 10));
    assert!(status == 400 && told.contains("bytes"), "{status} {told}");
    // A worker commands nobody.
    let (status, told) = send(rig, &of_farm, "hi");
    assert!(status >= 400, "{status} {told}");
}
