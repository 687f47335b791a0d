//! What a driver would refuse at a start is refused when it is saved.

use serde_json::{Value, json};

use crate::{
    api::{NONE, refused},
    host::Host,
};

fn xmrig(more: &Value) -> Value {
    let mut config = json!({ "pool": "pool.example:3333", "wallet": "4WALLETSECRET" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "name": "cpu", "minerType": "xmrig", "config": config })
}

/// Configurations that match XMRig's schema and that its driver refuses, and the field.
fn bad() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "xmrig": { "benchmark": { "size": "1M" } } }), "config.xmrig.benchmark: "),
        (json!({ "xmrig": { "donate-level": 0 } }), "config.xmrig.donate-level: "),
        (json!({ "algo": "rx/foo" }), "config.algo: "),
        (json!({ "affinity": [0], "threads": 2 }), "config.affinity: "),
        (json!({ "pool": "pool.example:0" }), "config.pool: "),
        (json!({ "pool": null }), "config.pool"),
    ]
}

fn without_null(mut profile: Value) -> Value {
    profile["config"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
    profile
}

#[test]
fn a_profile_that_the_driver_would_refuse_is_not_saved() {
    // XMRig is not installed here: that is no reason to refuse a profile.
    let host = Host::start();
    let good = host.ok("POST", "/profiles", &xmrig(&json!({})));
    let path = format!("/profiles/{}", good["id"].as_str().unwrap());
    for (more, field) in bad() {
        let profile = without_null(xmrig(&more));
        let mut other = profile.clone();
        other["name"] = json!("other");
        for (method, path, body) in [("POST", "/profiles", &other), ("PUT", &path, &profile)] {
            let why = refused(&host, (method, path, body), (400, "INVALID_CONFIG"));
            assert!(why.starts_with(field) && !why.contains("4WALLETSECRET"), "{method}: {why}");
        }
        let document = json!({ "adit": 1, "profiles": [other] });
        let import = "/profiles/import?dryRun=true";
        let why = refused(&host, ("POST", import, &document), (400, "INVALID_INPUT"));
        assert!(why.starts_with(&format!("profiles[0]: {field}")), "import: {why}");
    }
    assert_eq!(host.get("/profiles"), json!([good]));
    assert_eq!(host.get("/miners?all=true"), json!([]));
}

#[test]
fn a_wallet_or_pool_that_the_driver_would_refuse_cannot_replace_a_good_one() {
    let host = Host::start();
    host.ok("POST", "/wallets", &json!({ "name": "w", "address": "RWALLET" }));
    for name in ["a", "b"] {
        let pool = json!({ "name": name, "url": format!("{name}.example:1"), "wallet": "w" });
        host.ok("POST", "/pools", &pool);
    }
    let profile = json!({ "name": "gpu", "minerType": "tt-miner", "config": { "coin": "RVN" },
        "pools": ["a", "b"] });
    host.ok("POST", "/profiles", &profile);
    // TT-Miner takes several pools as wallet.worker:password@host:port.
    let wallet = json!({ "address": "R:WALLET" });
    let why = refused(&host, ("PUT", "/wallets/w", &wallet), (409, "IN_USE"));
    assert!(why.contains("\"gpu\" could not use it") && why.contains("no : and no @"), "{why}");
    let pool = json!({ "url": "http+ssl://b.example:1", "wallet": "w" });
    assert_eq!(host.call("PUT", "/pools/b", &pool).0, 400);
    let pool = json!({ "url": "ergo+ssl://b.example:1", "wallet": "w" });
    let why = refused(&host, ("PUT", "/pools/b", &pool), (409, "IN_USE"));
    assert!(why.contains("\"gpu\" could not use it"), "{why}");
    // A wallet that no profile uses can be anything.
    host.ok("POST", "/wallets", &json!({ "name": "free", "address": "R:WALLET" }));
    host.ok("DELETE", "/wallets/free", NONE);
}
