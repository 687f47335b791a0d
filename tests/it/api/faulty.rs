//! A driver that misbehaves, inside a real host: it harms its own calls and nothing else.

use std::{fs, os::unix::fs::DirBuilderExt};

use serde_json::{Value, json};

use crate::{
    api::{NONE, assert_error, host_with, refused},
    host::{Host, is_alive, wait_for},
};

/// Short, with room for many calls that never return, and forgiving.
const SETTINGS: &str =
    "[drivers]\ncall_timeout_ms = 2000\ncalls_at_once = 64\nquarantine_failures = 0\n";

/// A host with a simulated miner `neighbour` that is mining.
fn host() -> (Host, u32) {
    let host = host_with(SETTINGS);
    host.simulate("neighbour", &json!({}));
    host.wait_for_phase("neighbour", "mining");
    let pid = host.program("neighbour");
    (host, pid)
}

/// A host whose driver `faulty` has `fault` in the object for itself.
fn host_with_fault(fault: &str) -> Host {
    let mut host = Host::absent();
    let usual = fs::read_to_string(host.settings()).unwrap();
    fs::write(host.settings(), format!("{usual}{SETTINGS}")).unwrap();
    let folder = host.state().join("driver-data/faulty");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
    fs::write(folder.join("fault"), fault).unwrap();
    host.up(&[]);
    host
}

/// The host lives and the miner `neighbour` hashes on as the process it was.
fn assert_undisturbed(host: &mut Host, pid: u32, what: &str) {
    assert!(!host.has_ended(), "{what}: the host ended: {}", host.log());
    assert!(is_alive(pid) && host.program("neighbour") == pid, "{what}");
    let hashes = |host: &Host| host.get("/miners/neighbour/stats")["hashesTotal"].as_f64();
    let before = wait_for("figures of the neighbour", || hashes(host));
    wait_for(&format!("hashes of the neighbour after {what}"), || {
        (hashes(host) > Some(before)).then_some(())
    });
    let miner = host.miner("neighbour");
    assert_eq!((&miner["driverless"], &miner["restarts"]), (&json!(false), &json!(0)), "{what}");
}

fn faulty(name: &str) -> Value {
    json!({ "name": name, "type": "faulty", "config": { "args": ["--preparing-ms", "0"] } })
}

fn one_line(text: &Value) -> &str {
    let text = text.as_str().unwrap_or_else(|| panic!("{text} is no text"));
    assert!(!text.is_empty() && text.len() < 2000, "{text:.200}");
    assert!(!text.contains(char::is_control), "{text:.200}");
    text
}

#[test]
fn a_start_that_the_driver_spoils_makes_no_miner() {
    let (mut host, pid) = host();
    for (name, status, code, op) in [
        ("panic-create", 502, "DRIVER_PANICKED", "create"),
        ("huge-create", 502, "DRIVER_FAILED", "create"),
        ("hang-create", 504, "DRIVER_TIMEOUT", "create"),
        ("panic-start", 502, "DRIVER_PANICKED", "start"),
        ("hang-start", 504, "DRIVER_TIMEOUT", "start"),
        ("huge-start", 502, "DRIVER_FAILED", "start"),
        ("panic-stop", 502, "DRIVER_PANICKED", "stop"),
        ("hang-stop", 504, "DRIVER_TIMEOUT", "stop"),
        ("huge-stop", 502, "DRIVER_FAILED", "stop"),
    ] {
        let before = host.get("/drivers/faulty")["health"].clone();
        refused(&host, ("POST", "/miners", &faulty(name)), (status, code));
        refused(&host, ("GET", &format!("/miners/{name}"), NONE), (404, "MINER_NOT_FOUND"));
        let health = host.get("/drivers/faulty")["health"].clone();
        let count = |health: &Value, what: &str| health[what].as_u64().unwrap();
        for (counter, counts) in [
            ("failures", true),
            ("panics", status == 502 && code == "DRIVER_PANICKED"),
            ("timeouts", status == 504),
        ] {
            let more = count(&health, counter) - count(&before, counter);
            assert_eq!(more, u64::from(counts), "{name} {counter}: {health}");
        }
        assert_eq!(health["lastFailure"]["op"], op, "{health}");
        one_line(&health["lastFailure"]["message"]);
    }
    let health = host.get("/drivers/faulty")["health"].clone();
    assert_eq!(health["stuck"], 3, "the three that hang: {health}");
    // Of a miner that was not made nothing stays: the driver is asked afresh.
    refused(&host, ("POST", "/miners", &faulty("panic-start")), (502, "DRIVER_PANICKED"));
    let objects = || host.log().matches("object with the fault \"panic-start\"").count();
    wait_for("a second object", || (objects() == 2).then_some(()));
    assert_undisturbed(&mut host, pid, "the driver's failures");
    // It still serves who asks for nothing wrong.
    host.ok("POST", "/miners", &faulty("good"));
    wait_for("its figures", || host.get("/miners/good/stats")["hashrate"].as_f64());
}

#[test]
fn a_plan_that_reaches_out_is_refused_and_nothing_is_written() {
    let (mut host, pid) = host();
    for (name, told_of) in [
        ("plan-program", "runs /bin/sh, which is not inside"),
        ("plan-climb", "bin/sh, which is not inside"),
        ("plan-file", "escape\": only paths inside the run's folder"),
        ("plan-absolute", "escape\": only paths inside the run's folder"),
        ("plan-loader", "\"LD_PRELOAD\", which is not allowed"),
        ("plan-flood", "more than 64 files"),
        ("garbage-start", "which is not inside"),
    ] {
        let told = refused(&host, ("POST", "/miners", &faulty(name)), (500, "PLAN_REFUSED"));
        assert!(told.contains(told_of), "{name}: {told}");
        assert!(!host.state().join("miners").join(name).exists(), "{name}");
    }
    let mut pending = vec![host.folder.path().to_owned()];
    while let Some(path) = pending.pop() {
        assert!(!path.to_string_lossy().contains("escape"), "{}", path.display());
        if path.is_dir() && !path.is_symlink() {
            pending.extend(fs::read_dir(path).unwrap().map(|it| it.unwrap().path()));
        }
    }
    let names: Vec<Value> =
        host.get("/miners").as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, [json!("neighbour")]);
    assert_undisturbed(&mut host, pid, "plans that reach out");
}

#[test]
fn figures_that_the_driver_spoils_cost_the_figures_only() {
    let (mut host, pid) = host();
    for (name, reason) in [
        ("panic-probes", "panic on demand"),
        ("huge-probes", "has"),
        ("garbage-probes", ""),
        ("panic-stats", "panic on demand"),
        ("huge-stats", "metrics has"),
        ("garbage-stats", ""),
        ("panic-output", "panic on demand"),
        ("huge-output", "has"),
        ("garbage-output", ""),
    ] {
        host.ok("POST", "/miners", &faulty(name));
        if !reason.is_empty() {
            let miner = wait_for(&format!("{name} to be driverless"), || {
                let miner = host.miner(name);
                (miner["driverless"] == true).then_some(miner)
            });
            let told = one_line(&miner["reason"]);
            assert!(told.contains(reason), "{name}: {told}");
        }
        let program = host.program(name);
        let calls = || host.get("/drivers/faulty")["health"]["calls"].as_u64();
        let before = calls();
        wait_for("another look", || (calls() > before).then_some(()));
        assert!(is_alive(program) && host.program(name) == program, "{name}");
        let stats = host.get(&format!("/miners/{name}/stats"));
        assert_sound(name, &stats);
        host.ok("DELETE", &format!("/miners/{name}?remove=true"), NONE);
        assert!(!is_alive(program), "{name}");
    }
    assert_undisturbed(&mut host, pid, "spoilt figures");
}

/// Figures that a chart can be drawn of.
fn assert_sound(name: &str, stats: &Value) {
    match stats {
        Value::Number(number) => {
            assert!(number.as_f64().is_some_and(|it| it >= 0.0), "{name}: {number}");
        }
        Value::String(text) => {
            assert!(text.len() < 2000 && !text.contains('\u{1b}'), "{name}: {text:?}");
        }
        Value::Array(items) => items.iter().for_each(|it| assert_sound(name, it)),
        Value::Object(fields) => fields.values().for_each(|it| assert_sound(name, it)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[test]
fn a_command_that_the_driver_spoils_is_told() {
    let (mut host, pid) = host();
    for (name, status, code) in [
        ("panic-command", 502, "DRIVER_PANICKED"),
        ("hang-command", 504, "DRIVER_TIMEOUT"),
        ("huge-command", 502, "DRIVER_FAILED"),
        ("garbage-command", 400, "UNSUPPORTED"),
    ] {
        host.ok("POST", "/miners", &faulty(name));
        let program = host.program(name);
        for command in ["pause", "resume"] {
            let path = format!("/miners/{name}/{command}");
            refused(&host, ("POST", &path, NONE), (status, code));
        }
        assert!(is_alive(program) && host.program(name) == program, "{name}");
    }
    assert_undisturbed(&mut host, pid, "spoilt commands");
}

#[test]
fn a_miner_ends_whatever_its_driver_does_about_it() {
    let (mut host, pid) = host();
    for name in ["panic-drop", "hang-drop", "garbage-stop", "hang-thread", "panic-thread"] {
        host.ok("POST", "/miners", &faulty(name));
        let program = host.program(name);
        let done = host.ok("DELETE", &format!("/miners/{name}?remove=true"), NONE);
        assert_eq!(done, json!({ "status": "removed" }), "{name}");
        assert!(!is_alive(program), "{name}");
        refused(&host, ("GET", &format!("/miners/{name}"), NONE), (404, "MINER_NOT_FOUND"));
    }
    assert_undisturbed(&mut host, pid, "the driver's destructors");
}

#[test]
fn a_wedged_driver_is_told_and_its_miner_runs_on() {
    let mut host = host_with("[drivers]\ncall_timeout_ms = 1000\ncalls_at_once = 2\n");
    host.simulate("neighbour", &json!({}));
    host.wait_for_phase("neighbour", "mining");
    let pid = host.program("neighbour");
    host.ok("POST", "/miners", &faulty("hang-stats"));
    let program = host.program("hang-stats");
    let wedged = wait_for("the driver to be wedged", || {
        let driver = host.get("/drivers/faulty");
        (driver["health"]["stuck"] == 2).then_some(driver)
    });
    assert_eq!(wedged["healthy"], false);
    let told = wait_for("an event of it", || {
        let told = host.get("/events/recent?types=driver.wedged");
        told["events"].as_array().is_some_and(|it| !it.is_empty()).then_some(told)
    });
    assert_eq!(told["events"][0]["data"], json!({ "id": "faulty", "stuck": 2 }), "{told}");
    let miner = wait_for("the miner to tell", || {
        let miner = host.miner("hang-stats");
        miner["reason"].as_str().is_some_and(|it| it.contains("wedged")).then_some(miner)
    });
    assert_eq!((&miner["driverless"], &miner["running"]), (&json!(true), &json!(true)));
    assert!(is_alive(program) && host.program("hang-stats") == program);
    let problem = host.get("/drivers/faulty")["problem"].clone();
    assert!(one_line(&problem).contains("wedged: 2 calls never returned"), "{problem}");
    refused(&host, ("POST", "/miners", &faulty("good")), (503, "DRIVER_WEDGED"));
    refused(&host, ("POST", "/miners/hang-stats/pause", NONE), (503, "DRIVER_WEDGED"));
    let available = host.get("/miners/available");
    let entry = available.as_array().unwrap().iter().find(|it| it["name"] == "faulty").unwrap();
    assert!(one_line(&entry["problem"]).contains("wedged"), "{entry}");
    assert!(host.get("/info")["installed_miners_info"].as_array().unwrap().len() >= 4);
    // How to end it was asked before it began.
    host.ok("DELETE", "/miners/hang-stats", NONE);
    assert!(!is_alive(program));
    refused(&host, ("POST", "/miners/hang-stats/start", NONE), (503, "DRIVER_WEDGED"));
    let failed = host.wait_for_phase("hang-stats", "failed");
    assert!(one_line(&failed["reason"]).contains("wedged"), "{failed}");
    assert_undisturbed(&mut host, pid, "a wedged driver");
    // What never returns does not hold the end of the host up either.
    host.interrupt();
    assert!(is_alive(pid));
}

#[test]
fn a_driver_that_cannot_say_what_it_is_is_refused() {
    for (fault, reason) in [
        ("panic-create", "panic on demand"),
        ("huge-create", "xxx"),
        ("hang-create", "did not answer create within"),
        ("panic-describe", "panic on demand"),
        ("huge-describe", "description has"),
        ("hang-describe", "did not answer describe within 2s"),
        ("garbage-describe", "configuration"),
    ] {
        let host = host_with_fault(fault);
        let listed = host.get("/drivers");
        let find = |id: &str| listed.as_array().unwrap().iter().find(|it| it["id"] == id).unwrap();
        assert_eq!(find("faulty")["state"], "refused", "{fault}: {listed}");
        let told = one_line(&find("faulty")["reason"]);
        assert!(told.contains(reason), "{fault}: {told}");
        assert_eq!(find("sim")["state"], "loaded");
        refused(&host, ("GET", "/drivers/faulty", NONE), (404, "DRIVER_NOT_FOUND"));
        let told = refused(&host, ("POST", "/miners", &faulty("x")), (400, "UNSUPPORTED_MINER"));
        assert!(!told.contains("there are: faulty"), "{told}");
        host.simulate("rig-1", &json!({}));
        host.wait_for_phase("rig-1", "mining");
    }
}

#[test]
fn a_driver_that_spoils_its_own_questions_is_told() {
    for (fault, is_program) in [
        ("panic-install", true),
        ("huge-install", true),
        ("hang-install", true),
        ("garbage-install", true),
        ("panic-healthy", false),
        ("hang-healthy", false),
        ("garbage-healthy", false),
    ] {
        let host = host_with_fault(fault);
        let driver = host.get("/drivers/faulty");
        assert_eq!(driver["healthy"], is_program, "{fault}: {driver}");
        if !is_program {
            assert!(fault == "garbage-healthy" || !one_line(&driver["problem"]).is_empty());
            host.ok("POST", "/miners", &faulty("good"));
            continue;
        }
        let (status, answer) = host.call("POST", "/miners", &faulty("x"));
        assert_error(fault, &answer);
        assert!([400, 500, 502, 504].contains(&status), "{fault}: {status} {answer}");
        let available = host.get("/miners/available");
        let entry = available.as_array().unwrap().iter().find(|it| it["name"] == "faulty").unwrap();
        assert_eq!(entry["installed"], false, "{fault}");
        one_line(&entry["problem"]);
        let info = host.get("/info");
        let all = info["installed_miners_info"].as_array().unwrap();
        let entry = all.iter().find(|it| it["miner_type"] == "faulty").unwrap();
        assert_eq!(entry["is_installed"], false, "{fault}");
        one_line(&entry["problem"]);
    }
}
