//! Profiles that cannot be, and drivers that are gone.

use std::fs;

use serde_json::{Value, json};

use crate::{
    api::{
        NONE,
        profiles::{path, save},
        refused,
        wire::post,
    },
    host::Host,
};

/// Fields on top of those of a good profile, the code, and a part of what is told.
const BAD_FIELDS: &[(&str, &str, &str)] = &[
    (r#"{"name": ""}"#, "INVALID_INPUT", "name: write 1 to 100"),
    (r#"{"name": "a\nb"}"#, "INVALID_INPUT", "name: write 1 to 100"),
    (r#"{"name": "0f8fad5b-d9cb-469f-a165-70867728950e"}"#, "INVALID_INPUT", "name: looks like"),
    (r#"{"name": 7}"#, "INVALID_INPUT", "name: expected a string"),
    (r#"{"minerType": "../x"}"#, "INVALID_INPUT", "minerType: the miner type"),
    (r#"{"minerType": "none"}"#, "UNSUPPORTED_MINER", "there is no driver none"),
    (r#"{"colour": 1}"#, "INVALID_INPUT", "colour: unknown field"),
    (r#"{"config": []}"#, "INVALID_INPUT", "config: write a JSON object"),
    (r#"{"config": {"walet": "hunter2"}}"#, "INVALID_CONFIG", "config.walet: unknown field"),
    (r#"{"config": {"misbehave": {"x": 1}}}"#, "INVALID_CONFIG", "config.misbehave.x: unknown"),
    (r#"{"config": {"pool": "hunter2"}}"#, "INVALID_CONFIG", "config.pool: it does not match"),
    (
        r#"{"config": {"wallet": "${walet}"}}"#,
        "INVALID_CONFIG",
        "config.wallet: there is no placeholder",
    ),
    (
        r#"{"config": {"wallet": "${worker"}}"#,
        "INVALID_CONFIG",
        "config.wallet: a placeholder has no end",
    ),
    (
        r#"{"config": {"wallet": "${wallet.no}"}}"#,
        "INVALID_CONFIG",
        "config.wallet: there is no wallet no",
    ),
    (
        r#"{"config": {"wallet": "***"}}"#,
        "INVALID_CONFIG",
        "config.wallet: *** stands for a secret",
    ),
    (r#"{"pools": ["none"]}"#, "INVALID_INPUT", "pools[0]: there is no pool none"),
    (r#"{"pools": "none"}"#, "INVALID_INPUT", "pools: "),
    (r#"{"pools": [{"pol": "a"}]}"#, "INVALID_INPUT", "pools[0]"),
    (r#"{"tags": ["a", "a"]}"#, "INVALID_INPUT", "tags[1]: is there twice"),
    (r#"{"tags": ["a b"]}"#, "INVALID_INPUT", "tags[0]: write one word"),
    (r#"{"autostart": "yes"}"#, "INVALID_INPUT", "autostart: expected"),
    (r#"{"watchdog": {"zeroS": 0}}"#, "INVALID_INPUT", "watchdog.zeroS: write 1 to"),
    (r#"{"watchdog": {"zero": 1}}"#, "INVALID_INPUT", "watchdog.zero: unknown field"),
    (r#"{"restart": {"pause": 1}}"#, "INVALID_INPUT", "restart.pause: unknown field"),
];

#[test]
fn what_is_no_profile_is_refused_with_its_field() {
    let host = Host::start();
    for (fields, code, expected) in BAD_FIELDS {
        let fields: Value = serde_json::from_str(fields).unwrap();
        let mut body = json!({ "name": "x", "minerType": "sim" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let told = refused(&host, ("POST", "/profiles", &body), (400, code));
        assert!(told.contains(expected) && !told.contains("hunter2"), "{body}: {told}");
    }
    let long = json!({ "name": "a".repeat(10_000), "minerType": "sim" });
    let told = refused(&host, ("POST", "/profiles", &long), (400, "INVALID_INPUT"));
    assert!(told.contains("name: write 1 to 100"), "{told}");
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"name":"x"}"#,
        r#"{"name":"a","name":"b","minerType":"sim"}"#,
    ] {
        let answer = post(&host, "/profiles", body.as_bytes());
        answer.assert(body, 400, "INVALID_INPUT");
    }
    assert_eq!(host.get("/profiles"), json!([]));
    assert!(!host.log().contains("hunter2") && !host.log().contains("panicked"));
}

#[test]
fn a_name_is_given_once() {
    let host = Host::start();
    let first = save(&host, "é / ☃", &json!({}));
    let body = json!({ "name": " é / ☃ ", "minerType": "sim" });
    let told = refused(&host, ("POST", "/profiles", &body), (409, "PROFILE_EXISTS"));
    assert!(told.contains("choose another name"), "{told}");
    let second = save(&host, "b", &json!({}));
    refused(&host, ("PUT", &path(&second), &body), (409, "PROFILE_EXISTS"));
    host.ok("PUT", &path(&first), &body);
    let made: Vec<u16> = std::thread::scope(|scope| {
        let body = json!({ "name": "c", "minerType": "sim" });
        let make = |_| {
            let (host, body) = (&host, body.clone());
            scope.spawn(move || host.call("POST", "/profiles", &body).0)
        };
        let makers: Vec<_> = (0..8).map(make).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let count = |status| made.iter().filter(|it| **it == status).count();
    assert_eq!((count(201), count(409)), (1, 7), "{made:?}");
    assert_eq!(host.get("/profiles").as_array().unwrap().len(), 3);
}

#[test]
fn the_id_of_the_path_stands() {
    let host = Host::start();
    let profile = save(&host, "a", &json!({}));
    let body = json!({ "id": "other", "name": "a", "minerType": "sim" });
    let told = refused(&host, ("PUT", &path(&profile), &body), (400, "INVALID_INPUT"));
    assert!(told.starts_with("id: "), "{told}");
    let (status, made) = host.call(
        "POST",
        "/profiles",
        &json!({
            "id": profile["id"], "name": "b", "minerType": "sim",
        }),
    );
    assert!(status == 201 && made["id"] != profile["id"], "{made}");
    let start = format!("{}/start", path(&profile));
    for (body, expected) in [
        (json!({ "name": "../x" }), "the miner name"),
        (json!({ "nam": "x" }), "nam: unknown field"),
        (json!([]), "send a JSON object"),
    ] {
        let told = refused(&host, ("POST", &start, &body), (400, "INVALID_INPUT"));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_miner_is_made_of_a_type_or_of_a_profile() {
    let host = Host::start();
    save(&host, "cpu", &json!({}));
    for (body, expected) in [
        (json!({ "type": "sim", "profile": "cpu" }), "type: the profile says this"),
        (json!({ "profile": "cpu", "config": {} }), "config: the profile says this"),
        (json!({ "profile": "cpu", "restart": {} }), "restart: the profile says this"),
        (json!({ "name": "x" }), "missing field `type`"),
    ] {
        let told = refused(&host, ("POST", "/miners", &body), (400, "INVALID_INPUT"));
        assert!(told.contains(expected), "{told}");
    }
    let none = json!({ "profile": "none" });
    refused(&host, ("POST", "/miners", &none), (404, "PROFILE_NOT_FOUND"));
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn the_miner_type_stays_while_there_are_miners() {
    let host = Host::start();
    let profile = save(&host, "cpu", &json!({}));
    host.ok("POST", &format!("{}/start", path(&profile)), NONE);
    let other = json!({ "name": "cpu", "minerType": "minimal", "config": { "seconds": 1 } });
    let told = refused(&host, ("PUT", &path(&profile), &other), (409, "IN_USE"));
    assert!(told.contains("the miner cpu"), "{told}");
    host.ok("DELETE", "/miners/cpu?remove=true", NONE);
    assert_eq!(host.ok("PUT", &path(&profile), &other)["minerType"], "minimal");
}

#[test]
fn secrets_never_come_back() {
    let host = Host::start();
    let config = json!({ "wallet": "hunter2-wallet", "password": "hunter2-pass" });
    let profile = save(&host, "cpu", &json!({ "config": config }));
    let shown = |answer: &Value| answer.to_string();
    for answer in [&profile, &host.get("/profiles"), &host.get(&path(&profile))] {
        assert!(!shown(answer).contains("hunter2"), "{answer}");
    }
    assert_eq!(
        (&profile["config"]["wallet"], &profile["config"]["password"]),
        (&json!("***"), &json!("***"))
    );
    host.ok("PUT", &path(&profile), &profile);
    host.ok("POST", &format!("{}/start", path(&profile)), NONE);
    let miner = fs::read_to_string(host.state().join("miners/cpu/miner.json")).unwrap();
    assert!(miner.contains("hunter2-wallet") && miner.contains("hunter2-pass"));
    assert!(!shown(&host.get("/miners/cpu/plan")).contains("hunter2"));
    assert!(!shown(&host.get("/audit")).contains("hunter2") && !host.log().contains("hunter2"));
}
