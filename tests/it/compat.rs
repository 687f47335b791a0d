//! The dialects of other people's tools, over a miner of a driver that knows none of them.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::host::{Host, PATIENCE, wait_for};

/// A host with a simulated miner and a port for each dialect, and those ports.
fn rig() -> (Host, [SocketAddr; 3]) {
    let ports = "[compat]\nxmrig = { rig-1 = '127.0.0.1:0' }\nmmpos = { rig-1 = '127.0.0.1:0' }\n\
                 claymore = { rig-1 = '127.0.0.1:0' }\n";
    let host = crate::api::host_with(ports);
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    // The first window of a hashrate takes a moment longer than the first share.
    wait_for("figures", || {
        let stats = host.miner("rig-1")["stats"].clone();
        stats["hashrate"].as_f64()?;
        stats["shares"].as_u64().filter(|it| *it > 0)
    });
    let ports = ["Xmrig", "Mmpos", "Claymore"].map(|dialect| {
        wait_for(dialect, || {
            let log = host.log();
            let line = log.lines().find(|it| it.contains(&format!("dialect={dialect} ")))?;
            line.split("address=").nth(1)?.trim().parse().ok()
        })
    });
    (host, ports)
}

/// Every path of `value`, with the kind of what is there; lists by their first item.
fn shape(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                shape(&format!("{path}.{name}"), inner, found);
            }
        }
        Value::Array(items) => {
            found.insert(format!("{path}[]"));
            items.first().into_iter().for_each(|it| shape(&format!("{path}[]"), it, found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// What the program itself is like that nobody else is: its build, its processor, its options.
const ITS_OWN: &[&str] = &[".donate_level"];

fn sample(name: &str) -> Value {
    let text = match name {
        "1/summary" => include_str!("../../plugins/xmrig/samples/summary-v1.json"),
        "2/summary" => include_str!("../../plugins/xmrig/samples/summary-v2.json"),
        _ => include_str!("../../plugins/xmrig/samples/backends.json"),
    };
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_summary_has_every_field_that_xmrig_has() {
    let (host, _) = rig();
    for form in ["1/summary", "2/summary"] {
        let told = host.get(&format!("/compat/xmrig/rig-1/{form}"));
        let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
        shape("", &sample(form), &mut theirs);
        shape("", &told, &mut ours);
        let lacks: Vec<_> = theirs
            .difference(&ours)
            .filter(|it| !ITS_OWN.iter().any(|own| it.starts_with(own)))
            .collect();
        assert!(lacks.is_empty(), "{form} lacks {lacks:?}: {told}");
        assert_eq!(told["hugepages"].is_boolean(), form == "1/summary");
        assert!(told["hashrate"]["total"][0].as_f64() > Some(0.0), "{told}");
        let missing = &told["hashrate"]["total"][2];
        assert!(missing.is_null() || missing.is_number(), "{told}");
        assert_eq!((&told["kind"], &told["restricted"]), (&json!("miner"), &json!(true)));
        assert!(told["results"]["shares_good"].as_u64() > Some(0), "{told}");
        assert_eq!(told["results"]["best"].as_array().unwrap().len(), 10);
    }
    let alias = host.get("/compat/xmrig/rig-1/api.json");
    assert!(alias["hashrate"]["threads"].is_array(), "{alias}");
    let backends = host.get("/compat/xmrig/rig-1/2/backends");
    let types = |all: &Value| -> Vec<Value> {
        all.as_array().unwrap().iter().map(|it| it["type"].clone()).collect()
    };
    assert_eq!(types(&backends), types(&sample("2/backends")));
    assert!(backends.as_array().unwrap().iter().any(|it| it["enabled"] == true), "{backends}");
    let keys = |all: &Value| -> BTreeSet<String> {
        let cpu = all.as_array().unwrap().iter().find(|it| it["type"] == "cpu").unwrap();
        cpu.as_object().unwrap().keys().cloned().collect()
    };
    let lacks: Vec<_> = keys(&sample("2/backends")).difference(&keys(&backends)).cloned().collect();
    assert!(lacks.iter().all(|it| ["hashrate", "threads"].contains(&it.as_str())), "{lacks:?}");
    let summary = host.get("/compat/xmrig/rig-1/2/summary");
    assert!(summary["algorithms"].as_array().unwrap().len() > 1, "{summary}");
    assert!(summary["cpu"]["nodes"].as_u64() > Some(0), "{summary}");
}

#[test]
fn a_token_and_what_is_restricted_have_the_statuses_of_xmrig() {
    let (host, [port, _, _]) = rig();
    let token = std::fs::read_to_string(host.state().join("token")).unwrap();
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let root = format!("http://{port}");
    let facade = format!("{}/compat/xmrig/rig-1", host.base);
    let status = |base: &str, method: &str, path: &str, token: Option<&str>| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = client.request(method, format!("{base}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().unwrap().status().as_u16()
    };
    for base in [&root, &facade] {
        for (method, path, token, expected) in [
            ("GET", "/2/summary", None, 401),
            ("GET", "/2/summary", Some("wrong"), 403),
            ("GET", "/2/summary", Some(token.as_str()), 200),
            ("GET", "/1/config", Some(token.as_str()), 403),
            ("PUT", "/1/config", Some(token.as_str()), 403),
            ("POST", "/json_rpc", Some(token.as_str()), 403),
            ("GET", "/1/threads", Some(token.as_str()), 404),
            ("GET", "/2/summary?x=1", Some(token.as_str()), 404),
            ("GET", "/1/summary?", Some(token.as_str()), 404),
            ("GET", "/2/backends?x", Some(token.as_str()), 404),
            ("OPTIONS", "/2/summary", None, 200),
        ] {
            assert_eq!(status(base, method, path, token), expected, "{method} {base}{path}");
        }
    }
    // A token that may only look is enough.
    let made = host.ok("POST", "/tokens", &json!({ "name": "workers", "role": "view" }));
    assert_eq!(status(&root, "GET", "/2/backends", made["token"].as_str()), 200);
    host.ok("DELETE", "/miners/rig-1?remove=true", &Value::Null);
    assert_eq!(status(&root, "GET", "/2/summary", Some(&token)), 404);
}

#[test]
fn the_port_of_xmrig_is_not_for_pages_and_its_failures_lock_nobody_out() {
    let (host, [xmrig, _, _]) = rig();
    let token = std::fs::read_to_string(host.state().join("token")).unwrap();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{xmrig}/2/summary");
    let ask = |headers: &[(&str, &str)], token: &str| {
        let mut request = client.get(&url).bearer_auth(token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().unwrap();
        let shown = answer.headers().get("access-control-allow-origin");
        (answer.status().as_u16(), shown.map(|it| it.to_str().unwrap().to_owned()))
    };
    let port = host.base.rsplit_once("/api").unwrap().0.rsplit_once(':').unwrap().1;
    let own = format!("http://127.0.0.1:{port}");
    for (headers, status, shown) in [
        ([].as_slice(), 200, None),
        (&[("Host", own.as_str())], 200, None),
        (&[("Host", "evil.example")], 403, None),
        (&[("Host", "http://evil.example")], 403, None),
        (&[("Origin", "http://evil.example")], 403, None),
        (&[("Origin", "null")], 403, None),
        (&[("Origin", own.as_str())], 200, Some(own.clone())),
    ] {
        assert_eq!(ask(headers, token.trim()), (status, shown), "{headers:?}");
    }
    // Somebody who guesses here, from the address of everybody else.
    for _ in 0..30 {
        assert_eq!(ask(&[], "guess").0, 403);
    }
    assert_eq!(host.get("/miners").as_array().unwrap().len(), 1);
    let guess = format!("{}/miners", host.base);
    let answer = client.get(guess).bearer_auth("guess").send().unwrap();
    assert_eq!(answer.status().as_u16(), 401, "the API counts its own failures only");
}

#[test]
fn agents_read_what_they_expect() {
    let (host, [_, port, _]) = rig();
    let hive = host.get("/compat/hiveos/rig-1");
    let stats = &hive["stats"];
    assert!(hive["khs"].as_f64() > Some(0.0), "{hive}");
    let count = stats["hs"].as_array().unwrap().len();
    for list in ["temp", "fan", "bus_numbers"] {
        let length = stats[list].as_array().unwrap().len();
        assert!(length == count || length == 0, "{list}: {hive}");
    }
    assert_eq!(stats["ar"].as_array().unwrap().len(), 3, "{hive}");
    let sum: f64 = stats["hs"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
    let total = hive["khs"].as_f64().unwrap() * 1000.0;
    assert!((sum - total).abs() <= total * 0.01, "{hive}");

    let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let url = format!("http://{port}/mmpos");
    let mmp: Value = client.get(&url).send().unwrap().json().unwrap();
    assert_eq!((&mmp["units"], &mmp["miner_name"]), (&json!("hs"), &json!("sim")));
    let count = mmp["hash"].as_array().unwrap().len();
    for list in ["/busid", "/shares/accepted", "/shares/rejected", "/shares/invalid"] {
        assert_eq!(mmp.pointer(list).unwrap().as_array().unwrap().len(), count, "{list}: {mmp}");
    }
    assert_eq!(mmp["air"].as_array().unwrap().len(), 3);
    let with_token = host.get("/compat/mmpos/rig-1");
    assert_eq!(with_token["busid"], mmp["busid"]);
    // No web page reads it: neither as itself nor under a name of its own for this machine.
    let page = client.get(&url).header("Origin", "http://evil.example").send().unwrap();
    assert_eq!(page.status().as_u16(), 403);
    let renamed = client.get(&url).header("Host", "evil.example").send().unwrap();
    assert_eq!(renamed.status().as_u16(), 403);
    assert_eq!(client.post(&url).send().unwrap().status().as_u16(), 405);
}

#[test]
fn claymores_protocol_tells_figures_and_nothing_else() {
    let (host, [_, _, port]) = rig();
    let stream = TcpStream::connect(port).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |line: &str| -> Value {
        (&stream).write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_default()
    };
    let told = ask(r#"{"id":0,"jsonrpc":"2.0","method":"miner_getstat1"}"#);
    let fields = told["result"].as_array().unwrap();
    assert!(fields.len() >= 9 && fields.iter().all(Value::is_string), "{told}");
    assert!(fields[0].as_str().unwrap().starts_with("sim "), "{told}");
    let shares: u64 = fields[2].as_str().unwrap().split(';').nth(1).unwrap().parse().unwrap();
    assert!(shares > 0, "{told}");
    for method in ["miner_restart", "miner_reboot", "control_gpu", "miner_addconnection"] {
        let told = ask(&json!({ "id": 7, "jsonrpc": "2.0", "method": method }).to_string());
        assert_eq!((&told["id"], &told["error"]["code"]), (&json!(7), &json!(-32_601)), "{told}");
    }
    assert_eq!(host.miner("rig-1")["restarts"], 0);
    // What a web page could send ends at its first line.
    assert_eq!(ask("POST / HTTP/1.1")["error"]["code"], -32_700);
    let mut rest = String::new();
    let ended = (&stream).write_all(b"{\"id\":1,\"method\":\"miner_ping\"}\n").is_err()
        || reader.read_line(&mut rest).map_or(true, |read| read == 0);
    assert!(ended, "{rest}");
}

#[test]
fn a_port_that_is_taken_is_said_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let host = Host::absent();
    let usual = std::fs::read_to_string(host.settings()).unwrap();
    let text = format!("{usual}[compat]\nclaymore = {{ rig-1 = '{address}' }}\n");
    std::fs::write(host.settings(), text).unwrap();
    let output = host.run(&["up"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&format!("compat.claymore.rig-1: cannot listen on {address}")), "{said}");
}
