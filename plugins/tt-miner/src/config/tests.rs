use adit_plugin_api::{Value, json};

use crate::{
    schema,
    tests::{args, driver, plan, with},
};

#[test]
fn one_pool_takes_any_wallet() {
    assert_eq!(
        args(with(json!({ "wallet": "xel:qcd@39", "password": "a:b@c" }))),
        "-c RVN -o p.example:3333 -u xel:qcd@39 -w rig-1 -p a:b@c -rep-i 30"
    );
    assert_eq!(
        args(json!({ "algo": "KawPow", "worker": "", "reportInterval": 0,
            "pools": [{ "url": "stratum+tcp://[::1]:443", "wallet": "W" }] })),
        "-a KawPow -o [::1]:443 -u W -rep-i 0"
    );
}

#[test]
fn an_address_is_taken_in_every_usual_spelling() {
    for (written, expected) in [
        ("p.example:1/", "p.example:1"),
        ("TCP://p.example:1", "p.example:1"),
        ("stratum://p.example:1", "p.example:1"),
        ("Stratum+TCP://p.example:1/", "p.example:1"),
        ("SSL://p.example:1/", "ssl://p.example:1"),
        ("tls://p.example:1", "ssl://p.example:1"),
        ("stratum+tls://p.example:1", "stratum+ssl://p.example:1"),
        ("stratum1://p.example:1", "stratum1+tcp://p.example:1"),
        ("EPIC+TLS://p.example:1", "epic+ssl://p.example:1"),
        ("zmp+tcp://p.example:1", "zmp://p.example:1"),
    ] {
        let args = args(with(json!({ "pool": written })));
        assert!(args.starts_with(&format!("-c RVN -o {expected} ")), "{written}: {args}");
    }
}

#[test]
fn a_wallet_that_names_a_worker_gets_no_second_one() {
    let with_wallet = |wallet: &str, more: Value| {
        let mut value = with(json!({ "wallet": wallet }));
        value.as_object_mut().unwrap().extend(crate::tests::config(more).0);
        args(value)
    };
    let one = with_wallet("RWALLET.rig7", json!({}));
    assert_eq!(one, "-c RVN -o p.example:3333 -u RWALLET.rig7 -rep-i 30");
    let coins = json!({ "alternate": [
        { "coin": "ZIL", "pools": [{ "url": "z.example:1", "wallet": "Z.rig7" }] },
    ] });
    let several = with_wallet("RWALLET.rig7", coins);
    assert!(several.contains("-PRVN RWALLET.rig7@p.example:3333 "), "{several}");
    assert!(several.contains("-PZIL Z.rig7@z.example:1 "), "{several}");
    // What the operator writes is done, and an e-mail address names no worker.
    assert!(with_wallet("RWALLET.rig7", json!({ "worker": "own" })).contains(" -w own "));
    assert!(with_wallet("me@mail.example", json!({})).contains("-u me@mail.example -w rig-1 "));
}

#[test]
fn several_pools_fail_over_in_their_order() {
    let pools = json!([
        { "url": "ssl://a.example:1", "wallet": "WA", "password": "x" },
        { "url": "b.example:2", "wallet": "WB", "worker": "own" },
        { "url": "epic+ssl://c.example:3", "wallet": "WC", "worker": "" },
    ]);
    assert_eq!(
        args(json!({ "coin": "EPIC", "pools": pools })),
        "-c EPIC -P ssl://WA.rig-1:x@a.example:1 -P WB.own@b.example:2 -P epic+ssl://WC@c.example:3 \
         -rep-i 30"
    );
    for (field, value) in
        [("wallet", "W:1"), ("wallet", "W@1"), ("password", "a@b"), ("worker", "a:b")]
    {
        let mut pools = pools.clone();
        pools[1][field] = value.into();
        let error = plan(json!({ "coin": "EPIC", "pools": pools })).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("pools[1].{field}: ")) && !error.contains(value),
            "{error}"
        );
    }
}

#[test]
fn several_coins_are_told_apart_by_selectors() {
    let more = json!({
        "overclock": { "core": 1400, "memoryOffset": -200, "powerLimitW": 120, "fan": 70 },
        "alternate": [
            { "coin": "ZIL", "pools": [{ "url": "zmp://z.example:1", "wallet": "Z" }] },
            {
                "algo": "Blake3", "selector": "Bl", "overclock": { "powerLimitPercent": 80 },
                "pools": [{ "url": "b.example:1", "wallet": "B" }, { "url": "b.example:2", "wallet": "B" }],
            },
        ],
    });
    assert_eq!(
        args(with(more)),
        "-cRVN RVN -PRVN RWallet.rig-1@p.example:3333 -oc-coreRVN 1400 -oc-memoffRVN -200 -oc-plRVN \
         120W -oc-fanRVN 70 -cZIL ZIL -PZIL zmp://Z.rig-1@z.example:1 -aBl Blake3 -PBl \
         B.rig-1@b.example:1 -PBl B.rig-1@b.example:2 -oc-plBl 80 -rep-i 30"
    );
}

#[test]
fn every_other_field_acts() {
    let all = json!({
        "devices": [0, 2], "cudaOrder": true, "cpu": 4, "threads": 8, "igpu": true,
        "dagToMemory": true, "dagToDisk": true, "dagSwap": true, "dagInfo": true,
        "cudaCompute": [86, 0], "cudaVersion": "11.4", "cudaGrid": 64, "cudaBlock": 256,
        "stopTemperature": 85, "startTemperature": 70, "reportInterval": 60, "reportShares": 10,
        "activeOnly": true, "luck": true, "benchmark": true, "crashDump": true,
    });
    assert_eq!(
        args(with(all)),
        "-c RVN -o p.example:3333 -u RWallet -w rig-1 -d 0,2 -cuda-order -igpu -dag-2mem -dag-2disk \
         -dag-swap -daginfo -raao -luck -bm -cdd -dag-path /var/lib/adit/rig-1 -cpu 4 -t 8 -cuda-grid \
         64 -cuda-block 256 -tstop 85 -tstart 70 -rep-i 60 -rep-s 10 -cuda-ver 11.4 -cuda-compute 86 0"
    );
    // Without a pool there is nothing but a benchmark.
    assert_eq!(args(json!({ "algo": "Blake3", "benchmark": true })), "-a Blake3 -bm -rep-i 30");
}

fn is_valid(config: &Value) -> bool {
    jsonschema::validator_for(&schema::schema()).unwrap().is_valid(config)
}

#[test]
fn schema_and_driver_agree() {
    for bad in [
        json!({ "devices": [] }),
        json!({ "devices": ["01"] }),
        json!({ "devices": [256] }),
        json!({ "devices": [true] }),
        json!({ "cudaBlock": 100 }),
        json!({ "cudaVersion": "11" }),
        json!({ "cudaCompute": [] }),
        json!({ "reportInterval": 3601 }),
        json!({ "stopTemperature": 0 }),
        json!({ "pool": "p.example" }),
        json!({ "pool": "https://p.example:1" }),
        json!({ "pool": "-o.example:1" }),
        json!({ "pool": "p.example:1 -x:1" }),
        json!({ "pool": "p.example:1/x" }),
        json!({ "pool": "p.example:1//" }),
        json!({ "pool": "[fe80::1%eth0]:1" }),
        json!({ "pool": "http+ssl://p.example:1" }),
        json!({ "pool": "udp://p.example:1" }),
        json!({ "wallet": "" }),
        json!({ "coin": "-x" }),
        json!({ "coin": "R VN" }),
        json!({ "selector": "epic" }),
        json!({ "selector": "E" }),
        json!({ "overclock": { "core": 1 } }),
        json!({ "overclock": { "turbo": 1 } }),
        json!({ "alternate": [{ "coin": "ZIL" }] }),
        json!({ "unknown": 1 }),
        json!({ "log": true }),
    ] {
        let bad = with(bad);
        assert!(!is_valid(&bad), "the schema takes {bad}");
        assert!(plan(bad.clone()).is_err(), "the driver takes {bad}");
    }
    for good in [
        json!({ "devices": ["pci:0000:0A:00.0", "0b:00.0"] }),
        json!({ "pool": "stratum1+ssl://p.example:1", "selector": "Rvn" }),
        json!({ "pool": "stratum1+tcp://p.example:1" }),
        json!({ "pool": "SSL://p.example:1/" }),
        json!({ "pool": "tls://p.example:1" }),
        json!({ "pool": "Epic+TLS://[2001:db8::1]:1/" }),
        json!({ "pool": "tcp://p.example:1" }),
        json!({ "pool": "http://127.0.0.1:8080" }),
        json!({ "overclock": { "coreOffset": -100 } }),
    ] {
        let good = with(good);
        assert!(is_valid(&good), "the schema refuses {good}");
        plan(good).unwrap();
    }
    assert!(is_valid(&schema::example()) && is_valid(&schema::defaults()));
    plan(schema::example()).unwrap();
}

#[test]
fn what_no_schema_can_say_the_driver_refuses() {
    for (bad, field) in [
        (json!({ "coin": "RVN" }), "pool"),
        (json!({ "pool": "p.example:1", "wallet": "W" }), "coin"),
        (json!({ "coin": "RVN", "pool": "p.example:1" }), "pools[0].wallet"),
        (with(json!({ "pools": [{ "url": "a.example:1", "wallet": "A" }] })), "pools"),
        (with(json!({ "devices": [0, "01:00.0"] })), "devices"),
        (with(json!({ "devices": ["01:00.0", "0000:01:00.0"] })), "devices"),
        (with(json!({ "devices": ["0001:01:00.0"] })), "devices[0]"),
        (with(json!({ "devices": ["01:00.1"] })), "devices[0]"),
        (with(json!({ "startTemperature": 70 })), "startTemperature"),
        (with(json!({ "startTemperature": 90, "stopTemperature": 80 })), "startTemperature"),
        (with(json!({ "selector": "RT" })), "selector"),
        (with(json!({ "wallet": "-P" })), "pools[0].wallet"),
        (with(json!({ "overclock": { "core": 1000, "coreOffset": 5 } })), "overclock.core"),
        (
            with(
                json!({ "alternate": [{ "coin": "RVN", "pools": [{ "url": "a.example:1", "wallet": "A" }] }] }),
            ),
            "alternate[0].selector",
        ),
        (with(json!({ "alternate": [{ "coin": "ZIL", "pools": [] }] })), "alternate[0].pools"),
    ] {
        let error = plan(bad.clone()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{field}: ")), "{bad}: {error}");
    }
}

#[test]
fn each_field_has_a_description_and_no_other_is_allowed() {
    fn look(schema: &Value) -> usize {
        assert!(schema["description"].is_string() || schema["title"].is_string(), "{schema}");
        if let Some(items) = schema.get("items") {
            return look(items);
        }
        let Some(fields) = schema.get("properties") else { return 1 };
        assert_eq!(schema["additionalProperties"], false);
        fields.as_object().unwrap().values().map(look).sum()
    }
    assert!(look(&driver().describe().unwrap().config_schema) > 40);
    for path in
        ["/properties/wallet", "/properties/password", "/properties/pools/items/properties/wallet"]
    {
        assert_eq!(schema::schema().pointer(path).unwrap()["writeOnly"], true, "{path}");
    }
}
