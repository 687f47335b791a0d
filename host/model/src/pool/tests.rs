use serde_json::{Value, json};

use super::*;

fn pool(fields: &Value) -> Result<Pool, BadField> {
    let mut all = json!({ "name": "main", "url": "pool.example:3333" });
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value::<Pool>(all).unwrap().tidy()
}

#[test]
fn a_scheme_becomes_the_flag() {
    for (url, tls, expected) in [
        ("pool.example:3333", false, "pool.example:3333"),
        ("stratum+tcp://pool.example:3333", false, "pool.example:3333"),
        ("Stratum+SSL://pool.example:443", true, "pool.example:443"),
        ("stratum+ssl://[2001:db8::1]:443", true, "[2001:db8::1]:443"),
    ] {
        let pool = pool(&json!({ "url": url })).unwrap();
        assert_eq!((pool.tls, pool.url.as_str()), (tls, expected));
    }
    for (url, protocol, tls) in [
        ("pool.example:1", None, false),
        ("SSL://pool.example:1", None, true),
        ("tls://pool.example:1/", None, true),
        ("Tcp://pool.example:1/", None, false),
        ("stratum+tcp://pool.example:1", None, false),
        // These demand a protocol, which a miner's coin need not have by itself.
        ("stratum+tls://pool.example:1", Some("stratum"), true),
        ("Stratum1+SSL://pool.example:1", Some("stratum1"), true),
        ("stratum1+tcp://pool.example:1", Some("stratum1"), false),
        ("epic+ssl://pool.example:1/", Some("epic"), true),
        ("epic://pool.example:1", Some("epic"), false),
    ] {
        let pool = pool(&json!({ "url": url })).unwrap();
        assert_eq!((pool.protocol.as_deref(), pool.tls), (protocol, tls), "{url}");
        assert_eq!(pool.url, "pool.example:1", "{url}");
        // What was read can be sent back.
        assert_eq!(pool.clone().tidy().unwrap(), pool);
    }
    // A new scheme replaces the protocol of the old one.
    let changed = pool(&json!({ "url": "ssl://pool.example:1", "protocol": "stratum" })).unwrap();
    assert_eq!((changed.protocol, changed.tls), (None, true));
    let sum = "AB:".repeat(31) + "cd";
    let pool = pool(&json!({ "tls": true, "tlsFingerprint": sum })).unwrap();
    assert_eq!(pool.tls_fingerprint.unwrap(), "ab".repeat(31) + "cd");
}

#[test]
fn what_is_no_pool_is_told_by_its_field() {
    let long = "a".repeat(10_000);
    for (fields, expected) in [
        (json!({ "name": "url" }), "name: ${pool.url} means something else"),
        (json!({ "url": "" }), "url: write host:port"),
        (json!({ "url": "pool.example" }), "url: write host:port"),
        (json!({ "url": "pool.example:0" }), "url: write host:port"),
        (json!({ "url": "pool.example:65536" }), "url: write host:port"),
        (json!({ "url": "pool.example:+1" }), "url: write host:port"),
        (json!({ "url": "a b:1" }), "url: write host:port"),
        (json!({ "url": "a;rm -rf:1" }), "url: write host:port"),
        (json!({ "url": "${worker}:1" }), "url: write host:port"),
        (json!({ "url": "http://pool.example:80" }), "url: write host:port, stratum+tcp"),
        (json!({ "url": "https://pool.example:443" }), "url: write host:port, stratum+tcp"),
        (json!({ "url": "daemon+http://pool.example:1" }), "url: write host:port, stratum+tcp"),
        (json!({ "url": "epic+udp://pool.example:1" }), "url: write host:port, stratum+tcp"),
        (json!({ "url": "pool.example:1//" }), "url: write host:port"),
        (json!({ "url": "pool.example:1/x" }), "url: write host:port"),
        (json!({ "url": "[fe80::1%eth0]:1" }), "url: an IPv6 address with a zone"),
        (json!({ "protocol": "+ssl" }), "protocol: write the word before"),
        (json!({ "url": long }), "url: write host:port"),
        (json!({ "tls": true, "tlsFingerprint": "ab" }), "tlsFingerprint: write the SHA-256"),
        (json!({ "tlsFingerprint": "ab".repeat(32) }), "tlsFingerprint: does nothing"),
        (json!({ "user": "" }), "user: write 1 to 512 bytes"),
        (json!({ "user": "a b" }), "user: has a space"),
        (json!({ "user": "a\nb" }), "user: has a control character"),
        (json!({ "user": "${pool.url}" }), "user: there is no placeholder ${pool.url}"),
        (json!({ "user": "${wallet" }), "user: a placeholder has no end"),
        (json!({ "password": "${env.HOME}" }), "password: there is no placeholder ${env.HOME}"),
        (json!({ "password": long }), "password: write 1 to 512 bytes"),
        (json!({ "coin": "no coin" }), "coin: write the coin's symbol"),
        (json!({ "user": "me", "wallet": "xmr" }), "wallet: neither user nor password"),
    ] {
        let told = pool(&fields).unwrap_err().to_string();
        assert!(told.starts_with(expected), "{fields:.60}: {told}");
    }
}

#[test]
fn a_pool_tells_which_wallets_it_names() {
    let named = |fields: &Value| {
        let pool = pool(fields).unwrap();
        let names = pool.wallets().into_iter().map(|(field, name)| format!("{field} {name}"));
        (pool.takes_wallet(), names.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(named(&json!({})), (true, String::new()));
    assert_eq!(named(&json!({ "wallet": "xmr" })), (true, "wallet xmr".to_owned()));
    let two = json!({ "user": "${wallet.a}.${worker}", "password": "${wallet.b}" });
    assert_eq!(named(&two), (false, "user a, password b".to_owned()));
    assert_eq!(named(&json!({ "user": "$${wallet}" })), (false, String::new()));
}

#[test]
fn an_address_is_one_word_without_placeholders() {
    let wallet = |address: &str| {
        let wallet = Wallet {
            name: WalletName::new("xmr").unwrap(),
            coin: Some("XMR".to_owned()),
            address: address.to_owned(),
        };
        wallet.check().map_err(|error| error.to_string())
    };
    assert_eq!(wallet("4AdUndXHHZ6cfufTMvppY6JwXNouMBzSkbLYfpAV5Usx"), Ok(()));
    for bad in ["", "a b", "a\tb", "a\u{0}", "${worker}", &"a".repeat(513)] {
        assert!(wallet(bad).unwrap_err().starts_with("address: "), "{bad:.20}");
    }
}
