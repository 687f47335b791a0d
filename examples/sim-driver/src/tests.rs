use adit_plugin_api::{DriverObject, ErrorKind, Value, json, testing};

use super::*;

fn driver() -> DriverObject {
    testing::through_abi::<Sim>(&testing::host().context()).unwrap()
}

fn config(value: Value) -> Config {
    let Value::Object(fields) = value else { panic!("not an object") };
    Config(fields)
}

fn command(name: &str, params: Value) -> Result<CommandPlan> {
    driver().command(&Command { name: name.to_owned(), params }, &testing::launch())
}

#[test]
fn the_description_is_as_recorded() {
    testing::golden("golden/description.json", &driver().describe().unwrap());
}

#[test]
fn the_schema_describes_each_field_and_allows_no_other() {
    fn look(schema: &Value) -> usize {
        assert!(schema["description"].is_string() || schema["title"].is_string(), "{schema}");
        let Some(fields) = schema.get("properties") else { return 1 };
        assert_eq!(schema["additionalProperties"], false);
        fields.as_object().unwrap().values().map(look).sum()
    }
    assert_eq!(look(&schema::schema()), 12 + 24);
    for secret in ["wallet", "password"] {
        assert_eq!(schema::schema()["properties"][secret]["writeOnly"], true);
    }
}

#[test]
fn the_defaults_name_fields_of_the_schema() {
    let schema = schema::schema();
    for (name, value) in schema::defaults().as_object().unwrap() {
        let kind = schema["properties"][name]["type"].as_str().unwrap();
        let fits = match kind {
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            _ => value.is_number(),
        };
        assert!(fits, "{name}: {value} is no {kind}");
    }
}

#[test]
fn a_plan_is_as_recorded() {
    let config = config(json!({
        "hashrate": 800, "algorithm": "kawpow", "pool": "p.example:1", "wallet": "4Wallet",
        "password": "d=9", "worker": "w", "devices": 1, "shareIntervalMs": 500, "preparingMs": 0,
        "seed": 4, "console": "pipes", "misbehave": { "exitAfterMs": 5, "exitCode": 3 },
    }));
    testing::golden("golden/plan.json", &driver().start(&config, &testing::launch()).unwrap());
}

#[test]
fn secrets_stand_in_the_file_and_nowhere_else() {
    let config = config(json!({ "wallet": "4Wallet", "password": "hush" }));
    let launch = testing::launch();
    let plan = driver().start(&config, &launch).unwrap();
    let StartPlan::Process(mut plan) = plan else { panic!("no process") };
    let files = std::mem::take(&mut plan.files);
    for secret in ["4Wallet", "hush", &launch.api_token] {
        assert!(plan.secrets.iter().any(|masked| masked == secret));
        assert!(files[0].content.contains(secret));
    }
    plan.secrets.clear();
    let shown = format!("{:?} {:?} {:?} {:?}", plan.args, plan.env, plan.stdin, plan.program);
    assert!(!shown.contains("4Wallet") && !shown.contains("hush"));
    assert!(!shown.contains(&launch.api_token));
}

#[test]
fn without_a_program_there_is_no_plan() {
    let launch = Launch { program: None, ..testing::launch() };
    let error = driver().start(&Config::default(), &launch).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[test]
fn the_other_plans_are_as_recorded() {
    let (driver, launch) = (driver(), testing::launch());
    let target = Target { os: "linux".into(), arch: "aarch64".into(), version: None };
    let plans = json!({
        "install": driver.install(&target).unwrap(),
        "stop": driver.stop(&launch).unwrap(),
        "probes": driver.probes(&launch).unwrap(),
        "pause": command("pause", Value::Null).unwrap(),
        "resume": command("resume", Value::Null).unwrap(),
        "speed": command("speed", Value::Null).unwrap(),
    });
    testing::golden("golden/plans.json", &plans);
    let windows = Target { os: "windows".into(), ..target };
    assert_eq!(driver.install(&windows).unwrap_err().kind, ErrorKind::Unsupported);
}

#[test]
fn unknown_commands_and_parameters_are_refused() {
    assert_eq!(command("quit", Value::Null).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(command("", Value::Null).unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(command("pause", json!({})).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn each_described_command_works() {
    for name in driver().describe().unwrap().commands {
        assert!(command(&name, Value::Null).is_ok(), "{name}");
    }
}

#[test]
fn the_version_is_read_from_the_program_itself() {
    let version = |text: &str| driver().version(text);
    assert_eq!(version(include_str!("../samples/version.txt")).unwrap(), "0.1.0");
    assert_eq!(version("warning: x\nsim-miner 1.0.0-rc.1+5\r\n").unwrap(), "1.0.0-rc.1+5");
    for other in ["", "XMRig 6.26.0", "sim-miner", "sim-miner ", "sim-miner ../1", "sim-miner 1 2"]
    {
        assert!(version(other).is_err(), "{other}");
    }
}

#[test]
fn messages_come_back_as_they_are() {
    let peer = PeerId("peer".to_owned());
    for payload in [b"".as_slice(), b"\0\xff", &[7; 100_000]] {
        assert_eq!(driver().message(&peer, payload).unwrap(), payload);
    }
}

#[test]
fn routes_work_through_the_abi() {
    let request = HttpRequest {
        method: "GET".to_owned(),
        path: "/hello".to_owned(),
        ..HttpRequest::default()
    };
    assert_eq!(driver().request(&request).unwrap().status, 200);
}
