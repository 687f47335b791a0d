use adit_plugin_api::{Config, ErrorKind, json};

use super::*;
use crate::tests::{complete, plan, with};

/// The sentence that refuses a configuration.
fn refused(value: &Value) -> String {
    let error = plan(value.clone()).expect_err(&value.to_string());
    assert_eq!(error.kind, ErrorKind::Invalid);
    error.message
}

#[test]
fn fields_that_are_out_of_range_or_would_not_act_are_refused_by_name() {
    for (field, more) in [
        ("threads", json!({ "threads": 0 })),
        ("threads", json!({ "threads": 1025 })),
        ("threads", json!({ "threads": 1, "cpu": false, "cuda": true })),
        ("affinity", json!({ "affinity": [] })),
        ("affinity", json!({ "affinity": [4096] })),
        ("affinity", json!({ "affinity": [0, 1], "threads": 3 })),
        ("affinity", json!({ "affinity": [0], "cpu": false, "opencl": true })),
        ("maxThreadsHint", json!({ "maxThreadsHint": 50, "threads": 2 })),
        ("maxThreadsHint", json!({ "maxThreadsHint": 50, "affinity": [1] })),
        ("maxThreadsHint", json!({ "maxThreadsHint": 101 })),
        ("cpuPriority", json!({ "cpuPriority": 6 })),
        ("cpuPriority", json!({ "cpuPriority": 1, "cpu": false, "cuda": true })),
        ("cpu", json!({ "cpu": false })),
        ("oneGbPages", json!({ "oneGbPages": true, "hugePages": false })),
        ("oneGbPages", json!({ "oneGbPages": true, "randomxMode": "light" })),
        ("randomxMode", json!({ "randomxMode": "slow" })),
        ("randomxInitThreads", json!({ "randomxInitThreads": 0 })),
        ("openclDevices", json!({ "openclDevices": [0] })),
        ("openclDevices", json!({ "opencl": true, "openclDevices": [] })),
        ("openclPlatform", json!({ "openclPlatform": "AMD" })),
        ("openclPlatform", json!({ "opencl": true, "openclPlatform": "" })),
        ("openclPlatform", json!({ "opencl": true, "openclPlatform": -1 })),
        ("openclPlatform", json!({ "opencl": true, "openclPlatform": {} })),
        ("cudaDevices", json!({ "cudaDevices": [0] })),
        ("cudaDevices", json!({ "cuda": true, "cudaDevices": [256] })),
        ("retries", json!({ "retries": 0 })),
        ("retryPause", json!({ "retryPause": 3601 })),
        ("printTime", json!({ "printTime": 0 })),
        ("pauseOnActive", json!({ "pauseOnActive": "yes" })),
        ("algo", json!({ "algo": "foo/1" })),
        ("coin", json!({ "coin": "DOGE" })),
        ("coin", json!({ "coin": "XMR", "algo": "rx/0" })),
        ("proxy", json!({ "proxy": "${PROXY}" })),
        ("rigId", json!({ "rigId": "a".repeat(65) })),
        ("keepalive", json!({ "keepalive": 0 })),
        ("keepalive", json!({ "keepalive": "yes" })),
        ("password", json!({ "password": "" })),
        ("wallet", json!({ "wallet": "4 W" })),
        ("wallet", json!({ "wallet": "${HOME}" })),
        ("wallet", json!({ "wallet": "4\nW" })),
        ("tlsFingerprint", json!({ "tls": true, "tlsFingerprint": "ab" })),
        ("tlsFingerprint", json!({ "tlsFingerprint": "ab".repeat(32) })),
        ("sni", json!({ "sni": true })),
        ("xmrig", json!({ "xmrig": [] })),
    ] {
        let message = refused(&with(more.clone()));
        assert!(message.starts_with(&format!("{field}: ")), "{more}: {message}");
    }
    assert!(refused(&with(json!({ "cliArgs": "-o x" }))).contains("unknown field `cliArgs`"));
}

#[test]
fn a_proxy_that_xmrig_would_pass_by_is_refused() {
    for proxy in ["nowhere", "http://a:1", "a:0", "a:99999", "a b:1"] {
        let message = refused(&with(json!({ "proxy": proxy })));
        assert!(message.contains("SOCKS5 proxy"), "{message}");
    }
}

#[test]
fn one_pool_may_be_written_short_but_not_beside_a_list() {
    let list = json!([{ "url": "a.example:1", "wallet": "4W" }]);
    for (field, value) in [
        ("pool", json!("b.example:1")),
        ("wallet", json!("4W")),
        ("password", json!("x")),
        ("tls", json!(false)),
        ("tlsFingerprint", json!("ab".repeat(32))),
        ("sni", json!(false)),
        ("nicehash", json!(false)),
    ] {
        let message = refused(&json!({ "pools": list, field: value }));
        assert!(message.starts_with(&format!("{field}: is for a single pool")), "{message}");
    }
    assert!(refused(&json!({ "wallet": "4W" })).starts_with("pools: write at least one pool"));
    assert!(refused(&json!({ "pool": "a.example:1" })).starts_with("wallet: "));
}

#[test]
fn pausing_and_pages_that_linux_or_others_have_not_are_refused_there() {
    let read = |value, os| XmrigConfig::read(&complete(with(value)), os).map(|_| ());
    let active = || json!({ "pauseOnActive": 60 });
    let error = read(active(), "linux").unwrap_err();
    assert!(error.message.contains("does not see on Linux"), "{error}");
    read(active(), "macos").unwrap();
    read(json!({ "pauseOnActive": true }), "windows").unwrap();
    assert!(read(json!({ "pauseOnActive": 0 }), "windows").is_err());
    let pages = || json!({ "oneGbPages": true });
    read(pages(), "linux").unwrap();
    assert!(read(pages(), "macos").unwrap_err().message.contains("on Linux only"));
}

#[test]
fn no_message_repeats_a_secret() {
    for value in [
        json!({ "pool": "a.example:1", "wallet": ["4Secret"] }),
        json!({ "pool": "4Secret", "wallet": "x" }),
        json!({ "pool": "a.example:1", "wallet": "4Secret ${X}" }),
        json!({ "pool": "a.example:1", "wallet": "4W", "password": "4Secret\n" }),
        json!({ "pool": "a.example:1", "wallet": "4W", "threads": "4Secret" }),
        json!({ "pools": [{ "url": "a.example:1", "wallet": "4W", "user": "4Secret" }] }),
        json!({ "pool": "a.example:1", "wallet": "4W", "xmrig": { "x": "4Secret${X}" } }),
    ] {
        let message = refused(&value);
        assert!(!message.contains("4Secret"), "{message}");
    }
}

#[test]
fn an_empty_configuration_is_refused_and_does_not_panic() {
    assert!(XmrigConfig::read(&Config::default(), "linux").is_ok());
    assert!(
        crate::tests::driver()
            .start(&Config::default(), &adit_plugin_api::testing::launch())
            .is_err()
    );
}
