//! Drivers that are TOML files: checked, added, used, replaced, cleared and removed like any other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    api::{NONE, host_with, refused},
    drivers::foulty,
    host::{Host, is_alive, pid_at, signal, wait_for},
};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/declarative/sim-written.toml")
}

/// The example with `from` replaced by `to`, as a file of the host's folder.
fn changed(host: &Host, from: &str, to: &str) -> String {
    let text = fs::read_to_string(example()).unwrap();
    assert!(text.contains(from), "{from}");
    let path = host.folder.path().join("changed.toml");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn add(host: &Host, file: &str) -> Value {
    host.run_json(&["driver", "add", file])["driver"].clone()
}

fn listed(host: &Host) -> Option<Value> {
    let all = host.get("/drivers");
    all.as_array().unwrap().iter().find(|it| it["id"] == "sim-written").cloned()
}

/// Starts a miner that has its shares at once.
fn start(host: &Host, name: &str) {
    let config = json!({ "wallet": "4WALLET", "quick": true, "devices": 3, "hashrate": 9000 });
    host.ok("POST", "/miners", &json!({ "name": name, "type": "sim-written", "config": config }));
    host.wait_for_phase(name, "mining");
}

#[test]
fn the_example_keeps_the_rules_for_drivers() {
    let host = Host::absent();
    let report = host.run_json(&["driver", "check", example().to_str().unwrap()]);
    assert_eq!(report["passed"], true, "{report:#}");
    let inspected = host.run_json(&["driver", "inspect", example().to_str().unwrap()]);
    assert_eq!(inspected["manifest"]["id"], "sim-written", "{inspected}");
    let file = changed(&host, "signal = \"TERM\"", "signal = \"STOP\"");
    let failed = host.run(&["driver", "check", &file]);
    let told = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(!failed.status.success() && told.contains("stop: signal: write one of TERM"), "{told}");
    assert!(told.contains("  line "), "{told}");
    // A wallet that is no secret breaks a rule, as it does in a compiled driver.
    let file =
        changed(&host, "[config.wallet]\ntype = \"secret\"", "[config.wallet]\ntype = \"text\"");
    let failed = host.run(&["driver", "check", &file]);
    let told = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(told.contains("FAILED   secrets-marked"), "{told}");
}

#[test]
fn probes_that_fail_are_noted_and_those_of_an_upgrade_are_put_to_a_running_miner() {
    let host = host_with("");
    // Nothing answers there.
    let file = changed(&host, "127.0.0.1:${api.port}/stats", "127.0.0.1:1/stats");
    assert_eq!(add(&host, &file)["version"], "1.0.0");
    start(&host, "rig-1");
    let program = host.program("rig-1");
    let note = wait_for("a note", || {
        let miner = host.miner("rig-1");
        miner["reason"].as_str().filter(|it| it.contains("API")).map(str::to_owned)
    });
    assert!(note.contains("its API does not answer: stats: "), "{note}");
    assert!(host.miner("rig-1")["stats"]["devices"].is_null(), "only the API has them");
    let file = changed(&host, "\"1.0.0\"", "\"1.1.0\"");
    assert_eq!(add(&host, &file)["version"], "1.1.0");
    wait_for("stats by the new probes", || {
        let miner = host.miner("rig-1");
        (miner["stats"]["devices"][0].is_object() && miner["reason"].is_null()).then_some(())
    });
    assert_eq!(host.program("rig-1"), program);
}

#[test]
fn a_driver_in_toml_serves_miners_changes_and_goes() {
    let host = host_with("[drivers]\nquarantine_failures = 2\n");
    let added = add(&host, example().to_str().unwrap());
    assert_eq!((&added["state"], &added["isolation"]), (&json!("loaded"), &json!("process")));
    assert!(added["path"].as_str().unwrap().ends_with("/drivers/sim-written.toml"), "{added}");
    assert_eq!(added["interpreter"]["id"], "declarative", "{added}");
    let all = host.get("/drivers");
    let is_driver = all.as_array().unwrap().iter().any(|it| it["id"] == "declarative");
    assert!(!is_driver, "the library that serves it is no driver: {all}");
    assert!(!host.get("/miners/available").to_string().contains("declarative"));
    start(&host, "rig-1");
    let miner = wait_for("figures", || {
        let miner = host.miner("rig-1");
        let stats = &miner["stats"];
        // Devices are told by the API alone.
        let is_whole = stats["hashrate"].is_number() && stats["devices"][0].is_object();
        (is_whole && stats["shares"].as_u64()? > 0).then_some(miner)
    });
    let stats = &miner["stats"];
    assert!((5000.0..13000.0).contains(&stats["hashrate"].as_f64().unwrap()), "{stats}");
    assert_eq!(stats["devices"].as_array().unwrap().len(), 3, "{stats}");
    assert_eq!(stats["pool"]["url"], "pool.example:3333");
    let shown = host.get("/miners/rig-1/plan").to_string();
    assert!(shown.contains("--hashrate") && !shown.contains("4WALLET"), "{shown}");
    let bad = json!({ "name": "x", "type": "sim-written", "config": { "devices": 3 } });
    let told = refused(&host, ("POST", "/miners", &bad), (400, "INVALID_CONFIG"));
    assert!(told.contains("wallet"), "{told}");
    host.ok("POST", "/miners/rig-1/pause", NONE);
    host.wait_for_phase("rig-1", "paused");
    host.ok("POST", "/miners/rig-1/resume", NONE);
    host.wait_for_phase("rig-1", "mining");
    let program = host.program("rig-1");

    // A newer version calls the device something else; the miner runs on.
    let text = changed(&host, "name = \"/name\"", "name = \"/index\"");
    let newer = fs::read_to_string(&text).unwrap().replace("\"1.0.0\"", "\"1.1.0\"");
    fs::write(&text, newer).unwrap();
    assert_eq!(add(&host, &text)["version"], "1.1.0");
    wait_for("figures as the newer one reads them", || {
        (host.miner("rig-1")["stats"]["devices"][1]["name"] == "1").then_some(())
    });
    // One that is wrong changes nothing, and is told with its line.
    let text = changed(&host, "grace = 5", "grace = 0");
    let broken = fs::read_to_string(&text).unwrap().replace("\"1.0.0\"", "\"1.2.0\"");
    fs::write(&text, broken).unwrap();
    let told = add(&host, &text)["reason"].as_str().unwrap().to_owned();
    assert!(told.contains("line ") && told.contains("stop: grace: write seconds"), "{told}");
    assert!(told.contains("version 1.1.0, loaded before, serves on"), "{told}");
    let text = changed(&host, "\"1.0.0\"", "\"1.3.0\"");
    assert_eq!(add(&host, &text)["version"], "1.3.0");

    let mut last = Value::Null;
    for _ in 0..2 {
        // The host may not know yet that the last one ended.
        let pid = wait_for("the driver's process", || {
            let process = host.get("/drivers/sim-written")["process"]["pid"].clone();
            (process.is_u64() && process != last).then_some(process)
        });
        signal(pid_at(&pid), rustix::process::Signal::KILL);
        wait_for("its end", || (!is_alive(pid_at(&pid))).then_some(()));
        last = pid;
    }
    wait_for("quarantine", || (listed(&host)?["state"] == "quarantined").then_some(()));
    assert_eq!(host.run_json(&["driver", "clear", "sim-written"])["status"], "cleared");
    wait_for("the driver", || (listed(&host)?["state"] == "loaded").then_some(()));

    host.run_json(&["driver", "remove", "sim-written"]);
    let miner = wait_for("a miner without a driver", || {
        let miner = host.miner("rig-1");
        (miner["driverless"] == true && listed(&host).is_none()).then_some(miner)
    });
    assert_eq!((&miner["running"], &miner["restarts"]), (&json!(true), &json!(0)), "{miner}");
    assert!(is_alive(program) && host.program("rig-1") == program);
}

#[test]
fn a_file_that_is_no_driver_is_not_added() {
    let host = host_with("[drivers]\ntrust = \"pinned\"\n");
    let file = changed(&host, "[driver]", "[miner]");
    let failed = host.run(&["driver", "add", &file]);
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(told.contains("it has no table [driver]"), "{told}");
    let added = add(&host, example().to_str().unwrap());
    assert_eq!(added["state"], "untrusted", "{added}");
    host.run_json(&["driver", "trust", "sim-written"]);
    let waiting = wait_for("what serves it", || {
        let reason = listed(&host)?["reason"].as_str()?.to_owned();
        reason.contains("nothing serves it").then_some(reason)
    });
    assert!(waiting.contains("not trusted"), "{waiting}");
    host.run_json(&["driver", "trust", "declarative"]);
    wait_for("the driver", || (listed(&host)?["state"] == "loaded").then_some(()));
}

#[test]
fn a_driver_is_removed_whatever_its_files_are() {
    let host = host_with("");
    assert_eq!(add(&host, foulty(&host, "0.1.0").to_str().unwrap())["version"], "0.1.0");
    let written = changed(&host, "id = \"sim-written\"", "id = \"foulty\"");
    assert_eq!(add(&host, &written)["version"], "1.0.0");
    // Each was added under this id, so neither may come back to serve.
    let removed = host.run_json(&["driver", "remove", "foulty"]);
    let paths = removed["paths"].as_array().unwrap();
    assert_eq!((&removed["status"], paths.len()), (&json!("removed"), 2), "{removed}");
    let drivers = host.state().join("drivers");
    assert_eq!(fs::read_dir(&drivers).unwrap().count(), 0);
    wait_for("no such driver", || {
        let all = host.get("/drivers");
        all.as_array().unwrap().iter().all(|it| it["id"] != "foulty").then_some(())
    });
    let again = host.run(&["driver", "remove", "foulty"]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(told.contains("there is no foulty.so and no foulty.toml in "), "{told}");

    add(&host, example().to_str().unwrap());
    host.run_json(&["driver", "remove", "sim-written"]);
    assert_eq!(fs::read_dir(&drivers).unwrap().count(), 0);
}

#[test]
fn shares_of_an_earlier_run_are_not_counted_after_a_restart_of_the_host() {
    use std::os::unix::fs::PermissionsExt;

    let mut host = Host::absent();
    let script = host.folder.path().join("printer");
    // Ten shares in the first run, one in the next.
    let lines = "#!/bin/sh\ncount=10\n[ -e \"$1\" ] && count=1\n: > \"$1\"\n\
                 for _ in $(seq $count); do echo accepted; done\nwhile :; do sleep 1; done\n";
    fs::write(&script, lines).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let usual = fs::read_to_string(host.settings()).unwrap();
    let settings = format!("{usual}\n[programs]\nprinter = {:?}\n", script.to_str().unwrap());
    fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    let driver = host.folder.path().join("printer.toml");
    let text = "[driver]\nid = \"printer\"\nversion = \"1.0.0\"\nname = \"Printer\"\n\
                summary = \"Prints shares\"\nalgorithms = [\"rx/0\"]\ndevices = [\"cpu\"]\n\
                [start]\nargs = [\"${data.dir}/started\"]\n\
                [[output]]\nmatch = '^accepted$'\nshare = \"accepted\"\nphase = \"mining\"\n";
    fs::write(&driver, text).unwrap();
    host.run_json(&["driver", "add", driver.to_str().unwrap()]);
    host.ok("POST", "/miners", &json!({ "name": "rig-1", "type": "printer", "config": {} }));
    let wait_for_shares = |host: &Host, count: u64| {
        wait_for(&format!("{count} shares"), || {
            let shares = host.miner("rig-1")["stats"]["shares"].clone();
            (shares == count).then_some(())
        });
    };
    wait_for_shares(&host, 10);
    host.ok("POST", "/miners/rig-1/restart", NONE);
    wait_for_shares(&host, 1);
    host.kill();
    host.up(&[]);
    let shares =
        wait_for("shares under the next host", || host.miner("rig-1")["stats"]["shares"].as_u64());
    assert_eq!(shares, 1);
    host.ok("DELETE", "/miners/rig-1", NONE);
}
