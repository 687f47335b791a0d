//! The doctor and what the host tells of itself, over REST and the command line.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::{
    api::NONE,
    host::{Host, wait_for},
};

/// The finding `id` that contains `text`.
fn finding<'a>(diagnosis: &'a Value, id: &str, text: &str) -> &'a Value {
    let found = diagnosis["findings"].as_array().unwrap();
    let is_it = |it: &&Value| it["id"] == id && it["told"].as_str().unwrap().contains(text);
    found.iter().find(is_it).unwrap_or_else(|| panic!("no {id} {text}: {diagnosis}"))
}

fn open_up(host: &Host, mode: u32) {
    fs::set_permissions(host.state(), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    let well = host.ok("POST", "/doctor", NONE);
    for (id, text) in [
        ("stateFolder", "yours alone"),
        ("drivers", "drivers are loaded"),
        ("keeper", "rig-1 runs under its keeper"),
        ("api", "this machine only"),
        ("database", ""),
    ] {
        let one = finding(&well, id, text);
        assert_eq!((&one["verdict"], one.get("fix")), (&json!("ok"), None), "{one}");
    }
    for id in ["memory", "hugePages", "clock", "openFiles", "landlock", "cgroup", "space"] {
        finding(&well, id, "");
    }
    for one in well["findings"].as_array().unwrap() {
        let is_bad = ["warning", "problem"].iter().any(|it| one["verdict"] == *it);
        assert!(!is_bad || one["fix"].as_str().is_some_and(|it| !it.is_empty()), "{one}");
    }
    // Existing clients read the system's information there.
    assert_eq!(well["os"], "linux");
    assert!(well["installed_miners_info"].is_array());

    open_up(&host, 0o755);
    let sick = host.ok("POST", "/doctor", NONE);
    let one = finding(&sick, "stateFolder", "others can look into");
    assert_eq!((&one["verdict"], &sick["verdict"]), (&json!("problem"), &json!("problem")));
    assert!(one["fix"].as_str().unwrap().starts_with("run: chmod 700 "), "{one}");
}

#[test]
fn the_command_shows_the_fix_and_ends_with_a_code_of_its_own() {
    let mut host = Host::start();
    open_up(&host, 0o755);
    let sick = host.run(&["doctor"]);
    let said = String::from_utf8(sick.stdout).unwrap();
    assert_eq!(sick.status.code(), Some(4), "{said}");
    assert!(said.starts_with("problem  stateFolder: others can look into"), "{said}");
    assert!(said.contains("run: chmod 700 "), "{said}");
    assert!(!said.contains('\u{1b}'), "colours without a terminal: {said}");

    host.interrupt();
    let alone = host.run(&["doctor", "--json"]);
    assert_eq!(alone.status.code(), Some(4));
    let alone: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(finding(&alone, "host", "no host runs")["fix"], "run: adit up");
    open_up(&host, 0o700);
    let alone = host.run(&["doctor", "--json"]);
    let alone: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(finding(&alone, "stateFolder", "yours alone")["verdict"], "ok");
}

#[test]
fn the_configuration_of_a_running_miner_is_told() {
    let host = Host::start();
    let sim = |info: &Value| {
        let all = info["installed_miners_info"].as_array().unwrap();
        all.iter().find(|it| it["miner_type"] == "sim").unwrap().clone()
    };
    assert_eq!(sim(&host.get("/info")).get("config_path"), None);
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    let info = host.get("/info");
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    let told = wait_for("the path", || {
        sim(&host.get("/info"))["config_path"].as_str().map(Path::new).map(Path::to_owned)
    });
    assert!(told.is_file(), "{}", told.display());
    let said = host.run(&["info"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with(&format!("adit {} on ", env!("CARGO_PKG_VERSION"))), "{said}");
    assert!(said.contains("not installed"), "{said}");
}

#[test]
fn a_host_that_is_ready_shows_what_runs() {
    let mut host = Host::start();
    let names: Vec<String> = (0..12).map(|n| format!("rig-{n}")).collect();
    for name in &names {
        host.simulate(name, &json!({}));
    }
    for _ in 0..3 {
        host.kill();
        host.up(&[]);
        wait_for("the host to be ready", || {
            let (status, answer) = host.call("GET", "/ready", NONE);
            match status {
                200 => Some(()),
                _ => {
                    assert_eq!((status, &answer["code"]), (503, &json!("NOT_READY")), "{answer}");
                    assert!(answer["details"]["components"]["manager"] != "ready", "{answer}");
                    None
                }
            }
        });
        let listed = host.get("/miners");
        let running = listed.as_array().unwrap().iter().filter(|it| it["running"] == true);
        assert_eq!(running.count(), names.len(), "{listed}");
    }
}
