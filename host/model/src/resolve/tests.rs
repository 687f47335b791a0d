use serde_json::json;

use super::*;

fn wallets() -> BTreeMap<WalletName, Wallet> {
    let wallet = |name: &str, coin: Option<&str>, address: &str| {
        let name = WalletName::new(name).unwrap();
        let (coin, address) = (coin.map(str::to_owned), address.to_owned());
        (name.clone(), Wallet { name, coin, address })
    };
    [
        wallet("xmr", Some("XMR"), "4Wallet"),
        wallet("btc", Some("btc"), "bc1"),
        wallet("any", None, "A"),
    ]
    .into()
}

fn pools() -> BTreeMap<PoolName, Pool> {
    let all = json!([
        { "name": "main", "url": "main.example:3333", "coin": "xmr", "user": "${wallet}.${worker}",
          "wallet": "xmr", "password": "hunter2-${miner}" },
        { "name": "bare", "url": "bare.example:1" },
        { "name": "tls", "url": "stratum+ssl://tls.example:443", "user": "me",
          "tlsFingerprint": "ab".repeat(32) },
    ]);
    let all: Vec<Pool> = serde_json::from_value(all).unwrap();
    all.into_iter().map(|pool| (pool.name.clone(), pool.tidy().unwrap())).collect()
}

fn list() -> PoolSlots {
    use PoolField::{Password, Tls, TlsFingerprint, Url, User};
    let fields =
        [(Url, "url"), (User, "user"), (Password, "pass"), (Tls, "tls"), (TlsFingerprint, "sum")];
    let fields = fields.map(|(part, field)| (part, field.to_owned())).into();
    PoolSlots { list: Some("pools".to_owned()), fields }
}

fn single() -> PoolSlots {
    let fields = [(PoolField::Uri, "pool".to_owned()), (PoolField::User, "wallet".to_owned())];
    PoolSlots { list: None, fields: fields.into() }
}

fn run(config: Value, chosen: Value, slots: &PoolSlots) -> Result<Resolved, String> {
    let (wallets, pools) = (wallets(), pools());
    let around = Around {
        worker: "rig-1",
        miner: "cpu-2",
        api_port: 4321,
        wallets: &wallets,
        pools: &pools,
    };
    let config: Config = serde_json::from_value(config).unwrap();
    let chosen: Vec<PoolChoice> = serde_json::from_value(chosen).unwrap();
    resolve(&config, &chosen, slots, &around).map_err(|error| error.to_string())
}

fn refused(config: Value, chosen: Value, slots: &PoolSlots) -> String {
    run(config, chosen, slots).err().expect("it is refused")
}

fn origins(resolved: &Resolved) -> Vec<String> {
    let told = resolved.origins.iter().map(|(path, origins)| {
        let origins: Vec<_> = origins
            .iter()
            .map(|it| serde_json::to_value(it).unwrap())
            .map(|it| {
                let name = it["name"].as_str().unwrap_or_default();
                format!("{} {name}", it["from"].as_str().unwrap()).trim().to_owned()
            })
            .collect();
        format!("{path}: {}", origins.join(" + "))
    });
    told.collect()
}

#[test]
fn placeholders_are_filled_in_wherever_they_stand() {
    let config = json!({
        "a": "${wallet.xmr}/${worker}", "b": ["${miner}", 7], "c": { "d": "${pool.bare}" },
        "e": "${api.port}", "f": ":${api.port}", "g": "$${worker} costs $5", "h": null,
    });
    let resolved = run(config, json!([]), &list()).unwrap();
    assert_eq!(
        Value::Object(resolved.config.0.clone()),
        json!({
            "a": "4Wallet/rig-1", "b": ["cpu-2", 7], "c": { "d": "bare.example:1" },
            "e": 4321, "f": ":4321", "g": "${worker} costs $5", "h": null,
        })
    );
    assert_eq!(
        origins(&resolved),
        [
            "a: wallet xmr + profile + placeholder worker",
            "b[0]: placeholder miner",
            "b[1]: profile",
            "c.d: pool bare",
            "e: placeholder api.port",
            "f: profile + placeholder api.port",
            "g: profile",
            "h: profile",
        ]
    );
}

#[test]
fn pools_go_into_the_list_in_their_order() {
    let chosen = json!([
        "main",
        { "pool": "bare", "wallet": "any", "options": { "keepalive": true } },
        "tls",
    ]);
    let resolved = run(json!({ "threads": 2 }), chosen, &list()).unwrap();
    assert_eq!(
        Value::Object(resolved.config.0.clone()),
        json!({
            "threads": 2,
            "pools": [
                { "url": "main.example:3333", "user": "4Wallet.rig-1", "pass": "hunter2-cpu-2" },
                { "url": "bare.example:1", "user": "A", "keepalive": true },
                { "url": "tls.example:443", "user": "me", "tls": true, "sum": "ab".repeat(32) },
            ],
        })
    );
    assert_eq!(
        origins(&resolved),
        [
            "pools[0].pass: pool main + placeholder miner",
            "pools[0].url: pool main",
            "pools[0].user: wallet xmr + pool main + placeholder worker",
            "pools[1].keepalive: profile",
            "pools[1].url: pool bare",
            "pools[1].user: wallet any",
            "pools[2].sum: pool tls",
            "pools[2].tls: pool tls",
            "pools[2].url: pool tls",
            "pools[2].user: pool tls",
            "threads: profile",
        ]
    );
    let secrets: Vec<_> = resolved.secrets.iter().map(ToString::to_string).collect();
    assert_eq!(secrets, ["pools[0].pass"]);
}

#[test]
fn a_driver_for_one_pool_has_it_at_the_top() {
    let resolved = run(
        json!({}),
        json!(["tls"]),
        &PoolSlots {
            fields: single()
                .fields
                .into_iter()
                .chain([(PoolField::TlsFingerprint, "sum".to_owned())])
                .collect(),
            list: None,
        },
    );
    let expected =
        json!({ "pool": "stratum+ssl://tls.example:443", "wallet": "me", "sum": "ab".repeat(32) });
    assert_eq!(Value::Object(resolved.unwrap().config.0), expected);
    let bare = run(json!({}), json!([{ "pool": "bare", "wallet": "xmr" }]), &single()).unwrap();
    assert_eq!(bare.config.0["pool"], "stratum+tcp://bare.example:1");
}

#[test]
fn a_scheme_reaches_a_driver_that_takes_it_and_is_refused_by_the_others() {
    let pool = |url: &str| {
        let pool: Pool = serde_json::from_value(json!({ "name": "p", "url": url })).unwrap();
        BTreeMap::from([(PoolName::new("p").unwrap(), pool.tidy().unwrap())])
    };
    let run = |url: &str, field: PoolField| {
        let slots = PoolSlots {
            list: None,
            fields: [(field, "pool".to_owned()), (PoolField::User, "wallet".to_owned())].into(),
        };
        let around = Around {
            worker: "rig-1",
            miner: "cpu-2",
            api_port: 4321,
            wallets: &wallets(),
            pools: &pool(url),
        };
        let chosen: Vec<PoolChoice> =
            serde_json::from_value(json!([{ "pool": "p", "wallet": "any" }])).unwrap();
        match resolve(&Config::default(), &chosen, &slots, &around) {
            Ok(resolved) => resolved.config.0["pool"].as_str().unwrap().to_owned(),
            Err(error) => error.to_string(),
        }
    };
    for (url, raw, uri) in [
        ("a.example:1", "a.example:1", "stratum+tcp://a.example:1"),
        ("stratum+tcp://a.example:1", "a.example:1", "stratum+tcp://a.example:1"),
        ("tls://a.example:1", "ssl://a.example:1", "stratum+ssl://a.example:1"),
        ("stratum+ssl://a.example:1", "stratum+ssl://a.example:1", "stratum+ssl://a.example:1"),
        (
            "epic+ssl://a.example:1",
            "epic+ssl://a.example:1",
            "pools[0]: the pool p has the protocol epic, which this miner type cannot use",
        ),
    ] {
        assert_eq!(run(url, PoolField::RawUri), raw, "{url}");
        assert_eq!(run(url, PoolField::Uri), uri, "{url}");
    }
    let refused =
        "pools[0]: the pool p has the protocol stratum1, which this miner type cannot use";
    assert_eq!(run("stratum1+tcp://a.example:1", PoolField::Url), refused);
}

#[test]
fn parts_of_the_first_pool_can_stand_anywhere() {
    let config = json!({
        "args": "-o ${pool.url} -u ${pool.user} -p ${pool.password}",
        "host": "${pool.host}", "port": "${pool.port}",
    });
    let resolved = run(config.clone(), json!(["main"]), &PoolSlots::default()).unwrap();
    assert_eq!(
        Value::Object(resolved.config.0),
        json!({
            "args": "-o main.example:3333 -u 4Wallet.rig-1 -p hunter2-cpu-2",
            "host": "main.example", "port": 3333,
        })
    );
    let secrets: Vec<_> = resolved.secrets.iter().map(ToString::to_string).collect();
    assert_eq!(secrets, ["args"]);
    let told = refused(config.clone(), json!([]), &PoolSlots::default());
    assert!(told.starts_with("config.args: refers to the profile's first pool"), "{told}");
    let told = refused(config, json!([{ "pool": "bare", "wallet": "xmr" }]), &PoolSlots::default());
    assert_eq!(told, "config.args: the pool bare has no password");
}

type Case = (Value, Value, PoolSlots, &'static str);

fn check(cases: Vec<Case>) {
    for (config, chosen, slots, expected) in cases {
        let told = refused(config.clone(), chosen.clone(), &slots);
        assert!(told.starts_with(expected), "{config} {chosen}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn names_that_lead_nowhere_are_refused_by_their_path() {
    check(vec![
        (
            json!({ "a": { "b": ["${boom}"] } }),
            json!([]),
            list(),
            "config.a.b[0]: there is no placeholder ${boom}",
        ),
        (json!({ "a": "${wallet.none}" }), json!([]), list(), "config.a: there is no wallet none"),
        (json!({ "a": "${pool.none}" }), json!([]), list(), "config.a: there is no pool none"),
        (json!({}), json!(["none"]), list(), "pools[0]: there is no pool none"),
        (
            json!({}),
            json!(["main", "bare"]),
            list(),
            "pools[1].wallet: the pool bare needs a wallet",
        ),
        (
            json!({}),
            json!([{ "pool": "bare", "wallet": "no" }]),
            list(),
            "pools[0].wallet: there is no wallet no",
        ),
        (
            json!({}),
            json!([{ "pool": "tls", "wallet": "xmr" }]),
            list(),
            "pools[0].wallet: the pool tls has no ${wallet}",
        ),
        (
            json!({}),
            json!([{ "pool": "main", "wallet": "btc" }]),
            list(),
            "pools[0].wallet: the wallet btc is of btc and the pool main of xmr",
        ),
    ]);
}

#[test]
fn pools_that_have_no_place_are_refused_by_their_path() {
    check(vec![
        (
            json!({ "pools": [] }),
            json!(["main"]),
            list(),
            "config.pools: the pools of the profile go here",
        ),
        (
            json!({ "wallet": "x" }),
            json!(["tls"]),
            single(),
            "config.wallet: the pools of the profile go here",
        ),
        (json!({}), json!(["tls", "tls"]), single(), "pools[1]: this miner type takes one pool"),
        (json!({}), json!(["tls"]), single(), "pools[0]: the pool tls has a fingerprint"),
        (json!({}), json!(["main"]), single(), "pools[0]: the pool main has a password"),
        (json!({}), json!(["main"]), PoolSlots::default(), "pools: this miner type takes no pools"),
        (
            json!({ "a": "${pool.url}" }),
            json!(["main", "tls"]),
            PoolSlots::default(),
            "pools[1]: this miner type takes no pools",
        ),
        (
            json!({}),
            json!([{ "pool": "tls", "options": { "url": "x" } }]),
            list(),
            "pools[0].options.url: the pool itself",
        ),
        (
            json!({}),
            json!([{ "pool": "tls", "options": { "pass": "x" } }]),
            list(),
            "pools[0].options.pass: the pool itself",
        ),
        (
            json!({}),
            json!([{ "pool": "tls", "options": { "token": "x" } }]),
            list(),
            "pools[0].options.token: write a secret",
        ),
        (
            json!({}),
            json!([{ "pool": "bare", "wallet": "any", "options": { "a": 1 } }]),
            single(),
            "pools[0].options: this miner type",
        ),
    ]);
}
