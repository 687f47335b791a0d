use adit_plugin_api::json;

use super::*;
use crate::tests::{file, plan, with};

#[test]
fn keys_that_would_break_supervision_or_have_a_field_are_refused_by_name() {
    for (key, text) in REFUSED.iter().chain(OWN) {
        let value = match key.split_once('.') {
            Some((part, inner)) => json!({ part: { inner: true } }),
            None => json!({ *key: {} }),
        };
        let message = plan(with(json!({ "xmrig": value }))).unwrap_err().message;
        assert!(message.starts_with(&format!("xmrig.{key}: ")), "{message}");
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn what_would_replace_a_part_or_load_a_library_is_refused() {
    for (field, value) in [
        ("xmrig.cpu", json!({ "cpu": false })),
        ("xmrig.randomx", json!({ "randomx": null })),
        ("xmrig.opencl", json!({ "opencl": true })),
        ("xmrig.cuda", json!({ "cuda": [] })),
        ("xmrig.cuda.nvml", json!({ "cuda": { "nvml": "/tmp/x.so" } })),
        ("xmrig.cpu.huge-pages", json!({ "cpu": { "huge-pages": false } })),
        ("xmrig.user-agent", json!({ "user-agent": "${HOME}" })),
        ("xmrig.x.y", json!({ "x": { "y": ["${HOME}"] } })),
    ] {
        let message = plan(with(json!({ "xmrig": value }))).unwrap_err().message;
        assert!(message.starts_with(&format!("{field}: ")), "{value}: {message}");
    }
}

#[test]
fn thread_profiles_are_checked_because_xmrig_does_not() {
    for good in [
        json!([0, -1, 2]),
        json!([[1, 0], [5, -1]]),
        json!({ "threads": 4 }),
        json!({ "intensity": 2, "threads": 4, "affinity": -1 }),
        json!({ "threads": 4, "affinity": "0xF" }),
        json!(false),
        json!("rx"),
    ] {
        let written = file(with(json!({ "xmrig": { "cpu": { "rx/wow": good } } })));
        assert_eq!(written["cpu"]["rx/wow"], good);
        assert_eq!(written["cpu"]["enabled"], true);
    }
    for bad in [
        json!([]),
        json!([0.5]),
        json!(["0"]),
        json!([[1]]),
        json!([[9, 0]]),
        json!([[1, 0, 2]]),
        json!([-2]),
        json!([4294967296_u64]),
        json!({}),
        json!({ "threads": 0 }),
        json!({ "threads": 4, "cores": 1 }),
        json!({ "threads": 4, "intensity": 6 }),
        json!(true),
        json!(3),
    ] {
        let message = plan(with(json!({ "xmrig": { "cpu": { "rx": bad } } }))).unwrap_err().message;
        assert!(message.starts_with("xmrig.cpu.rx: write threads as"), "{bad}: {message}");
    }
}

#[test]
fn a_profile_and_a_field_for_the_same_threads_are_refused() {
    let extra = |name: &str| json!({ "cpu": { name: [0] } });
    for (more, profile) in [
        (json!({ "threads": 2 }), "*"),
        (json!({ "threads": 2 }), "rx"),
        (json!({ "affinity": [1] }), "rx"),
        (json!({ "maxThreadsHint": 50 }), "*"),
    ] {
        let mut value = with(more.clone());
        value["xmrig"] = extra(profile);
        let message = plan(value).unwrap_err().message;
        assert!(message.contains("leave one of them out"), "{more}: {message}");
    }
    let mut value = with(json!({ "maxThreadsHint": 50 }));
    value["xmrig"] = extra("rx");
    assert_eq!(file(value)["cpu"]["rx"], json!([0]));
}

#[test]
fn objects_are_joined_and_other_values_replaced() {
    let mut file = json!({ "a": { "b": 1, "c": [1] }, "d": 2 });
    merge(&mut file, &json!({ "a": { "c": [2, 3], "e": null }, "f": { "g": 1 }, "d": null }));
    assert_eq!(file, json!({ "a": { "b": 1, "c": [2, 3], "e": null }, "f": { "g": 1 }, "d": 2 }));
    merge(&mut file, &Value::Null);
    assert_eq!(file["d"], 2);
}
