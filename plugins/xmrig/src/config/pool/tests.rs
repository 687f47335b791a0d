use adit_plugin_api::{ErrorKind, json};

use super::*;

fn entry(value: Value) -> Result<Value> {
    let Value::Object(fields) = value else { panic!("not an object") };
    let pool: Pool = adit_plugin_api::Config(fields).parse()?;
    entries(&[pool], &PoolDefaults::default()).map(|mut entries| entries.remove(0))
}

#[test]
fn only_urls_that_xmrig_takes_and_nothing_behind_them() {
    for url in [
        "p.example:3333",
        "192.0.2.1:1",
        "[2001:db8::1]:65535",
        "stratum+tcp://p.example:3333",
        "STRATUM+TCP://p.example:3333",
        "stratum+ssl://p-1_x.example:443",
    ] {
        let entry = entry(json!({ "url": url, "wallet": "4W" })).unwrap();
        assert_eq!((&entry["url"], &entry["tls"]), (&json!(url), &json!(url.contains("ssl"))));
    }
    for (url, expected, tls) in [
        ("ssl://p.example:443", "p.example:443", true),
        ("TLS://p.example:443/", "p.example:443", true),
        ("stratum+tls://[2001:db8::1]:443", "[2001:db8::1]:443", true),
        ("tcp://p.example:3333", "p.example:3333", false),
        ("p.example:3333/", "p.example:3333", false),
        ("stratum+ssl://p.example:443/", "stratum+ssl://p.example:443", true),
    ] {
        let entry = entry(json!({ "url": url, "wallet": "4W" })).unwrap();
        assert_eq!((&entry["url"], &entry["tls"]), (&json!(expected), &json!(tls)), "{url}");
    }
    for url in [
        "",
        "p.example",
        "p.example:3333//",
        "[fe80::1%eth0]:3333",
        "epic+ssl://p.example:3333",
        "p.example:",
        "p.example:0",
        "p.example:65536",
        "p.example:3333/x",
        "p.example:+1",
        "user:pass@p.example:3333",
        "http://p.example:3333",
        "socks5://p.example:3333",
        "daemon+http://127.0.0.1:18081",
        "2001:db8::1:3333",
        "p.example:3333 x",
        "p.ex${HOME}ample:1",
        "://:1",
    ] {
        let error = entry(json!({ "url": url, "wallet": "4W" })).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.starts_with("pools[0].url: "), "{url}: {error}");
    }
}

#[test]
fn fields_are_refused_by_the_path_of_their_pool() {
    for (field, more) in [
        ("wallet", json!({ "wallet": "" })),
        ("user", json!({ "user": "4U" })),
        ("pass", json!({ "pass": "a\tb" })),
        ("rigId", json!({ "rigId": "${HOSTNAME}" })),
        ("algo", json!({ "algo": "rx/9" })),
        ("coin", json!({ "algo": "rx/0", "coin": "XMR" })),
        ("tls", json!({ "url": "stratum+ssl://p.example:1", "tls": false })),
        ("tlsFingerprint", json!({ "tlsFingerprint": "ab".repeat(32) })),
        ("sni", json!({ "sni": true })),
        ("keepalive", json!({ "keepalive": 3601 })),
        ("socks5", json!({ "socks5": "here" })),
    ] {
        let mut value = json!({ "url": "p.example:1", "wallet": "4W" });
        for (key, field) in more.as_object().unwrap() {
            value[key] = field.clone();
        }
        let error = entry(value).unwrap_err();
        assert!(error.message.starts_with(&format!("pools[0].{field}: ")), "{more}: {error}");
    }
}

#[test]
fn names_of_algorithms_and_coins_are_written_as_xmrig_does() {
    for (wish, written) in
        [("rx/0", "rx/0"), ("RandomX", "rx/0"), ("gr", "ghostrider"), ("RX/WOW", "rx/wow")]
    {
        let entry = entry(json!({ "url": "p.example:1", "wallet": "4W", "algo": wish })).unwrap();
        assert_eq!(entry["algo"], written);
    }
    let entry = entry(json!({ "url": "p.example:1", "wallet": "4W", "coin": "wownero" })).unwrap();
    assert_eq!(entry["coin"], "WOW");
}

#[test]
fn a_wallet_that_names_a_worker_gets_no_second_one() {
    let defaults = PoolDefaults { worker: Some("rig-1".to_owned()), ..PoolDefaults::default() };
    let rig_id = |more: Value| {
        let mut value = json!({ "url": "p.example:1" });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let Value::Object(fields) = value else { panic!("not an object") };
        let pool: Pool = adit_plugin_api::Config(fields).parse().unwrap();
        entries(&[pool], &defaults).unwrap().remove(0).get("rig-id").cloned()
    };
    assert_eq!(rig_id(json!({ "wallet": "4W" })), Some(json!("rig-1")));
    assert_eq!(rig_id(json!({ "wallet": "me@mail.example" })), Some(json!("rig-1")));
    assert_eq!(rig_id(json!({ "wallet": "4W.rig7" })), None);
    assert_eq!(rig_id(json!({ "wallet": "4W.rig7", "rigId": "own" })), Some(json!("own")));
}

#[test]
fn what_only_some_pools_have_is_not_common_to_all() {
    let one = json!({ "socks5": "a:1", "rig-id": "r", "algo": "rx/0", "keepalive": true });
    let two = json!({ "socks5": "a:1", "rig-id": "other", "coin": null, "keepalive": true });
    let shared = PoolDefaults::shared_by(&[one, two]);
    assert_eq!((shared.socks5.as_deref(), shared.keepalive), (Some("a:1"), Some(json!(true))));
    assert_eq!((shared.rig_id, shared.algo, shared.coin), (None, None, None));
    assert!(PoolDefaults::shared_by(&[]).socks5.is_none());
}
