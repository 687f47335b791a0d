use adit_plugin_api::{ErrorKind, json, testing};

use super::*;

fn of(body: impl Into<Vec<u8>>) -> Result<PerformanceMetrics> {
    read(&[testing::reply(PROBE, body)])
}

#[test]
fn recorded_replies_become_figures() {
    for (name, body) in [
        ("early", include_str!("../../samples/stats-early.json")),
        ("mining", include_str!("../../samples/stats.json")),
        ("pool-lost", include_str!("../../samples/stats-pool-lost.json")),
    ] {
        testing::golden(format!("golden/stats-{name}.json"), &of(body).unwrap());
    }
}

#[test]
fn devices_add_up_to_the_total() {
    let metrics = of(include_str!("../../samples/stats.json")).unwrap();
    let sum: f64 = metrics.devices.iter().filter_map(|device| device.hashrate).sum();
    assert!((sum - metrics.hashrate.unwrap()).abs() < 0.01);
    assert_eq!(metrics.devices.len(), 3);
}

#[test]
fn what_is_no_reply_gives_no_figures() {
    let refused = Reply { error: Some("refused".into()), ..testing::reply(PROBE, "") };
    let unauthorized = Reply { status: 401, ..testing::reply(PROBE, "{}") };
    let other = testing::reply("other", include_str!("../../samples/stats.json"));
    for replies in [vec![], vec![refused], vec![unauthorized], vec![other]] {
        assert_eq!(read(&replies).unwrap_err().kind, ErrorKind::Unavailable);
    }
    let half = include_str!("../../samples/stats.json").split_at(300).0;
    let many = json!({ "program": "sim-miner", "devices": vec![json!({ "index": 1 }); 65] });
    let many = many.to_string();
    for body in ["", "{}", "[]", "null", "1", "\"x\"", "\0", half, r#"{"program":"x"}"#, &many] {
        assert_eq!(of(body).unwrap_err().kind, ErrorKind::Unavailable, "{body}");
    }
    assert!(of(b"\xff\xfe".to_vec()).is_err());
}

#[test]
fn figures_of_a_wrong_kind_stay_absent() {
    let wrong = json!({
        "program": "sim-miner", "uptime": -1, "phase": "stopping", "algorithm": "x".repeat(301),
        "hashrate": { "10s": -5, "60s": "fast", "15m": 1e300 }, "hashes_total": 1.5,
        "difficulty": u64::MAX, "shares": { "accepted": [], "rejected": {}, "last_accepted": -1 },
        "pool": { "url": 1 }, "paused": "no",
        "devices": [1, {}, { "index": -1 }, { "index": 5_000_000_000_u64 },
            { "index": 0, "fan": 250, "temperature": "hot", "accepted": -1 }],
    });
    let expected = PerformanceMetrics {
        hashrates: [("10s", None), ("60s", None), ("15m", Some(1e300))]
            .map(|(window, rate)| (window.to_owned(), rate))
            .into(),
        diff_current: Some(u64::MAX),
        devices: vec![DeviceMetrics {
            id: "index:0".to_owned(),
            index: Some(0),
            ..DeviceMetrics::default()
        }],
        ..PerformanceMetrics::default()
    };
    assert_eq!(of(wrong.to_string()).unwrap(), expected);
}

#[test]
fn a_reply_cut_anywhere_is_an_error_and_never_a_panic() {
    let body = include_str!("../../samples/stats.json").trim_end();
    for length in 0..body.len() {
        assert!(of(&body.as_bytes()[..length]).is_err(), "{length}");
    }
}
