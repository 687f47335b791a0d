use adit_plugin_api::{ErrorKind, testing};

use super::*;
use crate::schema;

fn config(value: Value) -> Config {
    let Value::Object(fields) = value else { panic!("not an object") };
    Config(fields)
}

fn file(value: Value) -> Result<Value> {
    let read = SimConfig::read(&config(value))?;
    Ok(parse(&read.file(&testing::launch())))
}

fn parse(text: &str) -> Value {
    testing::reply("file", text).json().expect("the file is JSON")
}

#[test]
fn left_out_fields_have_the_described_defaults() {
    assert_eq!(file(json!({})).unwrap(), file(schema::defaults()).unwrap());
}

#[test]
fn only_what_was_said_reaches_the_file() {
    let file = file(json!({ "worker": "r2", "misbehave": { "badJson": true } })).unwrap();
    assert_eq!(file["worker"], "r2");
    assert_eq!(file["bad-json"], true);
    for absent in ["no-api", "wallet", "crash-after", "seed"] {
        assert_eq!(file.get(absent), None, "{absent}");
    }
}

#[test]
fn the_rig_gives_its_name_to_a_worker_without_one() {
    assert_eq!(file(json!({})).unwrap()["worker"], "rig-1");
    let unnamed = Launch { worker: String::new(), ..testing::launch() };
    let read = SimConfig::read(&Config::default()).unwrap();
    assert_eq!(parse(&read.file(&unnamed)).get("worker"), None);
}

#[test]
fn a_field_that_cannot_work_is_refused_by_name() {
    let long = "x".repeat(10_000);
    for (value, field) in [
        (json!({ "hashrate": 0 }), "hashrate"),
        (json!({ "hashrate": -5 }), "hashrate"),
        (json!({ "hashrate": 1e19 }), "hashrate"),
        (json!({ "hashrate": "fast" }), "hashrate"),
        (json!({ "algorithm": "" }), "algorithm"),
        (json!({ "algorithm": "rx 0" }), "algorithm"),
        (json!({ "pool": "" }), "pool"),
        (json!({ "pool": "host" }), "pool"),
        (json!({ "pool": "host:0" }), "pool"),
        (json!({ "pool": "host:65536" }), "pool"),
        (json!({ "pool": "host:+1" }), "pool"),
        (json!({ "pool": ":3333" }), "pool"),
        (json!({ "pool": "[::g]:1" }), "pool"),
        (json!({ "pool": "a\nb:1" }), "pool"),
        (json!({ "pool": "accepted (1/0) diff 1:1" }), "pool"),
        (json!({ "pool": "user@host:1" }), "pool"),
        (json!({ "worker": "" }), "worker"),
        (json!({ "worker": "ä" }), "worker"),
        (json!({ "wallet": "" }), "wallet"),
        (json!({ "wallet": long }), "wallet"),
        (json!({ "password": "d=0" }), "password"),
        (json!({ "password": "d=hush" }), "password"),
        (json!({ "wallet": ["hush"] }), "wallet"),
        (json!({ "devices": 0 }), "devices"),
        (json!({ "devices": 65 }), "devices"),
        (json!({ "devices": 1.5 }), "devices"),
        (json!({ "shareIntervalMs": 9 }), "shareIntervalMs"),
        (json!({ "preparingMs": 600_001 }), "preparingMs"),
        (json!({ "console": "tty" }), "console"),
        (json!({ "seed": -1 }), "seed"),
        (json!({ "hashRate": 1 }), "hashRate"),
        (json!({ "misbehave": true }), "misbehave"),
        (json!({ "misbehave": { "crash": 1 } }), "crash"),
        (json!({ "misbehave": { "exitCode": 1 } }), "misbehave.exitCode"),
        (json!({ "misbehave": { "exitCode": 256, "exitAfterMs": 1 } }), "misbehave.exitCode"),
        (json!({ "misbehave": { "poolBackAfterMs": 1 } }), "misbehave.poolBackAfterMs"),
        (json!({ "misbehave": { "countIntervalMs": 1 } }), "misbehave.countIntervalMs"),
        (json!({ "misbehave": { "rejectRate": 1.01 } }), "misbehave.rejectRate"),
        (json!({ "misbehave": { "noApi": true, "badJson": true } }), "misbehave.noApi"),
        (json!({ "misbehave": { "noOutput": true, "countLines": true } }), "misbehave.noOutput"),
        (json!({ "misbehave": { "hugeApiBytes": 1_u64 << 40 } }), "misbehave.hugeApiBytes"),
    ] {
        let error = file(value.clone()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains(field) && error.message.len() < 600, "{value}: {error}");
        assert!(!error.message.contains("hush"), "{error}");
    }
}

#[test]
fn pools_have_many_forms() {
    for pool in ["pool.example:3333", "10.0.0.1:1", "[::1]:65535", "a_b-c:443"] {
        assert_eq!(file(json!({ "pool": pool })).unwrap()["pool"], pool);
    }
}

#[test]
fn an_empty_secret_is_none() {
    let read = SimConfig::read(&config(json!({ "wallet": "4W", "password": "p" }))).unwrap();
    let token = testing::launch().api_token;
    assert_eq!(read.secrets(&testing::launch()), ["4W", "p", &token]);
    let nothing = SimConfig::read(&Config::default()).unwrap();
    assert!(nothing.secrets(&Launch::default()).is_empty());
}

/// A value for each field of the schema: the whole contract with sim-miner, whose own tests read
/// the golden file.
#[test]
fn each_field_of_the_schema_reaches_the_program() {
    let schema = schema::schema();
    let mut all = examples(&schema["properties"]);
    all["misbehave"] = examples(&schema["properties"]["misbehave"]["properties"]);
    // Pools are a form of their own, and the first of them is what the program is told.
    all.as_object_mut().unwrap().remove("pools");
    // Not all of these can act together, so they are read without the checks.
    let read: SimConfig = config(all.clone()).parse().unwrap();
    testing::golden("golden/every-option.json", &parse(&read.file(&testing::launch())));
    let count = |value: &Value| value.as_object().unwrap().len();
    // `misbehave` and `console` are no options, but the host's port and token are.
    let fields = count(&all) + count(&all["misbehave"]);
    let file = parse(&read.file(&testing::launch()));
    assert_eq!(count(&file), fields);
}

fn examples(properties: &Value) -> Value {
    let example = |field: &Value| match (field["type"].as_str().unwrap(), field["minimum"].as_u64())
    {
        ("string", _) if field.get("enum").is_some() => field["enum"][0].clone(),
        ("string", _) => json!("h:1"),
        ("boolean", _) => json!(true),
        ("integer", minimum) => json!(minimum.unwrap() + 3),
        ("number", _) => json!(0.5),
        (_, _) => json!({}),
    };
    let properties = properties.as_object().unwrap();
    properties.iter().map(|(name, field)| (name.clone(), example(field))).collect()
}
