//! Drivers that are gone, or that understand other configurations than they did.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    api::{
        NONE,
        profiles::{path, save},
        refused,
    },
    host::{Host, built},
};

/// A host that finds its drivers in a folder of its own only.
fn host_with_drivers(drivers: &[&str]) -> Host {
    let mut host = Host::absent();
    // Beside a binary without drivers.
    let bin = host.folder.path().join("bin");
    fs::create_dir_all(bin.join("drivers")).unwrap();
    for program in ["adit", "adit-keeper", "sim-miner"] {
        fs::copy(built(program), bin.join(program)).unwrap();
    }
    for driver in drivers {
        put_driver(&bin, driver);
    }
    host.binary = bin.join("adit");
    host.up(&[]);
    host
}

fn put_driver(bin: &Path, driver: &str) {
    let name = format!("lib{driver}.so");
    fs::copy(built(&name), bin.join("drivers").join(name)).unwrap();
}

#[test]
fn a_profile_of_a_driver_that_is_gone_is_kept_and_told() {
    let mut host = host_with_drivers(&["sim_driver"]);
    let profile = save(&host, "cpu", &json!({ "config": { "wallet": "hunter2-hunter2" } }));
    assert_eq!(profile.get("problem"), None);
    host.kill();
    let bin = host.folder.path().join("bin");
    fs::remove_file(bin.join("drivers/libsim_driver.so")).unwrap();
    host.up(&[]);
    let kept = host.get(&path(&profile));
    assert!(kept["problem"].as_str().unwrap().contains("there is no driver sim"), "{kept}");
    assert_eq!(kept["config"], profile["config"], "and its secrets stay hidden");
    let start = format!("{}/start", path(&profile));
    refused(&host, ("POST", &start, NONE), (400, "UNSUPPORTED_MINER"));
    refused(&host, ("GET", &format!("{}/plan", path(&profile)), NONE), (400, "UNSUPPORTED_MINER"));
    assert_eq!(host.get("/miners"), json!([]));
    assert!(!host.get("/profiles/export").to_string().contains("hunter2"));
    host.kill();
    put_driver(&bin, "sim_driver");
    host.up(&[]);
    assert_eq!(host.get(&path(&profile)), profile);
    host.ok("POST", &start, NONE);
    host.kill();
    fs::remove_file(bin.join("drivers/libsim_driver.so")).unwrap();
    host.up(&[]);
    host.ok("DELETE", &path(&profile), NONE);
}

#[test]
fn a_configuration_of_an_older_schema_is_told_and_can_be_mended() {
    let mut host = Host::start();
    let profile = save(&host, "cpu", &json!({ "config": { "devices": 3 } }));
    host.kill();
    // What a driver once understood: the field had another name then.
    let database = rusqlite::Connection::open(host.state().join("adit.db")).unwrap();
    let old = r#"{"deviceCount":3,"password":"hunter2"}"#;
    database.execute("UPDATE profile SET config = ?1, autostart = 1", [old]).unwrap();
    drop(database);
    host.up(&[]);
    let kept = host.get(&path(&profile));
    assert_eq!(kept["problem"], "config.deviceCount: unknown field");
    assert_eq!(kept["config"], json!({ "deviceCount": 3, "password": "***" }));
    let start = format!("{}/start", path(&profile));
    let told = refused(&host, ("POST", &start, NONE), (400, "INVALID_CONFIG"));
    assert_eq!(told, "config.deviceCount: unknown field");
    let mut mended = kept;
    mended["config"] = json!({ "devices": 3, "password": "***" });
    let mended = host.ok("PUT", &path(&profile), &mended);
    assert_eq!(mended.get("problem"), None);
    host.ok("POST", &start, NONE);
    assert_eq!(host.get("/miners").as_array().unwrap().len(), 1);
}
