//! Every command with a host that runs.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    cli::{failed, parsed, rows, said, told},
    host::{Host, is_alive, wait_for},
};

#[test]
fn a_miner_is_steered_by_commands() {
    let host = Host::start();
    let start = ["miner", "start", "rig-1", "--type", "sim", "--set", "preparingMs=0"];
    let started = said(&host, &start);
    let pid = host.program("rig-1");
    assert_eq!(started, format!("rig-1: started (pid {pid})\n"));
    host.wait_for_phase("rig-1", "mining");
    wait_for("a hashrate", || host.get("/miners/rig-1/stats")["hashrate"].as_f64());

    let list = said(&host, &["miner", "list"]);
    let table = rows(&list);
    assert_eq!(table[0][..4], ["NAME", "TYPE", "PHASE", "HASHRATE"]);
    assert_eq!(table[1][..3], ["rig-1", "sim", "mining"]);
    assert!(table[1].contains(&"kH/s") && table[1].contains(&pid.to_string().as_str()), "{list}");
    let stats = said(&host, &["miner", "stats", "rig-1"]);
    assert!(stats.lines().any(|line| rows(line)[0] == ["algorithm", "rx/0"]), "{stats}");
    assert!(said(&host, &["miner", "logs", "rig-1", "-n", "2"]).lines().count() == 2);

    assert_eq!(said(&host, &["miner", "pause", "rig-1"]), "rig-1: paused\n");
    host.wait_for_phase("rig-1", "paused");
    assert_eq!(said(&host, &["miner", "resume", "rig-1"]), "rig-1: resumed\n");
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(said(&host, &["miner", "stdin", "rig-1", "echo from the shell"]), "rig-1: sent\n");
    wait_for("the echo", || {
        said(&host, &["miner", "logs", "rig-1"]).contains("from the shell").then_some(())
    });
    assert_eq!(said(&host, &["miner", "restart", "rig-1"]), "rig-1: restarted\n");
    assert_ne!(host.program("rig-1"), pid);
    assert_eq!(said(&host, &["miner", "stop", "rig-1"]), "rig-1: stopped\n");
    assert!(said(&host, &["miner", "list"]).contains("stopped"));
    assert!(said(&host, &["miner", "start", "rig-1"]).starts_with("rig-1: started (pid "));
    assert_eq!(said(&host, &["miner", "stop", "rig-1", "--remove"]), "rig-1: removed\n");
    assert_eq!(rows(&said(&host, &["miner", "list"])).len(), 1);
}

#[test]
fn every_command_speaks_json() {
    let host = Host::start();
    let set = ["--set", "preparingMs=0"];
    let started = host.run_json(&[["miner", "start", "--type", "sim"].as_slice(), &set].concat());
    assert_eq!(started["name"], "sim-1", "made of the type");
    host.wait_for_phase("sim-1", "mining");
    for (args, key, value) in [
        (["miner", "stats", "sim-1"].as_slice(), "phase", json!("mining")),
        (&["miner", "pause", "sim-1"], "status", json!("paused")),
        (&["miner", "resume", "sim-1"], "status", json!("resumed")),
        (&["miner", "stdin", "sim-1", "h", "--raw"], "input", json!("h")),
        (&["miner", "stdin", "sim-1", "echo x"], "input", json!("echo x\n")),
        (&["miner", "restart", "sim-1"], "status", json!("restarted")),
        (&["miner", "stop", "sim-1"], "status", json!("stopped")),
        (&["miner", "start", "sim-1"], "running", json!(true)),
        (
            &["token", "create", "dash", "--role", "operate", "--days", "3"],
            "role",
            json!("operate"),
        ),
        (&["token", "remove", "dash"], "status", json!("removed")),
    ] {
        assert_eq!(host.run_json(args)[key], value, "{args:?}");
    }
    assert!(host.run_json(&["miner", "logs", "sim-1"])["lines"].is_array());
    assert_eq!(host.run_json(&["miner", "list"])[0]["name"], "sim-1");
    assert_eq!(host.run_json(&["token", "list"]), json!([]));
    assert_eq!(host.run_json(&["token", "show"])["token"].as_str().unwrap().len(), 64);
    let pid = host.program("sim-1");
    let down = host.run_json(&["down", "--stop-miners"]);
    assert_eq!(down, json!({ "status": "down", "stopped": 1, "running": 0 }));
    assert!(!is_alive(pid));
    assert_eq!(host.run_json(&["miner", "list"])[0]["running"], false);
}

#[test]
fn a_configuration_comes_from_a_file_stdin_and_fields() {
    let host = Host::start();
    let file = host.folder.path().join("config.json");
    fs::write(&file, r#"{ "pool": "file.example:1", "devices": 3, "preparingMs": 0 }"#).unwrap();
    let path = file.to_str().unwrap();
    let made_of = |name: &str| {
        let plan = host.get(&format!("/miners/{name}/plan"));
        parsed(plan["files"]["sim-miner.json"].as_str().unwrap())
    };
    let common = ["miner", "start", "a", "--type", "sim", "--config", path];
    // What is no JSON is a text; a field given on the command line counts.
    let set = ["--set", "pool=set.example:2", "--set", "devices=4", "--set", "algorithm=kawpow"];
    said(&host, &[common.as_slice(), &set].concat());
    let config = made_of("a");
    assert_eq!(config["pool"], "set.example:2");
    assert_eq!((&config["devices"], &config["algorithm"]), (&json!(4), &json!("kawpow")));
    assert_eq!(config["preparing-ms"], 0);

    let mut command = host.command(&["miner", "start", "b", "--type", "sim", "--config", "-"]);
    let output = typed(&mut command, r#"{ "pool": "stdin.example:1", "misbehave": {} }"#);
    assert_eq!(told(&output).0, 0, "{:?}", told(&output));
    assert_eq!(made_of("b")["pool"], "stdin.example:1");

    let set = ["--set", r#"misbehave={"countLines":true}"#, "--set", "wallet=a=b=c"];
    said(&host, &[["miner", "start", "c", "--type", "sim"].as_slice(), &set].concat());
    assert_eq!(made_of("c")["count-lines"], true);
    assert_eq!(made_of("c")["wallet"], "***", "shown nowhere");
}

fn typed(command: &mut Command, text: &str) -> std::process::Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let host = Host::start();
    let folder = host.folder.path();
    for (name, text) in [
        ("empty.json", ""),
        ("list.json", "[]"),
        ("half.json", "{\"pool\": "),
        ("unknown.json", r#"{ "walet": "hunter2" }"#),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let sim = ["miner", "start", "a", "--type", "sim"];
    for (args, told_of) in [
        (vec!["--config", &file("missing.json")], "cannot read"),
        (vec!["--config", &file("empty.json")], "is no JSON object"),
        (vec!["--config", &file("list.json")], "is no JSON object"),
        (vec!["--config", &file("half.json")], "is no JSON object"),
        (vec!["--config", &file("unknown.json")], "walet: unknown field"),
        (vec!["--config", folder.to_str().unwrap()], "cannot read"),
        (vec!["--config", "-"], "is no JSON object"),
        (vec!["--set", "pool"], "write FIELD=VALUE"),
        (vec!["--set", "devices=many"], "devices: "),
        (vec!["--set", "devices="], "devices: "),
    ] {
        let error = failed(&host, &[sim.as_slice(), &args].concat(), 1);
        assert!(error.contains(told_of) && !error.contains("hunter2"), "{args:?}: {error}");
        assert!(error.starts_with("adit: ") && error.lines().count() == 1, "{error:?}");
    }
    assert_eq!(host.get("/miners"), json!([]));
    for (args, told_of) in [
        (
            ["miner", "start", "a", "--type", "nosuch"].as_slice(),
            "there are: asic, broken-none000000000000, faulty, minimal, sim",
        ),
        (&["miner", "start", "a", "--type", "minimal"], "[programs]"),
        (&["miner", "start", "A/b", "--type", "sim"], "the miner name \"A/b\" is not usable"),
        (&["miner", "start", "nobody"], "there is no miner nobody"),
        (&["miner", "stop", "nobody"], "there is no miner nobody"),
        (&["miner", "stats", ".."], "there is no miner %2E%2E"),
        (&["miner", "logs", "../../info"], "there is no miner ../../info"),
        (&["miner", "stats", ""], ""),
        (&["token", "remove", "nobody"], "there is no such token"),
    ] {
        let error = failed(&host, args, 1);
        assert!(error.contains(told_of), "{args:?}: {error}");
    }
    said(&host, &sim);
    assert!(failed(&host, &sim, 1).contains("there is a miner a already"));
    said(&host, &["miner", "stop", "a"]);
    for what in [["pause", "a"].as_slice(), &["resume", "a"], &["stdin", "a", "h"]] {
        let error = failed(&host, &[["miner"].as_slice(), what].concat(), 1);
        assert_eq!(error, "adit: the miner a is not running\n");
    }
}

#[test]
fn wrong_usage_is_code_2_with_a_hint() {
    let host = Host::absent();
    for args in [
        [].as_slice(),
        &["fly"],
        &["miner"],
        &["miner", "start"],
        &["miner", "start", "a", "--set", "x=1"],
        &["miner", "start", "a", "--config", "x.json"],
        &["miner", "stop"],
        &["miner", "logs", "a", "-n", "-1"],
        &["miner", "list", "extra"],
        &["miner", "list", "--colour"],
        &["token", "create", "x", "--role", "root"],
        &["token", "create", "x", "--days", "0"],
        &["driver", "inspect"],
        &["up", "--listen", "here"],
        &["up", "--keep"],
    ] {
        let error = failed(&host, args, 2);
        assert!(error.contains("Usage: adit") || error.contains("--help"), "{args:?}: {error}");
    }
    assert!(said(&host, &["--version"]).starts_with("adit "));
    let help = said(&host, &["--help"]);
    assert!(help.contains("miner") && !help.contains("keeper"), "{help}");
    assert!(!host.state().exists());
}

#[test]
fn tokens_are_made_listed_and_removed() {
    let host = Host::start();
    let secret = said(&host, &["token", "create", "dash"]);
    assert!(secret.ends_with('\n') && secret.trim().len() == 64, "{secret:?}");
    said(&host, &["token", "create", "hand", "--role", "admin", "--days", "1"]);
    let list = said(&host, &["token", "list"]);
    let table = rows(&list);
    assert_eq!(table[0], ["NAME", "ROLE", "EXPIRES", "ID"]);
    assert_eq!(table[1][..3], ["dash", "view", "never"]);
    assert_eq!((table[2][0], table[2][1]), ("hand", "admin"));
    assert!(table[2][2].ends_with('Z'), "{list}");
    assert!(!list.contains(secret.trim()), "{list}");
    let error = failed(&host, &["token", "create", "dash"], 1);
    assert!(error.contains("of this name already"), "{error}");
    assert_eq!(said(&host, &["token", "remove", "dash"]), "removed dash\n");
    assert_eq!(
        said(&host, &["token", "remove", table[2][3]]),
        format!("removed {}\n", table[2][3])
    );
    assert_eq!(rows(&said(&host, &["token", "list"])).len(), 1);
    let shown = said(&host, &["token", "show"]);
    assert_eq!(shown.trim(), fs::read_to_string(host.state().join("token")).unwrap());
}

#[test]
fn a_driver_is_inspected_without_a_host() {
    let host = Host::absent();
    let file = crate::host::built("libsim_driver.so");
    let path = file.to_str().unwrap();
    let text = said(&host, &["driver", "inspect", path]);
    assert!(text.starts_with("file "), "{text}");
    for (key, value) in [("id", "sim"), ("license", "MIT OR Apache-2.0")] {
        assert!(text.lines().any(|it| it.starts_with(key) && it.ends_with(value)), "{text}");
    }
    let report = host.run_json(&["driver", "inspect", path]);
    assert_eq!((&report["manifest"]["id"], &report["problems"]), (&json!("sim"), &json!([])));

    let bad = host.folder.path().join("bad\u{1b}[2J.so");
    fs::write(&bad, "no library").unwrap();
    let missing = host.folder.path().join("missing.so");
    for path in [&bad, &missing, &host.folder.path().to_owned()] {
        let path = path.to_str().unwrap();
        let (code, out, error) = super::run(&host, &["driver", "inspect", path]);
        assert_eq!(code, 1, "{out}{error}");
        assert!(out.contains("problem "), "{out}");
        assert!(error.contains("would not be loaded"), "{error}");
        assert!(!out.contains('\u{1b}') && !error.contains('\u{1b}'), "{out:?} {error:?}");
        let (code, out, _) = super::run(&host, &["driver", "inspect", path, "--json"]);
        assert_eq!((code, parsed(&out)["manifest"].clone()), (1, Value::Null));
    }
    assert!(!host.state().exists());
}
