//! Configurations that no driver can use, and names that are taken.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::{
    api::{NONE, host_with, refused, wire::post},
    host::Host,
};

#[test]
fn a_bad_configuration_is_refused_by_the_path_of_its_field() {
    let host = Host::start();
    for (config, path) in [
        (json!({ "walet": "hunter2-hunter2" }), "walet: unknown field"),
        (json!({ "misbehave": { "boom": 1 } }), "misbehave.boom: unknown field"),
        (json!({ "misbehave": { "exitAfterMs": 5, "exitCode": 256 } }), "misbehave.exitCode: "),
        (json!({ "misbehave": { "exitCode": 3 } }), "misbehave.exitCode: "),
        (json!({ "misbehave": "hunter2-hunter2" }), "misbehave: "),
        (json!({ "devices": 0 }), "devices: "),
        (json!({ "devices": 65 }), "devices: "),
        (json!({ "devices": "hunter2-hunter2" }), "devices: "),
        (json!({ "devices": 1.5 }), "devices: "),
        (json!({ "devices": null }), "devices: "),
        (json!({ "hashrate": -1 }), "hashrate: "),
        (json!({ "hashrate": 1e300 }), "hashrate: "),
        (json!({ "console": "hunter2-hunter2" }), "console: "),
        (json!({ "pool": "hunter2-hunter2" }), "pool: "),
        (json!({ "pool": "a:1\n[x]" }), "pool: "),
        (json!({ "wallet": ["hunter2-hunter2"] }), "wallet: "),
        (json!({ "wallet": "hunter2".repeat(1000) }), "wallet: "),
        (json!({ "password": { "a": "hunter2-hunter2" } }), "password: "),
        (json!({ "password": "d=hunter2-hunter2" }), "password: "),
        (json!({ "worker": "hunter2 hunter2" }), "worker: "),
        (json!({ "seed": -1 }), "seed: "),
    ] {
        let body = json!({ "name": "rig-1", "type": "sim", "config": config });
        let told = refused(&host, ("POST", "/miners", &body), (400, "INVALID_CONFIG"));
        assert!(told.contains(path) && !told.contains("hunter2"), "{config:.80}: {told}");
    }
    assert_eq!(host.get("/miners"), json!([]));
    assert!(!host.state().join("miners/rig-1").exists(), "nothing was written");
    assert!(!host.log().contains("hunter2"));
}

#[test]
fn a_configuration_that_is_null_counts_as_absent() {
    let host = Host::start();
    let bodies = [json!({ "type": "sim" }), json!({ "type": "sim", "config": null })];
    let args = bodies.map(|body| {
        let made = host.ok("POST", "/miners", &body);
        host.get(&format!("/miners/{}/plan", made["name"].as_str().unwrap()))["args"].clone()
    });
    assert!(args[0].is_array() && args[0] == args[1], "{args:?}");
    let profile = json!({ "name": "P", "minerType": "sim", "config": {} });
    let profile = host.ok("POST", "/profiles", &profile);
    let body = json!({ "name": "third", "profile": profile["id"], "config": null, "type": null,
        "restart": null, "watchdog": null });
    host.ok("POST", "/miners", &body);
    // Any other value that is no object is a mistake.
    for config in [json!([]), json!(""), json!(0), json!(false)] {
        let body = json!({ "name": "fourth", "type": "sim", "config": config });
        refused(&host, ("POST", "/miners", &body), (400, "INVALID_INPUT"));
    }
    let inside = json!({ "name": "fifth", "type": "sim", "config": { "pool": null } });
    refused(&host, ("POST", "/miners", &inside), (400, "INVALID_CONFIG"));
    let document = host.get("/openapi.json").to_string();
    assert!(document.contains("Absent or null it is empty"), "the document says so");
}

#[test]
fn a_field_that_is_given_twice_is_refused() {
    let host = Host::start();
    for body in [
        r#"{"name":"rig-1","type":"sim","config":{"pool":"a.b:1","pool":"c.d:2"}}"#,
        r#"{"name":"rig-1","type":"sim","config":{},"config":{}}"#,
        r#"{"name":"rig-1","name":"rig-2","type":"sim"}"#,
    ] {
        post(&host, "/miners", body.as_bytes()).assert(body, 400, "INVALID_INPUT");
    }
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn an_unknown_miner_type_names_those_that_there_are() {
    let host = Host::start();
    let body = json!({ "name": "rig-1", "type": "nosuch" });
    let told = refused(&host, ("POST", "/miners", &body), (400, "UNSUPPORTED_MINER"));
    for known in ["nosuch", "faulty", "minimal", "sim"] {
        assert!(told.contains(known), "{told}");
    }
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn a_name_is_given_once() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    let pid = host.program("rig-1");
    for kind in ["sim", "faulty"] {
        let body = json!({ "name": "rig-1", "type": kind });
        let told = refused(&host, ("POST", "/miners", &body), (409, "MINER_EXISTS"));
        assert!(told.contains("rig-1"), "{told}");
    }
    host.ok("DELETE", "/miners/rig-1", NONE);
    let body = json!({ "name": "rig-1", "type": "sim" });
    refused(&host, ("POST", "/miners", &body), (409, "MINER_EXISTS"));
    // Without a name, one is made that is free.
    let names: Vec<Value> = (0..2)
        .map(|_| host.ok("POST", "/miners", &json!({ "type": "sim" }))["name"].clone())
        .collect();
    assert_eq!(names, [json!("sim-1"), json!("sim-2")]);
    assert_ne!(host.program("sim-1"), pid);

    host.ok("POST", "/tokens", &json!({ "name": "dash", "role": "view" }));
    let again = json!({ "name": " dash ", "role": "admin" });
    refused(&host, ("POST", "/tokens", &again), (409, "TOKEN_EXISTS"));
    assert_eq!(host.get("/tokens").as_array().unwrap().len(), 1);
}

#[test]
fn one_of_many_makers_of_a_name_gets_it() {
    let host = Host::start();
    let body = json!({ "name": "rig-1", "type": "sim" });
    let made: Vec<u16> = std::thread::scope(|scope| {
        let makers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| host.call("POST", "/miners", &body).0)).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let count = |status| made.iter().filter(|it| **it == status).count();
    assert_eq!((count(201), count(409)), (1, 7), "{made:?}");
    assert_eq!(host.get("/miners").as_array().unwrap().len(), 1);
    assert_eq!(host.get("/miners/rig-1/runs").as_array().unwrap().len(), 1);
}

#[test]
fn a_program_that_is_missing_is_told_with_what_to_do() {
    let host = Host::start();
    let body = json!({ "name": "rig-1", "type": "minimal" });
    let told = refused(&host, ("POST", "/miners", &body), (400, "NOT_INSTALLED"));
    assert!(told.contains("[programs]") && told.contains("minimal = "), "{told}");
    let available = host.get("/miners/available");
    let of =
        |name: &str| available.as_array().unwrap().iter().find(|it| it["name"] == name).unwrap();
    assert_eq!(
        (&of("minimal")["installed"], &of("sim")["installed"]),
        (&json!(false), &json!(true))
    );
    assert!(of("minimal")["problem"].as_str().unwrap().contains("[programs]"));
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn a_program_of_the_settings_that_is_unusable_is_told_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, plain) = (folder.path().join("missing"), folder.path().join("plain"));
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    for path in [&missing, &plain, &folder.path().to_owned()] {
        let host = host_with(&format!("[programs]\nminimal = '{}'\n", path.display()));
        let body = json!({ "name": "rig-1", "type": "minimal" });
        let told = refused(&host, ("POST", "/miners", &body), (400, "NOT_INSTALLED"));
        let expected = format!("{} that the settings name for minimal", path.display());
        assert!(told.contains(&expected), "{told}");
    }
    // Executable, and yet nothing that this machine can run.
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&plain, "#!/no/such/interpreter\n").unwrap();
    let host = host_with(&format!("[programs]\nminimal = '{}'\n", plain.display()));
    let body = json!({ "name": "rig-1", "type": "minimal" });
    let told = refused(&host, ("POST", "/miners", &body), (500, "START_FAILED"));
    assert!(told.contains(&plain.display().to_string()), "{told}");
    let failed = host.wait_for_phase("rig-1", "failed");
    assert_eq!(failed["reason"], json!(told));
    host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
}
