//! Every message there and back, garbage, and the schema in the documentation.

use serde_json::json;

use super::*;

/// One payload of each type, with every field.
fn samples() -> Vec<(&'static str, Value)> {
    let id = "00000000-0000-4000-8000-000000000001";
    let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    vec![
        (
            "handshake",
            json!({ "name": "rig", "role": "worker", "version": "0.1.0", "instance": id,
                    "rights": ["stats"], "nextKey": key }),
        ),
        ("ping", json!({ "latencyMs": 1.5 })),
        ("pong", json!({})),
        ("get_stats", json!({})),
        (
            "stats",
            json!({ "full": true, "miners": { "a": { "hashrate": 1.0 } },
                    "unset": { "a": ["pool"] }, "removed": ["b"], "intervalMs": 10_000 }),
        ),
        (
            "start_miner",
            json!({ "minerName": "a", "profileId": "p", "minerType": "sim", "config": {} }),
        ),
        ("stop_miner", json!({ "minerName": "a" })),
        ("get_logs", json!({ "minerName": "a", "lines": 5, "after": "0:0" })),
        ("logs", json!({ "lines": ["x"], "cursor": "0:1", "skippedBytes": 0 })),
        (
            "get_history",
            json!({ "minerName": "a", "sinceMs": 1, "untilMs": 2, "points": 3,
                    "metric": "power" }),
        ),
        ("history", json!({ "points": [] })),
        ("get_samples", json!({ "minerName": "a", "agoMs": 60_000 })),
        (
            "samples",
            json!({ "nextAgoMs": 5, "nowMs": 1_790_000_000_000_i64, "samples": [
                { "agoMs": 9, "hashrate": 1.5, "accepted": 3.0, "rejected": 0.0,
                  "temperature": 60.5, "power": 100.0, "phase": "mining" }] }),
        ),
        ("install", json!({ "minerType": "sim", "version": "1" })),
        (
            "deploy",
            json!({ "name": "p", "minerType": "sim", "config": {}, "pools": ["x"],
                              "start": "a" }),
        ),
        ("event", json!({ "type": "miner.error", "at": "2026-01-01T00:00:00Z", "data": {} })),
        ("driver", json!({ "driver": "sim", "data": "aGk=" })),
        ("driver_answer", json!({ "data": "aGk=" })),
        ("rotate", json!({ "nextKey": key })),
        ("done", json!({ "result": { "x": 1 } })),
        ("error", json!({ "code": "X", "message": "y" })),
    ]
}

fn envelope(kind: &str, payload: &Value) -> Value {
    json!({ "id": "00000000-0000-4000-8000-000000000002", "type": kind, "from": "A", "to": "B",
            "timestamp": "2026-01-01T00:00:00Z", "payload": payload })
}

fn decode(value: &Value) -> Result<Message, String> {
    Message::decode(&serde_json::to_vec(value).unwrap())
}

#[test]
fn every_message_reads_back_as_it_was_written() {
    let known = schemas();
    assert_eq!(samples().len(), known.len());
    for (kind, payload) in samples() {
        let written = envelope(kind, &payload);
        let message = decode(&written).unwrap();
        assert_eq!(message.body.kind(), kind);
        assert!(!matches!(message.body, Body::Malformed { .. }), "{:?}", message.body);
        let again: Value = serde_json::from_slice(&message.encode().unwrap()).unwrap();
        assert_eq!(again, written);
    }
}

#[test]
fn garbage_in_every_field_is_no_panic_and_no_command() {
    for (kind, payload) in samples() {
        for field in payload.as_object().unwrap().keys() {
            for garbage in [json!(null), json!(-1), json!([[]]), json!({ "x": 1 }), json!("../x")] {
                let mut changed = payload.clone();
                changed[field] = garbage;
                assert!(decode(&envelope(kind, &changed)).is_ok());
            }
        }
        let text = serde_json::to_vec(&envelope(kind, &payload)).unwrap();
        for end in 0..text.len() {
            assert!(Message::decode(&text[..end]).is_err(), "{kind} cut at {end}");
        }
        for payload in [json!(7), json!("x"), json!([1])] {
            let body = decode(&envelope(kind, &payload)).unwrap().body;
            assert!(matches!(body, Body::Malformed { .. }), "{kind} {payload}: {body:?}");
        }
    }
    assert!(Message::decode(&[b'['; 100_000]).is_err());
}

/// Whoever writes messages by the documented schema is understood: what is read fits it.
#[test]
fn what_is_read_of_garbage_fits_the_documented_schema() {
    let types = schemas();
    for (kind, payload) in samples() {
        let validator = jsonschema::validator_for(&types[kind]).unwrap();
        let (mut refused, mut tried) = (0, 0);
        for field in payload.as_object().unwrap().keys() {
            for garbage in [json!(null), json!(-1), json!([[]]), json!({ "x": 1 }), json!("../x")] {
                let mut changed = payload.clone();
                changed[field] = garbage;
                let body = decode(&envelope(kind, &changed)).unwrap().body;
                let read = !matches!(body, Body::Malformed { .. });
                assert!(!read || validator.is_valid(&changed), "{kind}: {changed}");
                tried += 1;
                refused += u32::from(!read);
            }
        }
        // What these carry is handed on as it is.
        let is_opaque = ["history", "done"].contains(&kind);
        assert!(tried == 0 || is_opaque || refused > 0, "{kind} takes all garbage");
    }
}

#[test]
fn a_command_with_a_field_too_many_is_refused() {
    for (kind, payload) in samples() {
        let mut changed = payload.clone();
        changed["donate"] = json!(1);
        let message = decode(&envelope(kind, &changed)).unwrap();
        let strict = message.body.is_command() || kind == "rotate";
        let malformed = matches!(message.body, Body::Malformed { .. });
        let tolerant = [
            "handshake",
            "ping",
            "pong",
            "stats",
            "logs",
            "history",
            "samples",
            "event",
            "driver_answer",
            "done",
            "error",
        ]
        .contains(&kind);
        assert_eq!(malformed, !tolerant, "{kind}");
        assert_eq!(strict, !tolerant, "{kind}");
    }
}

#[test]
fn names_like_paths_are_refused() {
    for name in ["../../etc/passwd", "a/b", "/abs", "..", "a\0b", "-rf", "A", ""] {
        for (kind, payload) in [
            ("start_miner", json!({ "minerName": name })),
            ("stop_miner", json!({ "minerName": name })),
            ("get_logs", json!({ "minerName": name })),
            ("install", json!({ "minerType": name })),
            ("deploy", json!({ "name": "p", "minerType": name, "config": {} })),
            ("deploy", json!({ "name": "p", "minerType": "sim", "config": {}, "start": name })),
            ("driver", json!({ "driver": name, "data": "" })),
        ] {
            let body = decode(&envelope(kind, &payload)).unwrap().body;
            assert!(matches!(body, Body::Malformed { .. }), "{kind} {name:?}");
        }
    }
}

#[test]
fn unknown_types_are_messages_that_can_be_answered() {
    let long = "x".repeat(10_000);
    for kind in ["reboot", "", "\u{1b}[2J", &long] {
        let message = decode(&envelope(kind, &json!({}))).unwrap();
        let Body::Unknown(told) = &message.body else { panic!("{:?}", message.body) };
        assert!(told.len() <= 64 && !told.contains('\u{1b}'));
        assert!(message.body.is_request());
    }
}

#[test]
fn an_answer_must_fit_its_question() {
    let body = |kind: &str| {
        let payload = samples().into_iter().find(|it| it.0 == kind).unwrap().1;
        decode(&envelope(kind, &payload)).unwrap().body
    };
    for (question, answer, fits) in [
        ("ping", "pong", true),
        ("ping", "done", false),
        ("get_stats", "stats", true),
        ("get_logs", "logs", true),
        ("start_miner", "done", true),
        ("start_miner", "pong", false),
        ("start_miner", "error", true),
        ("driver", "driver_answer", true),
        ("driver", "logs", false),
    ] {
        assert_eq!(body(question).is_answered_by(&body(answer)), fits, "{question} {answer}");
    }
}

/// `ADIT_WRITE_DOCS=1 cargo test -p adit schema` writes the file anew.
#[test]
fn the_schema_in_the_documentation_is_the_one_of_the_code() {
    let mut types = schemas();
    let kinds: Vec<&String> = types.keys().collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages between nodes",
        "description": "JSON inside the secure channel, at most 1 MiB.",
        "type": "object",
        "required": ["id", "type", "from", "to", "timestamp", "payload"],
        "properties": {
            "id": { "type": "string", "format": "uuid" },
            "type": { "type": "string", "examples": kinds },
            "from": { "type": "string", "description": "Node id of the sender." },
            "to": { "type": "string", "description": "Node id of the receiver." },
            "timestamp": { "type": "string", "format": "date-time" },
            "payload": { "description": "By type, see payloads." },
            "replyTo": { "type": "string", "format": "uuid" },
            "ttlMs": { "type": "integer", "minimum": 0 },
        },
    });
    for payload in types.values_mut() {
        payload.as_object_mut().unwrap().remove("$schema");
    }
    let document = json!({ "message": schema, "payloads": types });
    let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/node-messages.json");
    if std::env::var_os("ADIT_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &text).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == text, "docs/node-messages.json is old: run this with ADIT_WRITE_DOCS=1");
}

#[test]
fn the_documented_schema_takes_every_sample() {
    let types = schemas();
    for (kind, payload) in samples() {
        let validator = jsonschema::validator_for(&types[kind]).unwrap();
        assert!(validator.is_valid(&payload), "{kind}: {payload}");
        assert!(!validator.is_valid(&json!(7)), "{kind}");
    }
}
