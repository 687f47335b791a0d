//! `/profiles/export` and `/profiles/import`.

use serde_json::{Value, json};

use crate::{
    api::{NONE, refused},
    host::Host,
};

/// A rig with one of each.
fn rig() -> Host {
    let host = Host::start();
    host.ok("POST", "/wallets", &json!({ "name": "xmr", "coin": "XMR", "address": "4Address" }));
    let pool = json!({
        "name": "main", "url": "main.example:3333", "wallet": "xmr", "password": "hunter2-pool",
    });
    host.ok("POST", "/pools", &pool);
    let profile = json!({
        "name": "cpu", "minerType": "sim", "pools": ["main"], "tags": ["a"],
        "config": { "worker": "${worker}", "devices": 3 }, "restart": { "crashLoopExits": 9 },
    });
    host.ok("POST", "/profiles", &profile);
    host
}

fn import(host: &Host, query: &str, document: &Value) -> Value {
    host.ok("POST", &format!("/profiles/import{query}"), document)
}

fn names(done: &Value, fate: &str) -> String {
    let of = |kind: &str| {
        let names = done[kind][fate].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    format!("{}|{}|{}", of("wallets"), of("pools"), of("profiles"))
}

#[test]
fn what_is_exported_can_be_imported() {
    let from = rig();
    let document = from.get("/profiles/export");
    assert_eq!((&document["adit"], &document["pools"][0]["password"]), (&json!(1), &json!("***")));
    assert!(!document.to_string().contains("hunter2"));
    let same = import(&from, "", &document);
    assert_eq!(names(&same, "unchanged"), "xmr|main|cpu");

    let to = Host::start();
    let told = refused(&to, ("POST", "/profiles/import", &document), (400, "INVALID_INPUT"));
    assert!(told.starts_with("pools[0].password: *** stands for a secret"), "{told}");
    let mut complete = document;
    complete["pools"][0]["password"] = json!("hunter2-new");
    let trial = import(&to, "?dryRun=true", &complete);
    assert_eq!(
        (names(&trial, "created"), &trial["dryRun"]),
        ("xmr|main|cpu".to_owned(), &json!(true))
    );
    assert_eq!((to.get("/profiles"), to.get("/wallets")), (json!([]), json!([])));
    let done = import(&to, "", &complete);
    assert_eq!(names(&done, "created"), "xmr|main|cpu");
    let profile = to.get("/profiles/cpu");
    assert_eq!(
        (&profile["restart"]["crashLoopExits"], &profile["tags"], &profile["pools"]),
        (&json!(9), &json!(["a"]), &json!(["main"]))
    );
    to.ok("POST", "/profiles/cpu/start", NONE);

    // The same as TOML.
    let text = from.request("GET", "/profiles/export?format=toml").send().unwrap();
    assert_eq!(text.headers()["content-type"], "application/toml");
    let text = text.text().unwrap();
    assert!(text.contains("[[profiles]]") && !text.contains("hunter2"), "{text}");
    assert_eq!(names(&import(&from, "", &json!({ "toml": text })), "unchanged"), "xmr|main|cpu");
}

#[test]
fn conflicts_are_refused_skipped_or_replaced() {
    let host = rig();
    let mut document = host.get("/profiles/export");
    document["wallets"][0]["address"] = json!("4Other");
    document["profiles"][0]["config"]["devices"] = json!(5);
    document["profiles"].as_array_mut().unwrap().push(json!({ "name": "new", "minerType": "sim" }));
    let told = refused(&host, ("POST", "/profiles/import", &document), (409, "CONFLICTS"));
    assert!(
        told.contains("the wallet \"xmr\", the profile \"cpu\"") && !told.contains("main"),
        "{told}"
    );
    assert_eq!(host.get("/profiles").as_array().unwrap().len(), 1, "nothing was imported");

    let done = import(&host, "?conflicts=skip", &document);
    assert_eq!(names(&done, "created"), "||new");
    assert_eq!(
        (names(&done, "skipped"), names(&done, "unchanged")),
        ("xmr||cpu".into(), "|main|".into())
    );
    assert_eq!(host.get("/wallets/xmr")["address"], "4Address");

    let id = host.get("/profiles/cpu")["id"].clone();
    let done = import(&host, "?conflicts=replace", &document);
    assert_eq!(
        (names(&done, "replaced"), names(&done, "unchanged")),
        ("xmr||cpu".into(), "|main|new".into())
    );
    assert_eq!(host.get("/wallets/xmr")["address"], "4Other");
    let profile = host.get("/profiles/cpu");
    assert_eq!((&profile["id"], &profile["config"]["devices"]), (&id, &json!(5)));
    assert_eq!(host.get("/pools/main")["passwordSet"], true, "a password that was not sent stays");
}

#[test]
fn a_document_that_cannot_be_taken_changes_nothing() {
    let host = rig();
    let with = |fields: Value| {
        let mut document = json!({ "adit": 1 });
        document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        document
    };
    let good = json!({ "name": "btc", "address": "bc1" });
    for (document, expected) in [
        (json!({}), "adit: missing"),
        (json!({ "adit": 2 }), "adit: is not a form"),
        (json!({ "toml": "adit = 1", "adit": 1 }), "toml: send it alone"),
        (json!({ "toml": "adit = 1\nwallets = hunter2" }), "toml: line 2"),
        (
            json!({ "toml": "adit = 1\n[[wallets]]\nname = 'a'\naddress = 7" }),
            "toml: wallets[0].address",
        ),
        (with(json!({ "colour": 1 })), "colour: unknown field"),
        (
            with(json!({ "wallets": [good, { "name": "a", "address": "" }] })),
            "wallets[1].address: ",
        ),
        (with(json!({ "wallets": [good, good] })), "wallets[1].name: is there twice"),
        (
            with(json!({ "wallets": [good], "pools": [{ "name": "p", "url": "x" }] })),
            "pools[0].url: ",
        ),
        (
            with(
                json!({ "wallets": [good], "pools": [{ "name": "p", "url": "a:1", "wallet": "no" }] }),
            ),
            "the pool p.wallet: there is no wallet no",
        ),
        (
            with(json!({ "wallets": [good], "profiles": [{ "name": "x", "minerType": "no" }] })),
            "profiles[0]: there is no driver no",
        ),
        (
            with(json!({ "wallets": [good], "profiles": [
                { "name": "x", "minerType": "sim", "config": { "devices": 0 } },
            ] })),
            "profiles[0]: config.devices: it is less than",
        ),
        (
            with(json!({ "profiles": [
                { "name": "x", "minerType": "sim", "config": { "wallet": "***" } },
            ] })),
            "profiles[0].config.wallet: ***",
        ),
        (
            with(json!({ "profiles": [{ "name": "x", "minerType": "sim", "pools": ["no"] }] })),
            "profiles[0].pools[0]: there is no pool no",
        ),
        (
            with(json!({ "profiles": [{ "name": "x", "minerType": "sim", "id": "a" }] })),
            "profiles[0].id: unknown field",
        ),
    ] {
        let (status, answer) = host.call("POST", "/profiles/import?conflicts=replace", &document);
        let told = answer["error"].as_str().unwrap_or_default();
        assert!(status == 400 && told.contains(expected), "{document}: {status} {answer}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    refused(
        &host,
        ("POST", "/profiles/import?conflicts=x", &with(json!({}))),
        (400, "INVALID_INPUT"),
    );
    assert_eq!(host.get("/wallets").as_array().unwrap().len(), 1);
}

#[test]
fn an_import_cannot_break_what_is_here() {
    let host = rig();
    let pool = json!({ "name": "main", "url": "main.example:1", "tls": true, "wallet": "xmr" });
    let document = json!({ "adit": 1, "pools": [pool] });
    let query = "/profiles/import?conflicts=replace";
    let told = refused(&host, ("POST", query, &document), (400, "INVALID_INPUT"));
    assert!(told.contains("the profile \"cpu\" that is here") && told.contains("TLS"), "{told}");
    assert_eq!(host.get("/pools/main")["tls"], false);
}
