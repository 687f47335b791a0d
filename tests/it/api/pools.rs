//! `/wallets` and `/pools`, and the profiles that refer to them.

use serde_json::{Value, json};

use crate::{
    api::{NONE, refused},
    host::Host,
};

fn wallet(host: &Host, name: &str, address: &str) -> Value {
    host.ok("POST", "/wallets", &json!({ "name": name, "address": address }))
}

fn pool(host: &Host, name: &str, more: &Value) -> Value {
    let mut body = json!({ "name": name, "url": format!("{name}.example:3333") });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host.ok("POST", "/pools", &body)
}

fn profile(host: &Host, name: &str, more: &Value) -> Value {
    let mut body = json!({ "name": name, "minerType": "sim" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host.ok("POST", "/profiles", &body)
}

fn miner_file(host: &Host, miner: &str) -> String {
    std::fs::read_to_string(host.state().join("miners").join(miner).join("miner.json")).unwrap()
}

#[test]
fn wallets_and_pools_are_kept_by_name() {
    let mut host = Host::start();
    let (status, made) = host.call(
        "POST",
        "/wallets",
        &json!({ "name": "xmr", "coin": "XMR", "address": "4Wallet" }),
    );
    assert_eq!((status, &made["address"]), (201, &json!("4Wallet")), "{made}");
    let more = json!({ "url": "stratum+ssl://p.example:443", "password": "hunter2-pool", "wallet": "xmr" });
    let main = pool(&host, "main", &more);
    assert_eq!((&main["url"], &main["tls"]), (&json!("p.example:443"), &json!(true)));
    assert_eq!((&main["passwordSet"], main.get("password")), (&json!(true), None));
    host.kill();
    host.up(&[]);
    assert_eq!((host.get("/wallets"), host.get("/pools")), (json!([made]), json!([main])));
    assert_eq!((host.get("/wallets/xmr"), host.get("/pools/main")), (made.clone(), main.clone()));

    let changed = host.ok("PUT", "/wallets/xmr", &json!({ "address": "4Other" }));
    assert_eq!((&changed["address"], changed.get("coin")), (&json!("4Other"), None));
    refused(&host, ("PUT", "/wallets/xmr", &made), (412, "CHANGED"));
    // What was read can be sent back, and the password stays.
    let back = host.ok("PUT", "/pools/main", &main);
    assert_eq!(back["passwordSet"], true);
    refused(&host, ("PUT", "/pools/main", &main), (412, "CHANGED"));
    let url = "p.example:444";
    let none = host.ok("PUT", "/pools/main", &json!({ "url": url, "password": null }));
    assert_eq!(
        (&none["passwordSet"], &none["tls"], none.get("wallet")),
        (&json!(false), &json!(false), None)
    );

    assert_eq!(host.ok("DELETE", "/pools/main", NONE), json!({ "status": "pool deleted" }));
    assert_eq!(host.ok("DELETE", "/wallets/xmr", NONE), json!({ "status": "wallet deleted" }));
    for (path, code) in [("/wallets/xmr", "WALLET_NOT_FOUND"), ("/pools/main", "POOL_NOT_FOUND")] {
        refused(&host, ("GET", path, NONE), (404, code));
        refused(&host, ("DELETE", path, NONE), (404, code));
    }
    assert!(!host.log().contains("hunter2") && !host.get("/audit").to_string().contains("4Wallet"));
}

/// What is sent to where, the status, and a part of what is told. There is a wallet xmr of XMR.
const BAD: &[(&str, &str, u16, &str)] = &[
    ("/wallets", r#"{"address": "a"}"#, 400, "name: missing"),
    ("/wallets", r#"{"name": "a"}"#, 400, "missing field `address`"),
    ("/wallets", r#"{"name": "A/b", "address": "a"}"#, 400, "name: the wallet's name"),
    ("/wallets", r#"{"name": "a", "address": ""}"#, 400, "address: write 1 to 512"),
    ("/wallets", r#"{"name": "a", "address": "a b"}"#, 400, "address: has a space"),
    ("/wallets", r#"{"name": "a", "address": "${worker}"}"#, 400, "address: a wallet has no"),
    ("/wallets", r#"{"name": "a", "address": "a", "coin": "é"}"#, 400, "coin: write"),
    ("/wallets", r#"{"name": "a", "address": "a", "x": 1}"#, 400, "x: unknown field"),
    ("/wallets", r#"{"name": "xmr", "address": "a"}"#, 409, "there is a wallet \"xmr\""),
    ("/pools", r#"{"name": "a"}"#, 400, "missing field `url`"),
    ("/pools", r#"{"url": "a:1"}"#, 400, "name: missing"),
    ("/pools", r#"{"name": "url", "url": "a:1"}"#, 400, "name: ${pool.url} means"),
    ("/pools", r#"{"name": "a", "url": "http://a:1"}"#, 400, "url: write host:port"),
    ("/pools", r#"{"name": "a", "url": "a:1", "user": "${pool.b}"}"#, 400, "user: there is no"),
    ("/pools", r#"{"name": "a", "url": "a:1", "wallet": "no"}"#, 400, "wallet: there is no wallet"),
    ("/pools", r#"{"name": "a", "url": "a:1", "user": "${wallet.no}"}"#, 400, "user: there is no"),
    (
        "/pools",
        r#"{"name": "a", "url": "a:1", "coin": "BTC", "wallet": "xmr"}"#,
        400,
        "wallet: the wallet xmr is of XMR",
    ),
    ("/pools", r#"{"name": "a", "url": "a:1", "password": "***"}"#, 400, "password: *** stands"),
    ("/pools", r#"{"name": "a", "url": "a:1", "tlsFingerprint": "x"}"#, 400, "tlsFingerprint: "),
    ("/pools", r#"{"name": "a", "url": "a:1", "pasword": "hunter2"}"#, 400, "pasword: unknown"),
];

#[test]
fn what_is_no_wallet_and_no_pool_is_refused_with_its_field() {
    let host = Host::start();
    wallet(&host, "xmr", "4W");
    host.ok("PUT", "/wallets/xmr", &json!({ "address": "4W", "coin": "XMR" }));
    for (path, body, code, expected) in BAD {
        let body: Value = serde_json::from_str(body).unwrap();
        let (status, answer) = host.call("POST", path, &body);
        let told = answer["error"].as_str().unwrap_or_default();
        assert!(status == *code && told.contains(expected), "{body}: {status} {answer}");
    }
    let long = "a".repeat(10_000);
    for body in [json!({ "name": long, "address": "a" }), json!({ "name": "a", "address": long })] {
        refused(&host, ("POST", "/wallets", &body), (400, "INVALID_INPUT"));
    }
    refused(&host, ("PUT", "/wallets/none", &json!({ "address": "a" })), (404, "WALLET_NOT_FOUND"));
    refused(&host, ("PUT", "/pools/none", &json!({ "url": "a:1" })), (404, "POOL_NOT_FOUND"));
    let renamed = json!({ "name": "new", "address": "a" });
    refused(&host, ("PUT", "/wallets/xmr", &renamed), (400, "INVALID_INPUT"));
    assert_eq!(host.get("/pools"), json!([]));
    assert!(!host.log().contains("hunter2"));
}

#[test]
fn pools_reach_the_program_with_everything_filled_in() {
    let host = Host::start();
    wallet(&host, "sim-1", "4Address");
    wallet(&host, "sim-2", "4Second");
    pool(
        &host,
        "main",
        &json!({ "user": "${wallet}.${miner}", "wallet": "sim-1", "password": "hunter2" }),
    );
    let config = json!({ "worker": "${rig}-${miner}", "preparingMs": 0 });
    profile(&host, "cpu", &json!({ "config": config, "pools": ["main"] }));
    host.ok("POST", "/profiles/cpu/start", NONE);
    let file = miner_file(&host, "cpu");
    assert!(file.contains("4Address.cpu") && file.contains("main.example:3333"), "{file}");
    let rig = host.get("/info")["worker"].as_str().unwrap().to_owned();
    assert!(file.contains(&format!("{rig}-cpu")), "{file}");
    let plan = host.get("/miners/cpu/plan").to_string();
    assert!(!plan.contains("hunter2") && !plan.contains("4Address"), "{plan}");

    let other = json!([{ "pool": "main", "wallet": "sim-2" }]);
    let body = json!({ "name": "cpu", "minerType": "sim", "config": config, "pools": other });
    assert_eq!(host.ok("PUT", "/profiles/cpu", &body)["pools"], other);
    // A change of the wallet reaches the next start too.
    host.ok("PUT", "/wallets/sim-2", &json!({ "address": "4Third" }));
    host.ok("POST", "/miners/cpu/restart", NONE);
    assert!(miner_file(&host, "cpu").contains("4Third.cpu"));
}

#[test]
fn what_others_refer_to_stays() {
    let host = Host::start();
    wallet(&host, "a", "A1");
    wallet(&host, "b", "B1");
    pool(&host, "main", &json!({ "wallet": "a" }));
    let chosen = json!({ "pools": [{ "pool": "main", "wallet": "b" }] });
    let one = profile(&host, "one", &chosen);
    profile(
        &host,
        "two",
        &json!({ "config": { "wallet": "${wallet.b}", "pool": "${pool.main}" } }),
    );
    let told = refused(&host, ("DELETE", "/wallets/a", NONE), (409, "IN_USE"));
    assert!(told.contains("the pool \"main\"") && !told.contains("profile"), "{told}");
    let told = refused(&host, ("DELETE", "/wallets/b", NONE), (409, "IN_USE"));
    assert!(told.contains("the profile \"one\", the profile \"two\""), "{told}");
    let told = refused(&host, ("DELETE", "/pools/main", NONE), (409, "IN_USE"));
    assert!(told.contains("\"one\"") && told.contains("\"two\""), "{told}");
    // Nor may a change break who refers to it.
    let tls = json!({ "url": "main.example:443", "tls": true, "wallet": "a" });
    let told = refused(&host, ("PUT", "/pools/main", &tls), (409, "IN_USE"));
    assert!(
        told.contains("the profile \"one\" could not use it") && told.contains("TLS"),
        "{told}"
    );
    host.ok("DELETE", &format!("/profiles/{}", one["id"].as_str().unwrap()), NONE);
    host.ok("DELETE", "/profiles/two", NONE);
    host.ok("PUT", "/pools/main", &tls);
    for path in ["/pools/main", "/wallets/a", "/wallets/b"] {
        host.ok("DELETE", path, NONE);
    }
}
