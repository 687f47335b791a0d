//! Installing XMRig over REST and the command line.

use adit_doubles::release::signing::PUBLISHER;
use serde_json::{Value, json};

use crate::xmrig::{NONE, Rig, archive, archive_of, asset};

#[test]
fn versions_are_installed_side_by_side_and_changed_over_both_faces() {
    let rig = Rig::new();
    rig.publish("6.25.0", &json!({}));
    let first = rig.host.ok("POST", "/miners/xmrig/install", NONE);
    assert_eq!((&first["status"], &first["downloaded"]), (&json!("installed"), &json!(true)));
    let again = rig.host.ok("POST", "/miners/xmrig/install", NONE);
    assert_eq!((&again["changed"], &again["downloaded"]), (&json!(false), &json!(false)));

    rig.publish("6.26.0", &json!({}));
    let said = rig.host.run(&["install", "xmrig"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("xmrig 6.26.0 installed: "), "{said}");
    assert!(said.contains("xmrig-6.26.0/config.json came with it and was removed"), "{said}");
    let versions = || rig.host.get("/miners/xmrig/versions")["versions"].clone();
    let active = |versions: &Value| {
        let versions = versions.as_array().unwrap();
        let active = versions.iter().find(|it| it["active"] == true);
        active.map_or(Value::Null, |it| it["version"].clone())
    };
    assert_eq!((versions().as_array().unwrap().len(), active(&versions())), (2, json!("6.26.0")));

    rig.host.run_json(&["rollback", "xmrig"]);
    assert_eq!(active(&versions()), "6.25.0");
    rig.host.ok("POST", "/miners/xmrig/rollback", NONE);
    assert_eq!(active(&versions()), "6.26.0");
    rig.host.run_json(&["uninstall", "xmrig", "--version", "6.25.0"]);
    rig.host.ok("DELETE", "/miners/xmrig/uninstall", NONE);
    assert_eq!(versions(), json!([]));
    let (status, answer) = rig.host.call("POST", "/miners", &json!({ "type": "xmrig" }));
    assert_eq!((status, &answer["code"]), (400, &json!("NOT_INSTALLED")), "{answer}");
}

#[test]
fn newer_releases_are_told_and_not_installed() {
    let rig = Rig::new();
    let update = || rig.host.ok("POST", "/update", NONE);
    assert_eq!(update(), json!({ "status": "All miners are up to date.", "checked": [] }));
    rig.publish("6.25.0", &json!({}));
    rig.host.ok("POST", "/miners/xmrig/install", NONE);
    let current = update();
    assert_eq!(
        (&current["status"], current.get("updates_available")),
        (&json!("All miners are up to date."), None)
    );
    rig.publish("6.26.0", &json!({}));
    let newer = update();
    assert_eq!(newer["updates_available"], json!({ "xmrig": "6.26.0" }));
    let checked = json!([{ "minerType": "xmrig", "installed": "6.25.0", "newest": "6.26.0", "available": true }]);
    assert_eq!(newer["checked"], checked);
    let said = rig.host.run(&["update"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("6.25.0") && said.contains("adit install xmrig"), "{said}");
    assert_eq!(rig.host.get("/miners/xmrig/versions")["versions"].as_array().unwrap().len(), 1);
    let info = rig.host.get("/info");
    let all = info["installed_miners_info"].as_array().unwrap();
    let xmrig = all.iter().find(|it| it["miner_type"] == "xmrig").unwrap();
    assert_eq!(xmrig["version"], "6.25.0");
}

#[test]
fn an_installation_tells_how_far_it_is() {
    let rig = Rig::new();
    rig.publish("6.26.0", &json!({}));
    rig.host.ok("POST", "/miners/xmrig/install", NONE);
    let progress = rig.events("install.progress");
    assert!(progress.iter().all(|it| it["minerType"] == "xmrig"), "{progress:?}");
    assert_eq!(progress[0]["step"], "finding");
    assert_eq!(progress.last().unwrap()["version"], "6.26.0", "{progress:?}");
    let done = rig.events("install.done");
    assert_eq!(done.len(), 1);
    assert_eq!(
        (&done[0]["version"], &done[0]["proven"]["by"]),
        (&json!("6.26.0"), &json!("signed"))
    );
    assert_eq!(done[0]["removed"], json!(["xmrig-6.26.0/config.json"]));
    assert_eq!(rig.events("install.failed"), Vec::<Value>::new());
}

#[test]
fn a_version_that_a_miner_runs_stays() {
    let rig = Rig::installed();
    let pool = adit_doubles::pool::Pool::start();
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    let (status, answer) = rig.host.call("DELETE", "/miners/xmrig/uninstall", NONE);
    assert_eq!((status, &answer["code"]), (409, &json!("IN_USE")), "{answer}");
    // The next version runs from the next start on.
    rig.publish("6.27.0", &json!({}));
    rig.host.run_json(&["install", "xmrig"]);
    assert_eq!(rig.host.miner("rig-1")["run"]["version"], "6.26.0");
    rig.host.ok("POST", "/miners/rig-1/restart", NONE);
    rig.host.wait_for_phase("rig-1", "mining");
    assert_eq!(rig.host.miner("rig-1")["run"]["version"], "6.27.0");
    assert_eq!(rig.wait_for_extra("version"), "6.27.0");
}

#[test]
fn a_file_is_installed_when_its_sum_is_given() {
    let rig = Rig::new();
    let archive = archive("6.26.0", &json!({})).bytes();
    let sum = adit_doubles::release::archives::sha256(&archive);
    let path = rig.host.folder.path().join(asset("6.26.0"));
    std::fs::write(&path, archive).unwrap();
    let path = path.to_str().unwrap();
    let (status, answer) = rig.host.call("POST", "/miners/xmrig/install", &json!({ "file": path }));
    assert_eq!((status, &answer["code"]), (400, &json!("NOT_VERIFIED")), "{answer}");
    let done = rig.host.run_json(&["install", "xmrig", "--from", path, "--sha256", &sum]);
    assert_eq!((&done["version"], &done["proven"]["by"]), (&json!("6.26.0"), &json!("given")));
}

#[test]
fn without_a_signer_of_the_operators_own_only_the_publishers_key_counts() {
    let rig = Rig::with_settings("");
    rig.publish("6.26.0", &json!({}));
    let error = rig.install_fails();
    assert!(error.contains("not the pinned 9ac4cea8e66e35a5c7cddc1b446a53638be94409"), "{error}");
    assert!(error.contains(&PUBLISHER.fingerprint()), "{error}");
    assert_eq!(rig.host.get("/miners/xmrig/versions")["versions"], json!([]));
}

#[test]
fn a_program_that_crashes_or_is_another_one_is_not_activated() {
    let rig = Rig::installed();
    for (script, said) in [
        (
            "echo 'XMRig 6.28.5'; exit 3",
            "printed version 6.28.5 and then ended with exit status: 3",
        ),
        ("echo 'XMRig 6.28.5'; kill -SEGV $$", "and then ended with signal: 11"),
        ("echo 'XMRig 6.27.0'", "reports version 6.27.0 where 6.28.5 was expected"),
    ] {
        let program = format!("#!/bin/sh\n{script}\n");
        let archive = archive_of("6.28.5", program.as_bytes(), "donate.example:3333");
        rig.publish_archive("6.28.5", archive, &PUBLISHER);
        let error = rig.install_fails();
        assert!(error.contains(said), "{error}");
        let versions = rig.host.get("/miners/xmrig/versions")["versions"].clone();
        assert_eq!(versions.as_array().unwrap().len(), 1, "{versions}");
        assert_eq!(
            (&versions[0]["version"], &versions[0]["active"]),
            (&json!("6.26.0"), &json!(true))
        );
    }
}

#[test]
fn an_installation_says_what_it_did_and_goes_back_only_when_asked_to() {
    let rig = Rig::installed();
    let said = |args: &[&str]| {
        let output = rig.host.run(&[&["install", "xmrig"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    rig.publish("6.27.0", &json!({}));
    assert!(said(&[]).contains("config.json came with it and was removed"));
    let again = said(&[]);
    assert!(again.contains("6.27.0 was installed already: nothing changed"), "{again}");
    assert!(!again.contains("removed"), "{again}");
    // The release page names an older one, which its publisher did sign.
    rig.publish("6.26.0", &json!({}));
    let error = rig.install_fails();
    assert!(error.contains("6.27.0 was installed here before"), "{error}");
    let (status, answer) = rig.host.call("POST", "/miners/xmrig/install", NONE);
    assert_eq!((status, &answer["code"]), (409, &json!("OLDER_RELEASE")), "{answer}");
    let back = said(&["--version", "6.26.0"]);
    assert!(
        back.contains("6.26.0 was installed already and runs from the next start on"),
        "{back}"
    );
    assert!(back.contains("this is a downgrade: 6.27.0 was installed here before"), "{back}");
    let done = rig.events("install.done");
    assert_eq!(done.last().unwrap()["downgradeFrom"], "6.27.0", "{done:?}");
}
