//! What is helped.

use serde_json::{Value, json};

use super::{grief, impatient, incidents, patient_about_hashes, wait_for_action};
use crate::host::{Host, wait_for};

/// Waits for the restart of a miner and for its next run.
fn is_restarted(misbehave: &Value, cause: &str) -> Value {
    let host = impatient("");
    let before = grief(&host, "ill", misbehave);
    if cause == "frozen" {
        patient_about_hashes(&host, "ill");
    }
    let incident = wait_for_action(&host, "ill", "restart");
    assert_eq!(incident["cause"], cause, "{incident}");
    assert_eq!(incident["run"], before["run"]["id"], "{incident}");
    wait_for("the next run", || {
        let miner = host.miner("ill");
        (miner["running"] == true && miner["run"]["id"] != before["run"]["id"]).then_some(())
    });
    assert_eq!(host.miner("ill")["desired"], "running");
    let whole = host.get(&format!("/incidents/{}", incident["id"]));
    assert!(incident.get("evidence").is_none(), "{incident}");
    let listed = host.get("/miners/ill/incidents?evidence=true");
    assert!(listed.as_array().unwrap().contains(&whole), "{listed}");
    whole
}

#[test]
fn a_program_that_hangs_is_restarted_with_evidence() {
    let whole = is_restarted(&json!({ "hangAfterMs": 5000 }), "frozen");
    let evidence = &whole["evidence"];
    assert!(evidence["signals"].as_array().unwrap().len() >= 2, "{whole}");
    assert!(whole["summary"].as_str().unwrap().contains("its API gave no answer"), "{whole}");
    let lines = evidence["lines"].as_array().unwrap();
    assert!((1..=200).contains(&lines.len()), "{whole}");
    let looks = evidence["looks"].as_array().unwrap();
    assert!((5..=60).contains(&looks.len()), "{}", looks.len());
    let hashed = |look: &&Value| look["metrics"]["hashrate"].as_f64().is_some_and(|it| it > 0.0);
    assert!(looks.iter().any(|look| hashed(&look)), "{whole}");
}

#[test]
fn a_program_that_hangs_without_output_or_api_is_restarted() {
    is_restarted(&json!({ "startDelayMs": 3_600_000 }), "no-start");
}

#[test]
fn a_program_that_never_hashes_is_restarted() {
    is_restarted(&json!({ "zeroHashrate": true }), "not-hashing");
}

#[test]
fn a_program_that_stops_hashing_is_restarted() {
    is_restarted(&json!({ "hashrateZeroAfterMs": 3000 }), "not-hashing");
}

#[test]
fn secrets_stay_out_of_the_evidence() {
    let host = impatient("");
    let config = json!({
        "wallet": "SECRETWALLET123", "password": "d=5000",
        "misbehave": { "hangAfterMs": 1500 },
    });
    host.simulate("ill", &config);
    let incident = wait_for_action(&host, "ill", "restart");
    let whole = host.get(&format!("/incidents/{}", incident["id"])).to_string();
    assert!(!whole.contains("SECRETWALLET123"), "{whole}");
    assert!(!whole.contains("d=5000"), "{whole}");
}

#[test]
fn the_ladder_ends_with_a_stop_that_the_operator_can_undo() {
    let host = impatient("");
    grief(&host, "ill", &json!({ "hangAfterMs": 500 }));
    wait_for_action(&host, "ill", "stop");
    let miner = host.wait_for_phase("ill", "failed");
    assert!(miner["reason"].as_str().unwrap().starts_with("stopped by the watchdog:"), "{miner}");
    assert_eq!((&miner["running"], &miner["desired"]), (&json!(false), &json!("running")));
    let steps: Vec<_> = incidents(&host, "ill")
        .iter()
        .rev()
        .filter_map(|it| it["action"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(steps, ["restart", "restart", "stop"]);
    let listed = host.run_json(&["incidents", "ill"]);
    assert_eq!(listed.as_array().unwrap().len(), incidents(&host, "ill").len());
    host.ok("POST", "/miners/ill/start", &Value::Null);
    assert_eq!(host.miner("ill")["running"], true);
}

#[test]
fn a_pool_that_stays_away_gives_way_to_the_next() {
    let host = impatient("");
    let config = json!({
        "pools": ["first.example:1", "second.example:2"],
        "misbehave": { "poolLossAfterMs": 1500 },
    });
    host.simulate("ill", &config);
    let incident = wait_for_action(&host, "ill", "next-pool");
    assert_eq!(incident["cause"], "no-pool");
    wait_for("the second pool", || {
        (host.miner("ill")["stats"]["pool"]["url"] == "second.example:2").then_some(())
    });
}

#[test]
fn a_pool_that_stays_away_is_no_reason_to_restart() {
    let host = impatient("");
    let before = grief(&host, "poor", &json!({ "poolLossAfterMs": 1000 }));
    let warning = wait_for("a warning", || incidents(&host, "poor").pop());
    assert_eq!((&warning["cause"], &warning["action"]), (&json!("no-pool"), &Value::Null));
    assert!(warning["summary"].as_str().unwrap().contains("no other pool"), "{warning}");
    wait_for("time to pass", || {
        (host.get("/miners/poor/stats")["uptime"].as_u64()? >= 8).then_some(())
    });
    assert_eq!(host.miner("poor")["run"]["id"], before["run"]["id"]);
    assert_eq!(incidents(&host, "poor").len(), 1, "it is told once");
}

#[test]
fn actions_are_limited() {
    let host = impatient("");
    let body = json!({
        "name": "ill", "type": "sim", "watchdog": { "actionsPerHour": 1 },
        "config": { "preparingMs": 0, "misbehave": { "hangAfterMs": 500 } },
    });
    host.ok("POST", "/miners", &body);
    wait_for("a warning", || {
        let found = incidents(&host, "ill");
        found
            .iter()
            .any(|it| {
                it["action"].is_null() && it["summary"].as_str().unwrap().contains("within an hour")
            })
            .then_some(())
    });
    let done = incidents(&host, "ill").iter().filter(|it| it["action"].is_string()).count();
    assert_eq!(done, 1);
}

#[test]
fn a_profile_says_how_its_miners_are_watched() {
    let mut host = Host::absent();
    let settings = "[miners]\nstats_interval_ms = 200\noutput_interval_ms = 50\n";
    std::fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    // Patient about hashes, or a late look finds those missing first.
    let impatient = json!({ "silenceS": 2, "apiS": 2, "zeroS": 10, "shareS": 10 });
    let config = json!({ "preparingMs": 0, "misbehave": { "hangAfterMs": 4000 } });
    let body =
        json!({ "name": "night", "minerType": "sim", "config": config, "watchdog": impatient });
    let profile = host.ok("POST", "/profiles", &body);
    assert_eq!(profile["watchdog"], impatient, "{profile}");
    host.ok("POST", "/miners", &json!({ "name": "calm", "type": "sim", "config": config }));
    let start = format!("/profiles/{}/start", profile["id"].as_str().unwrap());
    host.ok("POST", &start, &json!({ "name": "ill" }));
    // It says nothing itself; its profile does, for the next host too.
    assert_eq!(host.get("/miners/ill/watchdog"), json!({}));
    host.kill();
    host.up(&[]);
    wait_for_action(&host, "ill", "restart");
    assert!(incidents(&host, "calm").is_empty(), "others have the patience of the settings");
}
