use crate::tests::{driver, file, plan, with};

use super::*;

fn is_valid(config: &Value) -> bool {
    let mut completed = defaults();
    for (name, value) in config.as_object().unwrap() {
        completed[name] = value.clone();
    }
    jsonschema::validator_for(&schema()).unwrap().is_valid(&completed)
}

#[test]
fn each_field_has_a_description_and_no_other_is_allowed() {
    fn look(schema: &Value) -> usize {
        assert!(schema["description"].is_string() || schema["title"].is_string(), "{schema}");
        if let Some(items) = schema.get("items") {
            return look(items);
        }
        let Some(fields) = schema.get("properties") else { return 1 };
        assert_eq!(schema["additionalProperties"], false);
        fields.as_object().unwrap().values().map(look).sum()
    }
    assert!(look(&driver().describe().unwrap().config_schema) > 40);
}

#[test]
fn secrets_are_marked() {
    let schema = schema();
    for path in [
        "/properties/wallet",
        "/properties/password",
        "/properties/pools/items/properties/wallet",
        "/properties/pools/items/properties/user",
        "/properties/pools/items/properties/pass",
    ] {
        assert_eq!(schema.pointer(path).unwrap()["writeOnly"], true, "{path}");
    }
}

#[test]
fn the_schema_takes_its_defaults_and_its_example() {
    assert!(is_valid(&json!({})));
    assert!(is_valid(&example()));
    assert!(is_valid(&with(json!({}))));
    let written = file(example());
    assert_eq!(written["pools"][1]["url"], "backup.example:3333");
}

/// The program must not see what the schema refuses, and an operator not what only the driver does
/// as long as a schema can say it.
#[test]
fn schema_and_driver_agree() {
    for bad in [
        json!({ "threads": 0 }),
        json!({ "threads": "4" }),
        json!({ "donateLevel": 0 }),
        json!({ "donateLevel": 100 }),
        json!({ "cpuPriority": 6 }),
        json!({ "randomxMode": "slow" }),
        json!({ "affinity": [] }),
        json!({ "pool": "p.example" }),
        json!({ "pool": "http://p.example:1" }),
        json!({ "pools": [] }),
        json!({ "pools": [{ "wallet": "4W" }] }),
        json!({ "pools": [{ "url": "a.example:1", "wallet": "4W", "proxy": "a:1" }] }),
        json!({ "pools": [{ "url": "a.example:1", "wallet": "4W", "ports": 1 }] }),
        json!({ "wallet": "" }),
        json!({ "printTime": 0 }),
        json!({ "keepalive": 0 }),
        json!({ "pauseOnActive": 0 }),
        json!({ "openclPlatform": "", "opencl": true }),
        json!({ "xmrig": [] }),
        json!({ "httpPort": 1 }),
    ] {
        let bad = with(bad);
        assert!(!is_valid(&bad), "the schema takes {bad}");
        assert!(plan(bad.clone()).is_err(), "the driver takes {bad}");
    }
    for good in [
        json!({ "threads": 1, "keepalive": 30, "proxy": "127.0.0.1:9050", "rigId": "" }),
        json!({ "opencl": true, "openclPlatform": 1, "openclDevices": [0] }),
        json!({ "tls": true, "tlsFingerprint": (["AB"; 32].join(":")) }),
        json!({ "pool": "stratum+ssl://[::1]:443", "algo": "rx/0", "affinity": [0, 1] }),
        json!({ "xmrig": { "cpu": { "*": [[1, 0]] } }, "msr": true }),
    ] {
        let good = with(good);
        assert!(is_valid(&good), "the schema refuses {good}");
        plan(good).unwrap();
    }
}
