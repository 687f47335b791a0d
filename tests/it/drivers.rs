//! Drivers that an operator adds, replaces, removes, clears and trusts while the host runs.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    api::{NONE, host_with, refused},
    host::{Host, built, is_alive, pid_at, signal, wait_for},
};

/// The driver `faulty` as `foulty`, which is no other driver of this build, in this version.
pub(crate) fn foulty(host: &Host, version: &str) -> PathBuf {
    let mut bytes = fs::read(built("libfaulty_driver.so")).unwrap();
    for (from, to) in [
        ("id=faulty\0".to_owned(), "id=foulty\0".to_owned()),
        ("version=0.1.0\0".to_owned(), format!("version={version}\0")),
    ] {
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|it| it == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    let path = host.folder.path().join(format!("foulty-{version}.so"));
    fs::write(&path, bytes).unwrap();
    path
}

fn add(host: &Host, version: &str) -> Value {
    let file = foulty(host, version);
    host.run_json(&["driver", "add", file.to_str().unwrap()])["driver"].clone()
}

fn listed(host: &Host, id: &str) -> Option<Value> {
    let all = host.get("/drivers");
    all.as_array().unwrap().iter().find(|it| it["id"] == id).cloned()
}

#[test]
fn a_driver_comes_changes_and_goes_and_its_miner_runs_on() {
    let host = host_with("[drivers]\nquarantine_failures = 0\n");
    let added = add(&host, "0.1.0");
    assert_eq!((&added["state"], &added["isolation"]), (&json!("loaded"), &json!("process")));
    let new = json!({ "name": "rig", "type": "foulty", "config": { "args": [] } });
    host.ok("POST", "/miners", &new);
    wait_for("figures", || host.get("/miners/rig/stats")["hashrate"].as_f64());
    let program = host.program("rig");

    // The end of the driver's process is the end of nothing else.
    let process = host.get("/drivers/foulty")["process"].clone();
    assert_eq!(process["confinement"]["memory"]["enforced"], true, "{process}");
    signal(pid_at(&process["pid"]), rustix::process::Signal::KILL);
    let again = wait_for("another process", || {
        let driver = host.get("/drivers/foulty");
        // Noted by whoever sees the end, which need not be who starts the next.
        let is_counted = driver["health"]["crashes"] == 1;
        let is_back = driver["process"]["starts"] == 2 && driver["healthy"] == true;
        (is_counted && is_back).then_some(driver)
    });
    let cause = again["process"]["lastEnd"]["cause"].as_str().unwrap();
    assert!(cause.contains("signal 9 (SIGKILL)"), "{cause}");

    let replaced = add(&host, "0.2.0");
    assert_eq!((&replaced["state"], &replaced["version"]), (&json!("loaded"), &json!("0.2.0")));
    wait_for("a miner that is served by the new one", || {
        let served = host.miner("rig")["driverless"] == false;
        (served && host.get("/drivers/foulty")["health"]["calls"].as_u64() > Some(4)).then_some(())
    });
    let cleared = host.run_json(&["driver", "clear", "foulty"]);
    assert_eq!(cleared["status"], "cleared");

    let removed = host.run_json(&["driver", "remove", "foulty"]);
    assert_eq!(removed["status"], "removed");
    let miner = wait_for("a miner without a driver", || {
        let miner = host.miner("rig");
        (miner["driverless"] == true && listed(&host, "foulty").is_none()).then_some(miner)
    });
    assert_eq!((&miner["running"], &miner["restarts"]), (&json!(true), &json!(0)), "{miner}");
    assert!(is_alive(program) && host.program("rig") == program);
    refused(&host, ("POST", "/drivers/foulty/clear", NONE), (404, "DRIVER_NOT_FOUND"));
    // Its program ends, and begins again as soon as there is a driver.
    signal(program, rustix::process::Signal::KILL);
    wait_for("a miner that waits for its driver", || {
        (host.miner("rig")["phase"] == "failed").then_some(())
    });
    assert_eq!(add(&host, "0.2.0")["state"], "loaded");
    wait_for("the miner", || {
        let miner = host.miner("rig");
        (miner["running"] == true && miner["driverless"] == false).then_some(())
    });
    host.run_json(&["driver", "remove", "foulty"]);
    wait_for("no driver", || listed(&host, "foulty").is_none().then_some(()));

    for kind in ["loaded", "failed", "replaced", "cleared", "removed"] {
        wait_for(&format!("an event of a driver that was {kind}"), || {
            let told = host.get(&format!("/events/recent?types=driver.{kind}"));
            told["events"].get(0).map(drop)
        });
    }
    let gone = host.run(&["driver", "remove", "foulty"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no "));
    let other = host.run(&["driver", "remove", "sim"]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("its file is "));
    let text = host.folder.path().join("text.so");
    fs::write(&text, "text").unwrap();
    let refused = host.run(&["driver", "add", text.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("is not added: no driver: not an ELF library"), "{told}");
    assert_eq!(fs::read_dir(host.state().join("drivers")).unwrap().count(), 0);
}

#[test]
fn with_pinned_trust_a_driver_waits_for_approval() {
    let host = host_with("[drivers]\ntrust = \"pinned\"\n");
    let sim = listed(&host, "sim").unwrap();
    assert_eq!(sim["state"], "untrusted", "{sim}");
    let told = refused(
        &host,
        ("POST", "/drivers/sim/trust", &json!({ "sha256": "00" })),
        (404, "DRIVER_NOT_FOUND"),
    );
    assert!(told.contains("sim with the SHA-256 00"), "{told}");
    assert_eq!(host.run_json(&["driver", "trust", "sim"])["status"], "trusted");
    assert_eq!(listed(&host, "sim").unwrap()["state"], "loaded");
    assert_eq!(listed(&host, "minimal").unwrap()["state"], "untrusted");
    let lock = fs::read_to_string(host.state().join("drivers.lock")).unwrap();
    assert!(lock.contains(sim["sha256"].as_str().unwrap()), "{lock}");
    host.simulate("rig", &json!({}));
    host.wait_for_phase("rig", "mining");
}
