//! What is left alone.

use serde_json::{Value, json};

use super::{grief, impatient, incidents, wait_for_action};
use crate::{api::refused, drivers::foulty, host::wait_for};

#[test]
fn the_healthy_and_the_odd_are_never_touched() {
    let host = impatient("");
    let cases = [
        ("well", json!({})),
        ("mute", json!({ "misbehave": { "noOutput": true } })),
        ("deaf", json!({ "misbehave": { "noApi": true } })),
        ("deafened", json!({ "misbehave": { "apiDiesAfterMs": 1500 } })),
        ("slow-api", json!({ "misbehave": { "slowApiMs": 700 } })),
        ("garbled", json!({ "misbehave": { "badJson": true } })),
        ("flood", json!({ "misbehave": { "floodLinesPerSecond": 5000 } })),
        ("rare", json!({ "shareIntervalMs": 3_600_000 })),
        ("dag", json!({ "preparingMs": 5000 })),
        ("poor", json!({ "misbehave": { "poolLossAfterMs": 1000, "poolBackAfterMs": 1000 } })),
    ];
    let runs: Vec<_> = cases
        .iter()
        .map(|(name, config)| host.simulate(name, config)["run"]["id"].clone())
        .collect();
    host.simulate("resting", &json!({}));
    host.wait_for_phase("resting", "mining");
    host.ok("POST", "/miners/resting/pause", &Value::Null);
    // Three times as long as the patience with whoever has a hashrate.
    wait_for("time to pass", || {
        (host.get("/miners/well/stats")["uptime"].as_u64()? >= 15).then_some(())
    });
    for ((name, _), run) in cases.iter().zip(runs) {
        let found = incidents(&host, name);
        let acted = found.iter().any(|it| it["action"].is_string());
        assert!(!acted, "{name}: {found:?}");
        assert_eq!(host.miner(name)["run"]["id"], run, "{name}");
    }
    for name in ["well", "mute", "rare", "dag", "resting"] {
        assert_eq!(incidents(&host, name), Vec::<Value>::new(), "{name}");
    }
    assert_eq!(host.miner("well")["watchdog"]["state"], "healthy");
    assert_eq!(host.miner("resting")["watchdog"]["excuse"], "paused");
}

#[test]
fn a_miner_without_a_driver_is_left_alone_however_silent_it_is() {
    let host = impatient("");
    host.run_json(&["driver", "add", foulty(&host, "0.1.0").to_str().unwrap()]);
    // Nothing but its driver's questions says how it is.
    let config = json!({ "args": ["--no-output"] });
    host.ok("POST", "/miners", &json!({ "name": "rig", "type": "foulty", "config": config }));
    wait_for("figures", || host.get("/miners/rig/stats")["hashrate"].as_f64());
    let program = host.program("rig");
    host.run_json(&["driver", "remove", "foulty"]);
    let began = std::time::Instant::now();
    let miner = wait_for("a miner without a driver for longer than any patience", || {
        let miner = host.miner("rig");
        let is_long = began.elapsed() > std::time::Duration::from_secs(12);
        (miner["driverless"] == true && is_long).then_some(miner)
    });
    assert_eq!((&miner["running"], &miner["phase"]), (&json!(true), &json!("unknown")), "{miner}");
    assert_eq!((host.program("rig"), &miner["restarts"]), (program, &json!(0)));
    assert_eq!(incidents(&host, "rig"), Vec::<Value>::new());
    // What could not be started again is not ended, not even by mistake.
    let restart = ("POST", "/miners/rig/restart", &Value::Null);
    let told = refused(&host, restart, (400, "UNSUPPORTED_MINER"));
    assert!(told.contains("there is no driver foulty"), "{told}");
    // Whoever brings the driver back finds it as it was.
    host.run_json(&["driver", "add", foulty(&host, "0.2.0").to_str().unwrap()]);
    wait_for("figures again", || host.get("/miners/rig/stats")["hashrate"].as_f64());
    assert_eq!(host.program("rig"), program);
}

#[test]
fn a_miner_in_maintenance_or_switched_off_is_left_alone() {
    let host = impatient("");
    let hang = json!({ "hangAfterMs": 1000 });
    let body = json!({
        "name": "off", "type": "sim", "watchdog": { "enabled": false },
        "config": { "preparingMs": 0, "misbehave": hang },
    });
    host.ok("POST", "/miners", &body);
    grief(&host, "cared-for", &hang);
    let told = host.run_json(&["watchdog", "maintenance", "cared-for", "10"]);
    assert_eq!(told["status"], "maintenance");
    grief(&host, "ill", &hang);
    wait_for_action(&host, "ill", "restart");
    for name in ["off", "cared-for"] {
        assert_eq!(incidents(&host, name), Vec::<Value>::new(), "{name}");
    }
    assert_eq!(host.miner("off")["watchdog"]["excuse"], "off");
    let view = host.miner("cared-for");
    assert_eq!(view["watchdog"]["excuse"], "maintenance");
    assert!(view["watchdog"]["maintenanceUntilMs"].as_i64().is_some(), "{view}");
    // Afterwards it is helped like any other.
    host.ok("POST", "/miners/cared-for/maintenance", &json!({ "minutes": 0 }));
    wait_for_action(&host, "cared-for", "restart");
}

#[test]
fn what_was_said_about_a_miner_outlives_the_host() {
    let mut host = impatient("");
    grief(&host, "off", &json!({ "hangAfterMs": 1000 }));
    host.run_json(&["watchdog", "set", "off", "enabled=false", "zeroS=77"]);
    host.ok("POST", "/miners/off/maintenance", &json!({ "minutes": 5 }));
    host.kill();
    host.up(&[]);
    let options = host.get("/miners/off/watchdog");
    assert_eq!(options, json!({ "enabled": false, "zeroS": 77 }));
    let view = wait_for("a look", || {
        let view = host.miner("off");
        (!view["watchdog"].is_null()).then_some(view)
    });
    assert!(view["watchdog"]["maintenanceUntilMs"].as_i64().is_some(), "{view}");
    host.ok("DELETE", "/miners/off?remove=true", &Value::Null);
    grief(&host, "off", &json!({}));
    assert_eq!(host.get("/miners/off/watchdog"), json!({}));
}

#[test]
fn bad_words_to_the_watchdog_are_refused() {
    let host = impatient("");
    grief(&host, "well", &json!({}));
    for (method, path, body, names) in [
        ("PUT", "/miners/well/watchdog", json!({ "zeroS": 0 }), "zeroS: write 1 to"),
        ("PUT", "/miners/well/watchdog", json!({ "zero": 5 }), "zero"),
        (
            "POST",
            "/miners/well/maintenance",
            json!({ "minutes": 999_999 }),
            "minutes: write at most",
        ),
        ("POST", "/miners/well/maintenance", json!({ "minutes": -1 }), "minutes"),
        (
            "POST",
            "/miners",
            json!({ "type": "sim", "watchdog": { "retryS": 99_999_999 } }),
            "watchdog.retryS",
        ),
    ] {
        let (status, answer) = host.call(method, path, &body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(names), "{answer}");
    }
    let (status, answer) = host.call("GET", "/incidents/12345", &Value::Null);
    assert_eq!((status, &answer["code"]), (404, &json!("NO_INCIDENT")));
}
