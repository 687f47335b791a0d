use adit_plugin_api::{DriverObject, ErrorKind, testing};

use super::*;

/// The form of cgminer's replies, with their NUL.
const SUMMARY: &str = "{\"STATUS\":[{\"STATUS\":\"S\",\"When\":1,\"Code\":11,\"Msg\":\"Summary\",\"Description\":\"cgminer 4.11.1\"}],\"SUMMARY\":[{\"Elapsed\":90,\"MHS av\":13500000.00,\"MHS 5s\":13600000.00,\"Accepted\":40,\"Rejected\":2,\"Hardware Errors\":3,\"Stale\":1}],\"id\":1}\0";
const DEVS: &str = "{\"STATUS\":[{\"STATUS\":\"S\"}],\"DEVS\":[{\"ASC\":0,\"Name\":\"BTM\",\"ID\":0,\"Enabled\":\"Y\",\"Status\":\"Alive\",\"Temperature\":61.00,\"MHS 5s\":6800000.00,\"Accepted\":20,\"Rejected\":1,\"Hardware Errors\":2},{\"ASC\":1,\"Name\":\"BTM\",\"ID\":1,\"Enabled\":\"Y\",\"Status\":\"Alive\",\"Temperature\":0.00,\"GHS 5s\":\"6800.00\",\"Accepted\":20,\"Rejected\":1,\"Hardware Errors\":1}],\"id\":1}\0";
const POOLS: &str = "{\"STATUS\":[{\"STATUS\":\"S\"}],\"POOLS\":[{\"POOL\":0,\"URL\":\"stratum+tcp://dead.example:3333\",\"Status\":\"Dead\",\"Priority\":0,\"User\":\"w.1\",\"Last Share Time\":0,\"Stratum Active\":false},{\"POOL\":1,\"URL\":\"stratum+tcp://pool.example:3333\",\"Status\":\"Alive\",\"Priority\":1,\"User\":\"w.1\",\"Last Share Time\":1795361374,\"Stratum Active\":true,\"Stratum Difficulty\":65536.00}],\"id\":1}\0";
const COIN: &str =
    "{\"STATUS\":[{\"STATUS\":\"S\"}],\"COIN\":[{\"Hash Method\":\"sha256\"}],\"id\":1}\0";

fn driver() -> DriverObject {
    testing::through_abi::<Asic>(&testing::host().context()).unwrap()
}

fn launch() -> Launch {
    Launch { addresses: vec!["10.0.0.5:4028".to_owned()], ..testing::launch() }
}

fn stats_of(driver: &DriverObject, bodies: [&str; 4]) -> Result<PerformanceMetrics> {
    let replies = stats::QUESTIONS.iter().zip(bodies);
    let replies: Vec<_> = replies.map(|(name, body)| testing::reply(name, body)).collect();
    driver.stats(&launch(), &replies)
}

fn plan(config: Value) -> Result<DevicePlan> {
    let Value::Object(fields) = config else { panic!("not an object") };
    match driver().start(&Config(fields), &testing::launch())? {
        StartPlan::Device(plan) => Ok(plan),
        _ => panic!("no device"),
    }
}

#[test]
fn a_device_is_watched_or_controlled() {
    let watched = plan(json!({ "address": "10.0.0.5" })).unwrap();
    assert_eq!(watched.addresses, ["10.0.0.5:4028"]);
    assert!(watched.start.is_empty() && watched.stop.is_empty());
    let controlled =
        plan(json!({ "address": "asic.lan:4029", "control": true, "boards": 2, "pool": 1 }))
            .unwrap();
    let sent = |steps: &[CommandStep]| -> Vec<String> {
        let send = |step: &CommandStep| match step {
            CommandStep::Tcp { address, send, .. } => format!("{address} {send}"),
            other => panic!("{other:?}"),
        };
        steps.iter().map(send).collect()
    };
    assert_eq!(
        sent(&controlled.start),
        [
            r#"asic.lan:4029 {"command":"ascenable","parameter":"0"}"#,
            r#"asic.lan:4029 {"command":"ascenable","parameter":"1"}"#,
            r#"asic.lan:4029 {"command":"switchpool","parameter":"1"}"#,
        ]
    );
    assert_eq!(sent(&controlled.stop).len(), 2);
    assert_eq!(plan(json!({ "address": "[::1]" })).unwrap().addresses, ["[::1]:4028"]);
    for (bad, field) in [
        (json!({}), "missing field `address`"),
        (json!({ "address": "" }), "address"),
        (json!({ "address": "a:0" }), "address"),
        (json!({ "address": "a:b" }), "address"),
        (json!({ "address": "a", "control": true }), "boards"),
        (json!({ "address": "a", "boards": 2 }), "boards"),
        (json!({ "address": "a", "control": true, "boards": 0 }), "boards"),
        (json!({ "address": "a", "user": "x" }), "user"),
    ] {
        let error = plan(bad.clone()).unwrap_err();
        assert!(
            error.kind == ErrorKind::Invalid && error.message.contains(field),
            "{bad}: {error}"
        );
    }
}

#[test]
fn figures_are_read_whatever_unit_the_firmware_has() {
    let metrics = stats_of(&driver(), [SUMMARY, DEVS, POOLS, COIN]).unwrap();
    assert_eq!(metrics.hashrate, Some(13.6e12));
    assert_eq!((metrics.shares, metrics.rejected), (Some(40), Some(2)));
    assert_eq!((metrics.invalid, metrics.stale, metrics.uptime), (Some(3), Some(1), Some(90)));
    assert_eq!(metrics.algorithm.as_deref(), Some("sha256d"));
    assert_eq!(metrics.last_share, Some(1_795_361_374));
    assert_eq!(metrics.phase, Some(Phase::Mining));
    let pool = metrics.pool.unwrap();
    assert_eq!((pool.url.as_str(), pool.connected), ("pool.example:3333", Some(true)));
    assert_eq!(pool.difficulty, Some(65_536));
    let temperatures: Vec<_> = metrics.devices.iter().map(|it| it.temperature).collect();
    assert_eq!(temperatures, [Some(61.0), None]);
    assert_eq!(metrics.devices[1].hashrate, Some(6.8e12));
}

#[test]
fn phases_follow_boards_and_pools() {
    let phase = |bodies| stats_of(&driver(), bodies).unwrap().phase.unwrap();
    let off = DEVS.replace("\"Enabled\":\"Y\"", "\"Enabled\":\"N\"");
    assert_eq!(phase([SUMMARY, &off, POOLS, COIN]), Phase::Paused);
    let dead = POOLS.replace("Alive", "Dead").replace("true", "false");
    assert_eq!(phase([SUMMARY, DEVS, &dead, COIN]), Phase::Degraded);
    let none = SUMMARY.replace("\"Accepted\":40", "\"Accepted\":0");
    assert_eq!(phase([&none, DEVS, POOLS, ""]), Phase::Waiting);
    let cold = SUMMARY.replace("13600000.00", "0.00");
    let no_devs = "{\"STATUS\":[{\"STATUS\":\"E\"}]}\0";
    assert_eq!(phase([&cold, no_devs, POOLS, COIN]), Phase::Preparing);
    let old = cold.replace("\"Elapsed\":90", "\"Elapsed\":9000");
    assert_eq!(phase([&old, no_devs, POOLS, COIN]), Phase::Degraded);
}

#[test]
fn nonsense_is_no_figures_and_never_a_panic() {
    for bad in ["", "{}", "[]", "null", "{\"SUMMARY\":[]}", "{\"SUMMARY\":[{}]}", "{\"SUMMARY\":5}"]
    {
        assert_eq!(
            stats_of(&driver(), [bad, DEVS, POOLS, COIN]).unwrap_err().kind,
            ErrorKind::Unavailable
        );
        let _either_way = stats_of(&driver(), [SUMMARY, bad, bad, bad]);
    }
    let silent = Reply { id: "summary".into(), error: Some("refused".into()), ..Reply::default() };
    let error = driver().stats(&launch(), &[silent]).unwrap_err();
    assert_eq!(error.message, "summary: the device does not answer: refused");
}

#[test]
fn commands_go_to_the_boards_that_there_are() {
    let driver = driver();
    let command = |name: &str, params: Value| {
        driver.command(&Command { name: name.to_owned(), params }, &launch())
    };
    assert_eq!(command("pause", Value::Null).unwrap_err().kind, ErrorKind::Unavailable);
    stats_of(&driver, [SUMMARY, DEVS, POOLS, COIN]).unwrap();
    assert_eq!(command("pause", Value::Null).unwrap().steps.len(), 2);
    assert_eq!(command("resume", Value::Null).unwrap().steps.len(), 2);
    assert_eq!(command("switch-pool", json!({ "pool": 1 })).unwrap().steps.len(), 1);
    assert_eq!(command("switch-pool", json!({})).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(command("reboot", Value::Null).unwrap_err().kind, ErrorKind::Unsupported);
    let probes = driver.probes(&launch()).unwrap();
    assert_eq!(probes.len(), 4);
    assert!(driver.probes(&testing::launch()).unwrap().is_empty());
}
