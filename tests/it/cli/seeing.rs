//! What there is to see: totals, one driver, one wallet, one pool, the push to a remote store.

use std::fs;

use serde_json::json;

use crate::{
    cli::{failed, rows, said},
    host::{Host, wait_for},
};

/// The value behind `name` in lines of facts.
fn fact<'a>(lines: &'a str, name: &str) -> &'a str {
    let is_it = |line: &&str| line.starts_with(&format!("{name}  "));
    let line = lines.lines().find(is_it).unwrap_or_else(|| panic!("no {name}: {lines}"));
    line[name.len()..].trim_start()
}

#[test]
fn totals_are_listed_and_drawn() {
    let mut host = Host::absent();
    fs::write(host.settings(), "[miners]\nstats_interval_ms = 100\noutput_interval_ms = 50\n")
        .unwrap();
    host.up(&[]);
    assert_eq!(said(&host, &["history", "totals"]), "TOTAL OF  NAME\n");
    host.simulate("rig-1", &json!({}));
    wait_for("figures", || {
        let (status, stats) = host.call("GET", "/history/miners/rig-1", &json!(null));
        (status == 200 && stats["totalPoints"].as_u64() > Some(10)).then_some(())
    });
    let stats = host.miner("rig-1")["stats"].clone();
    let algorithm = stats["algorithm"].as_str().unwrap();
    let pool = stats["pool"]["url"].as_str().unwrap();

    let list = said(&host, &["history", "totals"]);
    assert_eq!(rows(&list)[1..], [vec!["algorithm", algorithm], vec!["pool", pool]], "{list}");
    assert_eq!(host.run_json(&["history", "totals"]), host.get("/history/totals"));
    for of in [&[algorithm][..], &["--pool", pool]] {
        let args = [&["history", "totals"], of, &["--since", "2m"]].concat();
        let chart = said(&host, &args);
        assert_eq!(chart.lines().count(), 11, "{chart}");
        assert!(chart.contains("H/s ┤") && chart.contains('█'), "{chart}");
        let points = host.run_json(&[&args[..], &["--points", "7"]].concat());
        let points = points.as_array().unwrap();
        assert!((1..=7).contains(&points.len()), "{points:?}");
        assert!(points[0]["mean"].as_f64().unwrap() > 0.0, "{points:?}");
    }
    let all = said(&host, &["history", "totals", "--metric", "accepted", "--since", "2m"]);
    assert!(all.contains('█') && !all.contains("H/s"), "{all}");
    let told = failed(&host, &["history", "totals", "--since", "2m"], 1);
    assert!(told.contains("do not add up"), "{told}");
    let told = failed(&host, &["history", "totals", "nothing"], 1);
    assert!(told.contains("no algorithm \"nothing\""), "{told}");
    failed(&host, &["history", "totals", algorithm, "--pool", pool], 2);

    let one = said(&host, &["history", "miners", "rig-1"]);
    let row = rows(&one)[1].clone();
    assert!(row[0] == "rig-1" && row.iter().any(|it| it.ends_with("H/s")), "{one}");
    assert_eq!(host.run_json(&["history", "miners", "rig-1"])["minerName"], "rig-1");
    failed(&host, &["history", "miners", "nobody"], 1);
}

#[test]
fn a_driver_is_shown_with_how_it_does() {
    let host = Host::start();
    let shown = said(&host, &["driver", "show", "sim"]);
    let driver = host.get("/drivers/sim");
    for (name, expected) in [
        ("id", "sim"),
        ("state", "loaded"),
        ("healthy", "yes"),
        ("runs", driver["isolation"].as_str().unwrap()),
        ("file", driver["path"].as_str().unwrap()),
        ("sha256", driver["sha256"].as_str().unwrap()),
        ("what it does", driver["description"]["summary"].as_str().unwrap()),
    ] {
        assert_eq!(fact(&shown, name), expected, "{shown}");
    }
    assert!(fact(&shown, "calls").contains(" failed ("), "{shown}");
    let same = host.run_json(&["driver", "show", "sim"]);
    assert_eq!(same["description"], driver["description"]);
    let told = failed(&host, &["driver", "show", "nobody"], 1);
    assert!(told.contains("no such driver"), "{told}");
}

#[test]
fn a_wallet_and_a_pool_are_shown_by_name() {
    let host = Host::start();
    said(&host, &["wallet", "create", "xmr", "4Address", "--coin", "XMR"]);
    let wallet = said(&host, &["wallet", "show", "xmr"]);
    for (name, expected) in [("name", "xmr"), ("coin", "XMR"), ("address", "4Address")] {
        assert_eq!(fact(&wallet, name), expected, "{wallet}");
    }
    assert_eq!(host.run_json(&["wallet", "show", "xmr"]), host.get("/wallets/xmr"));
    let address = "stratum+ssl://main.example:3333";
    said(&host, &["pool", "create", "main", address, "--wallet", "xmr"]);
    let pool = said(&host, &["pool", "show", "main"]);
    for (name, expected) in [
        ("url", "main.example:3333"),
        ("TLS", "yes"),
        ("user", "${wallet}"),
        ("wallet", "xmr"),
        ("password", "no"),
    ] {
        assert_eq!(fact(&pool, name), expected, "{pool}");
    }
    assert!(!pool.contains("coin"), "{pool}");
    assert_eq!(host.run_json(&["pool", "show", "main"]), host.get("/pools/main"));
    for what in ["wallet", "pool"] {
        let told = failed(&host, &[what, "show", "nobody"], 1);
        assert!(told.contains("nobody"), "{told}");
    }
}

#[test]
fn the_push_to_a_store_is_told_about() {
    let mut host = Host::start();
    let off = said(&host, &["remote-write"]);
    assert!(off.contains("nothing is pushed") && off.contains("[remote_write]"), "{off}");
    assert_eq!(host.run_json(&["remote-write"]), host.get("/remote-write"));
    host.kill();
    let settings = fs::read_to_string(host.settings()).unwrap();
    // Nobody listens there.
    let store = "[remote_write]\nurl = 'http://127.0.0.1:1/write'\ninterval_ms = 200\n";
    fs::write(host.settings(), settings + store).unwrap();
    host.up(&[]);
    let shown = wait_for("a push that failed", || {
        let shown = said(&host, &["remote-write"]);
        (fact(&shown, "state") == "failing" && fact(&shown, "waiting") != "0").then_some(shown)
    });
    assert_eq!(fact(&shown, "url"), "http://127.0.0.1:1/write");
    assert_eq!((fact(&shown, "sent"), fact(&shown, "dropped")), ("0", "0"), "{shown}");
    assert!(!fact(&shown, "last error").is_empty(), "{shown}");
}
