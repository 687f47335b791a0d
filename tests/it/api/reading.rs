//! What the host tells of itself, and that telling changes nothing.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use serde_json::{Value, json};

use crate::{
    api::{
        NONE, refused, token,
        wire::{connect, place},
    },
    host::{Host, is_alive, pid_at, wait_for},
};

/// Every route that is read.
const READS: &[&str] = &[
    "/health",
    "/ready",
    "/info",
    "/drivers",
    "/drivers/sim",
    "/drivers/faulty",
    "/miners",
    "/miners?all=true&brief=true",
    "/miners/available",
    "/miners/rig-1",
    "/miners/rig-1/stats",
    "/miners/rig-1/logs",
    "/miners/rig-1/logs?after=0:0",
    "/miners/rig-1/plan",
    "/miners/rig-1/runs",
    "/tokens",
    "/audit",
];

/// Path, mode and content of every file below `folder`.
fn tree(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        let content = if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
            None
        } else {
            // A socket cannot be read.
            fs::read(&path).ok()
        };
        found.insert(path.display().to_string(), content);
    }
    found
}

#[test]
fn reading_changes_no_file() {
    let mut host = Host::absent();
    // Many ticks would bring the database's journal into its file.
    let settings = "[miners]\nstats_interval_ms = 5000\noutput_interval_ms = 50\n";
    fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    host.simulate("rig-1", &json!({ "wallet": "wallet-of-mine" }));
    let miner = host.wait_for_phase("rig-1", "mining");
    host.ok("DELETE", "/miners/rig-1", NONE);
    // It removes its socket when it leaves.
    let keeper = pid_at(&miner["run"]["keeperPid"]);
    wait_for("the keeper's end", || (!is_alive(keeper)).then_some(()));
    let before = tree(host.folder.path());
    assert!(before.len() > 10, "{:?}", before.keys());
    for _ in 0..3 {
        for path in READS {
            host.get(path);
        }
        for args in [["miner", "list"], ["driver", "list"], ["token", "list"], ["token", "show"]] {
            assert!(host.run(&args).status.success());
        }
    }
    let after = tree(host.folder.path());
    let names = |tree: &BTreeMap<String, _>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    for (path, content) in &before {
        // What the host and its commands print goes to a file of the test. How readers of the
        // database take turns, and the ticks of the history, are no doing of the calls.
        let may = ["host.log", "-shm", "-wal"].iter().any(|it| path.ends_with(it));
        assert!(may || after[path] == *content, "{path} changed");
    }
}

#[test]
fn what_existing_clients_read_of_the_host_is_there() {
    let host = Host::start();
    assert_eq!(host.get("/health"), json!({ "status": "healthy" }));
    let ready = host.get("/ready");
    assert_eq!(ready["status"], "ready");
    assert!(ready["components"].as_object().unwrap().values().all(|it| it == "ready"), "{ready}");
    let info = host.get("/info");
    assert_eq!(
        (&info["os"], &info["architecture"]),
        (&json!("linux"), &json!(std::env::consts::ARCH))
    );
    assert!(info["available_cpu_cores"].as_u64() > Some(0), "{info}");
    assert!(info["total_system_ram_gb"].as_f64() > Some(0.1), "{info}");
    assert!(info["timestamp"].as_str().unwrap().ends_with('Z'), "{info}");
    let installed = info["installed_miners_info"].as_array().unwrap();
    let types: Vec<&Value> = installed.iter().map(|it| &it["miner_type"]).collect();
    assert_eq!(
        types,
        ["asic", "broken-none000000000000", "faulty", "minimal", "sim", "tt-miner", "xmrig"]
    );
    for entry in installed {
        let is_installed = entry["is_installed"].as_bool().unwrap();
        let is_bundled = ["asic", "faulty", "sim"].iter().any(|it| entry["miner_type"] == *it);
        assert_eq!(is_installed, is_bundled, "{entry}");
        for field in ["version", "path", "miner_binary"] {
            assert!(entry[field].is_string(), "{field} of {entry}");
        }
        // A device on the network needs no program.
        if is_installed && entry["miner_type"] != "asic" {
            let binary = Path::new(entry["miner_binary"].as_str().unwrap());
            assert!(binary.is_file(), "{entry}");
            assert_eq!(binary.parent().unwrap(), Path::new(entry["path"].as_str().unwrap()));
        }
    }
    let available = host.get("/miners/available");
    let sim = available.as_array().unwrap().iter().find(|it| it["name"] == "sim").unwrap();
    assert!(sim["description"].is_string() && sim["algorithms"][0] == "rx/0", "{sim}");
    assert_eq!(sim["configSchema"]["type"], "object");
}

#[test]
fn lists_are_never_null_and_keys_are_camel_case() {
    let host = Host::start();
    for path in ["/miners", "/tokens", "/audit"] {
        assert_eq!(host.get(path), json!([]), "{path}");
    }
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    wait_for("figures", || host.get("/miners/rig-1/stats")["hashrate"].as_f64());
    host.ok("POST", "/tokens", &json!({ "name": "dash", "role": "view" }));
    // In these two are keys as clients of the earlier system read them.
    for path in READS.iter().filter(|path| !["/info", "/miners"].contains(path)) {
        let answer = host.get(path);
        check_keys(path, &answer);
        let lists = ["/drivers", "/miners/available", "/tokens", "/audit", "/miners/rig-1/logs"];
        let is_list =
            lists.contains(path) || path.starts_with("/miners?") || path.ends_with("/runs");
        assert_eq!(answer.is_array(), is_list, "{path}");
    }
}

/// Keys that are not ours: of a schema, of hardware, of a name.
const FREE: &[&str] =
    &["configSchema", "defaults", "files", "env", "extraData", "hashrates", "phaseLimits", "other"];

fn check_keys(path: &str, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|it| check_keys(path, it)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let camel = key.starts_with(|c: char| c.is_ascii_lowercase())
                    && key.chars().all(|c| c.is_ascii_alphanumeric());
                assert!(camel, "{path}: the key {key}");
                if !FREE.contains(&key.as_str()) {
                    check_keys(path, value);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_audit_log_says_who_did_what_and_how_it_ended() {
    let host = Host::start();
    let made = host.ok("POST", "/tokens", &json!({ "name": "dash", "role": "operate" }));
    let secret = made["token"].as_str().unwrap();
    host.simulate("rig-1", &json!({ "wallet": "wallet-of-mine-4711" }));
    host.wait_for_phase("rig-1", "mining");
    let as_dash = |method: &str, path: &str| {
        let method = method.parse().unwrap();
        host.bare_request(&method, path).bearer_auth(secret).send().unwrap().status().as_u16()
    };
    assert_eq!(as_dash("POST", "/miners/rig-1/pause"), 200);
    assert_eq!(as_dash("POST", "/miners/rig-1/stdin"), 403);
    assert_eq!(as_dash("GET", "/audit"), 403);
    let typed = json!({ "input": "password-typed-4712\n" });
    host.ok("POST", "/miners/rig-1/stdin", &typed);
    refused(&host, ("POST", "/miners/nobody/start", NONE), (404, "MINER_NOT_FOUND"));
    refused(&host, ("PUT", "/miners", NONE), (405, "METHOD_NOT_ALLOWED"));
    let bad = json!({ "type": "sim", "config": { "wallet": 4713, "password": "hunter2-hunter2" } });
    refused(&host, ("POST", "/miners", &bad), (400, "INVALID_CONFIG"));
    assert_eq!(as_dash("DELETE", "/miners/rig-1"), 200);
    host.get("/miners");

    let audit = host.get("/audit");
    let base = place(&host).1;
    let seen: Vec<[String; 3]> = audit
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| {
            assert!(entry["atMs"].as_i64() > Some(1_600_000_000_000), "{entry}");
            assert_eq!(entry["address"], "127.0.0.1");
            ["who", "action", "outcome"].map(|key| entry[key].as_str().unwrap().replace(base, ""))
        })
        .collect();
    let expected = [
        ["token-file", "POST /tokens", "201"],
        ["token-file", "POST /miners", "201"],
        ["dash", "POST /miners/rig-1/pause", "200"],
        ["dash", "POST /miners/rig-1/stdin", "403 ROLE_TOO_LOW"],
        ["token-file", "POST /miners/rig-1/stdin", "200"],
        ["token-file", "POST /miners/nobody/start", "404 MINER_NOT_FOUND"],
        ["token-file", "PUT /miners", "405 METHOD_NOT_ALLOWED"],
        ["token-file", "POST /miners", "400 INVALID_CONFIG"],
        ["dash", "DELETE /miners/rig-1", "200"],
    ];
    assert_eq!(seen, expected);
    for secret in [secret, &token(&host), "4711", "4712", "4713", "hunter2"] {
        assert!(!audit.to_string().contains(secret), "{audit}");
    }
    let newest = host.get("/audit?limit=1");
    assert_eq!((newest.as_array().unwrap().len(), &newest[0]), (1, &audit[0]));
}

#[test]
fn who_hangs_up_is_written_down_all_the_same() {
    let host = Host::start();
    host.simulate("rig-1", &json!({ "misbehave": { "ignoreSigterm": true } }));
    host.wait_for_phase("rig-1", "mining");
    let (address, base) = place(&host);
    let mut stream = connect(&host);
    write!(
        stream,
        "DELETE {base}/miners/rig-1 HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        token(&host)
    )
    .unwrap();
    host.wait_for_phase("rig-1", "stopping");
    drop(stream);
    host.wait_for_phase("rig-1", "stopped");
    wait_for("the entry", || {
        let audit = host.get("/audit?limit=1");
        (audit[0]["action"] == json!(format!("DELETE {base}/miners/rig-1"))).then_some(())
    });
}

#[test]
fn a_list_of_miners_that_somebody_has_is_not_sent_again() {
    let host = Host::start();
    // Nothing of it changes by itself, once the watchdog knows of the stop.
    host.simulate("rig-1", &json!({}));
    host.ok("DELETE", "/miners/rig-1", NONE);
    wait_for("the watchdog's look", || {
        (host.miner("rig-1")["watchdog"]["excuse"] == "not-running").then_some(())
    });
    let ask = |path: &str, tag: &str| {
        let answer = host.request("GET", path).header("If-None-Match", tag).send().unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), tag, answer.bytes().unwrap().len())
    };
    let all = "/miners?all=true";
    let (status, tag, length) = ask(all, "\"other\"");
    assert!(status == 200 && tag.starts_with("W/\"") && length > 100, "{status} {tag} {length}");
    for known in [tag.clone(), format!("\"other\", {tag}"), "*".to_owned()] {
        assert_eq!(ask(all, &known), (304, tag.clone(), 0), "{known}");
    }
    assert_eq!(ask("/miners", &tag).0, 200, "another list");
    assert_eq!(ask("/miners?all=true&brief=true", &tag).0, 200, "another form");
    host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
    let (status, new, length) = ask(all, &tag);
    assert_eq!((status, length), (200, 2), "at once");
    assert_ne!(new, tag);
}

#[test]
fn a_brief_list_has_every_miner_and_nothing_that_only_charts_need() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    wait_for("a history", || host.get("/miners")[0]["hashrateHistory"].get(0).cloned());
    let brief = host.get("/miners?brief=true");
    let miner = brief[0].as_object().unwrap();
    assert!(miner.contains_key("stats") && miner.contains_key("run"), "{miner:?}");
    assert!(!miner.contains_key("hashrateHistory") && !miner.contains_key("full_stats"));
    for bad in ["/miners?all=1", "/miners?brief=", "/miners?al=true"] {
        refused(&host, ("GET", bad, NONE), (400, "INVALID_INPUT"));
    }
}
