//! `/profiles/{id}/plan`: what a start would do, and where each value comes from.

use serde_json::{Value, json};

use crate::{
    api::{
        NONE, host_with,
        profiles::{path, save},
        refused,
    },
    host::Host,
};

/// Value and origins of a field, as `value < origin + origin`.
fn told(explained: &Value, field: &str) -> String {
    let values = explained["values"].as_array().unwrap();
    let found = values.iter().find(|it| it["field"] == field);
    let found = found.unwrap_or_else(|| panic!("no {field} in {explained}"));
    let origins = found["origins"].as_array().unwrap().iter().map(|it| {
        let name = it["name"].as_str().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{}{name}", it["from"].as_str().unwrap())
    });
    let origins: Vec<_> = origins.collect();
    format!("{} < {}", found["value"], origins.join(" + "))
}

fn with_pool(host: &Host) -> Value {
    host.ok("POST", "/wallets", &json!({ "name": "xmr", "address": "4AdUndXHHZ6cfufTM" }));
    let pool = json!({
        "name": "main", "url": "main.example:3333", "user": "${wallet}.${miner}", "wallet": "xmr",
        "password": "hunter2-hunter2",
    });
    host.ok("POST", "/pools", &pool);
    let config = json!({ "devices": 3, "worker": "at-${worker}" });
    save(host, "cpu", &json!({ "config": config, "pools": ["main"] }))
}

#[test]
fn every_value_is_told_with_its_origin_and_no_secret() {
    let host = Host::start();
    let profile = with_pool(&host);
    let explained = host.get(&format!("{}/plan", path(&profile)));
    assert_eq!(
        (&explained["profile"], &explained["miner"], explained.get("problem")),
        (&json!("cpu"), &json!("cpu"), None),
        "{explained}"
    );
    let rig = host.get("/info")["worker"].as_str().unwrap().to_owned();
    for (field, expected) in [
        ("config.devices", "3 < profile".to_owned()),
        ("config.algorithm", "\"rx/0\" < default".to_owned()),
        ("config.pool", "\"main.example:3333\" < pool main".to_owned()),
        ("config.wallet", "\"***\" < wallet xmr + pool main + placeholder miner".to_owned()),
        ("config.password", "\"***\" < pool main".to_owned()),
        ("config.worker", format!("\"at-{rig}\" < profile + placeholder worker")),
        ("apiToken", "\"***\" < host".to_owned()),
        ("env.TERM", "\"dumb\" < host".to_owned()),
    ] {
        assert_eq!(told(&explained, field), expected, "{field}");
    }
    assert!(told(&explained, "program").ends_with("sim-miner\" < host"));
    let pool = json!([{
        "name": "main", "url": "main.example:3333", "tls": false, "user": "***",
        "passwordSet": true, "wallet": "xmr",
    }]);
    assert_eq!(explained["pools"], pool);
    // The driver's file is made of the pool, and says so.
    let plan = &explained["plan"];
    let file = plan["files"].as_object().unwrap().keys().next().unwrap();
    let made = told(&explained, &format!("files.{file}"));
    for origin in ["driver", "pool main", "wallet xmr", "default", "host"] {
        assert!(made.rsplit_once(" < ").unwrap().1.contains(origin), "{made}");
    }
    let text = explained.to_string();
    assert!(!text.contains("hunter2") && !text.contains("4AdUnd"), "{text}");
}

#[test]
fn a_dry_run_changes_nothing() {
    let host = Host::start();
    let profile = with_pool(&host);
    let plan = format!("{}/plan", path(&profile));
    for _ in 0..3 {
        assert_eq!(host.get(&plan)["miner"], "cpu");
    }
    assert_eq!(host.get(&format!("{plan}?miner=other"))["miner"], "other");
    assert_eq!(host.get("/miners"), json!([]));
    assert!(
        !host.state().join("miners/cpu").exists() && !host.state().join("miners/other").exists()
    );
    host.ok("POST", &format!("{}/start", path(&profile)), NONE);
    assert_eq!(host.get(&plan)["miner"], "cpu-2");
    host.ok("DELETE", "/miners/cpu", NONE);
    assert_eq!(host.get(&plan)["miner"], "cpu");
    refused(&host, ("GET", &format!("{plan}?miner=..%2Fx"), NONE), (400, "INVALID_INPUT"));
    refused(&host, ("GET", &format!("{plan}?colour=1"), NONE), (400, "INVALID_INPUT"));
}

#[test]
fn what_the_machine_lacks_is_told_beside_the_values() {
    let host = Host::start();
    host.ok(
        "POST",
        "/profiles",
        &json!({ "name": "m", "minerType": "minimal", "config": { "seconds": 7 } }),
    );
    let explained = host.get("/profiles/m/plan");
    assert!(explained["problem"].as_str().unwrap().contains("not installed"), "{explained}");
    assert_eq!(explained.get("plan"), None);
    assert_eq!(told(&explained, "config.seconds"), "7 < profile");
    // Arguments are told word by word.
    let host = host_with("[programs]\nminimal = '/bin/true'\n");
    host.ok("POST", "/profiles", &json!({ "name": "m", "minerType": "minimal" }));
    let explained = host.get("/profiles/m/plan");
    assert_eq!(told(&explained, "args[0]"), "\"--seconds\" < driver");
    assert_eq!(told(&explained, "args[1]"), "\"60\" < driver");
    assert_eq!(told(&explained, "program"), "\"/bin/true\" < host");
}
