//! TT-Miner from outside: its driver, the program that plays it, and the real host.

use std::fs;

use serde_json::{Value, json};

use crate::host::{Host, built, is_alive, pid_at, wait_for};

const NONE: &Value = &Value::Null;

/// A host that runs the stand-in as the program of `tt-miner`.
fn host() -> Host {
    let mut host = Host::absent();
    let settings = fs::read_to_string(host.settings()).unwrap();
    let program = built("sim-tt-miner").display().to_string();
    let settings = format!("{settings}\n[programs]\ntt-miner = {program:?}\n");
    fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    host
}

fn start(host: &Host, config: &Value) -> Value {
    host.ok("POST", "/miners", &json!({ "name": "rig-1", "type": "tt-miner", "config": config }))
}

#[test]
fn tt_miner_starts_reports_cannot_pause_and_stops() {
    let host = host();
    let config = json!({
        "coin": "RVN", "pool": "ssl://pool.example:3443", "wallet": "RWALLETSECRET",
        "password": "hunter-two", "devices": ["0000:02:00.0", "0000:01:00.0"],
    });
    start(&host, &config);
    let miner = host.wait_for_phase("rig-1", "mining");
    let pid = pid_at(&miner["run"]["pid"]);
    let stats =
        wait_for(&format!("figures with shares: {}", host.get("/miners/rig-1/stats")), || {
            let stats = host.get("/miners/rig-1/stats");
            let ready = stats["shares"].as_u64() > Some(1) && stats["pool"]["connected"] == true;
            (ready && stats["devices"][0]["power"].is_number()).then_some(stats)
        });
    assert_eq!((&stats["hashrate"], &stats["algorithm"]), (&json!(22_500_000.0), &json!("kawpow")));
    assert_eq!(stats["pool"]["url"], "pool.example:3443");
    assert_eq!(stats["pool"]["difficulty"], 104_900_000);
    // The list of devices is in the program's order, whatever the order of the configuration.
    let device = &stats["devices"][0];
    assert_eq!(
        (&device["id"], &device["hashrate"]),
        (&json!("pci:0000:01:00.0"), &json!(11_250_000.0))
    );
    assert_eq!((&device["temperature"], &device["fan"]), (&json!(61.0), &json!(0.55)));

    for command in ["pause", "resume"] {
        let (status, answer) = host.call("POST", &format!("/miners/rig-1/{command}"), NONE);
        assert_eq!(status, 400, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("TT-Miner has no way to"), "{error}");
    }
    // The program takes them on its command line; nothing else shows them.
    for path in ["/miners/rig-1/plan", "/miners/rig-1/logs?lines=1000", "/miners/rig-1"] {
        let text = host.get(path).to_string();
        assert!(!text.contains("RWALLETSECRET") && !text.contains("hunter-two"), "{path}: {text}");
    }
    assert!(host.get("/miners/rig-1/plan").to_string().contains("***"));

    host.ok("DELETE", "/miners/rig-1", NONE);
    assert!(!is_alive(pid));
    let runs = host.get("/miners/rig-1/runs");
    assert_eq!((&runs[0]["byStop"], &runs[0]["code"]), (&json!(true), &json!(0)), "{runs}");
}

#[test]
fn tt_miner_fails_over_and_says_why_and_survives_its_host() {
    let mut host = host();
    let pools = json!([
        { "url": "ssl://lost-first.example:1", "wallet": "W1" },
        { "url": "ssl://backup.example:2", "wallet": "W2" },
    ]);
    start(&host, &json!({ "coin": "RVN", "pools": pools }));
    let lost = wait_for("the loss of the first pool", || {
        let miner = host.miner("rig-1");
        (miner["stats"]["pool"]["connected"] == false).then_some(miner)
    });
    let pool = &lost["stats"]["pool"];
    assert_eq!(pool["url"], "lost-first.example:1");
    assert_eq!(pool["error"], "End of file [asio.misc:2 at read]", "{lost}");
    wait_for("the second pool", || {
        let stats = host.get("/miners/rig-1/stats");
        let pool = &stats["pool"];
        (pool["url"] == "backup.example:2" && pool["connected"] == true).then_some(())
    });
    let pid = host.program("rig-1");
    host.kill();
    assert!(is_alive(pid));
    host.up(&[]);
    let stats = wait_for("figures after the restart", || {
        let stats = host.get("/miners/rig-1/stats");
        (stats["devices"][1]["id"].is_string() && stats["shares"].is_number()).then_some(stats)
    });
    assert_eq!(host.program("rig-1"), pid);
    assert_eq!(stats["devices"][1]["id"], "pci:0000:02:00.0", "{stats}");
    host.ok("DELETE", "/miners/rig-1", NONE);
}

#[test]
fn a_refused_connection_is_shown_and_the_next_pool_is_taken() {
    let host = host();
    let pools = json!([
        { "url": "stratum1+ssl://refused-first.example:1", "wallet": "W1" },
        { "url": "stratum1+ssl://backup.example:2", "wallet": "W2.rig7" },
    ]);
    start(&host, &json!({ "coin": "ETC", "pools": pools }));
    wait_for("the reason in the note", || {
        let miner = host.miner("rig-1");
        let note = miner["reason"].to_string();
        (miner["phase"] == "degraded" && note.contains("No connection could be made")).then_some(())
    });
    wait_for("the second pool", || {
        let pool = host.get("/miners/rig-1/stats")["pool"].clone();
        (pool["url"] == "backup.example:2" && pool["connected"] == true).then_some(())
    });
    host.ok("DELETE", "/miners/rig-1", NONE);
}

#[test]
fn a_saved_pool_reaches_tt_miner_with_the_scheme_it_was_saved_with() {
    let host = host();
    host.ok("POST", "/wallets", &json!({ "name": "w", "address": "0xWALLET" }));
    let schemes = [
        ("pool.example:1", "pool.example:1"),
        ("stratum+tcp://pool.example:1", "pool.example:1"),
        ("ssl://pool.example:1", "ssl://pool.example:1"),
        ("TLS://pool.example:1/", "ssl://pool.example:1"),
        ("stratum+ssl://pool.example:1", "stratum+ssl://pool.example:1"),
        ("stratum1+ssl://pool.example:1", "stratum1+ssl://pool.example:1"),
        ("epic+ssl://pool.example:1", "epic+ssl://pool.example:1"),
    ];
    for (index, (address, _)) in schemes.iter().enumerate() {
        let pool = json!({ "name": format!("p{index}"), "url": address, "wallet": "w" });
        host.ok("POST", "/pools", &pool);
        let profile = json!({ "name": format!("saved {index}"), "minerType": "tt-miner",
            "config": { "coin": "ETC" }, "pools": [format!("p{index}")] });
        host.ok("POST", "/profiles", &profile);
        let profile = json!({ "name": format!("direct {index}"), "minerType": "tt-miner",
            "config": { "coin": "ETC", "pool": address, "wallet": "0xWALLET" } });
        host.ok("POST", "/profiles", &profile);
    }
    let passed = |name: &str| {
        let profiles = host.get("/profiles");
        let profile = profiles.as_array().unwrap().iter().find(|it| it["name"] == name).unwrap();
        let path = format!("/profiles/{}/plan", profile["id"].as_str().unwrap());
        let args = host.get(&path)["plan"]["args"].clone();
        let args: Vec<String> = serde_json::from_value(args).unwrap();
        args[args.iter().position(|arg| arg == "-o").unwrap() + 1].clone()
    };
    for (index, (address, expected)) in schemes.iter().enumerate() {
        assert_eq!(passed(&format!("saved {index}")), *expected, "{address}");
        assert_eq!(passed(&format!("direct {index}")), *expected, "{address}");
    }
    // Another driver that cannot speak the protocol refuses the pool when the profile is saved.
    let profile = json!({ "name": "cpu", "minerType": "xmrig", "config": {}, "pools": ["p6"] });
    let (status, answer) = host.call("POST", "/profiles", &profile);
    assert_eq!(status, 400, "{answer}");
    assert!(answer["error"].to_string().contains("the protocol epic"), "{answer}");
}

#[test]
fn tt_miner_is_refused_with_the_field_that_is_wrong() {
    let host = host();
    for (config, wanted) in [
        (json!({ "coin": "RVN" }), "pool: write where to mine"),
        (json!({ "coin": "RVN", "pool": "p.example:1", "wallet": "W", "log": true }), "log"),
        (
            json!({ "coin": "RVN", "pool": "https://p.example:1", "wallet": "W" }),
            "pool: write host:port, such as pool.example:3333",
        ),
    ] {
        let body = json!({ "name": "rig-1", "type": "tt-miner", "config": config });
        let (status, answer) = host.call("POST", "/miners", &body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].to_string().contains(wanted), "{answer}");
    }
    assert_eq!(host.get("/miners"), json!([]));
}
